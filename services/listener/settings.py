"""What the listener is told by its environment (names: RINGMASTER_ and the field)."""

import re
from dataclasses import dataclass
from pathlib import Path

from services.shared.chassis.settings import SettingsError
from services.shared.outbound.address import AddressGuard, BadNetwork

_MEGABYTE = 1024 * 1024
_LEAST_SPOOL_BYTES = 4 * _MEGABYTE
_HIGHEST_PORT = 65_535
_NODE = re.compile(r"[A-Za-z0-9._-]{1,64}").fullmatch
_PLAIN_PATH = re.compile(r"/[A-Za-z0-9._/-]*").fullmatch


@dataclass(frozen=True, slots=True)
class Settings:
    """One FreeSWITCH, one listener."""

    node: str
    esl_password: str
    kafka_bootstrap: str
    spool_dir: Path
    recordings_dir: str
    esl_host: str = "127.0.0.1"
    esl_port: int = 8021
    http_host: str = "127.0.0.1"
    http_port: int = 8081
    spool_max_bytes: int = 1024 * _MEGABYTE
    prompts_dir: str = "/usr/share/freeswitch/sounds/ringmaster"
    gateway: str = "default"
    """Gateway for outside numbers when a command names none."""
    speech: str = "flite|kal"
    """Engine and voice of spoken text."""
    sip_networks: str = ""
    """Networks, in CIDR form with commas between, where SIP addresses of flows may lead besides the public internet."""
    call_records: Path | None = None
    """FreeSWITCH's file of call records, Master.csv; without it, calls of which no event was seen stay unknown."""

    def __post_init__(self) -> None:
        faults = []
        if not _NODE(self.node):
            faults.append("RINGMASTER_NODE must be letters, digits, dots, hyphens")
        for name, port in (("ESL_PORT", self.esl_port), ("HTTP_PORT", self.http_port)):
            if not 0 <= port <= _HIGHEST_PORT:
                faults.append(f"RINGMASTER_{name} must be a port number")
        for name, path in (("RECORDINGS_DIR", self.recordings_dir), ("PROMPTS_DIR", self.prompts_dir)):
            if not _PLAIN_PATH(path):
                faults.append(f"RINGMASTER_{name} must be an absolute path without blanks")
        if self.spool_max_bytes < _LEAST_SPOOL_BYTES:
            faults.append(f"RINGMASTER_SPOOL_MAX_BYTES must be at least {_LEAST_SPOOL_BYTES}")
        try:
            AddressGuard.parse(self.sip_networks)
        except BadNetwork as error:
            faults.append(f"RINGMASTER_SIP_NETWORKS: {error}")
        if faults:
            raise SettingsError(faults)
