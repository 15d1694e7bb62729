"""Which recordings somebody looks for."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from services.recorder.domain.analytics.searching import BadQuery, read_query
from services.shared.phone_number import written_forms

LARGEST_PAGE = 200
_DEFAULT_PAGE = 50
_LONGEST = 80
_NUMBER = re.compile(r"\+?[0-9]{3,15}")
_CURSOR = re.compile(r"([0-9]{1,18})\.([A-Za-z0-9][A-Za-z0-9._-]{0,79})")
_COUNT = re.compile(r"[0-9]{1,6}")
_WHOLE = ("+", "0")
"""So begins what may be a whole number; other digits may be the end of any."""
_NAMES = ("queue_id", "agent_id", "call_id")
_CLEAR = 0.25
FEELINGS: dict[str, tuple[str, dict[str, float]]] = {
    "bad": ("score", {"$lte": -_CLEAR}),
    "good": ("score", {"$gte": _CLEAR}),
    "bad_at_end": ("thirds.2", {"$lte": -_CLEAR}),
    "worse": ("change", {"$lte": -_CLEAR}),
    "better": ("change", {"$gte": _CLEAR}),
}
"""How a customer sounded: the field of the transcript's sentiment, and its bounds."""


class BadSearch(ValueError):
    """The search can't be read; the sentence says what is wrong with it."""


@dataclass(frozen=True, slots=True)
class Search:
    """Newest first. `exact` are names and their values; `number` is the last digits of one, `numbers` a whole one.

    A whole number is looked for in each way in which it may be written: recordings from before the router told E.164
    have it as the carrier wrote it.
    """

    exact: tuple[tuple[str, str], ...] = ()
    number: str = ""
    numbers: tuple[str, ...] = ()
    from_us: int = 0
    until_us: int = 0
    with_silent: bool = True
    before: tuple[int, str] | None = None
    limit: int = _DEFAULT_PAGE
    said: tuple[tuple[str, ...], ...] = ()
    """Of each word that was said the dictionary forms that it may be."""
    feeling: str = ""
    """How the customer sounded: a name of FEELINGS."""

    @property
    def needs_transcript(self) -> bool:
        """Whether only recordings that were written down are looked for."""
        return bool(self.said or self.feeling)

    def transcript_query(self, tenant_id: str) -> dict[str, Any]:
        """Return which transcripts fit, as the document store reads it; of those that page on, from there on."""
        found: dict[str, Any] = {"tenant_id": tenant_id}
        if self.said:
            found["$and"] = [{"terms": {"$in": list(group)}} for group in self.said]
        if self.feeling:
            found |= feeling_query(self.feeling)
        return found

    def query(self, tenant_id: str) -> dict[str, Any]:
        """Return it as the document store reads it; nothing of it is ever an operator of the asker's."""
        found: dict[str, Any] = {"tenant_id": tenant_id, "deleted_us": {"$in": [0, None]}, **dict(self.exact)}
        moments = {"$gte": self.from_us} if self.from_us else {}
        if self.until_us:
            moments["$lt"] = self.until_us
        if moments:
            found["recorded_us"] = moments
        if self.numbers:
            found["caller"] = {"$in": list(self.numbers)}
        elif self.number:
            found["caller"] = {"$regex": f"{re.escape(self.number)}$"}
        if not self.with_silent:
            found["silent"] = False
        if self.before:
            at, recording_id = self.before
            older = [{"recorded_us": {"$lt": at}}, {"recorded_us": at, "_id": {"$lt": recording_id}}]
            found["$or"] = older
        return found


def feeling_query(name: str) -> dict[str, Any]:
    """Return which transcripts fit a name of FEELINGS, as the document store reads it."""
    field, bounds = FEELINGS[name]
    return {f"analysis.sentiment.customer.{field}": bounds}


def read_feeling(value: str) -> str:
    """Return a name of FEELINGS, empty for none. Raises BadSearch."""
    if value and value not in FEELINGS:
        raise BadSearch(f"feeling is one of {', '.join(FEELINGS)}.")
    return value


def read_search(asked: Mapping[str, str], lines: Sequence[str] = ()) -> Search:
    """Read the parameters of an address; a number is read as one dials it on the lines. Raises BadSearch."""
    number = _number(asked.get("caller", ""))
    return Search(
        exact=tuple((name, _text(name, asked[name])) for name in _NAMES if asked.get(name)),
        number=number,
        numbers=written_forms(number, lines) if number.startswith(_WHOLE) else (),
        from_us=_moment("from", asked.get("from", "")),
        until_us=_moment("until", asked.get("until", "")),
        with_silent=asked.get("silent", "") != "no",
        before=read_cursor(asked.get("before", "")),
        limit=read_limit(asked.get("limit", ""), _DEFAULT_PAGE, LARGEST_PAGE),
        said=_said(asked.get("said", "")),
        feeling=read_feeling(asked.get("feeling", "")),
    )


def _text(name: str, value: str) -> str:
    if len(value) > _LONGEST:
        raise BadSearch(f"{name} is longer than {_LONGEST} letters.")
    return value


def _said(value: str) -> tuple[tuple[str, ...], ...]:
    if not value.strip():
        return ()
    try:
        return read_query(value).groups
    except BadQuery as error:
        raise BadSearch(f"said: {error}.") from error


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


def read_cursor(value: str) -> tuple[int, str] | None:
    """Return where a page ended, None for the first one. Raises BadSearch."""
    if not value:
        return None
    found = _CURSOR.fullmatch(value)
    if found is None:
        raise BadSearch("before is what an earlier answer gave as next.")
    return int(found[1]), found[2]


def read_limit(value: str, default: int, largest: int) -> int:
    """Return how many rows a page has. Raises BadSearch."""
    if not value:
        return default
    if not _COUNT.fullmatch(value) or not 1 <= int(value) <= largest:
        raise BadSearch(f"limit is a number from 1 to {largest}.")
    return int(value)
