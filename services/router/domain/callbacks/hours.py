"""When a customer may be dialled: in each time zone where the number may lie it must be a decent hour (SPEC 4.2)."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from services.shared.contracts.ringmaster.v1 import tenant_pb2 as tn

NEVER = -1
_DAYS_AHEAD = 8
"""A week holds every weekly opening; a day more for zones that are ahead or behind."""


def may_dial(hours: Sequence[tn.OpenHours], zones: Iterable[str], now_ms: int) -> bool:
    """Whether every zone is in one of its allowed hours. Raises ZoneInfoNotFoundError for an unknown zone."""
    moment = datetime.fromtimestamp(now_ms // 1000, UTC)
    return all(_is_open(hours, moment.astimezone(ZoneInfo(zone))) for zone in zones) if hours else True


def next_allowed_ms(hours: Sequence[tn.OpenHours], zones: Sequence[str], from_ms: int) -> int:
    """Return the first moment, from one on, at which all zones allow a call; NEVER when a week has none.

    All can only become open when one of them opens, so nothing but openings is looked at.
    """
    if may_dial(hours, zones, from_ms):
        return from_ms
    openings = {opening for zone in zones for opening in _openings(hours, ZoneInfo(zone), from_ms)}
    allowed = (opening for opening in sorted(openings) if opening > from_ms and may_dial(hours, zones, opening))
    return next(allowed, NEVER)


def _is_open(hours: Iterable[tn.OpenHours], local: datetime) -> bool:
    clock, day = local.strftime("%H:%M"), local.isoweekday()
    return any(day in each.days and getattr(each, "from") <= clock < each.until for each in hours)


def _openings(hours: Sequence[tn.OpenHours], zone: ZoneInfo, from_ms: int) -> Iterator[int]:
    """Yield the moments, in the days to come, at which a zone's hours begin.

    A beginning that the clocks skip is taken an hour later, as the clocks do.
    """
    first = datetime.fromtimestamp(from_ms // 1000, UTC).astimezone(zone).date()
    for ahead in range(_DAYS_AHEAD + 1):
        day = first + timedelta(days=ahead)
        for each in hours:
            if day.isoweekday() in each.days and getattr(each, "from") < each.until:
                yield _moment_ms(day, getattr(each, "from"), zone)


def _moment_ms(day: date, clock: str, zone: ZoneInfo) -> int:
    local = datetime.combine(day, time.fromisoformat(clock), zone)
    return int(local.timestamp()) * 1000
