"""A rule's bounds of feeling (FeelingBounds): whether a score, a place and a talk lie within them."""

from typing import Final

from services.recorder.domain.analytics.sentiment.talk import THIRDS, Part, Sentiment
from services.recorder.domain.transcript.transcript import Speaker
from services.shared.contracts.ringmaster.v1 import tenant_pb2 as tn

_PARTS: Final = {
    tn.TALK_PART_FIRST_THIRD: Part.FIRST,
    tn.TALK_PART_MIDDLE_THIRD: Part.MIDDLE,
    tn.TALK_PART_LAST_THIRD: Part.LAST,
}
_BEGINS: Final = {Part.FIRST: 0, Part.MIDDLE: 1, Part.LAST: 2}


def part_of(bounds: tn.FeelingBounds) -> Part:
    """Return the part of the talk that counts."""
    return _PARTS.get(bounds.part, Part.WHOLE)


def stretch_of(part: Part, duration_ms: int) -> tuple[int, int]:
    """Return where a part begins and ends, milliseconds."""
    if part is Part.WHOLE:
        return 0, duration_ms
    number = _BEGINS[part]
    return number * duration_ms // THIRDS, (number + 1) * duration_ms // THIRDS


def is_within(bounds: tn.FeelingBounds, score: float) -> bool:
    """Whether a score lies within the bounds, both of which count themselves."""
    if bounds.HasField("at_least") and score < bounds.at_least:
        return False
    return not (bounds.HasField("at_most") and score > bounds.at_most)


def score_within(bounds: tn.FeelingBounds, sentiment: Sentiment, speaker: Speaker) -> float | None:
    """Return a speaker's score in the bounds' part where it fits; None where it does not, or there is none."""
    score = sentiment.score(speaker, part_of(bounds))
    return score if score is not None and is_within(bounds, score) else None


def is_said_so(bounds: tn.FeelingBounds, sentiment: Sentiment, speaker: Speaker, at_ms: int) -> bool:
    """Whether what a speaker was saying at a moment lies in the bounds' part and sounds as they want it."""
    begin, end = stretch_of(part_of(bounds), sentiment.duration_ms)
    is_there = begin <= at_ms < max(end, begin + 1)
    return is_there and is_within(bounds, sentiment.at(speaker, at_ms))
