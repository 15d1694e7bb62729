from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Settings:
    """What the statistics service is told by its environment; seconds are wall time."""

    kafka_bootstrap: str
    mongodb_uri: str
    api_tokens: Path
    http_host: str = "127.0.0.1"
    http_port: int = 8085
    stats_snapshot_seconds: float = 15.0
    stats_folder: Path = Path("build/stats")
    """Where the report tables are: a mirror of the documents, filled again where it is lost."""
    stats_retention_days: int = 1_100
    """How long the documents of calls are kept; 0: for ever."""
    smtp_host: str = ""
    """Where mailed reports are handed in; empty: nowhere."""
    smtp_port: int = 25
    smtp_sender: str = "reports@ringmaster.invalid"
    smtp_user: str = ""
    smtp_password_file: Path | None = None
    smtp_starttls: bool = False
    erasure_secret: str = ""
    """What erased persons' numbers are sealed with, the same for every service; without it nobody can be found."""
