from collections.abc import Callable
from typing import Final

import structlog
from gevent.event import Event as Flag
from google.protobuf.message import DecodeError

from services.console import metrics
from services.console.domain import campaign_view
from services.console.domain.callback_view import TOLD_BY, CallbackView
from services.console.domain.campaign_view import CampaignView
from services.console.domain.directory import Directory
from services.console.domain.live import SHOWN, Live
from services.shared.bus.errors import BusUnavailable
from services.shared.bus.ports import Reader
from services.shared.bus.record import Record
from services.shared.contracts.ringmaster.v1.event_pb2 import Event
from services.shared.contracts.ringmaster.v1.tenant_pb2 import TenantDocument

POLL_SECONDS: Final = 0.25
PAUSE_SECONDS: Final = 1.0

log = structlog.get_logger()


class Follower:
    """Reads a whole topic from its beginning and on, and lets a view take each record."""

    def __init__(self, reader: Reader, take: Callable[[Record], None]) -> None:
        self._reader = reader
        self._take = take
        self._positions: dict[tuple[str, int], int] = {}
        self.is_current = False

    def run(self, stopping: Flag) -> None:
        """Follow the topic until stopped."""
        ends: dict[tuple[str, int], int] | None = None
        while not stopping.is_set():
            try:
                ends = self._ends() if ends is None else ends
                self.is_current = self.is_current or self._has_reached(ends)
                for record in self._reader.poll(POLL_SECONDS):
                    self._read(record)
            except BusUnavailable as error:
                log.warning("topic_unreadable", reason=str(error))
                stopping.wait(PAUSE_SECONDS)

    def _ends(self) -> dict[tuple[str, int], int]:
        """Return how far to read; of a partition whose records have all passed their time nothing ever comes."""
        ends = {place: self._reader.end_offset(*place) for place in self._reader.assignment()}
        return {place: end for place, end in ends.items() if self._reader.offset_at(*place, 0) < end}

    def _has_reached(self, ends: dict[tuple[str, int], int]) -> bool:
        return all(self._positions.get(place, 0) >= end for place, end in ends.items())

    def _read(self, record: Record) -> None:
        self._positions[record.topic, record.partition] = record.offset + 1
        try:
            self._take(record)
        except DecodeError:
            metrics.INVALID.labels(record.topic).inc()
            log.warning("record_unreadable", topic=record.topic, partition=record.partition, offset=record.offset)


def into_live(live: Live) -> Callable[[Record], None]:
    """Return what puts the shown events of ringmaster.calls into a live view."""

    def take(record: Record) -> None:
        if record.headers.get("ce_type") in SHOWN:
            live.apply(Event.FromString(record.value))

    return take


def into_callbacks(view: CallbackView) -> Callable[[Record], None]:
    """Return what puts the callbacks' events of ringmaster.calls into a view."""

    def take(record: Record) -> None:
        if record.headers.get("ce_type") in TOLD_BY:
            view.apply(Event.FromString(record.value))

    return take


def into_campaigns(view: CampaignView) -> Callable[[Record], None]:
    """Return what puts the campaigns' events of ringmaster.calls into a view."""

    def take(record: Record) -> None:
        if record.headers.get("ce_type") == campaign_view.TOLD_BY:
            view.apply(Event.FromString(record.value))

    return take


def into_all(*takers: Callable[[Record], None]) -> Callable[[Record], None]:
    """Return what lets several views take each record."""

    def take(record: Record) -> None:
        for each in takers:
            each(record)

    return take


def into_directory(directory: Directory) -> Callable[[Record], None]:
    """Return what puts the documents of ringmaster.tenants into a directory."""

    def take(record: Record) -> None:
        if record.value:
            directory.put(TenantDocument.FromString(record.value))
        else:
            directory.remove(record.key)

    return take
