"""Drains FreeSWITCH's events into facts, and makes every gap honest: told, reconciled, told again as a difference."""

from collections import Counter
from collections.abc import Callable, Collection
from functools import cache
from time import monotonic

import gevent
import prometheus_client
import structlog
from gevent.event import Event as Flag

from services.listener import metrics
from services.listener.adapters.leg_journal import LegJournal
from services.listener.adapters.publisher import Publisher
from services.listener.adapters.switch_port import SwitchPort, probe, take_picture
from services.listener.domain.headers import number
from services.listener.domain.reconciliation import Reconciler
from services.shared.chassis.clock import Clock
from services.shared.contracts.ringmaster.v1.input_pb2 import Input
from services.shared.esl.client import Connected, Disconnected, EslClient, Event, Item
from services.shared.esl.errors import NotSent, OutcomeUnknown, Stopped, UnsafeValue, WrongPassword

log = structlog.get_logger()
LAG_SECONDS = 0.4
"""FreeSWITCH's lists lag: 280 ms at most where it was measured. What happened that long before the subscription is in
no event, and not in a list that is asked for at once."""
SECOND_LOOK_SECONDS = 1.0
PACE_SECONDS = 0.02
PACE_STEP_SECONDS = 0.001
_MICROSECONDS = 1_000_000
_SESSION_CHANGES = (Connected, Disconnected)
_MOST_SECONDS = 3_600.0


class Pump:
    """One per listener; `run` is its greenlet. `ready` is set while a reconciled session is up."""

    def __init__(
        self,
        client: EslClient,
        switch: SwitchPort,
        reconciler: Reconciler,
        journal: LegJournal,
        publisher: Publisher,
        clock: Clock,
    ) -> None:
        self._client = client
        self._switch = switch
        self._reconciler = reconciler
        self._normaliser = reconciler.normaliser
        self._facts = reconciler.normaliser.facts
        self._legs = reconciler.normaliser.legs
        self._directory = reconciler.normaliser.directory
        self._journal = journal
        self._publisher = publisher
        self._clock = clock
        self._seen_us = 0
        self._gap_from_us = 0
        self._gap_reason = ""
        self._is_discarding = False
        self._is_in_session = False
        """As far as it was read: the client may have another session by now, of another FreeSWITCH process."""
        self._said = ""
        self._version = ""
        self._greeted: set[str] = set()
        self._look_again = Flag()
        self.records_of_ended: Callable[[Collection[str]], list[Input]] = lambda _gone: []
        """Tells what FreeSWITCH's records know of legs that ended unseen; none without records."""
        self.on_reconciled: Callable[[], object] = lambda: None
        """Called when it is known again what lives, before commands go on: it may not take long."""
        self.ready = Flag()
        self.trouble = "not connected with FreeSWITCH yet"

    def run(self, seen_us: int) -> None:
        """Work until the client is stopped. `seen_us`: when the former life saw its last event, 0 when unknown."""
        self._seen_us = seen_us
        if seen_us:
            self._gap_from_us, self._gap_reason = seen_us, "the listener was not running"
        for batch in self._client.events():
            self._batch(batch)
            self._pace()

    def look_again(self, stopping: Flag) -> None:
        """Take a second look a while after each reconciliation: legs born just before it were not listed yet."""
        while not stopping.is_set():
            if not self._look_again.wait(SECOND_LOOK_SECONDS):
                continue
            self._look_again.clear()
            if stopping.wait(SECOND_LOOK_SECONDS) or not self.ready.is_set() or self._is_discarding:
                continue
            try:
                picture = take_picture(self._switch, self._reconciler)
            except (NotSent, OutcomeUnknown) as error:
                log.warning("second_look_failed", reason=str(error))
                self._look_again.set()
                continue
            told = self._reconciler.newcomers(picture, self._clock.now_us())
            metrics.RECONCILED.inc(len(told))
            self._publish(told)
            self.keep()

    def tell(self, told: list[Input]) -> None:
        """Publish facts that were derived beside the events, and write down what they changed."""
        self._publish(told)
        self.keep()

    def keep(self) -> None:
        """Note what changed of the legs; it is written down when it is told for sure."""
        self._journal.note(self._legs, self._seen_us, self._publisher.tokens)
        if self._publisher.is_settled:
            self._journal.write(self._legs, self._publisher.settled)

    def keep_now(self, name: str) -> None:
        """Write down what is about to be asked of a leg, or of `call <id>`."""
        self._journal.write_now(self._legs, name, self._publisher.tokens)

    def _pace(self) -> None:
        """In a burst let Kafka catch up, never longer than PACE_SECONDS a batch: the socket is drained regardless."""
        until = monotonic() + PACE_SECONDS
        while self._publisher.is_pressed and monotonic() < until:
            gevent.sleep(PACE_STEP_SECONDS)

    def _batch(self, batch: list[Item]) -> None:
        inputs, told, events = self._normaliser.inputs, list[Input](), list[Event]()
        for item in batch:
            if isinstance(item, _SESSION_CHANGES):
                self._publish(told)
                told = []
                self._session_changed(item)
            elif not self._is_discarding:
                events.append(item)
                told += inputs(item)
            else:
                metrics.EVENTS_DISCARDED.inc()
        self._publish(told)
        if events:
            metrics.EVENTS.inc(len(events))
            self._look_at(events[-1])
        self._watch_room()
        self._greet_newcomers()
        self.keep()

    def _publish(self, told: list[Input]) -> None:
        """Publish what one batch told; counted by kind in one go, a counter's lock for each fact costs 2 µs."""
        if not told:
            return
        for kind, count in Counter([each.fact.WhichOneof("fact") for each in told]).items():
            _counter_of(kind).inc(count)
        self._publisher.put_all(told)

    def _session_changed(self, item: Connected | Disconnected) -> None:
        if isinstance(item, Connected):
            self._connected(item)
        else:
            self._disconnected(item)

    def _look_at(self, event: Event) -> None:
        """Measure the lag of a batch by its last event."""
        at_us = number(event.get("Event-Date-Timestamp"))
        if at_us:
            now_us, self._seen_us = self._clock.now_us(), at_us
            metrics.EVENT_LAG.observe(min(max(0.0, (now_us - self._seen_us) / _MICROSECONDS), _MOST_SECONDS))

    def _watch_room(self) -> None:
        if not self._publisher.has_room:
            if not self._is_discarding:
                log.error("events_discarded", reason=self._publisher.trouble, advice="bring Kafka back")
                self._is_discarding = True
                self._gap_begins("the spool was full")
            return
        if self._is_discarding:
            self._is_discarding = False
            self._gap_begins("the spool was full")  # a session that began meanwhile has closed the gap too early
            log.info("events_taken_again")
            self._reconcile()
        elif self._gap_reason and self._is_in_session:
            self._reconcile()  # the last try failed

    def _connected(self, connected: Connected) -> None:
        log.info("switch_connected", core_uuid=connected.core_uuid, version=connected.version)
        self._said, self._is_in_session = "", True
        metrics.CONNECTED.set(1)
        now_us = self._clock.now_us()
        self._facts.core_uuid = connected.core_uuid
        self._version = connected.version[:100]
        self._greet(self._tenants(), now_us)
        if self._legs.core_uuid not in ("", connected.core_uuid):
            self._publish(self.records_of_ended(list(self._legs.live)))  # who ended before the restart, ended so
        self._publish(self._reconciler.restarted(connected.core_uuid, self._tenants(), now_us))
        self._gap_reason = self._gap_reason or "the listener began"
        self._reconcile()

    def _greet_newcomers(self) -> None:
        """Tell a tenant that came while we were connected that it has a switch: it may call out before anybody calls.

        HEARTBEAT brings a batch every 20 s, so it is told by then.
        """
        if not self.ready.is_set() or self._is_discarding:
            return
        newcomers = [tenant_id for tenant_id in self._directory.tenants if tenant_id not in self._greeted]
        if newcomers:
            self._greet(newcomers, self._clock.now_us())

    def _greet(self, tenants: list[str], now_us: int) -> None:
        self._greeted.update(tenants)
        for tenant_id in tenants:
            told = self._facts.of_switch(tenant_id, now_us)
            told.fact.switch_connected.version = self._version
            self._publish([told])

    def _disconnected(self, disconnected: Disconnected) -> None:
        metrics.RECONNECTS.inc()
        self.trouble = str(disconnected.error)
        if self.trouble != self._said:
            _say(disconnected)
            self._said = self.trouble
        if not disconnected.was_connected:
            return
        metrics.CONNECTED.set(0)
        self._is_in_session = False
        self.ready.clear()
        self._gap_begins(self.trouble)
        self._greeted.clear()
        now_us = self._clock.now_us()
        for told in self._to_tenants(now_us):
            told.fact.switch_disconnected.reason = self.trouble[:200]
            self._publish([told])

    def _gap_begins(self, reason: str) -> None:
        self._gap_from_us = self._gap_from_us or self._seen_us or self._clock.now_us()
        self._gap_reason = self._gap_reason or reason

    def _reconcile(self) -> None:
        """Tell the gap and the difference. When FreeSWITCH does not answer, it is tried again after the next batch."""
        try:
            picture = take_picture(self._switch, self._reconciler, LAG_SECONDS)
        except (NotSent, OutcomeUnknown) as error:
            log.warning("not_reconciled", reason=str(error))
            self._gap_begins("not reconciled")
            return
        now_us = self._clock.now_us()
        if self._gap_from_us:
            for told in self._to_tenants(now_us):
                told.fact.switch_gap.from_us, told.fact.switch_gap.until_us = self._gap_from_us, now_us
                told.fact.switch_gap.reason = self._gap_reason[:200]
                self._publish([told])
        difference = self.records_of_ended(picture.gone) + self._reconciler.difference(picture, now_us)
        metrics.RECONCILED.inc(len(difference))
        self._publish(difference)
        self._probe()
        log.info("reconciled", legs=len(self._legs.live), facts=len(difference), gap=bool(self._gap_from_us))
        self._gap_from_us, self._gap_reason, self.trouble = 0, "", ""
        self._seen_us = max(self._seen_us, now_us)
        self.on_reconciled()
        self.ready.set()
        self._look_again.set()

    def _probe(self) -> None:
        """Learn of questions that were lost with the connection, or whose end was: nobody waits for a time-out."""
        try:
            probe(self._switch, self._reconciler.unsure())
        except (NotSent, UnsafeValue) as error:
            log.warning("not_probed", reason=str(error))  # the next session reconciles anew

    def _tenants(self) -> list[str]:
        return list(dict.fromkeys([*self._directory.tenants, *(leg.tenant_id for leg in self._legs.live.values())]))

    def _to_tenants(self, now_us: int) -> list[Input]:
        """Begin a fact of the switch for each tenant; the caller says what happened."""
        return [self._facts.of_switch(tenant_id, now_us) for tenant_id in self._tenants()]


@cache
def _counter_of(kind: str) -> prometheus_client.Counter:
    """Return a kind's counter; to look it up by its label costs more than to count."""
    return metrics.FACTS.labels(kind)


def _say(disconnected: Disconnected) -> None:
    """Say why there is no session, what a person can do, and what happens by itself."""
    reason = str(disconnected.error)
    if isinstance(disconnected.error, Stopped):
        log.info("switch_left", reason=reason)
        return
    advice = {}
    if isinstance(disconnected.error, WrongPassword):
        advice = {"advice": "set RINGMASTER_ESL_PASSWORD to the password in FreeSWITCH's event_socket.conf.xml"}
    log.error("switch_not_connected", reason=reason, retry_in_seconds=round(disconnected.retry_in_seconds, 2), **advice)
