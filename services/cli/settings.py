import os
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from services.shared.chassis.settings import read_settings

SettingsType = TypeVar("SettingsType")


@dataclass(frozen=True, slots=True)
class BrokerSettings:
    """Where the broker is."""

    kafka_bootstrap: str


@dataclass(frozen=True, slots=True)
class StatsSettings:
    """Where the call log answers, and with which token."""

    stats_url: str
    token: str


@dataclass(frozen=True, slots=True)
class ConsoleSettings:
    """Where the console answers, and with which token."""

    console_url: str
    token: str


@dataclass(frozen=True, slots=True)
class WebhooksSettings:
    """Where the webhooks' API answers, and with which token."""

    webhooks_url: str
    token: str


@dataclass(frozen=True, slots=True)
class DoctorSettings:
    """What the doctor looks at; what is not set is either said or, where a part can do without, left out."""

    kafka_bootstrap: str = ""
    mongodb_uri: str = ""
    s3_endpoint: str = ""
    s3_bucket: str = ""
    s3_access_key: str = ""
    s3_secret_key: str = ""
    s3_region: str = "us-east-1"
    api_tokens: Path | None = None
    webhook_secrets: Path | None = None
    channel_secrets: Path | None = None
    directory_password: str = ""
    phone_secret: str = ""
    erasure_secret: str = ""
    esl_host: str = ""
    esl_port: int = 8021
    esl_password: str = ""
    recorder_encryption: str = ""
    recorder_kms_key_id: str = ""
    smtp_host: str = ""
    smtp_port: int = 25
    smtp_user: str = ""
    smtp_password_file: Path | None = None
    smtp_starttls: bool = False
    transcribe_engine: str = ""
    doctor_services: str = ""
    """name=url,name=url of services that shall say that they are ready."""


def environment(settings: type[SettingsType]) -> SettingsType:
    """Read a command's settings. Raises SettingsError."""
    return read_settings(settings, os.environ)
