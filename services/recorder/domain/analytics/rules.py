"""A tenant's speech rules against what was said (SPEC 6.5)."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from services.recorder.domain.analytics.phrases import Found, Heard, Phrase, find, heard, phrase_of
from services.recorder.domain.analytics.sentiment.bounds import is_said_so, part_of, score_within, stretch_of
from services.recorder.domain.analytics.sentiment.talk import Sentiment
from services.recorder.domain.transcript.transcript import Speaker, Transcript
from services.shared.contracts.ringmaster.v1 import tenant_pb2 as tn

DEFAULT_LIKENESS: Final = 85
DEFAULT_NEAR_WORDS: Final = 10
MOST_MATCHES: Final = 50
"""Of one rule in one talk: enough to see, and a word like «так» does not flood the log."""
_KINDS: Final = {tn.SPEECH_RULE_KIND_FORBIDDEN: "forbidden", tn.SPEECH_RULE_KIND_REQUIRED: "required"}
_SPEAKERS: Final = {tn.SPEAKER_CUSTOMER: (Speaker.CUSTOMER,), tn.SPEAKER_AGENT: (Speaker.AGENT,)}


@dataclass(frozen=True, slots=True)
class Match:
    """A rule that matched. For a duty that nobody fulfilled speaker and phrase are empty."""

    rule_id: str
    kind: str
    speaker: str
    at_ms: int
    end_ms: int
    phrase: str
    likeness: int
    sentiment: float | None = None
    """The score that a rule about feeling found."""


@dataclass(frozen=True, slots=True)
class Said:
    """What one speaker said, in order, in one language."""

    speaker: Speaker
    language: str
    words: tuple[Heard, ...]


def said_in(transcript: Transcript) -> list[Said]:
    """Return what each speaker said, with the dictionary forms of the words."""
    tracks = {track.speaker: track.language for track in transcript.tracks}
    return [
        Said(
            speaker,
            language,
            tuple(heard([w for turn in transcript.turns if turn.speaker is speaker for w in turn.words], language)),
        )
        for speaker, language in tracks.items()
    ]


def applies(queue_ids: Sequence[str], queue_id: str) -> bool:
    """Whether something that may be bound to queues counts for a call of this one."""
    return not queue_ids or queue_id in queue_ids


def matches_of(rule: tn.SpeechRule, said: Sequence[Said], sentiment: Sentiment) -> list[Match]:
    """Return the matches of a rule; for a required one at most one, when its words were not said."""
    duration_ms = sentiment.duration_ms
    found = _places(rule, said, sentiment) if rule.phrases else _felt(rule, said, sentiment)
    places = sorted(found, key=lambda match: (match.at_ms, match.speaker))
    if rule.kind != tn.SPEECH_RULE_KIND_REQUIRED:
        return places[:MOST_MATCHES]
    wanted = _SPEAKERS.get(rule.speaker, tuple(Speaker))
    # Whoever was not written down can't be blamed.
    if places or not any(one.speaker in wanted for one in said):
        return []
    at_ms = rule.first_seconds * 1000 or duration_ms
    phrase = rule.phrases[0] if rule.phrases else ""
    return [Match(rule.rule_id, "required", "", min(at_ms, duration_ms), min(at_ms, duration_ms), phrase, 0)]


def _felt(rule: tn.SpeechRule, said: Sequence[Said], sentiment: Sentiment) -> Iterator[Match]:
    """Yield a match for each speaker who sounded as a rule without phrases wants it, over the part that counts."""
    if not rule.HasField("feeling"):
        return
    begin_ms, end_ms = stretch_of(part_of(rule.feeling), sentiment.duration_ms)
    for one in said:
        score = score_within(rule.feeling, sentiment, one.speaker)
        if one.speaker in _SPEAKERS.get(rule.speaker, tuple(Speaker)) and score is not None:
            kind = _KINDS.get(rule.kind, "said")
            yield Match(rule.rule_id, kind, one.speaker.value, begin_ms, end_ms, "", 0, round(score, 2))


def _places(rule: tn.SpeechRule, said: Sequence[Said], sentiment: Sentiment) -> Iterator[Match]:
    least = rule.likeness or DEFAULT_LIKENESS
    for one in said:
        if one.speaker not in _SPEAKERS.get(rule.speaker, tuple(Speaker)):
            continue
        taken: set[int] = set()
        for phrase in _phrases(rule.phrases, one.language):
            for found in find(phrase, one.words, least):
                if found.first in taken or not _fits(rule, found, one, sentiment, least):
                    continue
                taken.add(found.first)
                yield _match(rule, found, one)


def _phrases(texts: Sequence[str], language: str) -> list[Phrase]:
    return [phrase_of(text, language) for text in texts]


def _fits(rule: tn.SpeechRule, found: Found, said: Said, sentiment: Sentiment, least: int) -> bool:
    start_ms, duration_ms = said.words[found.first].word.start_ms, sentiment.duration_ms
    if rule.HasField("feeling") and not is_said_so(rule.feeling, sentiment, said.speaker, start_ms):
        return False
    if rule.first_seconds and start_ms >= rule.first_seconds * 1000:
        return False
    if rule.last_seconds and start_ms < duration_ms - rule.last_seconds * 1000:
        return False
    if not rule.near and not rule.unless_near:
        return True
    around = _around(said.words, found, rule.near_words or DEFAULT_NEAR_WORDS)
    if rule.near and not _is_in(around, _phrases(rule.near, said.language), least):
        return False
    return not (rule.unless_near and _is_in(around, _phrases(rule.unless_near, said.language), least))


def _around(words: Sequence[Heard], found: Found, reach: int) -> tuple[Sequence[Heard], Sequence[Heard]]:
    """Return the words before and behind a place, which itself does not count."""
    return words[max(0, found.first - reach) : found.first], words[found.last + 1 : found.last + 1 + reach]


def _is_in(parts: Sequence[Sequence[Heard]], phrases: Sequence[Phrase], least: int) -> bool:
    return any(True for part in parts for phrase in phrases for _ in find(phrase, part, least))


def _match(rule: tn.SpeechRule, found: Found, said: Said) -> Match:
    return Match(
        rule.rule_id,
        _KINDS.get(rule.kind, "said"),
        said.speaker.value,
        said.words[found.first].word.start_ms,
        said.words[found.last].word.end_ms,
        found.phrase.said,
        round(found.likeness),
    )


def to_document(match: Match) -> dict[str, Any]:
    """Return a match as a transcript's document tells it."""
    return {
        "rule_id": match.rule_id,
        "kind": match.kind,
        "speaker": match.speaker,
        "at_ms": match.at_ms,
        "end_ms": match.end_ms,
        "phrase": match.phrase,
        "likeness": match.likeness,
        **({} if match.sentiment is None else {"sentiment": match.sentiment}),
    }
