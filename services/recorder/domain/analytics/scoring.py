"""A tenant's score cards: which criteria a talk meets, and what that is worth."""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any, Final

from services.recorder.domain.analytics.measures import Measures
from services.recorder.domain.analytics.sentiment.talk import Part, Sentiment
from services.recorder.domain.transcript.transcript import Speaker
from services.shared.contracts.ringmaster.v1 import tenant_pb2 as tn

_HUNDRED: Final = 100.0


@dataclass(frozen=True, slots=True)
class Values:
    """What a talk is measured by."""

    talk: Measures
    sentiment: Sentiment

    def feeling_percent(self, speaker: Speaker, part: Part = Part.WHOLE) -> float | None:
        """Return how good a speaker sounded, 0 to 100; None where nothing of feeling was said."""
        found = self.sentiment.score(speaker, part)
        return None if found is None else _HUNDRED * (found + 1) / 2


_VALUES: Final[dict[int, Callable[[Values], float | None]]] = {
    tn.SPEECH_MEASURE_AGENT_TALK_PERCENT: lambda of: of.talk.talk_percent,
    tn.SPEECH_MEASURE_SILENCE_PERCENT: lambda of: of.talk.silence_percent,
    tn.SPEECH_MEASURE_LONGEST_SILENCE_SECONDS: lambda of: of.talk.longest_silence_ms / 1000,
    tn.SPEECH_MEASURE_AGENT_INTERRUPTIONS: lambda of: of.talk.sides[Speaker.AGENT].interruptions,
    tn.SPEECH_MEASURE_CUSTOMER_INTERRUPTIONS: lambda of: of.talk.sides[Speaker.CUSTOMER].interruptions,
    tn.SPEECH_MEASURE_AGENT_MONOLOGUE_SECONDS: lambda of: of.talk.sides[Speaker.AGENT].longest_monologue_ms / 1000,
    tn.SPEECH_MEASURE_CUSTOMER_MONOLOGUE_SECONDS: lambda of: (
        of.talk.sides[Speaker.CUSTOMER].longest_monologue_ms / 1000
    ),
    tn.SPEECH_MEASURE_AGENT_WORDS_PER_MINUTE: lambda of: of.talk.sides[Speaker.AGENT].words_per_minute,
    tn.SPEECH_MEASURE_CUSTOMER_FEELING_PERCENT: lambda of: of.feeling_percent(Speaker.CUSTOMER),
    tn.SPEECH_MEASURE_AGENT_FEELING_PERCENT: lambda of: of.feeling_percent(Speaker.AGENT),
    tn.SPEECH_MEASURE_CUSTOMER_FEELING_AT_END_PERCENT: lambda of: of.feeling_percent(Speaker.CUSTOMER, Part.LAST),
}


def score(
    card: tn.ScoreCard, values: Values, matched: Collection[str], rules: dict[str, tn.SpeechRule]
) -> dict[str, Any]:
    """Mark a talk: `matched` are the rules that matched in it. A criterion that can't be judged counts for nothing."""
    criteria = [_judged(criterion, values, matched, rules) for criterion in card.criteria]
    possible = sum(one["points"] for one in criteria if one["met"] is not None)
    earned = sum(one["points"] for one in criteria if one["met"])
    percent = round(_HUNDRED * earned / possible, 1) if possible else 0.0
    return {"card_id": card.card_id, "percent": percent, "earned": earned, "possible": possible, "criteria": criteria}


def _judged(
    criterion: tn.Criterion, values: Values, matched: Collection[str], rules: dict[str, tn.SpeechRule]
) -> dict[str, Any]:
    if criterion.rule_id:
        rule = rules.get(criterion.rule_id)
        # A rule for what was worth to hear is met by its match, one for a fault or a missed duty by none.
        wants_match = rule is not None and rule.kind in (tn.SPEECH_RULE_KIND_UNSPECIFIED, tn.SPEECH_RULE_KIND_SAID)
        met = None if rule is None else (criterion.rule_id in matched) == wants_match
        return {"rule_id": criterion.rule_id, "points": criterion.points, "met": met}
    value = _VALUES[criterion.measure](values) if criterion.measure in _VALUES else None
    name = tn.SpeechMeasure.Name(criterion.measure).removeprefix("SPEECH_MEASURE_").lower()
    judged: dict[str, Any] = {"measure": name, "points": criterion.points, "value": value, "met": None}
    if value is not None:
        is_below = not criterion.at_most or value <= criterion.at_most
        judged |= {"value": round(value, 1), "met": criterion.at_least <= value and is_below}
    return judged
