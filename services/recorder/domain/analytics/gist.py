"""A talk in a few of its own sentences (SPEC 7.5: what a CRM is told of a call that was written down).

Sentences are chosen, none is written: those whose words the talk comes back to (Luhn 1958, by dictionary forms), the
customer's before the agent's, and the beginning before the rest, for there somebody says why he calls. Greetings and
thanks say nothing. The words are those of the transcript, so what policy takes out is not in it.
"""

import math
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from services.recorder.domain.analytics.morphology import lemmas
from services.recorder.domain.transcript.transcript import Speaker, Transcript

MOST_SENTENCES: Final = 3
MOST_SIGNS: Final = 600
LEAST_WORDS: Final = 4
"""Of its own: a sentence with fewer words that say something is an answer, not a matter."""
MOST_WORDS: Final = 40
CUSTOMERS: Final = 1.5
"""How much more a customer's sentence weighs."""
OPENING: Final = 1.5
"""How much more a sentence of the talk's first third weighs."""
ALIKE: Final = 0.6
"""A sentence that shares so much of its words with a chosen one says the same."""
_END: Final = re.compile(r"[.?!…]+$")
_SHORT: Final = 3
# What people say in any talk; in dictionary form, of more than _SHORT letters.
_COMMON: Final = frozenset(
    (
        *("добрий", "день", "ранок", "вечір", "дякувати", "ласка", "будь", "добре", "гаразд", "зрозуміти", "слухати"),
        *(
            "бути",
            "мочі",
            "могти",
            "цей",
            "який",
            "весь",
            "тобто",
            "зараз",
            "хвилина",
            "вітати",
            "щось",
            "коли",
            "дуже",
        ),
        *("добрый", "утро", "вечер", "спасибо", "благодарить", "пожалуйста", "хорошо", "понятный", "понять", "слушать"),
        *("быть", "мочь", "этот", "который", "весь", "сейчас", "минута", "здравствуйте", "когда", "очень", "если"),
        *(
            "hello",
            "good",
            "morn",
            "afternoon",
            "even",
            "thank",
            "pleas",
            "yes",
            "okay",
            "right",
            "sure",
            "fine",
            "have",
        ),
        *("this", "that", "what", "with", "your", "will", "would", "could", "there", "from", "just", "well", "been"),
    )
)


@dataclass(frozen=True, slots=True)
class Sentence:
    """One sentence of a talk, and the words of it that say something."""

    speaker: Speaker
    text: str
    words: frozenset[str]
    place: float
    """Where in the talk, 0 to 1."""


def gist_of(transcript: Transcript) -> str:
    """Return up to MOST_SENTENCES sentences in the talk's order, each with who says it; empty for a talk of nothing."""
    sentences = list(sentences_of(transcript))
    often = Counter(word for one in sentences for word in one.words)
    ranked = sorted(sentences, key=lambda one: (-_weight(one, often), one.place))
    chosen: list[Sentence] = []
    for one in ranked:
        is_new = all(len(one.words & other.words) < ALIKE * len(one.words) for other in chosen)
        if len(chosen) < MOST_SENTENCES and len(one.words) >= LEAST_WORDS and is_new:
            chosen.append(one)
    told = [f"{one.speaker.value}: {one.text}" for one in sorted(chosen, key=lambda one: one.place)]
    return _bounded(told)


def sentences_of(transcript: Transcript) -> Iterator[Sentence]:
    """Yield the talk's sentences; where nobody puts full stops, a turn is cut after MOST_WORDS."""
    languages = {track.speaker: track.language for track in transcript.tracks}
    whole_ms = max(1, transcript.subject.duration_ms)
    for turn in transcript.turns:
        language, held = languages.get(turn.speaker, ""), list[str]()
        for word in turn.words:
            held.append(word.text)
            if _END.search(word.text) or len(held) >= MOST_WORDS or word is turn.words[-1]:
                words = frozenset(_telling(held, language))
                yield Sentence(turn.speaker, " ".join(held), words, word.start_ms / whole_ms)
                held = []


def _telling(texts: list[str], language: str) -> Iterator[str]:
    for text in texts:
        forms = lemmas(text, language)
        if forms and len(forms[0]) > _SHORT and not _COMMON.intersection(forms):
            yield forms[0]


def _weight(one: Sentence, often: Counter[str]) -> float:
    if not one.words:
        return 0.0
    # By the root of the length: neither the longest nor the shortest wins for that alone.
    weight = sum(often[word] for word in one.words) / math.sqrt(len(one.words))
    weight *= CUSTOMERS if one.speaker is Speaker.CUSTOMER else 1.0
    return weight * (OPENING if one.place < 1 / 3 else 1.0)


def _bounded(told: list[str]) -> str:
    text = " | ".join(told)
    return text if len(text) <= MOST_SIGNS else text[: MOST_SIGNS - 1].rsplit(" ", 1)[0] + "…"
