from dataclasses import dataclass, field
from typing import Final

LARGEST_VALUE: Final = 1_000_000
"""Bytes of a value that every broker takes: its limit of 1 MiB counts key, headers and the batch around them too."""


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
