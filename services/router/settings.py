from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Settings:
    """The router's settings, each from RINGMASTER_<NAME>. Seconds here are wall time."""

    kafka_bootstrap: str
    mongodb_uri: str
    http_host: str = "127.0.0.1"
    http_port: int = 8082
    router_name: str = "router-1"
    """Names this process in its group: started again under the same name it gets its partitions back at once."""
    router_session_seconds: float = 6.0
    """A router that is silent for so long is dead, and others take its tenants over. Less than 6 needs the broker's
    group.min.session.timeout.ms set to it or less."""
    router_standby: bool = True
    """Follow what other routers decide, so that a dead one's tenants are taken over within moments. Each router then
    decides every input once more, which takes about a tenth of a core at 50 calls/s."""
    router_takes_log: str = ""
    """Kafka was set up anew: the id of the topic ringmaster.inputs, which a router asks for, to go on there from the
    snapshots of the former one (runbook backup.md)."""
    lookup_allow_private: str = ""
    """Networks below which a flow's lookup may reach a private address; empty = public addresses only."""
    lookup_own_networks: str = ""
    """Public networks that are our own: never reached."""
    lookup_ca_file: Path | None = None
    router_snapshot_seconds: float = 20.0
    router_snapshot_inputs: int = 10_000
    """A snapshot is written after so long, or after so many inputs, whichever comes first: whoever takes a tenant over
    decides them again, 17,000 a second (bench/recovery)."""
