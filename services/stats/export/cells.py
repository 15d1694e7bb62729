"""What a cell of a file says. A text that a spreadsheet would take for a formula is made harmless (CWE-1236)."""

import re
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

from services.stats.domain.reports import calendar
from services.stats.domain.reports.answer import Column

_STARTS_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\n", "|", "%")
_PHONE: Final = re.compile(r"\+[0-9]{3,20}", re.ASCII)
_CONTROL: Final = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f]")
LONGEST_CELL: Final = 32_000
"""Excel takes 32,767 characters."""
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def safe(text: str) -> str:
    """Return a text that no spreadsheet computes: an apostrophe before what begins like a formula.

    A plain phone number keeps its plus: a sum of one number is that number, and nothing more can hide in digits.
    """
    text = _CONTROL.sub("", text[:LONGEST_CELL])
    if text.lstrip(" \u00a0\ufeff").startswith(_STARTS_FORMULA) and not _PHONE.fullmatch(text):
        return "'" + text
    return text


def plain(column: Column, raw: Any, zone: ZoneInfo) -> Any:
    """Return a value as a file's own kind: number, text, flag, local date or local date and time, None for nothing."""
    if raw is None or raw == "":
        return None
    if column.unit == "moment":
        return _local(int(raw), zone)
    if column.unit == "time":
        return _of_time(column.id, int(raw), zone)
    return column.value(raw, zone)


def _of_time(unit: str, key: int, zone: ZoneInfo) -> Any:
    if unit in calendar.CLOCK_MS:
        return _local(key, zone)
    if unit in ("day", "week", "month"):
        return date(1970, 1, 1) + timedelta(days=key)
    return key


def _local(at_ms: int, zone: ZoneInfo) -> datetime:
    """Return local time without its zone, which spreadsheets do not know."""
    return (_EPOCH + timedelta(milliseconds=at_ms // 1000 * 1000)).astimezone(zone).replace(tzinfo=None)
