"""How this process proves itself to the brokers: the same for every client that it makes."""

import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from services.shared.chassis.settings import SettingsError, read_settings


@dataclass(frozen=True, slots=True)
class BrokerAccess:
    """Read from the environment: RINGMASTER_KAFKA_CA_FILE, _USER, _PASSWORD.

    Without a file of authorities the connection is in the clear. A user is proved by SCRAM-SHA-512 (RFC 5802
    with SHA-512, as Strimzi's users do), which is refused in the clear: anybody on the way could then play the broker.
    """

    kafka_ca_file: Path | None = None
    kafka_user: str = ""
    kafka_password: str = ""

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> "BrokerAccess":
        """Read and judge. Raises SettingsError with every fault."""
        given = read_settings(cls, environ)
        faults = []
        if given.kafka_ca_file is not None and not given.kafka_ca_file.is_file():
            faults.append(f"RINGMASTER_KAFKA_CA_FILE: {given.kafka_ca_file} is no file")
        if given.kafka_user and given.kafka_ca_file is None:
            faults.append("RINGMASTER_KAFKA_USER needs RINGMASTER_KAFKA_CA_FILE: a password is not sent in the clear")
        if bool(given.kafka_user) != bool(given.kafka_password):
            faults.append("RINGMASTER_KAFKA_USER and RINGMASTER_KAFKA_PASSWORD are set together or not at all")
        if faults:
            raise SettingsError(faults)
        return given

    def context(self) -> ssl.SSLContext | None:
        """Return what a connection is wrapped in, None for one in the clear. Raises OSError, ssl.SSLError."""
        return None if self.kafka_ca_file is None else ssl.create_default_context(cafile=str(self.kafka_ca_file))
