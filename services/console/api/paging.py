"""Pages of lists. A cursor says after which place the next page begins, so what comes and goes shifts nothing."""

import heapq
import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Iterable
from typing import Any, Final, TypeVar

from flask import request

from services.console.api.access import refuse
from services.console.api.models import LISTED

MOST_NUMBER: Final = 2**31
T = TypeVar("T")
Place = tuple[int | str, ...]
"""What a list is sorted by; no two entries have the same."""


def page_of(name: str, found: Iterable[T], place: Callable[[T], Place], shown: Callable[[T], Any]) -> dict[str, Any]:
    """Return the page that the request asks for: entries after its cursor in the order of their places.

    Raises Refusal (400).
    """
    limit, kinds = asked_limit(), None
    after = asked_place()
    left = []
    for one in found:
        at = place(one)
        kinds = kinds or [type(part) for part in at]
        if after is not None and kinds != [type(part) for part in after]:
            raise _bad_cursor()
        if after is None or at > after:
            left.append((at, one))
    page = heapq.nsmallest(limit + 1, left, key=lambda entry: entry[0])
    return {
        name: [shown(one) for _, one in page[:limit]],
        "cursor": cursor_at(page[limit - 1][0]) if len(page) > limit else None,
    }


def asked_limit() -> int:
    """Return how many entries are asked for; the query was held to the route's description before."""
    return int(request.args.get("limit", LISTED))


def asked_place() -> Place | None:
    """Return after which place the page begins, None for the first. Raises Refusal (400)."""
    text = request.args.get("cursor", "")
    if not text:
        return None
    try:
        place = json.loads(urlsafe_b64decode(text.encode("ascii")))
    except (ValueError, RecursionError) as error:
        raise _bad_cursor() from error
    if not isinstance(place, list) or not place or not all(type(part) in (int, str) for part in place):
        raise _bad_cursor()
    return tuple(place)


def asked_number() -> int | None:
    """Return below which number a page begins that is read backwards, None for the first. Raises Refusal (400)."""
    place = asked_place()
    if place is None:
        return None
    if len(place) != 1 or not isinstance(place[0], int) or not -MOST_NUMBER <= place[0] < 0:
        raise _bad_cursor()
    return -place[0]


def cursor_at(place: Place) -> str:
    """Return the cursor of the page after a place."""
    return urlsafe_b64encode(json.dumps(place).encode()).decode()


def _bad_cursor() -> Exception:
    return refuse(400, "bad-cursor", "The cursor is not one of this list; leave it out for the first page.")
