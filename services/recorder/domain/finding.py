"""Which recordings somebody looks for."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

LARGEST_PAGE = 200
_DEFAULT_PAGE = 50
_LONGEST = 80
_NUMBER = re.compile(r"\+?[0-9]{3,15}")
_CURSOR = re.compile(r"([0-9]{1,18})\.([A-Za-z0-9][A-Za-z0-9._-]{0,79})")
_NAMES = ("queue_id", "agent_id", "call_id")


class BadSearch(ValueError):
    """The search can't be read; the sentence says what is wrong with it."""


@dataclass(frozen=True, slots=True)
class Search:
    """Newest first. `exact` are names and their values; `number` is a whole number or its last digits."""

    exact: tuple[tuple[str, str], ...] = ()
    number: str = ""
    from_us: int = 0
    until_us: int = 0
    with_silent: bool = True
    before: tuple[int, str] | None = None
    limit: int = _DEFAULT_PAGE

    def query(self, tenant_id: str) -> dict[str, Any]:
        """Return it as the document store reads it; nothing of it is ever an operator of the asker's."""
        found: dict[str, Any] = {"tenant_id": tenant_id, "deleted_us": {"$in": [0, None]}, **dict(self.exact)}
        moments = {"$gte": self.from_us} if self.from_us else {}
        if self.until_us:
            moments["$lt"] = self.until_us
        if moments:
            found["recorded_us"] = moments
        if self.number:
            found["caller"] = self.number if self.number[0] == "+" else {"$regex": f"{self.number}$"}
        if not self.with_silent:
            found["silent"] = False
        if self.before:
            at, recording_id = self.before
            older = [{"recorded_us": {"$lt": at}}, {"recorded_us": at, "_id": {"$lt": recording_id}}]
            found["$or"] = older
        return found


def read_search(asked: Mapping[str, str]) -> Search:
    """Read the parameters of an address. Raises BadSearch."""
    return Search(
        exact=tuple((name, _text(name, asked[name])) for name in _NAMES if asked.get(name)),
        number=_number(asked.get("caller", "")),
        from_us=_moment("from", asked.get("from", "")),
        until_us=_moment("until", asked.get("until", "")),
        with_silent=asked.get("silent", "") != "no",
        before=_cursor(asked.get("before", "")),
        limit=_limit(asked.get("limit", "")),
    )


def _text(name: str, value: str) -> str:
    if len(value) > _LONGEST:
        raise BadSearch(f"{name} is longer than {_LONGEST} letters.")
    return value


def _number(value: str) -> str:
    number = re.sub(r"[ ()-]", "", value)
    if number and not _NUMBER.fullmatch(number):
        raise BadSearch("caller is a number, or at least three of its last digits.")
    return number


def _moment(name: str, value: str) -> int:
    if not value:
        return 0
    try:
        moment = datetime.fromisoformat(value)
    except ValueError as error:
        raise BadSearch(f"{name} is a moment as ISO 8601 writes it.") from error
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1_000_000)


def _cursor(value: str) -> tuple[int, str] | None:
    if not value:
        return None
    found = _CURSOR.fullmatch(value)
    if found is None:
        raise BadSearch("before is what an earlier answer gave as next.")
    return int(found[1]), found[2]


def _limit(value: str) -> int:
    if not value:
        return _DEFAULT_PAGE
    if not value.isascii() or not value.isdigit() or not 1 <= int(value[:6]) <= LARGEST_PAGE:
        raise BadSearch(f"limit is a number from 1 to {LARGEST_PAGE}.")
    return int(value)
