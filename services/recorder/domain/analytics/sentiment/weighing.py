"""The feeling in one utterance: its words' weights, turned round by negation, made stronger or weaker, and summed."""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from services.recorder.domain.analytics.phrases import Heard
from services.recorder.domain.analytics.sentiment.english import ENGLISH
from services.recorder.domain.analytics.sentiment.lexicon import Lexicon
from services.recorder.domain.analytics.sentiment.russian import RUSSIAN
from services.recorder.domain.analytics.sentiment.ukrainian import UKRAINIAN

METHOD: Final = "lexicon/1"
"""How a score was found, as documents tell it. The number rises when the same words may weigh something else."""
LEXICONS: Final = {lexicon.language: lexicon for lexicon in (UKRAINIAN, RUSSIAN, ENGLISH)}
CLEAR: Final = 0.25
"""A score nearer to 0 is no feeling: a single thank-you says nothing."""
COURTESY: Final = 0.5
NOT_FULFILLED: Final = -2.0
NOT_GOOD, NOT_BAD = -0.8, -0.4
"""«Не добре» is bad; «не погано» is only a little good."""
STRONGER, WEAKER = 1.5, 0.6
MARK_REACH: Final = 2
HALF: Final = 6.0
"""Weights that sum to the root of it make 0.71: one strong word is a clear score, and ten make no more than 1."""
_STOPS: Final = frozenset(",.!?;:…")


@dataclass(frozen=True, slots=True)
class Part:
    """Words from `first` to `last` that weigh something, as the lexicon lists them."""

    first: int
    last: int
    weight: float
    name: str
    is_fixed: bool = False
    """Nothing turns it round."""
    is_courtesy: bool = False


@dataclass(frozen=True, slots=True)
class Weighed:
    """A score, -1 to 1, and what it was found by: dictionary forms with what they weighed here."""

    score: float
    found: tuple[tuple[str, float], ...]


def lexicon_of(language: str) -> Lexicon | None:
    """Return the lexicon of a language, BCP 47; None for one that has none."""
    return LEXICONS.get(language.partition("-")[0].lower())


def weigh(said: Sequence[Heard], lexicon: Lexicon) -> Weighed:
    """Weigh an utterance."""
    parts = _with_one_courtesy(_parts(said, lexicon))
    taken = {place for part in parts if part.last > part.first for place in range(part.first, part.last + 1)}
    found = [(part.name, round(weight, 1)) for part in parts if (weight := _in_place(part, said, lexicon, taken))]
    total = sum(weight for _, weight in found)
    return Weighed(round(total / math.sqrt(total * total + HALF), 3), tuple(found))


def _parts(said: Sequence[Heard], lexicon: Lexicon) -> Iterator[Part]:
    at = 0
    while at < len(said):
        part = _phrase_at(said, at, lexicon) or _word_at(said, at, lexicon)
        if part is not None:
            yield part
        at = part.last + 1 if part is not None else at + 1


def _with_one_courtesy(parts: Iterable[Part]) -> list[Part]:
    """Leave out all courtesies but the first: «спасибі, дуже прошу» is no more than a thank-you."""
    kept: list[Part] = []
    for part in parts:
        if not (part.is_courtesy and any(one.is_courtesy for one in kept)):
            kept.append(part)
    return kept


def _phrase_at(said: Sequence[Heard], at: int, lexicon: Lexicon) -> Part | None:
    for form in said[at].lemmas:
        for words, weight in lexicon.long.get(form, ()):
            heard = said[at : at + len(words)]
            fits = zip(words, heard, strict=False)
            if len(heard) == len(words) and all(wanted.intersection(one.lemmas) for wanted, one in fits):
                return Part(at, at + len(words) - 1, weight, " ".join(one.lemmas[0] for one in heard), is_fixed=True)
    return None


def _word_at(said: Sequence[Heard], at: int, lexicon: Lexicon) -> Part | None:
    word = said[at]
    if not word.lemmas:
        return None
    if _is(word, "courtesies", lexicon):
        return Part(at, at, COURTESY, word.lemmas[0], is_fixed=True, is_courtesy=True)
    weight = lexicon.weight_of(word.lemmas)
    return Part(at, at, weight, word.lemmas[0]) if weight or _is(word, "hoped", lexicon) else None


def _in_place(part: Part, said: Sequence[Heard], lexicon: Lexicon, taken: set[int]) -> float:
    """Return what a part weighs among its neighbours."""
    weight = part.weight
    if not part.is_fixed and _is_negated(part, said, lexicon, taken):
        if _is(said[part.first], "hoped", lexicon):
            return NOT_FULFILLED
        weight *= NOT_GOOD if weight > 0 else NOT_BAD
    for place in _before(part.first, MARK_REACH, said, lexicon):
        weight *= STRONGER if _is(said[place], "stronger", lexicon) else 1.0
        weight *= WEAKER if _is(said[place], "weaker", lexicon) else 1.0
    return weight


def _is_negated(part: Part, said: Sequence[Heard], lexicon: Lexicon, taken: set[int]) -> bool:
    longest = max(lexicon.reaches.values())
    before = [place for place in _before(part.first, longest, said, lexicon) if place not in taken]
    if any(part.first - place <= lexicon.reaches.get(said[place].text, 0) for place in before):
        return True
    near = [place for place in before if part.first - place <= MARK_REACH]
    near += _behind(part.last, MARK_REACH, said, lexicon)
    return any(_is(said[place], "absences", lexicon) for place in near)


def _before(at: int, reach: int, said: Sequence[Heard], lexicon: Lexicon) -> list[int]:
    """Return the places just before, the nearest first, as far as the same clause goes."""
    places: list[int] = []
    for place in range(at - 1, max(-1, at - 1 - reach), -1):
        if _ends_clause(said[place]) or _is(said[place], "breaks", lexicon):
            break
        places.append(place)
    return places


def _behind(at: int, reach: int, said: Sequence[Heard], lexicon: Lexicon) -> list[int]:
    places: list[int] = []
    for place in range(at + 1, min(len(said), at + 1 + reach)):
        if _ends_clause(said[place - 1]) or _is(said[place], "breaks", lexicon):
            break
        places.append(place)
    return places


def _ends_clause(word: Heard) -> bool:
    return word.word.text[-1:] in _STOPS


def _is(word: Heard, mark: str, lexicon: Lexicon) -> bool:
    return not lexicon.marks[mark].isdisjoint(word.lemmas[:1])
