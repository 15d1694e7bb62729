"""Payload templates: JSON whose texts hold {{data.line}} where a value of the event goes.

Values are put into the document, not into its text: whatever a caller is named, the result stays JSON, and there is no
program in a template that could loop or look at anything but the event. A template may be hostile all the same: its
nesting, its places and its result are bounded, so that it takes time and memory of known measure from nobody else.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final

import orjson

from services.shared.sentence import sentence

MAX_TEMPLATE: Final = 16_384
MAX_DEPTH: Final = 32
MAX_PLACES: Final = 500
MAX_FILLED: Final = 262_144
"""Signs of the values that fill one template's places, all together."""
MOST_DIGITS: Final = 9
"""Of an entry's number in a list: Python refuses to read some thousands of them."""
_PLACE: Final = re.compile(r"\{\{\s*([A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z0-9_]+)*)\s*\}\}", re.ASCII)


class BadTemplate(ValueError):
    """A template is no JSON, or larger than its bounds. Documents with one are refused before they come here."""

    def __init__(self, template: str, /, **values: object) -> None:
        self.sentence = sentence(template, **values)
        super().__init__(self.sentence)


class FilledTooLong(ValueError):
    """What a template and an event make together is longer than MAX_FILLED: nothing of it is sent."""


@lru_cache(maxsize=1024)
def template_of(text: str) -> Any:
    """Read a template; raise BadTemplate."""
    if len(text) > MAX_TEMPLATE:
        raise BadTemplate("is longer than {most} signs: make it shorter.", most=MAX_TEMPLATE)
    try:
        template = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        words = 'must be JSON with places like "{{{{data.line}}}}" inside its texts: {why}.'
        raise BadTemplate(words, why=error) from error
    if len(_PLACE.findall(text)) > MAX_PLACES:
        raise BadTemplate("has more than {most} places to fill: leave some out.", most=MAX_PLACES)
    _check_depth(template, MAX_DEPTH)
    return template


def places_of(text: str) -> frozenset[str]:
    """Return what a template's places name, as `data.line`."""
    return frozenset(_PLACE.findall(text))


def filled(template: Any, document: Mapping[str, Any]) -> Any:
    """Return the template with the document's values. Raises FilledTooLong.

    A text that is one place alone becomes the value itself, a number or a list too; among other words it becomes text.
    What the document does not have is null, or nothing among other words.
    """
    return _Filling(document).of(template)


@dataclass(slots=True)
class _Filling:
    """One filling of a template. Counts what it has put in, before it is copied anywhere."""

    document: Mapping[str, Any]
    left: int = MAX_FILLED
    known: dict[str, Any] = field(default_factory=dict)
    """The values that were looked up, by their paths: a template may name one five hundred times."""

    def of(self, part: Any) -> Any:
        if isinstance(part, str):
            return self._text(part)
        if isinstance(part, list):
            return [self.of(entry) for entry in part]
        if isinstance(part, dict):
            return {name: self.of(entry) for name, entry in part.items()}
        return part

    def _text(self, text: str) -> Any:
        if "{{" not in text:
            return text
        if alone := _PLACE.fullmatch(text):
            value = self._value(alone[1])
            self._spend(len(value) if isinstance(value, str) else len(orjson.dumps(value)))
            return value
        return _PLACE.sub(lambda place: self._as_text(self._value(place[1])), text)

    def _value(self, path: str) -> Any:
        if path not in self.known:
            self.known[path] = _value(path, self.document)
        return self.known[path]

    def _as_text(self, value: Any) -> str:
        if value is None:
            return ""
        text = value if isinstance(value, str) else orjson.dumps(value).decode()
        self._spend(len(text))
        return text

    def _spend(self, signs: int) -> None:
        self.left -= signs
        if self.left < 0:
            raise FilledTooLong(f"the template's places would hold more than {MAX_FILLED} signs of this event")


def _check_depth(part: Any, left: int) -> None:
    """Refuse what nests too deep; bounded itself, and the parser has a bound of its own before it."""
    if left < 0:
        raise BadTemplate("nests deeper than {most}: make it flatter.", most=MAX_DEPTH)
    entries = part.values() if isinstance(part, dict) else part if isinstance(part, list) else ()
    for entry in entries:
        _check_depth(entry, left - 1)


def _value(path: str, document: Any) -> Any:
    for name in path.split("."):
        if isinstance(document, list) and name.isdigit() and len(name) <= MOST_DIGITS and int(name) < len(document):
            document = document[int(name)]
        elif isinstance(document, Mapping) and name in document:
            document = document[name]
        else:
            return None
    return document
