"""Deliveries that can be kept nowhere else now stay in the log, and are taken from there when they can be (ADR 42)."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

import structlog
from gevent.event import Event as Flag
from google.protobuf.message import DecodeError

from services.shared.bus.errors import BusUnavailable
from services.shared.bus.ports import Reader
from services.shared.bus.record import Record
from services.shared.chassis.clock import Clock
from services.shared.contracts.ringmaster.v1.delivery_pb2 import Delivery
from services.webhooks import metrics
from services.webhooks.call_order import CallOrder
from services.webhooks.domain.endpoint import EndpointKey
from services.webhooks.domain.offsets import ContiguousOffsets, Place, Ticket
from services.webhooks.handing_over import Gathering, Keeping
from services.webhooks.waiting import endpoint_of

LOOK_SECONDS = 0.25
POLL_SECONDS = 0.25
PAUSE_SECONDS = 1.0

log = structlog.get_logger()


@dataclass(slots=True)
class LeftInLog:
    """Remembers of each endpoint that was left behind the first delivery alone; all later ones of it follow it there.

    That first one stays unfinished, so that a kill finds it again. When the document store takes deliveries again, the
    log is read once more from there up to where its reader is, and what is the endpoint's goes into the waiting room in
    the log's order; from then on its deliveries take the usual way.
    """

    open_reader: Callable[[], Reader]
    """Opens a reader of all partitions of ringmaster.deliveries, without a group."""
    keep: Keeping
    earlier: Gathering
    """What goes into the room before: nothing may be put there while some of the same endpoint is under way."""
    order: CallOrder
    clock: Clock
    offsets: ContiguousOffsets
    _first: dict[Place, dict[EndpointKey, Ticket]] = field(default_factory=dict)

    def has(self, place: Place, key: EndpointKey) -> bool:
        """Whether deliveries of an endpoint stay in the log for now."""
        return bool(self._first) and key in self._first.get(place, ())

    def leave(self, ticket: Ticket, key: EndpointKey) -> None:
        """Leave a delivery, and whatever comes after it of its endpoint."""
        first = self._first.setdefault(ticket.place, {})
        if key in first:
            self.offsets.finish(ticket)  # the first one holds the offset back for all of them
            return
        first[key] = ticket
        metrics.LEFT_IN_LOG.set(self.count())
        log.warning("endpoint_left_in_log", endpoint=key, partition=ticket.place[1], offset=ticket.offset)

    def forget(self, place: Place) -> None:
        """Drop a partition that another process reads now, from the first of what was left there on."""
        self._first.pop(place, None)
        metrics.LEFT_IN_LOG.set(self.count())

    def count(self) -> int:
        """How many endpoints are left behind; as many tickets are unfinished."""
        return sum(len(first) for first in self._first.values())

    def run(self, stopping: Flag) -> None:
        """Take up what was left, as soon as it can be kept, until stopped."""
        while not stopping.wait(LOOK_SECONDS):
            for place in list(self._first):
                try:
                    self._take_up(place, stopping)
                except BusUnavailable as error:
                    log.warning("left_deliveries_unreadable", partition=place[1], reason=str(error))
                    stopping.wait(PAUSE_SECONDS)

    def _take_up(self, place: Place, stopping: Flag) -> None:
        first = self._first.get(place, {})
        chosen = {key: ticket for key, ticket in first.items() if not self.earlier.has_of(key)}
        if not chosen:
            return
        reader = self.open_reader()
        try:
            for other in reader.assignment():
                if other != place:
                    reader.pause(*other)
            if self._all_is_kept(reader, place, chosen, stopping):
                self._end(place, chosen)
        finally:
            reader.close()

    def _all_is_kept(self, reader: Reader, place: Place, chosen: dict[EndpointKey, Ticket], stopping: Flag) -> bool:
        """Put all into the room that was left of some endpoints; False when the service stops or gives them away.

        Nothing yields between the last look at how far the log's reader is and the return.
        """
        reached = min(ticket.offset for ticket in chosen.values())
        reader.seek(*place, reached)
        while reached < self.offsets.begun_to(place):
            found = reader.poll(POLL_SECONDS)
            end = self.offsets.begun_to(place)
            records = [record for record in found if record.offset < end]
            if len(records) < len(found):
                reader.seek(*place, end)  # their own reader has not begun the rest
            deliveries = [one for record in records for one in self._left_of(record, chosen)]
            if deliveries and not self.keep(*deliveries):
                return False
            if stopping.is_set() or not self._are_ours(place, chosen):
                return False
            reached = records[-1].offset + 1 if records else reached
        return True

    def _left_of(self, record: Record, chosen: dict[EndpointKey, Ticket]) -> Iterable[Delivery]:
        try:
            delivery = Delivery.FromString(record.value)
        except DecodeError:
            return  # its first reader has counted it
        ticket = chosen.get(endpoint_of(delivery))
        if ticket is not None and record.offset >= ticket.offset:
            delivery.position = record.offset + 1
            delivery.chain = self.order.chain(delivery)
            delivery.due_ms = self.clock.now_ms()
            yield delivery

    def _are_ours(self, place: Place, chosen: dict[EndpointKey, Ticket]) -> bool:
        first = self._first.get(place, {})
        return all(first.get(key) is ticket for key, ticket in chosen.items())

    def _end(self, place: Place, chosen: dict[EndpointKey, Ticket]) -> None:
        for key, ticket in chosen.items():
            del self._first[place][key]
            self.offsets.finish(ticket)
        if not self._first[place]:
            del self._first[place]
        metrics.LEFT_IN_LOG.set(self.count())
        log.info("left_endpoints_taken_up", partition=place[1], endpoints=_shown(list(chosen)))


def _shown(keys: Sequence[EndpointKey]) -> list[EndpointKey]:
    return sorted(keys)[:10]
