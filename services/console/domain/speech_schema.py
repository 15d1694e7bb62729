"""What a tenant's document says of transcripts: the schema of its policy, rules and score cards (SPEC 6.4, 6.5)."""

from typing import Any, Final

from services.console.domain.schema_parts import ID, LANGUAGE, WORDS, enum_words
from services.shared.contracts.ringmaster.v1.tenant_pb2 import (
    PersonalData,
    Speaker,
    SpeechMeasure,
    SpeechRuleKind,
    TalkPart,
    TranscriptionMode,
    TranscriptionSides,
)
from services.shared.json_schema import Schema, count, mapping, sequence

Document = dict[str, Any]

MODES: Final = enum_words(TranscriptionMode.keys(), "TRANSCRIPTION_MODE_")
SIDES: Final = enum_words(TranscriptionSides.keys(), "TRANSCRIPTION_SIDES_")
PERSONAL: Final = enum_words(PersonalData.keys(), "PERSONAL_DATA_")
KINDS: Final = enum_words(SpeechRuleKind.keys(), "SPEECH_RULE_KIND_")
SPEAKERS: Final = enum_words(Speaker.keys(), "SPEAKER_")
PARTS: Final = enum_words(TalkPart.keys(), "TALK_PART_")
MEASURES: Final = enum_words(SpeechMeasure.keys(), "SPEECH_MEASURE_")
_LONGEST_RECORDING_SECONDS: Final = 86_400

_PHRASES = sequence(WORDS, 200)
_PRIORITY = count(-10, 10, 0)
_SCORE = {"type": "number", "minimum": -1, "maximum": 1}

TRANSCRIPTION: Final[Schema] = mapping(
    ["mode"],
    mode={"enum": MODES},
    percent=count(0, 100, 0),
    sides={"enum": SIDES, "default": "both"},
    language=LANGUAGE,
    keeps=sequence({"enum": PERSONAL}, len(PERSONAL)) | {"uniqueItems": True},
    priority=_PRIORITY,
    gist={"type": "boolean", "default": False},
    queues=sequence(
        mapping(
            ["queue_id"],
            queue_id=ID,
            mode={"enum": MODES},
            sides={"enum": SIDES},
            language=LANGUAGE,
            priority=_PRIORITY,
        ),
        500,
    ),
)

SPEECH_RULES: Final[Schema] = sequence(
    mapping(
        ["rule_id"],
        rule_id=ID,
        name=WORDS,
        kind={"enum": KINDS, "default": "said"},
        speaker={"enum": SPEAKERS, "default": "anybody"},
        phrases=_PHRASES | {"minItems": 1},
        near=_PHRASES,
        near_words=count(1, 100, 10),
        unless_near=_PHRASES,
        first_seconds=count(0, _LONGEST_RECORDING_SECONDS, 0),
        last_seconds=count(0, _LONGEST_RECORDING_SECONDS, 0),
        likeness=count(60, 100, 85),
        queue_ids=sequence(ID, 500),
        feeling=mapping([], part={"enum": PARTS, "default": "whole"}, at_least=_SCORE, at_most=_SCORE),
    ),
    500,
)

SCORE_CARDS: Final[Schema] = sequence(
    mapping(
        ["card_id", "criteria"],
        card_id=ID,
        name=WORDS,
        criteria=sequence(
            mapping(
                ["points"],
                rule_id=ID,
                measure={"enum": MEASURES},
                at_least=count(0, 1_000_000, 0),
                at_most=count(0, 1_000_000, 0),
                points=count(1, 1_000),
            ),
            100,
            1,
        ),
        queue_ids=sequence(ID, 500),
    ),
    50,
)


def name_speech_enums(words: Document) -> None:
    """Write the words of policy, rules and score cards as the contract's names, in place."""
    policy = words.get("transcription", {})
    for place in (policy, *policy.get("queues", ())):
        _name(place, "mode", "TRANSCRIPTION_MODE_")
        _name(place, "sides", "TRANSCRIPTION_SIDES_")
    if "keeps" in policy:
        policy["keeps"] = [f"PERSONAL_DATA_{word.upper()}" for word in policy["keeps"]]
    for rule in words.get("speech_rules", ()):
        _name(rule, "kind", "SPEECH_RULE_KIND_")
        _name(rule, "speaker", "SPEAKER_")
        _name(rule.get("feeling", {}), "part", "TALK_PART_")
    for card in words.get("score_cards", ()):
        for criterion in card["criteria"]:
            _name(criterion, "measure", "SPEECH_MEASURE_")


def _name(place: Document, field: str, prefix: str) -> None:
    if field in place:
        place[field] = prefix + place[field].upper()
