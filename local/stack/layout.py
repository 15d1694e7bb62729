import os
from dataclasses import dataclass
from pathlib import Path

from local.stack.part import PartFailed

ROOT = Path(__file__).resolve().parents[2]
# Offsets from the base port.
_PORTS = (
    "kafka",
    "kafka_controller",
    "documents",
    "objects",
    "objects_master",
    "objects_volume",
    "objects_filer",
    "event_socket",
    "switch",
    "receiver",
    "listener",
    "router",
    "recorder",
    "webhooks",
    "stats",
    "console",
    "carriers",
    "telephones",
    "prometheus",
    "transcriber",
)
# Where the object store is ruled from; it listens there though nobody asks.
_OBJECTS_ADMIN = {"objects_admin": 26}
# SIPp's ports, UDP but for its control port, which is one higher. They are looked at by nobody else.
_PHONE_PORTS = {"callers": 20, "agents": 22, "office": 24}
# Sound of calls, as offsets too: far from the ports above, and from the object store's.
_MEDIA_PORTS = {"switch": 2_000, "phones": 3_000}
DEFAULT_BASE_PORT = 18100
OBJECTS_GRPC = 10_000
"""So much higher than its own are the object store's ports for gRPC."""
FIRST_PORT, LAST_PORT = 1_024, 55_000


def kafka_cluster() -> str | None:
    """Return KAFKA_BOOTSTRAP, a cluster to use in place of a broker of the stack's own; None for the latter."""
    return os.environ.get("KAFKA_BOOTSTRAP") or None


@dataclass(frozen=True, slots=True)
class Layout:
    """Where a stack keeps its data and which ports it uses. One folder, nothing outside it."""

    folder: Path
    base_port: int

    @classmethod
    def from_environment(cls, folder: str = "stack") -> "Layout":
        """Take RINGMASTER_BASE_PORT and `.run/<folder>`; stacks on other ports than usual have folders of their own."""
        text = os.environ.get("RINGMASTER_BASE_PORT") or str(DEFAULT_BASE_PORT)
        if not text.isascii() or not text.isdigit() or not FIRST_PORT <= int(text) <= LAST_PORT:
            raise PartFailed(f"RINGMASTER_BASE_PORT must be a number from {FIRST_PORT} to {LAST_PORT}, not {text!r}.")
        port = int(text)
        return cls(ROOT / ".run" / (folder if port == DEFAULT_BASE_PORT else f"{folder}-{port}"), port)

    def port(self, name: str) -> int:
        """Return the port of a part."""
        offset = (_PHONE_PORTS | _OBJECTS_ADMIN).get(name)
        return self.base_port + (_PORTS.index(name) if offset is None else offset)

    def media_port(self, name: str) -> int:
        """Return the first of a thousand UDP ports for sound; SIPp takes the next thousand too."""
        return self.base_port + _MEDIA_PORTS[name]

    def ports(self) -> dict[str, int]:
        """Return every port by the name of its part."""
        return {name: self.port(name) for name in (*_PORTS, *_OBJECTS_ADMIN)}

    def address(self, name: str) -> str:
        """Return host:port of a part; of Kafka that of the cluster which KAFKA_BOOTSTRAP names, where it does."""
        cluster = kafka_cluster() if name == "kafka" else None
        return cluster or f"127.0.0.1:{self.port(name)}"

    def url(self, name: str, path: str = "") -> str:
        """Return a URL of a part."""
        return f"http://{self.address(name)}{path}"

    def path(self, *parts: str) -> Path:
        """Return a path in the data folder; its parent exists."""
        path = self.folder.joinpath(*parts)
        path.parent.mkdir(parents=True, exist_ok=True)
        return path
