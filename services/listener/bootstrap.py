"""Builds the listener of its parts, once."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from time import monotonic

from gevent import sleep

from services.listener import metrics
from services.listener.adapters.answers import Answers
from services.listener.adapters.bus import Bus
from services.listener.adapters.call_records import CallRecordAudit, RecordFile
from services.listener.adapters.executor import Executor
from services.listener.adapters.gate import Gate
from services.listener.adapters.hand_over import HandOver
from services.listener.adapters.ledger_log import LedgerLog
from services.listener.adapters.leg_journal import LegJournal
from services.listener.adapters.patience import Patience
from services.listener.adapters.publisher import Publisher
from services.listener.adapters.pump import Pump
from services.listener.adapters.runner import Runner
from services.listener.adapters.sip_route import SipRoute
from services.listener.adapters.spool import Spool
from services.listener.adapters.switch_plan import Planner
from services.listener.adapters.switch_port import Switch
from services.listener.adapters.tenants import TenantReader
from services.listener.domain.call_records import Auditor
from services.listener.domain.directory import Directory
from services.listener.domain.facts import FactBuilder
from services.listener.domain.headers import EVENTS, SUBCLASSES
from services.listener.domain.legs import LegTable
from services.listener.domain.normaliser import Normaliser
from services.listener.domain.prompts import PromptLibrary
from services.listener.domain.reconciliation import Reconciler
from services.listener.settings import Settings
from services.shared.bus.readings import Readings
from services.shared.chassis.clock import Clock
from services.shared.chassis.supervisor import Supervisor
from services.shared.esl.client import EslClient, Subscription, Target
from services.shared.outbound.address import AddressGuard
from services.shared.outbound.dial import Names

OBSERVE_SECONDS = 1.0
LAST_SECONDS = 5.0
"""How long the end waits until what was told is safe; what is not is told again by the next life."""
LAST_STEP_SECONDS = 0.02


@dataclass(frozen=True, slots=True)
class Listener:
    """The parts that `start` sets to work."""

    supervisor: Supervisor
    client: EslClient
    publisher: Publisher
    pump: Pump
    executor: Executor
    audit: CallRecordAudit | None
    tenants: TenantReader
    directory: Directory
    legs: LegTable
    seen_us: int
    readings: Readings

    def start(self) -> None:
        """Spawn all greenlets. FreeSWITCH is asked for events once the tenants are known."""
        self.supervisor.spawn("publisher", self.publisher.run)
        self.supervisor.spawn("kafka-connector", self.publisher.keep_connected)
        self.supervisor.spawn("tenants", self.tenants.run, self.supervisor.stopping)
        self.supervisor.spawn("pump", self._pump)
        self.supervisor.spawn("second-look", self.pump.look_again, self.supervisor.stopping)
        if self.audit is not None:
            self.supervisor.spawn("call-records", self.audit.run, self.supervisor.stopping)
        self.supervisor.spawn("executor", self.executor.run)
        self.supervisor.spawn("observer", self._observe)
        self.supervisor.spawn("stopper", self._stop_client)

    def ready(self) -> tuple[bool, str]:
        """Whether it is connected with FreeSWITCH and Kafka; why not, one sentence."""
        why = "the tenants are not known yet" if not self.tenants.loaded.is_set() else ""
        if not why and not self.pump.ready.is_set():
            why = f"no reconciled session with FreeSWITCH: {self.pump.trouble}"
        why = why or self.publisher.trouble or self.readings.trouble
        return not why, why

    def _pump(self) -> None:
        stopping = self.supervisor.stopping
        while not self.tenants.loaded.wait(OBSERVE_SECONDS):
            if stopping.is_set():
                return
        self.client.start()
        self.pump.run(self.seen_us)
        deadline = monotonic() + LAST_SECONDS
        while not self.publisher.is_settled and monotonic() < deadline:
            sleep(LAST_STEP_SECONDS)
        self.pump.keep()
        if not stopping.is_set():
            raise RuntimeError("the event-socket client ended by itself")

    def _stop_client(self) -> None:
        self.supervisor.stopping.wait()
        self.client.stop()

    def _observe(self) -> None:
        while not self.supervisor.stopping.wait(OBSERVE_SECONDS):
            self.publisher.observe()
            self.pump.keep()
            metrics.LEGS.set(len(self.legs.live))
            metrics.ESL_QUEUE.set(self.client.stats.queued_events)


def build(
    settings: Settings, bus: Bus, supervisor: Supervisor, clock: Clock, readings: Readings | None = None
) -> Listener:
    """Build everything; `readings` hears of the bus's readers. Raises OSError when the spool's folder can't be used."""
    folder, stopping = settings.spool_dir, supervisor.stopping
    folder.mkdir(parents=True, exist_ok=True)
    legs, directory, facts = LegTable(), Directory(), FactBuilder(settings.node)
    journal = LegJournal(folder / "legs.log")
    seen_us = journal.load(legs)
    tenants = TenantReader(bus, directory, folder / "directory.json")
    tenants.load()
    publisher = Publisher(bus, Spool(folder / "inputs", settings.spool_max_bytes), clock, stopping)
    publisher.on_settled = partial(journal.write, legs)
    normaliser = Normaliser(facts, directory, legs, settings.recordings_dir, metrics.UNKNOWN_LINES.inc)
    client = _client(settings, supervisor)
    switch = Switch(client)
    pump = Pump(client, switch, Reconciler(normaliser), journal, publisher, clock)
    patience = Patience(switch, legs)
    pump.on_reconciled = patience.restore
    supervisor.before_stop(patience.lengthen)
    gate = Gate(pump.ready, stopping, clock)
    answers = Answers(settings.recordings_dir, bus, clock)
    hand_over = HandOver(legs, facts, publisher, pump.keep, gate)
    runner = Runner(switch, _planner(settings, directory), legs, gate, pump.keep_now, answers, hand_over)
    ledger = LedgerLog(folder / "commands.log")
    executor = Executor(settings.node, bus, runner, facts, publisher, ledger, gate)
    audit = None
    if settings.call_records is not None:
        file = RecordFile(settings.call_records, folder / "call-records.mark")
        audit = CallRecordAudit(file, Auditor(normaliser), pump.tell, pump.ready.is_set, switch)
        pump.records_of_ended = audit.of_ended
    readings = readings or Readings()
    return Listener(supervisor, client, publisher, pump, executor, audit, tenants, directory, legs, seen_us, readings)


def _client(settings: Settings, supervisor: Supervisor) -> EslClient:
    return EslClient(
        Target(settings.esl_host, settings.esl_port, settings.esl_password),
        Subscription(events=EVENTS, subclasses=SUBCLASSES),
        spawn=supervisor.spawn,
    )


def _planner(settings: Settings, directory: Directory) -> Planner:
    prompts = PromptLibrary(settings.prompts_dir.rstrip("/"), lambda path: Path(path).is_file(), settings.speech)
    route = SipRoute(AddressGuard.parse(settings.sip_networks), Names())
    return Planner(prompts, directory, settings.recordings_dir, settings.gateway, route)
