"""Texts of a document with places to fill: `Your order {vars.order} is on its way`.

There is nothing in it but names: no attribute, no loop, no call. So a hostile text takes time and memory linear in its
length, and what is filled in is never read as a template again.
"""

import re
from collections.abc import Mapping
from typing import Final

from services.shared.expressions import Value
from services.shared.sentence import sentence

MAX_CHARACTERS: Final = 1_000
MAX_PLACES: Final = 50
MAX_RESULT: Final = 2_000
"""A filled text is cut there."""

_PLACE: Final = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[{}]")


class BadTemplate(ValueError):
    """The text is no template: the author's fault, said in one sentence."""

    def __init__(self, template: str, /, **values: object) -> None:
        self.sentence = sentence(template, **values)
        super().__init__(self.sentence)


class Template:
    """One text, parsed once. Immutable."""

    __slots__ = ("_literals", "names")

    def __init__(self, text: str, known: frozenset[str]) -> None:
        """Parse; `{{` and `}}` are braces. Raises BadTemplate for a name that is not known."""
        if len(text) > MAX_CHARACTERS:
            raise BadTemplate("The text is longer than {most} characters; make it shorter.", most=MAX_CHARACTERS)
        literals, names, literal, at = [], [], "", 0
        for match in _PLACE.finditer(text):
            literal += text[at : match.start()]
            at = match.end()
            if match.group() in ("{{", "}}"):
                literal += match.group()[0]
                continue
            name = match.group(1)
            if name is None:
                raise BadTemplate("Character {at} is a single brace; write it twice.", at=match.start() + 1)
            if name.strip() not in known:
                all_known, place = ", ".join(sorted(known)), name.strip()[:64]
                raise BadTemplate("There is no {{{place}}}; known are {known}.", place=place, known=all_known)
            literals.append(literal)
            names.append(name.strip())
            literal = ""
        if len(names) > MAX_PLACES:
            raise BadTemplate("The text has more than {most} places to fill; make it shorter.", most=MAX_PLACES)
        self._literals = (*literals, literal + text[at:])
        self.names = tuple(names)

    def filled(self, values: Mapping[str, Value]) -> str:
        """Return the text with its places filled; what has no value is left empty."""
        text = self._literals[0]
        for name, literal in zip(self.names, self._literals[1:], strict=True):
            text += _shown(values.get(name, "")) + literal
            if len(text) > MAX_RESULT:
                break
        return text[:MAX_RESULT]


def _shown(value: Value) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)
