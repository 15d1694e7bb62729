"""What documents say no more when a person is forgotten (SPEC 10.5): who it was; that there was a call stays counted.

Fields with the person's number are blanked, not hashed: nothing may tie the calls of the person together afterwards. So
totals stay as they were, but for what counts persons (unique callers, first calls without a repeat).
"""

from collections.abc import Collection
from typing import Any, Final

from services.stats.domain.call_log import RECORDINGS
from services.stats.domain.facts.kept import CALLBACKS, CALLS, FACTS, HAPPENINGS, Fields
from services.stats.domain.facts.legs import LEGS
from services.stats.domain.trace import FIELD as TRACE

BLANK: Final = ""
NAMING: Final[dict[str, tuple[str, ...]]] = {
    CALLS: ("client", "to_number"),
    CALLBACKS: ("number",),
    HAPPENINGS: ("client",),
    LEGS: ("caller", "callee"),
}
"""Fields of each collection's facts in which a person's number may stand; a happening is a fact by itself."""
CALLER: Final = "caller_number"
"""Of a call's document."""
_BESIDE: Final[dict[str, tuple[str, ...]]] = {CALLS: ("client_name",), LEGS: ("sip_call_id",)}
"""What else says who it was, in a fact that names the person."""
_LONGEST_RATING: Final = 4


def without_person(collection: str, document: dict[str, Any], numbers: Collection[str]) -> Fields:
    """Return the fields to set, None to remove; empty where the person is not in the document."""
    if collection == HAPPENINGS:
        return {"client": BLANK} if document.get("client") in numbers else {}
    facts: dict[str, Fields] = document.get(FACTS, {})
    fields: Fields = {}
    for place, fact in facts.items():
        fields |= {f"{FACTS}.{place}.{name}": BLANK for name in _named(collection, fact, numbers)}
    is_own_call = collection == CALLS and (
        document.get(CALLER) in numbers or any(fact.get("client") in numbers for fact in facts.values())
    )
    return fields | (_own_call(document, facts) if is_own_call else {})


def _named(collection: str, fact: Fields, numbers: Collection[str]) -> list[str]:
    names = [name for name in NAMING[collection] if fact.get(name) in numbers]
    if not names or names == ["to_number"]:
        return names
    return names + [name for name in _BESIDE.get(collection, ()) if fact.get(name)]


def _own_call(document: dict[str, Any], facts: dict[str, Fields]) -> Fields:
    """Return what goes from a call of the person.

    The trace tells what was pressed and looked up, a key may have the number in its name, an answer may be any text.
    """
    fields: Fields = {CALLER: BLANK} if document.get(CALLER) else {}
    if document.get(TRACE):
        fields[TRACE] = None
    fields |= {
        f"{RECORDINGS}.{name}.key": BLANK for name, one in document.get(RECORDINGS, {}).items() if one.get("key")
    }
    for place, fact in facts.items():
        answers = fact.get("answers")
        kept = [[name, value if _says_no_more(name, value) else BLANK] for name, value in answers or ()]
        if answers and kept != [list(each) for each in answers]:
            fields[f"{FACTS}.{place}.answers"] = kept
    return fields


def _says_no_more(name: str, value: str) -> bool:
    """Whether an answer is the company's own word or a rating, not the person's text."""
    return name == "disposition" or (value.isascii() and value.isdigit() and len(value) <= _LONGEST_RATING)
