"""What a try can meet, told to people in two languages. The log keeps one sentence in English."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final

LANGUAGES: Final = ("en", "uk")
OTHER: Final = "other"
"""The code of a sentence that is not in the table: it is shown as it is."""
MOST_KNOWN: Final = 4_096
_PLACE = re.compile(r"\{(\w+)(?::([^{}]+))?\}")


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of trouble."""

    code: str
    pattern: re.Pattern[str]
    words: Mapping[str, str]
    """By language, with places in braces."""
    advice: Mapping[str, str] = field(default_factory=dict)
    """What helps, by language; nothing where nothing but waiting does."""


@dataclass(frozen=True, slots=True)
class Trouble:
    """A sentence of the log as people are told it."""

    code: str
    words: Mapping[str, str]
    advice: Mapping[str, str]

    def told(self, *, with_advice: bool = False) -> dict[str, Any]:
        """Return it as JSON: `code`, the sentence by language, and in `do` what helps where that is asked for."""
        return {"code": self.code, **self.words} | ({"do": dict(self.advice)} if with_advice and self.advice else {})


class Troubles:
    """All kinds, in the order in which they are looked for."""

    def __init__(self, kinds: Iterable[Kind]) -> None:
        self._kinds = tuple(kinds)
        self.of = lru_cache(maxsize=MOST_KNOWN)(self._of)

    @property
    def codes(self) -> list[str]:
        """All codes."""
        return [kind.code for kind in self._kinds]

    def _of(self, text: str) -> Trouble:
        """Return what a sentence of the log is."""
        for kind in self._kinds:
            found = kind.pattern.fullmatch(text)
            if found is not None:
                return Trouble(kind.code, self._filled(kind, found.groupdict()), kind.advice)
        return Trouble(OTHER, dict.fromkeys(LANGUAGES, text), {})

    def _filled(self, kind: Kind, values: Mapping[str, str]) -> dict[str, str]:
        """Fill each language's places; a value that is a sentence of the table itself is told in that language too."""
        inner = {name: self._of(value).words for name, value in values.items()}
        return {
            language: _PLACE.sub(lambda place, spoken=language: inner[place[1]][spoken], words)  # type: ignore[misc]  # mypy can't see the default
            for language, words in kind.words.items()
        }


def kind_of(code: str, entry: Mapping[str, Any]) -> Kind:
    """Return a kind as the table has it: `said`, `uk`, and where they are there `en` and `do`."""
    said = str(entry["said"])
    plain = _PLACE.sub(lambda place: f"{{{place[1]}}}", said)
    words = {"en": str(entry.get("en", plain)), "uk": str(entry["uk"])}
    return Kind(code, _pattern(said), words, dict(entry.get("do", {})))


def _pattern(said: str) -> re.Pattern[str]:
    """Return what matches a sentence; a place is some text of one line, or what is behind its colon."""
    parts, at = [], 0
    for place in _PLACE.finditer(said):
        parts += [re.escape(said[at : place.start()]), f"(?P<{place[1]}>{place[2] or '.+'})"]
        at = place.end()
    return re.compile("".join([*parts, re.escape(said[at:])]))
