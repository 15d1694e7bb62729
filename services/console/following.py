from collections.abc import Callable

from services.console.domain import campaign_view
from services.console.domain.callback_view import TOLD_BY, CallbackView
from services.console.domain.campaign_view import CampaignView
from services.console.domain.live import SHOWN, Live
from services.shared.bus.record import Record
from services.shared.contracts.ringmaster.v1.event_pb2 import Event


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
