import time
from collections import deque
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

import structlog

from services.shared.bus.events import publish_event
from services.shared.bus.ports import ReceiptPort, Sender
from services.shared.bus.record import Record
from services.shared.bus.topics import DELIVERIES, partition_of
from services.shared.chassis.clock import Clock
from services.shared.contracts.ringmaster.v1.delivery_pb2 import Delivery
from services.shared.contracts.ringmaster.v1.event_pb2 import Event
from services.webhooks import metrics
from services.webhooks.directory import Directory
from services.webhooks.domain.endpoint import delivery_id_of
from services.webhooks.domain.payload import written
from services.webhooks.domain.rules.messages import payload_for
from services.webhooks.domain.rules.rule import LATE_MS, TenantRules
from services.webhooks.domain.rules.watch import Findings, Firing, TenantWatch
from services.webhooks.hearing import Heard, Place, Turn, read_event
from services.webhooks.history import History

SOURCE = "webhooks"
ACKNOWLEDGE_SECONDS = 30.0
# A caller who has left may still be on the way into the log for so long, milliseconds of platform time.
GRACE_MS = 1_000
# A record from a clock that is so far ahead of ours moves nobody's time.
AHEAD_MS = 3_600_000
# What one event may lead to, however many rules a tenant writes: more is cut, and counted.
MOST_MESSAGES = 50
# After counting a tenant's windows anew took so long, seconds, they are not again for so many times that: whoever
# changes rules all the time has everybody else's wait for a tenth of the time at most.
COSTLY_SECONDS = 0.25
PATIENCE = 9.0

log = structlog.get_logger()


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
    turn counts as taken; so a kill at any point repeats at most what has the same ids.
    """

    name = "rules"

    def __init__(
        self,
        sender: Sender,
        directory: Directory,
        history: History,
        clock: Clock,
        numbers: Callable[[Event], Collection[str]] = lambda _asked: (),
    ) -> None:
        """`numbers` opens those of a person whom an event asks to erase."""
        self._numbers = numbers
        self._sender = sender
        self._directory = directory
        self._history = history
        self._clock = clock
        self._places: dict[Place, _Progress] = {}
        self._partitions = 0
        self._patient_until: dict[str, float] = {}
        """When a tenant's windows may be counted anew again, of a steady clock."""
        self._turn: Turn | None = None
        self._untaken: deque[Heard] = deque()
        self._unsent: list[Findings] = []

    def take(self, turn: Turn) -> None:
        """Count a turn's events, and return when all that follows from them is safe.

        Given the same turn again it goes on where it was: nothing is counted twice.
        """
        if turn is not self._turn:
            self._turn, self._untaken, self._unsent = turn, deque(turn.heard), []
        self._partitions = turn.partitions
        self._own(turn.owned)
        for place, progress in self._places.items():
            # Before the turn: seen from behind its records, who joined before a long silence would be out of reach.
            self._watches(place, progress)
        while self._untaken:
            self._count(self._untaken[0])
            self._untaken.popleft()
        self._send(self._unsent)
        self._unsent = []
        self._tell_due(turn.at_end_ms)

    def _own(self, owned: Mapping[Place, int]) -> None:
        """Know the windows of each partition as soon as it is ours: somebody may wait for too long already."""
        for place in self._places.keys() - owned.keys():
            del self._places[place]
        for place, offset in owned.items():
            if place not in self._places:
                self._rebuild(place, offset)

    def _count(self, heard: Heard) -> None:
        record, place = heard.record, heard.place
        progress = self._places.get(place)
        if progress is None or progress.next_offset != record.offset:
            progress = self._rebuild(place, record.offset)
        watch = self._watch_of(place, progress, record.key)
        is_late = progress.is_late(record, self._clock.now_ms())
        if watch is not None and heard.event is not None:
            found = self._fed(watch, heard.event, record, is_late=is_late)
            if found.firings or found.events:
                self._unsent.append(found)
        progress.next_offset = record.offset + 1

    def _watches(self, place: Place, progress: _Progress) -> list[TenantWatch]:
        """Return the windows of all tenants of a partition, by the rules in force."""
        watches = [self._watch_of(place, progress, tenant_id) for tenant_id in list(progress.watches)]
        return [watch for watch in watches if watch is not None]

    def _watch_of(self, place: Place, progress: _Progress, tenant_id: str) -> TenantWatch | None:
        """Return a tenant's windows up to `next_offset`, by the rules in force; None where there are none."""
        rules = self._directory.rules(tenant_id)
        watch = progress.watches.get(tenant_id)
        if watch is not None and (watch.rules is rules or self._is_too_soon(tenant_id, rules)):
            return watch
        progress.watches.pop(tenant_id, None)
        if rules.rules:
            began = time.monotonic()
            # A new rule knows the last hours too, as it would after a kill.
            self._replay(place, progress.next_offset, progress, [rules])
            ended = time.monotonic()
            if ended - began >= COSTLY_SECONDS:
                self._patient_until[tenant_id] = ended + PATIENCE * (ended - began)
        return progress.watches.get(tenant_id)

    def _is_too_soon(self, tenant_id: str, rules: TenantRules) -> bool:
        """Whether the rules before stay in force for now: counting anew holds up the rules of everybody else."""
        return bool(rules.rules) and time.monotonic() < self._patient_until.get(tenant_id, 0.0)

    def _rebuild(self, place: Place, until: int) -> _Progress:
        progress = _Progress(until)
        self._replay(place, until, progress, [one for one in self._directory.all_rules() if self._is_of(place, one)])
        self._places[place] = progress
        return progress

    def _is_of(self, place: Place, rules: TenantRules) -> bool:
        """Whether a tenant's events come in a partition; where others come after all, its windows are made then."""
        return not self._partitions or partition_of(rules.tenant_id, self._partitions) == place[1]

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
                self._fed(watch, event, record, is_late=is_late)
            else:
                watch.told(event)
        progress.newest_ms = max(progress.newest_ms, seen.newest_ms)
        progress.watches |= watches
        log.info("rules_rebuilt", partition=place[1], records=count, seconds=round(time.monotonic() - began, 2))

    def _fed(self, watch: TenantWatch, event: Event, record: Record, *, is_late: bool) -> Findings:
        """Let windows take an event; a person who is erased there is out of them before."""
        if event.HasField("person_erasure_requested"):
            watch.forget(self._numbers(event))
        return watch.take(event, record.timestamp_ms, is_late=is_late)

    def _tell_due(self, at_end_ms: int) -> None:
        """Publish what has become true by time alone, as far as the log is read."""
        for place, progress in self._places.items():
            read_until_ms = at_end_ms or progress.newest_ms
            for watch in self._watches(place, progress):
                for event in watch.due(read_until_ms - GRACE_MS):
                    self._send([Findings(events=(event,))])
                    watch.told(event)

    def _send(self, findings: Sequence[Findings]) -> None:
        """Send what follows from events, and wait until the broker has all of it."""
        receipts: list[ReceiptPort] = []
        for found in findings:
            receipts += self._deliver_all(found.firings)
            receipts += [publish_event(self._sender, event, SOURCE) for event in found.events]
        for receipt in receipts:
            receipt.wait(ACKNOWLEDGE_SECONDS)

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
            cause = cause_of(firing, number)
            payload, error = written(partial(payload_for, action, firing, kind=endpoint.kind, form=endpoint.form))
            delivery = Delivery(
                delivery_id=delivery_id_of(cause, endpoint.endpoint_id),
                tenant_id=tenant_id,
                endpoint_id=endpoint.endpoint_id,
                event_type=firing.facts["type"],
                call_id=firing.event.call_id,
                payload=payload,
                last_error=error,
                created_ms=firing.event.time.ToMilliseconds(),
            )
            value = delivery.SerializeToString()
            receipts.append(self._sender.send(DELIVERIES, endpoint.key, value, timestamp_ms=delivery.created_ms))
        return receipts


def cause_of(firing: Firing, number: int) -> str:
    """Return what makes the id of an action's delivery, the same after any kill and another one for each action.

    Two digits stand apart: the first action of `a1` must not have the id of the eleventh of `a`.
    """
    action = str(number) if number < 10 else f":{number}"  # noqa: PLR2004 - two digits
    return f"{firing.event.event_id}.{firing.rule.rule_id}{action}"
