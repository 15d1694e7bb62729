"""Settings of the role `transcribe`, each from RINGMASTER_<NAME>."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class TranscribeSettings:
    """Seconds here are wall time. Any number of processes share the work; each writes down one recording at a time."""

    kafka_bootstrap: str
    mongodb_uri: str
    s3_endpoint: str
    s3_bucket: str
    s3_access_key: str
    s3_secret_key: str
    s3_region: str = "us-east-1"
    node: str = "transcribe"
    """Names this process among the others: no two may have one name."""
    http_host: str = "127.0.0.1"
    http_port: int = 8084
    api_tokens: Path | None = None
    """JSON file, token's hex SHA-256 → {tenant, role, actor}; without it there is no API."""
    transcribe_engine: str = "embedded:base"
    """See adapters/engines/choice.py: an embedded model, a model's folder, a Vosk server, an HTTP endpoint."""
    transcribe_clip_engine: str = ""
    """For short sounds of menus, where somebody waits; empty = as above."""
    transcribe_models: Path = Path("/var/cache/ringmaster/models")
    """Where embedded models are put together."""
    transcribe_device: str = "cpu"
    """cpu or cuda."""
    transcribe_threads: int = 1
    transcribe_memory_bytes: int = 2 * 1024**3
    """What a recogniser's process may take; 0 = no limit."""
    transcribe_recordings: bool = True
    transcribe_clips: bool = True
    transcribe_lease_seconds: float = 60.0
    transcribe_step_seconds: float = 600.0
    """The longest time between two signs of life of a recogniser's process."""
    transcribe_longest_seconds: float = 4 * 3600.0
    """A longer recording is refused."""
