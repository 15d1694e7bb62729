"""One entry of a tenant's document at a time: found, put in, taken out (SPEC 7.4)."""

from typing import Any, Final

Document = dict[str, Any]

KEYS: Final = {"rules": "rule_id", "webhooks": "endpoint_id"}
"""The lists whose entries can be changed one by one, and what tells the entries apart."""


def entry_of(document: Document, part: str, entry_id: str) -> Document | None:
    """Return an entry, None where there is none."""
    return next((one for one in document.get(part, ()) if one.get(KEYS[part]) == entry_id), None)


def with_entry(document: Document, part: str, entry_id: str, entry: Document | None) -> Document:
    """Return a document in which an entry stands as given, at its old place or the end; None takes it out."""
    entries = list(document.get(part, ()))
    place = next((index for index, one in enumerate(entries) if one.get(KEYS[part]) == entry_id), len(entries))
    entries[place : place + 1] = [] if entry is None else [entry]
    changed = {name: value for name, value in document.items() if name != part}
    return changed | ({part: entries} if entries else {})


def place_of(document: Document, part: str, entry_id: str) -> str:
    """Return where an entry stands, as faults name it: `rules[3]`; empty where there is none."""
    for index, one in enumerate(document.get(part, ())):
        if one.get(KEYS[part]) == entry_id:
            return f"{part}[{index}]"
    return ""


def within(path: str, place: str) -> str:
    """Return what a path names inside of an entry: `condition` for `rules[3].condition`; empty for what is outside."""
    return path.removeprefix(place).removeprefix(".") if place and path.startswith((f"{place}.", f"{place}[")) else ""
