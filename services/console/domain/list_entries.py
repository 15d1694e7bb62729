"""A person's entries in a company's lists: all go, but those of black lists, which keep the person from calling."""

from collections.abc import Collection, Iterator
from typing import Any

Document = dict[str, Any]


def without(document: Document, numbers: Collection[str]) -> tuple[Document, int]:
    """Return a document without a person's own entries, and how many they were; beginnings of numbers stay."""
    kept_lists = black_lists(document)
    struck, lists = 0, []
    for one in document.get("lists", ()):
        left = [entry for entry in one["numbers"] if entry not in numbers or one["list_id"] in kept_lists]
        struck += len(one["numbers"]) - len(left)
        lists.append({**one, "numbers": left})
    return ({**document, "lists": lists} if struck else document), struck


def kept_in(document: Document, numbers: Collection[str]) -> list[str]:
    """Return the black lists in which a person stands."""
    black = black_lists(document)
    found = (one for one in document.get("lists", ()) if one["list_id"] in black)
    return sorted(one["list_id"] for one in found if any(entry in numbers for entry in one["numbers"]))


def black_lists(document: Document) -> frozenset[str]:
    """Return the lists by which a company refuses callers, or does not dial them."""
    return frozenset(_named(document))


def _named(document: Document) -> Iterator[str]:
    yield from document.get("black_lists", ())
    for queue in document.get("queues", ()):
        yield from queue.get("black_lists", ())
        yield from queue.get("callbacks", {}).get("black_lists", ())
