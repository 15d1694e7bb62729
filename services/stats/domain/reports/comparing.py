"""A report beside the period before: which cell of then belongs to a cell of now."""

from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

from services.stats.domain.reports import calendar
from services.stats.domain.reports.query import Query

Cell = dict[str, Any]
_MONTHS: Final = 12
_EPOCH: Final = date(1970, 1, 1)


def former_cell(query: Query, former: Query, cell: Cell) -> Cell:
    """Return the keys that a cell has in the former period: names stay, moments go back with the period."""
    return {name: _former_key(query, former, name, key) for name, key in cell.items()}


def former_values(
    query: Query, former: Query, rows: list[dict[str, Any]], former_rows: list[dict[str, Any]]
) -> list[dict[str, Any] | None]:
    """Return what each row's cell was in the former period, None where nothing was."""
    known = {_place(row["cell"]): row["values"] for row in former_rows if "cell" in row}
    if not query.groups:
        return [former_rows[0]["values"] if former_rows else None for _ in rows]
    return [known.get(_place(former_cell(query, former, row["cell"]))) for row in rows]


def _place(cell: Cell) -> tuple[Any, ...]:
    return tuple(cell.values())


def _former_key(query: Query, former: Query, name: str, key: Any) -> Any:
    """Return the key of the same place in the former period.

    Days and times of the day go back by whole local days where the periods are made of them, so noon stays noon over a
    change of clocks; weeks and months are counted from the period's first.
    """
    if not isinstance(key, int) or name not in _MOVED:
        return key
    return _MOVED[name](query, former, key)


def _day(at_ms: int, query: Query) -> int:
    return (datetime.fromtimestamp(at_ms / 1000, UTC).astimezone(query.zone).date() - _EPOCH).days


def _days_back(query: Query, former: Query) -> int:
    return _day(query.from_ms, query) - _day(former.from_ms, former)


def _former_clock(query: Query, former: Query, key: int) -> int:
    days = _days_back(query, former)
    if calendar.moment(query.from_ms, query.zone)[11:19] != calendar.moment(former.from_ms, query.zone)[11:19]:
        return key - (query.from_ms - former.from_ms)
    local = datetime.fromtimestamp(key / 1000, UTC).astimezone(query.zone)
    return int((local - timedelta(days=days)).timestamp() * 1000)


def _former_day(query: Query, former: Query, key: int) -> int:
    return key - _days_back(query, former)


def _former_week(query: Query, former: Query, key: int) -> int:
    return key - (_monday(_day(query.from_ms, query)) - _monday(_day(former.from_ms, former)))


def _monday(day: int) -> int:
    return day - (_EPOCH + timedelta(days=day)).weekday()


def _former_month(query: Query, former: Query, key: int) -> int:
    months = _month(_EPOCH + timedelta(days=_day(query.from_ms, query)))
    months -= _month(_EPOCH + timedelta(days=_day(former.from_ms, former)))
    year, month = divmod(_month(_EPOCH + timedelta(days=key)) - months, _MONTHS)
    return (date(year, month + 1, 1) - _EPOCH).days


def _month(day: date) -> int:
    return day.year * _MONTHS + day.month - 1


_MOVED: Final = {
    **dict.fromkeys(calendar.CLOCK_MS, _former_clock),
    "day": _former_day,
    "week": _former_week,
    "month": _former_month,
}
