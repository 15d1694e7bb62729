"""Mailed reports (SPEC 8.5): when one is due, over which period, and what the comparison with the one before says."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

EVERY: Final = ("day", "week", "month")
# A report that was due while nobody was there is still made so long after; older ones are not news.
LATEST: Final = timedelta(hours=20)


@dataclass(frozen=True, slots=True)
class Schedule:
    """What a tenant's document says of one mailed report."""

    raport_id: str
    report: str
    every: str
    at: str
    recipients: tuple[str, ...]
    formats: tuple[str, ...]
    language: str
    groups: tuple[str, ...] = ()
    metrics: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Due:
    """One run that is due. `run_id` is the same whoever computes it, so no run is made twice."""

    run_id: str
    from_day: date
    until_day: date


def due(schedule: Schedule, zone: ZoneInfo, now_ms: int) -> Due | None:
    """Return the run whose time came last, None when that was too long ago."""
    now = datetime.fromtimestamp(now_ms / 1000, UTC).astimezone(zone)
    hour, minute = (int(part) for part in schedule.at.split(":"))
    day = now.date()
    # 24:00 is the end of the day; a time that clocks skip is the one after it.
    moment = _at(day, hour, minute, zone)
    while moment > now or not _is_first(schedule.every, day):
        day -= timedelta(days=1)
        moment = _at(day, hour, minute, zone)
    if now - moment > LATEST:
        return None
    return Due(f"{schedule.raport_id}-{day.isoformat()}", _before(schedule.every, day), day)


def _at(day: date, hour: int, minute: int, zone: ZoneInfo) -> datetime:
    whole = datetime(day.year, day.month, day.day, tzinfo=zone) + timedelta(hours=hour, minutes=minute)
    return whole.astimezone(UTC)


def _is_first(every: str, day: date) -> bool:
    return {"day": True, "week": day.weekday() == 0, "month": day.day == 1}[every]


def _before(every: str, day: date) -> date:
    if every == "month":
        return (day - timedelta(days=1)).replace(day=1)
    return day - timedelta(days=7 if every == "week" else 1)


def change(now: float | None, before: float | None) -> float | None:
    """Return by which share a value changed, None where there is nothing to compare with."""
    return None if now is None or not before else (now - before) / abs(before)


def options(schedule: Schedule, run: Due) -> dict[str, Any]:
    """Return the question to the report."""
    asked: dict[str, Any] = {"from": run.from_day.isoformat(), "until": run.until_day.isoformat()}
    asked["lang"] = schedule.language
    if schedule.groups:
        asked["groups"] = list(schedule.groups)
    if schedule.metrics:
        asked["metrics"] = list(schedule.metrics)
    return asked
