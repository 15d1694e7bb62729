from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class StoreSettings:
    """What the command line needs; field `mongodb_uri` is RINGMASTER_MONGODB_URI."""

    kafka_bootstrap: str
    mongodb_uri: str


@dataclass(frozen=True, slots=True)
class Settings:
    """What the service needs. Without `directory_password` FreeSWITCH's directory is not served."""

    kafka_bootstrap: str
    mongodb_uri: str
    api_tokens: Path
    http_host: str = "127.0.0.1"
    http_port: int = 8085
    directory_user: str = "freeswitch"
    directory_password: str = ""
    phone_secret: str = ""
    erasure_secret: str = ""
    """What erased persons' numbers are sealed and hashed with, the same for every service; without it nobody is."""
