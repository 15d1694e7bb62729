"""How a talk felt: each utterance, each speaker, and how it went from the beginning to the end.

A speaker's score is the mean of the utterances that say something of feeling; who says nothing of the kind has none.
A talk is told in thirds of the recording, so that one that began badly and ended well is seen to have done so.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from itertools import pairwise
from typing import Any, Final

from services.recorder.domain.analytics.phrases import Heard, heard
from services.recorder.domain.analytics.sentiment.weighing import CLEAR, METHOD, Weighed, lexicon_of, weigh
from services.recorder.domain.transcript.transcript import Speaker, Transcript, Turn

PAUSE_MS: Final = 700
"""Who pauses for so long begins a new utterance: not every recogniser writes full stops."""
MOST_WORDS: Final = 30
THIRDS: Final = 3
_ENDS: Final = (".", "!", "?", "…")


@dataclass(frozen=True, slots=True)
class Utterance:
    """Something that was said at once, with its feeling."""

    speaker: Speaker
    start_ms: int
    end_ms: int
    weighed: Weighed

    @property
    def is_clear(self) -> bool:
        """Whether it says something of feeling."""
        return abs(self.weighed.score) >= CLEAR


@dataclass(frozen=True, slots=True)
class Feeling:
    """Of one speaker. Scores are -1 to 1, None where nothing of feeling was said."""

    score: float | None
    thirds: tuple[float | None, ...]
    utterances: int
    negative: int
    positive: int

    @property
    def change(self) -> float | None:
        """From the first third that has a score to the last one that has: above 0 it got better."""
        told = [score for score in self.thirds if score is not None]
        return told[-1] - told[0] if len(told) > 1 else None


class Part(Enum):
    """A part of a talk."""

    WHOLE = "whole"
    FIRST = "first_third"
    MIDDLE = "middle_third"
    LAST = "last_third"


@dataclass(frozen=True, slots=True)
class Sentiment:
    """Of a whole talk: the speakers that are in a language with a lexicon, and their utterances in order."""

    duration_ms: int
    sides: Mapping[Speaker, Feeling]
    utterances: tuple[Utterance, ...]

    def score(self, speaker: Speaker, part: Part = Part.WHOLE) -> float | None:
        """Return a speaker's score in a part of the talk; None where there is none."""
        side = self.sides.get(speaker)
        if side is None or part is Part.WHOLE:
            return side.score if side else None
        return side.thirds[(Part.FIRST, Part.MIDDLE, Part.LAST).index(part)]

    def at(self, speaker: Speaker, at_ms: int) -> float:
        """Return the score of what a speaker was saying at a moment; 0 where that says nothing of feeling."""
        said = (one for one in self.utterances if one.speaker is speaker and one.start_ms <= at_ms <= one.end_ms)
        return next((one.weighed.score for one in said), 0.0)


def sentiment_of(transcript: Transcript) -> Sentiment:
    """Return how a talk felt."""
    lexicons = {track.speaker: lexicon_of(track.language) for track in transcript.tracks}
    languages = {track.speaker: track.language for track in transcript.tracks}
    found = [
        Utterance(turn.speaker, said[0].word.start_ms, said[-1].word.end_ms, weigh(said, lexicon))
        for turn in transcript.turns
        if (lexicon := lexicons.get(turn.speaker)) is not None
        for said in _utterances(turn, languages[turn.speaker])
    ]
    duration_ms = transcript.subject.duration_ms
    sides = {
        speaker: _feeling([one for one in found if one.speaker is speaker], duration_ms)
        for speaker, lexicon in lexicons.items()
        if lexicon is not None
    }
    return Sentiment(duration_ms, sides, tuple(sorted(found, key=lambda one: (one.start_ms, one.speaker.value))))


def _utterances(turn: Turn, language: str) -> Iterator[Sequence[Heard]]:
    """Cut a turn at full stops and pauses."""
    said = heard(turn.words, language)
    begin = 0
    for at, (word, following) in enumerate(pairwise(said), 1):
        pause_ms = following.word.start_ms - word.word.end_ms
        if word.word.text.endswith(_ENDS) or pause_ms >= PAUSE_MS or at - begin >= MOST_WORDS:
            yield said[begin:at]
            begin = at
    yield said[begin:]


def _feeling(utterances: Sequence[Utterance], duration_ms: int) -> Feeling:
    clear = [one for one in utterances if one.is_clear]
    thirds = [[one for one in clear if _third(one, duration_ms) == number] for number in range(THIRDS)]
    return Feeling(
        _mean(clear),
        tuple(_mean(some) for some in thirds),
        len(utterances),
        sum(one.weighed.score < 0 for one in clear),
        sum(one.weighed.score > 0 for one in clear),
    )


def _third(utterance: Utterance, duration_ms: int) -> int:
    middle_ms = (utterance.start_ms + utterance.end_ms) / 2
    return min(THIRDS - 1, int(THIRDS * middle_ms / duration_ms)) if duration_ms else 0


def _mean(utterances: Sequence[Utterance]) -> float | None:
    return sum(one.weighed.score for one in utterances) / len(utterances) if utterances else None


def to_document(sentiment: Sentiment) -> dict[str, Any]:
    """Return a talk's feeling as a transcript's document tells it; only utterances that say something of it."""
    return {
        "method": METHOD,
        **{speaker.value: _side(sentiment.sides.get(speaker)) for speaker in Speaker},
        "utterances": [
            {
                "speaker": one.speaker.value,
                "start_ms": one.start_ms,
                "end_ms": one.end_ms,
                "score": _rounded(one.weighed.score),
                "found": [list(word) for word in one.weighed.found],
            }
            for one in sentiment.utterances
            if one.is_clear
        ],
    }


def _side(feeling: Feeling | None) -> dict[str, Any] | None:
    """Return one speaker's; None for who was not written down, or speaks a language without a lexicon."""
    if feeling is None:
        return None
    return {
        "score": _rounded(feeling.score),
        "thirds": [_rounded(score) for score in feeling.thirds],
        "change": _rounded(feeling.change),
        "utterances": feeling.utterances,
        "negative": feeling.negative,
        "positive": feeling.positive,
    }


def _rounded(score: float | None) -> float | None:
    return None if score is None else round(score, 2)
