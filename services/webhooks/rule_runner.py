import time
from dataclasses import dataclass, field

import structlog
from gevent.event import Event as Flag
from google.protobuf.message import DecodeError

from services.shared.bus.errors import BusUnavailable, NotDelivered
from services.shared.bus.events import publish_event
from services.shared.bus.ports import Reader, ReceiptPort, Sender
from services.shared.bus.record import Record
from services.shared.bus.topics import CALLS, DELIVERIES
from services.shared.chassis.clock import Clock
from services.shared.contracts.ringmaster.v1.delivery_pb2 import Delivery
from services.shared.contracts.ringmaster.v1.event_pb2 import Event
from services.webhooks import metrics
from services.webhooks.directory import Directory
from services.webhooks.domain.endpoint import delivery_id_of
from services.webhooks.domain.rules.messages import payload_for
from services.webhooks.domain.rules.rule import LATE_MS, TenantRules
from services.webhooks.domain.rules.watch import Firing, TenantWatch
from services.webhooks.history import History, Place

SOURCE = "webhooks"
POLL_SECONDS = 0.25
PAUSE_SECONDS = 1.0
COMMIT_SECONDS = 0.5
ACKNOWLEDGE_SECONDS = 30.0
CATCH_UP_SECONDS = 20.0
# A caller who has left may still be on the way into the log for so long, milliseconds of platform time.
GRACE_MS = 1_000
# A record from a clock that is so far ahead of ours moves nobody's time.
AHEAD_MS = 3_600_000
# What one event may lead to, however many rules a tenant writes: more is cut, and counted.
MOST_MESSAGES = 50

log = structlog.get_logger()


class DirectoryStale(Exception):
    """The tenants' documents could not be read in time: the process starts again."""


@dataclass(slots=True)
class _Progress:
    """What is known of one partition."""

    next_offset: int
    newest_ms: int = 0
    watches: dict[str, TenantWatch] = field(default_factory=dict)

    def is_late(self, record: Record, now_ms: int) -> bool:
        """Whether a record has come too late to be counted, or from a clock that is wrong; notes its moment."""
        if record.timestamp_ms > now_ms + AHEAD_MS:
            return True
        self.newest_ms = max(self.newest_ms, record.timestamp_ms)
        return record.timestamp_ms < self.newest_ms - LATE_MS


class RuleRunner:
    """Runs the tenants' rules over the public events (SPEC 7.4).

    Windows live in memory alone: whenever this process comes to a partition, or a tenant's rules change, they are
    counted anew from the log. What a rule sends has ids derived from rule and event, and is acknowledged before the
    event's offset is committed; so a kill at any point repeats at most what has the same ids.
    """

    def __init__(self, reader: Reader, sender: Sender, directory: Directory, history: History, clock: Clock) -> None:
        self._reader = reader
        self._sender = sender
        self._directory = directory
        self._history = history
        self._clock = clock
        self._places: dict[Place, _Progress] = {}
        self._ready: dict[Place, int] = {}
        self._committed_at = 0.0

    def run(self, stopping: Flag) -> None:
        """Run rules until stopped."""
        self._require_current_directory()
        while not stopping.is_set():
            try:
                self.step(stopping)
            except BusUnavailable as error:
                log.warning("rules_wait_for_the_broker", reason=str(error))
                stopping.wait(PAUSE_SECONDS)
        self.commit()

    def step(self, stopping: Flag) -> None:
        """Take the next records. Raises BusUnavailable."""
        records = self._reader.poll(POLL_SECONDS)
        taken = 0
        try:
            self._own()
            for record in records:
                self._take(record, stopping)
                if stopping.is_set():
                    return
                taken += 1
        except BusUnavailable:
            self._go_back_to(records[taken:])
            raise
        self._tell_due(is_idle=not records)
        if time.monotonic() - self._committed_at >= COMMIT_SECONDS:
            self.commit()

    def commit(self) -> None:
        """Commit what has had its effect."""
        self._committed_at = time.monotonic()
        if self._ready:
            ready, self._ready = self._ready, {}
            self._reader.commit(ready)

    def _own(self) -> None:
        """Know the windows of each partition as soon as it is ours: somebody may wait for too long already."""
        owned = self._reader.assignment()
        for place in [place for place in self._places if place not in owned]:
            del self._places[place]
            self._ready.pop(place, None)
        for place in owned:
            if place not in self._places:
                self._rebuild(place, self._reader.committed(*place) or 0)

    def _take(self, record: Record, stopping: Flag) -> None:
        if not self._directory.knows(record.key):
            self._require_current_directory()
        place = (record.topic, record.partition)
        progress = self._places.get(place)
        if progress is None or progress.next_offset != record.offset:
            progress = self._rebuild(place, record.offset)
        watch = self._watch_of(place, progress, record.key)
        is_late = progress.is_late(record, self._clock.now_ms())
        event = read_event(record)
        if watch is not None and event is not None:
            found = watch.take(event, record.timestamp_ms, is_late=is_late)
            while not self._send(found.firings, found.events):
                if stopping.wait(PAUSE_SECONDS):
                    return
        progress.next_offset = record.offset + 1
        self._ready[place] = record.offset + 1

    def _go_back_to(self, records: list[Record]) -> None:
        """Read again what was not taken."""
        for record in reversed(records):
            self._reader.seek(record.topic, record.partition, record.offset)

    def _watch_of(self, place: Place, progress: _Progress, tenant_id: str) -> TenantWatch | None:
        """Return a tenant's windows up to `next_offset`, by the rules in force; None where there are none."""
        rules = self._directory.rules(tenant_id)
        watch = progress.watches.get(tenant_id)
        if watch is not None and watch.rules is rules:
            return watch
        progress.watches.pop(tenant_id, None)
        if rules.rules:
            # A new rule knows the last hours too, as it would after a kill.
            self._replay(place, progress.next_offset, progress, [rules])
        return progress.watches.get(tenant_id)

    def _rebuild(self, place: Place, until: int) -> _Progress:
        progress = _Progress(until)
        self._replay(place, until, progress, self._directory.all_rules())
        self._places[place] = progress
        return progress

    def _replay(self, place: Place, until: int, progress: _Progress, rules: list[TenantRules]) -> None:
        """Count what lies before `until` into new windows; of what lies behind it take note what we have told."""
        if not rules:
            return
        watches = {one.tenant_id: TenantWatch(one) for one in rules}
        began, now_ms, count = time.monotonic(), self._clock.now_ms(), 0
        seen = _Progress(until)
        for record in self._history.before(place, until, max(one.reach_ms for one in rules)):
            count += 1
            is_late = seen.is_late(record, now_ms) if record.offset < until else False
            watch = watches.get(record.key)
            event = read_event(record) if watch is not None else None
            if watch is None or event is None:
                continue
            if record.offset < until:
                watch.take(event, record.timestamp_ms, is_late=is_late)
            else:
                watch.told(event)
        progress.newest_ms = max(progress.newest_ms, seen.newest_ms)
        progress.watches |= watches
        log.info("rules_rebuilt", partition=place[1], records=count, seconds=round(time.monotonic() - began, 2))

    def _tell_due(self, *, is_idle: bool) -> None:
        """Publish what has become true by time alone, as far as the log is read."""
        for place, progress in self._places.items():
            read_until_ms = self._clock.now_ms() if is_idle else progress.newest_ms
            watches = [self._watch_of(place, progress, tenant_id) for tenant_id in list(progress.watches)]
            for watch in [watch for watch in watches if watch is not None]:
                for event in watch.due(read_until_ms - GRACE_MS):
                    if self._send((), (event,)):
                        watch.told(event)

    def _send(self, firings: tuple[Firing, ...], events: tuple[Event, ...]) -> bool:
        """Send what follows from an event; False when the broker has not acknowledged all of it."""
        try:
            receipts = self._deliver_all(firings)
            receipts += [publish_event(self._sender, event, SOURCE) for event in events]
            for receipt in receipts:
                receipt.wait(ACKNOWLEDGE_SECONDS)
        except (BusUnavailable, NotDelivered) as error:
            log.warning("rules_not_acknowledged", reason=str(error))
            return False
        return True

    def _deliver_all(self, firings: tuple[Firing, ...]) -> list[ReceiptPort]:
        receipts: list[ReceiptPort] = []
        for firing in firings:
            metrics.RULES_FIRED.labels(firing.event.tenant_id).inc()
            room = MOST_MESSAGES - len(receipts)
            if len(firing.rule.actions) > room:
                metrics.RULES_CUT.labels(firing.event.tenant_id).inc(len(firing.rule.actions) - room)
            receipts += self._deliver(firing, room)
        return receipts

    def _deliver(self, firing: Firing, room: int) -> list[ReceiptPort]:
        tenant_id = firing.event.tenant_id
        receipts = []
        for number, action in enumerate(firing.rule.actions[:room]):
            endpoint = self._directory.find(tenant_id, action.to)
            if endpoint is None or not self._directory.is_open(endpoint):
                continue
            cause = f"{firing.event.event_id}.{firing.rule.rule_id}{number}"
            delivery = Delivery(
                delivery_id=delivery_id_of(cause, endpoint.endpoint_id),
                tenant_id=tenant_id,
                endpoint_id=endpoint.endpoint_id,
                event_type=firing.facts["type"],
                call_id=firing.event.call_id,
                payload=payload_for(action, firing, is_spoken=endpoint.is_spoken, form=endpoint.form),
                created_ms=firing.event.time.ToMilliseconds(),
            )
            value = delivery.SerializeToString()
            receipts.append(self._sender.send(DELIVERIES, endpoint.key, value, timestamp_ms=delivery.created_ms))
        return receipts

    def _require_current_directory(self) -> None:
        if not self._directory.catch_up(CATCH_UP_SECONDS):
            raise DirectoryStale("the tenants' documents can't be read")


def read_event(record: Record) -> Event | None:
    """Return a record's event, None for what the matcher buries."""
    try:
        event = Event.FromString(record.value)
    except DecodeError:
        return None
    is_ours = record.topic == CALLS and event.tenant_id == record.key
    return event if is_ours and event.WhichOneof("body") is not None else None
