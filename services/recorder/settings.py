"""The recorder's settings, each from RINGMASTER_<NAME>."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Settings:
    """Seconds here are wall time: files, networks and people on the other side live in it."""

    node: str
    recordings_dir: Path
    kafka_bootstrap: str
    mongodb_uri: str
    s3_endpoint: str
    s3_bucket: str
    s3_access_key: str
    s3_secret_key: str
    s3_region: str = "us-east-1"
    http_host: str = "127.0.0.1"
    http_port: int = 8083
    api_tokens: Path | None = None
    """JSON file, token's hex SHA-256 → {tenant, role, actor}; without it there is no API."""
    recorder_settle_seconds: float = 30.0
    recorder_scan_seconds: float = 2.0
    recorder_workers: int = 16
    """Recordings in hand at once: while some are sent, others are read, encoded and documented."""
    recorder_uploads: int = 4
    """How many of them are sent at once."""
    recorder_queue_files: int = 10_000
    recorder_max_bytes: int = 2 * 1024**3
    recorder_retry_first_seconds: float = 1.0
    recorder_retry_longest_seconds: float = 60.0
    recorder_empty_folder_seconds: float = 60.0
    recorder_disk_high_ratio: float = 0.80
    recorder_disk_critical_ratio: float = 0.95
    recorder_encryption: str = ""
    """At rest, by the store: "" (the store's own default), AES256 (SSE-S3) or aws:kms (SSE-KMS)."""
    recorder_kms_key_id: str = ""
    """For aws:kms, where a company names no key of its own; empty = the store's default key."""
    recorder_bytes_per_second: int = 0
    """What all uploads of the node may take together, in the mean; 0 = no limit."""
    recorder_keeping_seconds: float = 600.0
    """How often retention, erasures and copies are looked after, by one of the recorders."""
    recorder_rclone_config: Path | None = None
    """rclone's own configuration, with the remotes that companies may name for copies."""
    erasure_secret: str = ""
    """What erased persons' numbers are sealed with, the same for every service; without it nobody can be found."""
