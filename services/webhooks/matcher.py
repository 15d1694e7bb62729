import time
from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import dataclass, field

import gevent
import structlog
from gevent.event import Event as Flag

from services.shared.bus.errors import BusUnavailable, NotDelivered
from services.shared.bus.ports import BatchReceiptPort, BatchSender, Outgoing, ReceiptPort
from services.shared.bus.record import Record
from services.shared.bus.topics import DEAD_LETTERS, DELIVERIES
from services.shared.chassis.clock import Clock
from services.shared.contracts.ringmaster.v1.delivery_pb2 import Delivery
from services.shared.contracts.ringmaster.v1.event_pb2 import Event
from services.webhooks import metrics
from services.webhooks.by_company import Backlog, Company
from services.webhooks.directory import Directory
from services.webhooks.domain.endpoint import Endpoint, delivery_id_of
from services.webhooks.domain.fair_share import FairShare
from services.webhooks.domain.payload import written
from services.webhooks.hearing import Heard

ACKNOWLEDGE_SECONDS = 30.0
# So many deliveries, or of so many bytes, are on their way to the broker before more are made. What is made for one
# company stands behind all of it: with 4 MB of large payloads on the way a neighbour's few bytes waited for a second.
MOST_TOGETHER = 2_000
MOST_BYTES = 256 * 1024
SLICE_SECONDS = 0.004
"""How long deliveries are made before everybody else has a turn, and of how long a company's turn is at most."""
YIELD_SECONDS = 1e-6
"""A timer of one turn of the hub: `gevent.idle()` would wait until nobody else wants to run."""

log = structlog.get_logger()


@dataclass(slots=True)
class _Making:
    """One company's events, and what is left to be made of the one that was begun."""

    company: Company
    rest: Iterator[Outgoing] | None = None


class Matcher:
    """Turns each public event into one delivery for each endpoint that wants it, each company's in their order.

    The companies share the time fairly, whatever their templates cost: who has had least of it goes next, for four
    milliseconds or one delivery at most. The same events make the same deliveries with the same ids, however often they
    are heard.
    """

    name = "matcher"

    def __init__(self, sender: BatchSender, directory: Directory, clock: Clock) -> None:
        self._sender = sender
        self._directory = directory
        self._clock = clock
        self._share = FairShare()
        self._making: dict[str, _Making] = {}

    def take(self, backlog: Backlog, stopping: Flag) -> None:
        """Make and send what waits; return when the broker has what was made. Others run meanwhile."""
        going = _Going(self._sender, backlog)
        try:
            while self._make_some(backlog, going) and not stopping.is_set():
                going.send()
                gevent.sleep(YIELD_SECONDS)
                going.settle()
            going.wait()
        except (BusUnavailable, NotDelivered):
            self._put_back(backlog)
            raise

    def finish(self) -> None:
        """Have nothing under way."""

    def _make_some(self, backlog: Backlog, going: "_Going") -> bool:
        """Make deliveries for one slice of time; return whether there is more to make."""
        for company in backlog.take_news():
            self._join(company)
        until = time.monotonic() + SLICE_SECONDS
        while (who := self._share.choose()) is not None:
            making, began = self._making[who], time.monotonic()
            has_enough = not backlog.has(making.company) or self._make_of(making, going, until)
            now = time.monotonic()
            self._share.charge(who, now - began, has_enough=has_enough)
            if has_enough:
                del self._making[who]
            if now >= until:
                return True
        return False

    def _join(self, company: Company) -> None:
        known = self._making.get(company.tenant_id)
        if known is None or known.company is not company:
            self._making[company.tenant_id] = _Making(company)
        self._share.join(company.tenant_id)

    def _make_of(self, making: _Making, going: "_Going", until: float) -> bool:
        """Make deliveries of one company until a monotonic moment; return whether it has no more."""
        company = making.company
        while making.rest is not None or company.waiting:
            if making.rest is None:
                making.rest = self._made_of(company.begin()[0], going)
            for made in making.rest:
                going.add(company, made)
                if time.monotonic() >= until:
                    return False
            making.rest = None
            going.end(company)
            if time.monotonic() >= until:
                return not company.waiting
        return True

    def _put_back(self, backlog: Backlog) -> None:
        """Let everything that had no effect yet be made again, each company's in their order."""
        self._making.clear()
        self._share.clear()
        for company in backlog.companies.values():
            company.put_back()
            self._join(company)

    def _made_of(self, heard: Heard, going: "_Going") -> Iterator[Outgoing]:
        """Make an event's deliveries; what is no event is buried."""
        if heard.event is None:
            going.bury(self._bury(heard.record, heard.fault))
            return
        try:
            yield from self._deliveries(heard, heard.event)
        except ValueError as error:
            going.bury(self._bury(heard.record, f"an event that can't be written as JSON: {error}"))
        else:
            going.note_matched(heard.event)

    def _deliveries(self, heard: Heard, event: Event) -> Iterator[Outgoing]:
        kind = heard.kind
        for endpoint in self._directory.endpoints(event.tenant_id):
            if endpoint.wants(kind):
                yield _delivery(heard, event, kind, endpoint)

    def _bury(self, record: Record, reason: str) -> ReceiptPort:
        metrics.INVALID.labels(record.topic).inc()
        log.error("event_unreadable", partition=record.partition, offset=record.offset, reason=reason)
        headers = {"reason": reason, "topic": record.topic, "place": f"{record.partition}:{record.offset}"}
        now_ms = self._clock.now_ms()
        return self._sender.send(DEAD_LETTERS, record.key, record.value, timestamp_ms=now_ms, headers=headers)


@dataclass(slots=True)
class _Piece:
    """What was made in one slice of time."""

    made: list[Outgoing] = field(default_factory=list)
    created: Counter[str] = field(default_factory=Counter)
    """How many of each tenant."""
    matched: Counter[str] = field(default_factory=Counter)
    """Of how many events of each tenant."""
    ended: Counter[Company] = field(default_factory=Counter)
    """Of how many events of each company the last delivery is in it."""
    bytes: int = 0
    receipt: BatchReceiptPort | None = None
    buried: list[ReceiptPort] = field(default_factory=list)

    @property
    def is_settled(self) -> bool:
        """Whether the broker has all of it, or some of it never will be there."""
        is_known = self.receipt is None or self.receipt.acknowledged or self.receipt.failed
        return is_known and all(receipt.acknowledged for receipt in self.buried)

    def wait(self) -> None:
        """Return when the broker has all of it. Raises NotDelivered."""
        if self.receipt is not None:
            self.receipt.wait(ACKNOWLEDGE_SECONDS)
        for receipt in self.buried:
            receipt.wait(ACKNOWLEDGE_SECONDS)


class _Going:
    """What is on its way to the broker, in pieces: bounded, whatever is made. An event ends with its last one."""

    def __init__(self, sender: BatchSender, backlog: Backlog) -> None:
        self._sender = sender
        self._backlog = backlog
        self._piece = _Piece()
        self._sent: deque[_Piece] = deque()
        self._count = self._bytes = 0

    def add(self, company: Company, made: Outgoing) -> None:
        """Take a delivery; wait for the broker where very many, or very large ones, are on their way."""
        piece = self._piece
        piece.made.append(made)
        piece.created[company.tenant_id] += 1
        piece.bytes += len(made[1])
        if self._is_full():
            self.send()
            while self._is_full():
                self._finish_first()

    def bury(self, receipt: ReceiptPort) -> None:
        """Take note of what was buried."""
        self._piece.buried.append(receipt)

    def note_matched(self, event: Event) -> None:
        """Count an event."""
        self._piece.matched[event.tenant_id] += 1

    def end(self, company: Company) -> None:
        """Note that everything of a company's event was made."""
        self._piece.ended[company] += 1

    def send(self) -> None:
        """Send what was made, without waiting."""
        piece = self._piece
        if piece.made:
            piece.receipt = self._sender.send_many(DELIVERIES, piece.made)
        self._sent.append(piece)
        self._count += len(piece.made)
        self._bytes += piece.bytes
        self._piece = _Piece()

    def settle(self) -> None:
        """Note what the broker has by now. Raises NotDelivered."""
        while self._sent and self._sent[0].is_settled:
            self._finish_first()

    def wait(self) -> None:
        """Return when the broker has everything."""
        self.send()
        while self._sent:
            self._finish_first()

    def _is_full(self) -> bool:
        count, size = self._count + len(self._piece.made), self._bytes + self._piece.bytes
        return count >= MOST_TOGETHER or size >= MOST_BYTES

    def _finish_first(self) -> None:
        piece = self._sent[0]
        piece.wait()
        self._sent.popleft()
        self._count -= len(piece.made)
        self._bytes -= piece.bytes
        for company, count in piece.ended.items():
            self._backlog.finish(company, count)
        for counter, counts in ((metrics.EVENTS, piece.matched), (metrics.CREATED, piece.created)):
            for tenant_id, count in counts.items():
                counter.labels(tenant_id).inc(count)


def _delivery(heard: Heard, event: Event, kind: str, endpoint: Endpoint) -> Outgoing:
    """Return the record of a delivery; of one that can't be written, why: it is the endpoint's own, and ends there."""
    payload, error = written(lambda: heard.payload(endpoint.form))
    time_ms = event.time.ToMilliseconds()
    delivery = Delivery(
        delivery_id=delivery_id_of(event.event_id, endpoint.endpoint_id),
        tenant_id=event.tenant_id,
        endpoint_id=endpoint.endpoint_id,
        event_type=kind,
        call_id=event.call_id,
        payload=payload,
        last_error=error,
        created_ms=time_ms,
    )
    # The record's moment is the event's, so that the lag of the first try is seen from its beginning.
    return (endpoint.key, delivery.SerializeToString(), time_ms, None)
