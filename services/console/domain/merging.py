"""A file and a page change one document: what of each is in force (ADR 35).

Three states of each rule and endpoint are held against each other, as `kubectl apply` does: as the file has it, as the
file had it when it was applied last, and as it is in force.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from services.console.domain.parts import KEYS

Document = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Entry:
    """One rule or endpoint: `rules[late]`."""

    part: str
    entry_id: str

    def __str__(self) -> str:
        return f"{self.part}[{self.entry_id}]"


@dataclass(frozen=True, slots=True)
class Merged:
    """What a file comes to. `kept` are entries as the page has them, `clashes` those that both have changed."""

    document: Document
    kept: tuple[Entry, ...]
    clashes: tuple[Entry, ...]


def parts_of(document: Mapping[str, Any]) -> Document:
    """Return the lists whose entries can be changed one by one."""
    return {part: list(document.get(part, ())) for part in KEYS}


def merged(file: Document, former: Mapping[str, Any], in_force: Mapping[str, Any]) -> Merged:
    """Put a file upon what is in force. `former` are the file's own parts when it was applied last.

    An entry that the file has not touched since stays as the page has made it, or taken it out; one that the page has
    not touched is the file's.
    """
    document, kept, clashes = dict(file), list[Entry](), list[Entry]()
    for part, key in KEYS.items():
        ours, before, theirs = (_by_id(one.get(part, ()), key) for one in (file, former, in_force))
        entries = []
        for entry_id in [*ours, *(other for other in theirs if other not in ours)]:
            mine, base, now = ours.get(entry_id), before.get(entry_id), theirs.get(entry_id)
            if mine not in (base, now) and now != base:
                clashes.append(Entry(part, entry_id))
            takes_theirs = mine == base and now != mine
            if takes_theirs:
                kept.append(Entry(part, entry_id))
            entries.append(now if takes_theirs else mine)
        whole = [one for one in entries if one is not None]
        document.pop(part, None)
        if whole:
            document[part] = whole
    return Merged(document, tuple(kept), tuple(clashes))


def _by_id(entries: Any, key: str) -> dict[str, Document]:
    return {one[key]: one for one in entries}
