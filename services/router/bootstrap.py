"""Builds the router from its settings; the only place where the parts meet."""

from dataclasses import dataclass

from services.router.adapters.bus import KafkaBus
from services.router.adapters.lookups import WORKERS, Lookups
from services.router.adapters.snapshots import MongoSnapshots
from services.router.settings import Settings
from services.router.shell import Pace, Shell
from services.shared.bus.producer import Producer
from services.shared.chassis.clock import Clock
from services.shared.chassis.settings import SettingsError
from services.shared.chassis.supervisor import Supervisor
from services.shared.chassis.watch import Watch, trouble_of, watch_broker, watch_documents
from services.shared.chassis.web import serve, service_app
from services.shared.outbound.address import AddressGuard, BadNetwork
from services.shared.outbound.dial import Limits, Outside


@dataclass(frozen=True, slots=True)
class Router:
    """The parts that run. Without snapshots it works on and only starts more slowly, so that is no unreadiness."""

    shell: Shell
    lookups: Lookups
    broker: Watch
    documents: Watch


def build(settings: Settings, clock: Clock, supervisor: Supervisor) -> Router:
    """Build everything without touching the network. Raises SettingsError when a setting can't work."""
    faults = []
    if settings.router_snapshot_seconds <= 0:
        faults.append("RINGMASTER_ROUTER_SNAPSHOT_SECONDS must be above 0")
    if settings.router_session_seconds < 1:
        faults.append("RINGMASTER_ROUTER_SESSION_SECONDS must be at least 1")
    if settings.router_snapshot_inputs < 1:
        faults.append("RINGMASTER_ROUTER_SNAPSHOT_INPUTS must be at least 1")
    if faults:
        raise SettingsError(faults)
    snapshots = MongoSnapshots(settings.mongodb_uri)
    lookups = Lookups(
        _outside(settings), lambda: Producer(settings.kafka_bootstrap, f"{settings.router_name}-lookups"), clock
    )
    shell = Shell(
        KafkaBus(settings.kafka_bootstrap, settings.router_name, settings.router_session_seconds),
        snapshots,
        clock,
        Pace(
            settings.router_snapshot_seconds,
            settings.router_snapshot_inputs,
            settings.router_standby,
            settings.router_takes_log,
        ),
        supervisor.stopping,
        lookups,
    )
    return Router(shell, lookups, watch_broker(settings.kafka_bootstrap), watch_documents(snapshots.database))


def start(router: Router, settings: Settings, supervisor: Supervisor) -> None:
    """Start every greenlet. Raises OSError when the port is taken."""
    app = service_app("router", lambda: _readiness(router))
    serve(supervisor, app, settings.http_host, settings.http_port)
    supervisor.spawn("shell", router.shell.run)
    for number in range(WORKERS):
        supervisor.spawn(f"lookup-{number}", router.lookups.run, supervisor.stopping)
    supervisor.spawn("broker-watch", router.broker.run, supervisor.stopping)
    supervisor.spawn("documents-watch", router.documents.run, supervisor.stopping)


def _outside(settings: Settings) -> Outside:
    try:
        guard = AddressGuard.parse(settings.lookup_allow_private, settings.lookup_own_networks)
    except BadNetwork as error:
        raise SettingsError([f"RINGMASTER_LOOKUP_ALLOW_PRIVATE or _OWN_NETWORKS: {error}"]) from error
    return Outside.with_certificates(guard, Limits(), settings.lookup_ca_file)


def _readiness(router: Router) -> tuple[bool, str]:
    trouble = trouble_of(router.broker) or router.shell.trouble
    return not trouble, trouble
