"""Words in the form that a dictionary lists: Ukrainian and Russian by pymorphy3, others by Snowball's stemmers.

«Замовлення» and «замовленням», «refund» and «refunds» are one word to a rule and to a search. A form may belong to
several words; then it stands for all of them, the likelier first.
"""

from collections.abc import Iterator
from functools import lru_cache
from typing import Any, Final

import pymorphy3
import snowballstemmer

from services.recorder.domain.transcript.numerals import plain

MOST_LEMMAS: Final = 3
_ANALYSED: Final = frozenset({"uk", "ru"})
_STEMMED: Final = {"en": "english", "de": "german", "fr": "french", "es": "spanish", "it": "italian", "pl": "polish"}
UNKNOWN: Final = "und"


def lemmas(word: str, language: str) -> tuple[str, ...]:
    """Return the words that a form may belong to, at least one; empty for what is no word. `language` is BCP 47."""
    text = plain(word)
    return _lemmas(text, language.partition("-")[0].lower()) if any(map(str.isalnum, text)) else ()


@lru_cache(maxsize=65_536)
def _lemmas(text: str, language: str) -> tuple[str, ...]:
    if language in _ANALYSED:
        forms = [parse.normal_form.replace("ё", "е") for parse in _analyser(language).parse(text)]
        return tuple(dict.fromkeys(forms))[:MOST_LEMMAS] or (text,)
    if language in _STEMMED:
        return (_stemmer(_STEMMED[language]).stemWord(text.replace("'s", "")),)
    return (text,)


@lru_cache(maxsize=4)
def _analyser(language: str) -> Any:
    """Load a dictionary: 0.1 s and 15 MB each, at its first word."""
    return pymorphy3.MorphAnalyzer(lang=language)


@lru_cache(maxsize=16)
def _stemmer(name: str) -> Any:
    return snowballstemmer.stemmer(name)


def languages_of(text: str) -> Iterator[str]:
    """Yield the languages that a text may be in, by its letters: what somebody types names none."""
    letters = set(plain(text))
    if letters & set("абвгдежзийклмнопрстуфхцчшщьюяіїєґыэъ"):
        if not letters & set("ыэъ"):
            yield "uk"
        if not letters & set("іїєґ'"):
            yield "ru"
    else:
        yield from ("en", UNKNOWN)
