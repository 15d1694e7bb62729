"""What a lexicon of feeling holds, and how it is looked up: by dictionary forms, so that every form of a word counts.

A word is written as its dictionary form, or as the beginning of one with a star: «жахлив*» is жахливий and жахливо.
Phrases stand between commas. The weights were set by hand for what people say to a company over the telephone.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from services.recorder.domain.analytics.morphology import lemmas
from services.recorder.domain.transcript.numerals import plain

STAR: Final = "*"
SHORTEST_STEM: Final = 3
Lemmas = frozenset[str]


@dataclass(frozen=True)
class Lexicon:
    """The words of one language; weights are -3 to 3."""

    language: str
    words: Mapping[float, str]
    phrases: Mapping[float, str]
    """Words that stand side by side; they go before words."""
    courtesies: str
    """Said out of politeness: they weigh little, and nothing negates them («ні, дякую»)."""
    hoped: str
    """What a customer counts on. It weighs nothing, but what does *not* work, arrive or answer weighs NOT_FULFILLED."""
    negators: Mapping[str, int]
    """Each with how many of the next words it turns round."""
    absences: str = ""
    """Words like «немає» and «вирішити»: they turn round what stands on either side of them («проблем немає»)."""
    stronger: str = ""
    weaker: str = ""
    breaks: str = ""
    """Words like "but": nothing reaches over them."""

    @cached_property
    def weights(self) -> dict[str, float]:
        """Weights by dictionary form."""
        return {form: weight for weight, words in self.words.items() for form in self._forms(words)}

    @cached_property
    def stems(self) -> dict[str, float]:
        """Weights by the beginning of a dictionary form."""
        return {
            word.removesuffix(STAR): weight
            for weight, words in self.words.items()
            for word in words.split()
            if word.endswith(STAR)
        }

    @cached_property
    def long(self) -> dict[str, list[tuple[tuple[Lemmas, ...], float]]]:
        """Phrases by each dictionary form of their first word: what each word may be, and the phrase's weight."""
        found: dict[str, list[tuple[tuple[Lemmas, ...], float]]] = {}
        for weight, phrases in self.phrases.items():
            for phrase in phrases.split(","):
                parts = tuple(frozenset(lemmas(word, self.language)) for word in phrase.split())
                for first in parts[0]:
                    found.setdefault(first, []).append((parts, weight))
        for entries in found.values():
            entries.sort(key=lambda entry: -len(entry[0]))
        return found

    @cached_property
    def marks(self) -> dict[str, Lemmas]:
        """The words that only change others, by what they do."""
        names = ("courtesies", "hoped", "absences", "stronger", "weaker", "breaks")
        return {name: frozenset(self._forms(getattr(self, name))) for name in names}

    @cached_property
    def reaches(self) -> dict[str, int]:
        """How far each negator reaches, by the word as it is said."""
        return {plain(word): reach for words, reach in self.negators.items() for word in words.split()}

    def weight_of(self, forms: Iterable[str]) -> float:
        """Return what a word weighs: of the likeliest of its dictionary forms that is listed; 0 for any other."""
        return next((weight for form in forms if (weight := self._weight(form))), 0.0)

    def _weight(self, form: str) -> float:
        if form in self.weights:
            return self.weights[form]
        beginnings = (form[:length] for length in range(len(form), SHORTEST_STEM - 1, -1))
        return next((self.stems[one] for one in beginnings if one in self.stems), 0.0)

    def _forms(self, words: str) -> Iterator[str]:
        for word in words.split():
            if not word.endswith(STAR):
                yield from lemmas(word, self.language)[:1]
