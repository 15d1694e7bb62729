from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Settings:
    """What the environment says; field `webhook_ladder` is RINGMASTER_WEBHOOK_LADDER."""

    kafka_bootstrap: str
    mongodb_uri: str
    webhook_secrets: Path
    http_host: str = "127.0.0.1"
    http_port: int = 8084
    webhooks_name: str = "webhooks"
    """Names this process in its groups: two side by side need two names, one that comes back needs its old one."""
    webhook_ladder: str = ""
    webhook_allow_private: str = ""
    webhook_own_networks: str = ""
    webhook_concurrency: int = 8
    webhook_tenant_concurrency: int = 64
    webhook_failures_to_rest: int = 5
    webhook_rest_seconds: float = 5.0
    webhook_longest_rest_seconds: float = 300.0
    webhook_disable_days: float = 5.0
    webhook_queue_limit: int = 512
    webhook_connect_seconds: float = 5.0
    webhook_timeout_seconds: float = 15.0
    webhook_ca_file: Path | None = None
    webhook_log_days: int = 30
    channel_secrets: Path | None = None
    telegram_api: str = "https://api.telegram.org"
    connectors_dir: Path | None = None
    recording_link: str = ""
    webhook_log_bodies: str = "masked"
    webhook_log_answer_bytes: int = 512
    api_tokens: Path | None = None
    erasure_secret: str = ""
    """What erased persons' numbers are sealed with, the same for every service; without it nobody can be found."""
