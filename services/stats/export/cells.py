"""What a cell of a file says. A text that a spreadsheet would take for a formula is made harmless (CWE-1236)."""

import re
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

from services.stats.domain.reports import calendar
from services.stats.domain.reports.answer import Column

# The wide and small forms of the four signs count too where Excel speaks Japanese or Chinese. Signs without a shape
# (Unicode's Cc and Cf), and blanks of any kind, are skipped by one program or the other before it looks.
_SIGNS: Final = r"=+\-@\uff1d\uff0b\uff0d\uff20\ufe66\ufe62\ufe63\ufe6b"
_SHAPELESS: Final = (
    r"\x7f-\x9f\u00ad\u0600-\u0605\u061c\u06dd\u070f\u0890\u0891\u08e2\u180e\u200b-\u200f\u202a-\u202e"
    r"\u2060-\u206f\ufeff\ufff9-\ufffb\U000110bd\U000110cd\U00013430-\U0001343f\U0001bca0-\U0001bca3"
    r"\U0001d173-\U0001d17a\U000e0001\U000e0020-\U000e007f"
)
_UNSEEN: Final = rf"[\s{_SHAPELESS}]*"
_FORMULA: Final = re.compile(rf"{_UNSEEN}[{_SIGNS}|%]|[\t\r\n]")
# Opened with another language's separator, a file has its cells elsewhere: one may begin in the middle of a text.
_CELL_WITHIN: Final = re.compile(rf"""([,;\t|\r\n"']{_UNSEEN}+)([{_SIGNS}]?)""")
_CONTROL: Final = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f]")
# Nearly every cell, told by one look: words, a plain phone number, an identifier. A number's plus stays: a sum of one
# number is that number, and nothing more can hide in digits.
_HARMLESS: Final = re.compile(rf"[^{_SIGNS}|%\x00-\x1f]*|\+[0-9]{{3,20}}|\w[\w.:-]*")
LONGEST_CELL: Final = 32_000
"""Excel takes 32,767 characters."""
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def safe(text: str) -> str:
    """Return a text that no spreadsheet computes: an apostrophe before each place where a formula may begin."""
    text = text[:LONGEST_CELL]
    if _HARMLESS.fullmatch(text):
        return text
    text = _CELL_WITHIN.sub(_apart, _CONTROL.sub("", text))
    return f"'{text}" if _FORMULA.match(text) else text


def _apart(found: re.Match[str]) -> str:
    separator, sign = found.groups()
    return f"{separator}'{sign}" if sign else separator


def plain(column: Column, raw: Any, zone: ZoneInfo) -> Any:
    """Return a value as a file's own kind: number, text, flag, local date or local date and time, None for nothing.

    Of values from a fixed list it is the word in the reader's language.
    """
    if raw is None or raw == "":
        return None
    if column.words:
        return column.words.get(raw, raw)
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
