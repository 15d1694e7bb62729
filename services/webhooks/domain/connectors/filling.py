"""Values put into a connector's requests: `{{call.customer | digits}}` (SPEC 7.5).

As in a webhook's template a place is filled in the document, not in its text, so nothing a caller wrote can become a
field; in an address each value is escaped as one part of it.
"""

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import quote

import orjson

from services.shared.phone_number import national_digits, significant_digits

PLACE: Final = re.compile(
    r"\{\{\s*([a-z_][a-z0-9_]*(?:\.[A-Za-z0-9_]+)*)\s*(?:\|\s*([a-z][a-z0-9_]*)\s*)?\}\}", re.ASCII
)
Maps = Mapping[str, Mapping[str, Any]]
OTHERWISE: Final = "otherwise"
"""The entry of a map for values that it does not have."""


def _moment(value: Any) -> datetime:
    return datetime.fromtimestamp(int(value or 0) / 1000, UTC)


def _length(value: Any) -> str:
    minutes, seconds = divmod(int(value or 0) // 1000, 60)
    return f"{minutes:02}:{seconds:02}"


FILTERS: Final[dict[str, Callable[[Any], Any]]] = {
    "digits": lambda value: "".join(sign for sign in str(value or "") if sign.isascii() and sign.isdigit()),
    "last10": lambda value: "".join(sign for sign in str(value or "") if sign.isascii() and sign.isdigit())[-10:],
    "national": lambda value: national_digits(str(value or "")),
    "significant": lambda value: significant_digits(str(value or "")),
    "iso": lambda value: _moment(value).strftime("%Y-%m-%dT%H:%M:%SZ"),
    "iso_offset": lambda value: _moment(value).strftime("%Y-%m-%dT%H:%M:%S+00:00"),
    "day": lambda value: _moment(value).strftime("%Y-%m-%d"),
    "day_time": lambda value: _moment(value).strftime("%Y-%m-%d %H:%M:%S"),
    "unix": lambda value: int(value or 0) // 1000,
    "seconds": lambda value: int(value or 0) // 1000,
    "minutes_seconds": _length,
    "number": lambda value: int(value) if re.fullmatch("[0-9]{1,18}", str(value or "")) else None,
    "short": lambda value: str(value or "")[:200],
    "upper": lambda value: str(value or "").upper(),
}
"""Of moments and lengths in milliseconds, and of texts. All times are UTC."""


class BadPlace(ValueError):
    """A place names a filter that there is not: the connector's author's fault."""


def check_places(template: Any, maps: Maps) -> None:
    """Raise BadPlace where a place has a filter that is neither one of FILTERS nor a map of the connector's."""
    if isinstance(template, str):
        for _, name in PLACE.findall(template):
            if name and name not in FILTERS and name not in maps:
                raise BadPlace(f"there is no filter and no map {name}")
        if "{{" in PLACE.sub("", template):
            raise BadPlace(f"{template[:60]!r} has braces that are no place")
    elif isinstance(template, Mapping):
        for part in template.values():
            check_places(part, maps)
    elif isinstance(template, list):
        for part in template:
            check_places(part, maps)


def filled(template: Any, values: Mapping[str, Any], maps: Maps) -> Any:
    """Return the template with its values. A field that is one place without a value is left out."""
    if isinstance(template, str):
        return _text(template, values, maps)
    if isinstance(template, Mapping):
        found = {_as_text(_text(name, values, maps)): filled(part, values, maps) for name, part in template.items()}
        return {name: part for name, part in found.items() if part is not None}
    if isinstance(template, list):
        return [part for part in (filled(entry, values, maps) for entry in template) if part is not None]
    return template


def filled_address(template: str, values: Mapping[str, Any], maps: Maps) -> str:
    """Return an address with its values, each escaped."""
    return PLACE.sub(lambda place: quote(_as_text(_value(place[1], place[2], values, maps)), safe=""), template)


def found_at(path: str, document: Any) -> Any:
    """Return what lies at a path of names and numbers with dots, `*` for the first value of a mapping; else None."""
    for name in path.split("."):
        if isinstance(document, list) and name.isdigit() and int(name) < len(document):
            document = document[int(name)]
        elif isinstance(document, Mapping) and name == "*":
            document = next(iter(document.values()), None)
        elif isinstance(document, Mapping) and name in document:
            document = document[name]
        else:
            return None
    return document


def _text(template: str, values: Mapping[str, Any], maps: Maps) -> Any:
    if alone := PLACE.fullmatch(template):
        value = _value(alone[1], alone[2], values, maps)
        return None if value in ("", None) else value
    return PLACE.sub(lambda place: _as_text(_value(place[1], place[2], values, maps)), template)


def _value(path: str, name: str | None, values: Mapping[str, Any], maps: Maps) -> Any:
    value = found_at(path, values)
    if not name:
        return value
    if name in maps:
        chosen = maps[name]
        return chosen.get(str(value), chosen.get(OTHERWISE, value))
    return FILTERS[name](value)


def _as_text(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else orjson.dumps(value).decode()
