from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Record:
    """One record of a topic. `timestamp_ms` is platform time, milliseconds since 1970 UTC, as its producer set it."""

    topic: str
    partition: int
    offset: int
    timestamp_ms: int
    key: str
    value: bytes
    headers: dict[str, str] = field(default_factory=dict)
