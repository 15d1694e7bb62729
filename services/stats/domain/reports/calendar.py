"""Local time for reports: offsets of a zone, the edges of hours and days, and the words for a moment."""

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

MINUTE_MS: Final = 60_000
HOUR_MS: Final = 60 * MINUTE_MS
DAY_MS: Final = 24 * HOUR_MS
CLOCK_MS: Final = {"quarter_hour": 15 * MINUTE_MS, "half_hour": 30 * MINUTE_MS, "hour": HOUR_MS}
"""Periods of the clock, which begin at an instant: an hour that comes twice in autumn is two hours."""
_WEEK_FROM_MONDAY: Final = 3  # 1 January 1970 was a Thursday


def zone_of(name: str) -> ZoneInfo | None:
    """Return a time zone of the IANA database, None for a name that is none."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return None


def offset_ms(zone: ZoneInfo, at_ms: int) -> int:
    """Return how far local time is ahead of UTC at an instant."""
    offset = datetime.fromtimestamp(at_ms / 1000, UTC).astimezone(zone).utcoffset() or timedelta()
    return int(offset.total_seconds() * 1000)


def offsets(zone: ZoneInfo, from_ms: int, until_ms: int) -> list[tuple[int, int]]:
    """Return (instant, offset from it on) over a period: the first from its beginning, then each change of clocks."""
    found = [(from_ms, offset_ms(zone, from_ms))]
    for start in range(from_ms, until_ms, DAY_MS):
        end = min(start + DAY_MS, until_ms)
        if offset_ms(zone, end) != found[-1][1]:
            change = _change_between(zone, start, end)
            found.append((change, offset_ms(zone, change)))
    return found


def _change_between(zone: ZoneInfo, low: int, high: int) -> int:
    former = offset_ms(zone, low)
    while high - low > 1:
        middle = (low + high) // 2
        if offset_ms(zone, middle) == former:
            low = middle
        else:
            high = middle
    return high


def local_sql(time: str, known: list[tuple[int, int]]) -> str:
    """Return SQL of the local time of an instant, ms as if local time were UTC."""
    if len(known) == 1:
        return f"({time} + {known[0][1]})"
    return f"({time} + {offset_sql(time, known)})"


def offset_sql(time: str, known: list[tuple[int, int]]) -> str:
    """Return SQL of the offset at an instant."""
    cases = "".join(f" when {time} < {after[0]} then {before[1]}" for before, after in pairwise(known))
    return f"(case{cases} else {known[-1][1]} end)" if cases else str(known[0][1])


def bucket_sql(unit: str, time: str, known: list[tuple[int, int]]) -> str:
    """Return SQL of the key of the period in which an instant lies; `word` turns a key into words."""
    local, offset = local_sql(time, known), offset_sql(time, known)
    if unit in CLOCK_MS:
        return f"({local} // {CLOCK_MS[unit]} * {CLOCK_MS[unit]} - {offset})"
    day = f"({local} // {DAY_MS})"
    return {
        "day": day,
        "week": f"(({day} + {_WEEK_FROM_MONDAY}) // 7 * 7 - {_WEEK_FROM_MONDAY})",
        "month": f"(epoch_ms(date_trunc('month', make_timestamp({local} * 1000))) // {DAY_MS})",
        "hour_of_day": f"({local} // {HOUR_MS} % 24)",
        "weekday": f"(({day} + {_WEEK_FROM_MONDAY}) % 7 + 1)",
    }[unit]


def edges(unit: str, zone: ZoneInfo, from_ms: int, until_ms: int) -> list[tuple[int, int]]:
    """Return [from, until) of every local day or period of the clock that a period touches, cut at its ends."""
    starts = (
        _clock_starts(CLOCK_MS[unit], zone, from_ms, until_ms) if unit in CLOCK_MS else _days(zone, from_ms, until_ms)
    )
    inner = [from_ms, *(start for start in starts if from_ms < start < until_ms), until_ms]
    return list(pairwise(inner))


def _clock_starts(step: int, zone: ZoneInfo, from_ms: int, until_ms: int) -> list[int]:
    known = [*offsets(zone, from_ms, until_ms), (until_ms, 0)]
    found: list[int] = []
    for (start, offset), (end, _) in pairwise(known):
        first = (start + offset) // step * step - offset
        found += [start, *range(first + step, end, step)]
    return found


def _days(zone: ZoneInfo, from_ms: int, until_ms: int) -> list[int]:
    day = datetime.fromtimestamp(from_ms / 1000, UTC).astimezone(zone).date()
    found = []
    while (start := midnight_ms(day, zone)) < until_ms:
        found.append(start)
        day += timedelta(days=1)
    return found


def midnight_ms(day: date, zone: ZoneInfo) -> int:
    """Return the instant at which a local day begins."""
    return int(datetime(day.year, day.month, day.day, tzinfo=zone).timestamp() * 1000)


def word(unit: str, key: int, zone: ZoneInfo) -> str | int:
    """Return what people read for a period's key: a date, a date and time with its offset, a number."""
    if unit in CLOCK_MS:
        return datetime.fromtimestamp(key / 1000, UTC).astimezone(zone).isoformat(timespec="minutes")
    if unit in ("day", "week", "month"):
        text = (date(1970, 1, 1) + timedelta(days=key)).isoformat()
        return text[:7] if unit == "month" else text
    return key


def moment(at_ms: int, zone: ZoneInfo) -> str:
    """Return an instant as people read it: local time with its offset, to the second."""
    return datetime.fromtimestamp(at_ms / 1000, UTC).astimezone(zone).isoformat(timespec="seconds")
