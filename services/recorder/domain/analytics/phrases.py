"""Finds phrases in what was said, in any form of their words and in spite of letters that were misheard."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from rapidfuzz import fuzz

from services.recorder.domain.analytics.morphology import lemmas
from services.recorder.domain.transcript.numerals import plain
from services.recorder.domain.transcript.words import Word

MOST_BETWEEN: Final = 1
"""So many other words may stand between two of a phrase: «повернути вам гроші»."""
SHORTEST_FUZZY: Final = 4
"""A shorter word has to be right: «так» and «там» differ by one letter."""


@dataclass(frozen=True, slots=True)
class Heard:
    """A word with what it may be a form of."""

    word: Word
    text: str
    lemmas: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Phrase:
    """A phrase to look for: of each word its text and what it may be a form of."""

    said: str
    words: tuple[tuple[str, frozenset[str]], ...]


@dataclass(frozen=True, slots=True)
class Found:
    """Where a phrase was said: words from `first` to `last`, and how alike they are, 0 to 100."""

    phrase: Phrase
    first: int
    last: int
    likeness: float


def heard(words: Iterable[Word], language: str) -> list[Heard]:
    """Return words with their dictionary forms; what was taken out matches nothing."""
    return [
        Heard(word, plain(word.text), ())
        if word.personal
        else Heard(word, plain(word.text), lemmas(word.text, language))
        for word in words
    ]


def phrase_of(text: str, language: str) -> Phrase:
    """Return a phrase as it is looked for in what was said in a language."""
    parts = [plain(part) for part in text.split()]
    return Phrase(text, tuple((part, frozenset(lemmas(part, language))) for part in parts if part))


def find(phrase: Phrase, said: Sequence[Heard], least: int) -> Iterator[Found]:
    """Yield the places where a phrase was said, none within another; each word at least `least` per cent alike."""
    at = 0
    while at < len(said):
        found = _match(phrase, said, at, least)
        if found is None:
            at += 1
        else:
            yield found
            at = found.last + 1


def _match(phrase: Phrase, said: Sequence[Heard], at: int, least: int) -> Found | None:
    if not phrase.words:
        return None
    total = 0.0
    place = at - 1
    for number, wanted in enumerate(phrase.words):
        reach = 1 if number == 0 else 1 + MOST_BETWEEN
        for step in range(1, reach + 1):
            alike = likeness(wanted, said[place + step], least) if place + step < len(said) else 0.0
            if alike >= least:
                total += alike
                place += step
                break
        else:
            return None
    return Found(phrase, at, place, total / len(phrase.words))


def likeness(wanted: tuple[str, frozenset[str]], said: Heard, least: int) -> float:
    """Return how alike a word that is looked for and one that was heard are, 0 to 100."""
    text, forms = wanted
    if not said.lemmas:
        return 0.0
    if forms.intersection(said.lemmas) or text == said.text:
        return 100.0
    if min(len(text), len(said.text)) < SHORTEST_FUZZY:
        return 0.0
    best = fuzz.ratio(text, said.text, score_cutoff=least)
    for form in forms:
        best = max(best, *(fuzz.ratio(form, lemma, score_cutoff=least) for lemma in said.lemmas))
    return best


LEAST_CHOICE: Final = 75.0
CLEARLY: Final = 5.0
"""A choice that fits only so much better than another is none: the caller is asked again."""


def closest(text: str, language: str, phrases: Sequence[str]) -> tuple[int, float] | None:
    """Return which of the phrases a short answer says, and how well it fits, 0 to 1; None when none or several do."""
    said = heard([Word(part, 0, 0, 1.0) for part in text.split()], language)
    fits = sorted(
        ((_fit(phrase_of(phrase, language), said), -place) for place, phrase in enumerate(phrases)), reverse=True
    )
    if not fits or fits[0][0] < LEAST_CHOICE:
        return None
    best, place = fits[0]
    if len(fits) > 1 and best - fits[1][0] < CLEARLY:
        return None
    return -place, best / 100


def _fit(phrase: Phrase, said: Sequence[Heard]) -> float:
    """Return the mean likeness of a phrase's words to the best of those that were said, in any order, 0 to 100."""
    best = [max((likeness(wanted, word, 0) for word in said), default=0.0) for wanted in phrase.words]
    return sum(best) / len(best) if best else 0.0
