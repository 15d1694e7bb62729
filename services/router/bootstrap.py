"""Builds the router from its settings; the only place where the parts meet."""

from services.router.adapters.bus import KafkaBus
from services.router.adapters.snapshots import MongoSnapshots
from services.router.settings import Settings
from services.router.shell import Pace, Shell
from services.shared.chassis.clock import Clock
from services.shared.chassis.settings import SettingsError
from services.shared.chassis.supervisor import Supervisor
from services.shared.chassis.web import serve, service_app


def build(settings: Settings, clock: Clock, supervisor: Supervisor) -> Shell:
    """Build the shell without touching the network. Raises SettingsError when a setting can't work."""
    faults = []
    if settings.router_snapshot_seconds <= 0:
        faults.append("RINGMASTER_ROUTER_SNAPSHOT_SECONDS must be above 0")
    if settings.router_snapshot_inputs < 1:
        faults.append("RINGMASTER_ROUTER_SNAPSHOT_INPUTS must be at least 1")
    if faults:
        raise SettingsError(faults)
    return Shell(
        KafkaBus(settings.kafka_bootstrap, settings.router_name),
        MongoSnapshots(settings.mongodb_uri),
        clock,
        Pace(settings.router_snapshot_seconds, settings.router_snapshot_inputs),
        supervisor.stopping,
    )


def start(shell: Shell, settings: Settings, supervisor: Supervisor) -> None:
    """Start every greenlet. Raises OSError when the port is taken."""
    app = service_app("router", lambda: (not shell.trouble, shell.trouble))
    serve(supervisor, app, settings.http_host, settings.http_port)
    supervisor.spawn("shell", shell.run)
