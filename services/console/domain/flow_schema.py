"""The JSON Schema of call flows: the types of steps, their fields and their exits (SPEC 2.1)."""

from typing import Final

from services.console.domain.schema_parts import E164, ID, LANGUAGE, NEEDS, PRIORITY, SIP_ADDRESS, SPOKEN, enum_words
from services.shared.contracts.ringmaster.v1.tenant_pb2 import ConsentMode, VariableType
from services.shared.json_schema import Schema, count, mapping, sequence

KEYS: Final = "0123456789*#"
RETURN: Final = "return"
"""The exit that leads here ends its flow: a subflow goes back to who called it."""

# Exits of each step type that must be there. A queue's `timeout`, `full` and digits, a schedule's `holiday` and a
# branch's cases depend on what they name; the digits of a menu are its own.
REQUIRED_EXITS: Final[dict[str, tuple[str, ...]]] = {
    "schedule": ("open", "closed"),
    "menu": ("timeout", "invalid"),
    "play": ("next",),
    "say": ("next",),
    "collect": ("next", "timeout", "invalid"),
    "check_list": ("listed", "not_listed"),
    "queue": (),
    "agent": ("unavailable",),
    "forward": ("failed",),
    "callback": ("requested", "declined"),
    "voicemail": ("next",),
    "set": ("next",),
    "branch": ("otherwise",),
    "consent": ("refused",),
    "survey": ("next", "skipped"),
    "subflow": ("next",),
    "lookup": ("next", "failed"),
    "hangup": (),
}
OPTIONAL_EXITS: Final[dict[str, tuple[str, ...]]] = {
    "schedule": ("holiday",),
    "menu": tuple(KEYS),
    "queue": ("timeout", "no_agent", "full", "blacklisted", "answered", *KEYS),
    "agent": ("answered",),
    "consent": ("given",),
}

_CALCULATED: Final[Schema] = {"type": "string", "minLength": 1, "maxLength": 1_000}
_NAME: Final[Schema] = {
    "type": "string",
    "pattern": "^[A-Za-z][A-Za-z0-9_]{0,39}$",
    "description": "a letter, then letters, digits and underscores, at most 40",
}
_SOME_KEYS: Final[Schema] = {"type": "string", "pattern": r"^[0-9*#]{0,12}$", "description": "digits, * and #"}
_PATH: Final[Schema] = {
    "type": "string",
    "pattern": r"^[A-Za-z0-9_-]{1,64}(\.[A-Za-z0-9_-]{1,64}){0,9}$",
    "description": "names and numbers with dots, for example customer.orders.0.state",
}
_SPOKEN_EXIT: Final[Schema] = {
    "type": "string",
    "pattern": r"^[A-Za-z0-9_*#-]{1,40}$",
    "description": "a digit's exit or one of its own name, but not timeout or invalid",
}
_PHRASE: Final[Schema] = {
    "type": "string",
    "minLength": 2,
    "maxLength": 80,
    "pattern": r"^[^\u0000-\u001f\u007f]*$",
    "description": "what a caller may say, as it is written",
}
_PROMPTS = sequence(ID, 20, 1)
_MORE_PROMPTS = sequence(ID, 20)
_TRIES = count(1, 9, 3)
_TIMEOUT = count(500, 60_000, 5_000)
_RING = count(5, 120, 30)
_BARGE_IN: Final[Schema] = {
    "type": "boolean",
    "default": True,
    "description": "whether a digit stops the prompts and is taken; false: they are heard out at each try, and digits "
    "pressed during them are forgotten",
}

_TYPES: Final[dict[str, Schema]] = {
    "schedule": mapping(["schedule_id"], schedule_id=ID),
    "menu": mapping(
        ["prompts"],
        prompts=_PROMPTS,
        invalid_prompts=_MORE_PROMPTS,
        tries=_TRIES,
        timeout_ms=_TIMEOUT,
        spoken=sequence(mapping(["exit", "phrases"], exit=_SPOKEN_EXIT, phrases=sequence(_PHRASE, 20, 1)), 20),
        most_seconds=count(2, 20, 8),
        barge_in=_BARGE_IN,
    ),
    "play": mapping(["prompts"], prompts=_PROMPTS),
    "say": mapping(["text"], text=SPOKEN, language=LANGUAGE),
    "collect": mapping(
        ["prompts", "variable"],
        prompts=_PROMPTS,
        invalid_prompts=_MORE_PROMPTS,
        variable=_NAME,
        min_digits=count(1, 30, 1),
        max_digits=count(1, 30, 20),
        tries=_TRIES,
        timeout_ms=_TIMEOUT,
        digit_timeout_ms=count(500, 20_000, 3_000),
        terminators=_SOME_KEYS | {"default": "#"},
        barge_in=_BARGE_IN,
    ),
    "check_list": mapping(["list_id"], list_id=ID),
    "queue": mapping(["queue_id"], queue_id=ID, priority=PRIORITY, required_skills=NEEDS),
    "agent": mapping(["agent_id"], agent_id=ID, ring_timeout_seconds=_RING, music=ID),
    "forward": mapping([], number=E164, sip=SIP_ADDRESS, ring_timeout_seconds=_RING)
    | {"oneOf": [{"required": ["number"]}, {"required": ["sip"]}]},
    "callback": mapping(
        ["queue_id", "prompts"],
        queue_id=ID,
        prompts=_PROMPTS,
        number_prompts=_MORE_PROMPTS,
        confirm_prompts=_MORE_PROMPTS,
        timeout_ms=_TIMEOUT,
    ),
    "voicemail": mapping(
        ["prompts"],
        prompts=_PROMPTS,
        max_seconds=count(5, 600, 120),
        end_digit={"type": "string", "pattern": "^[0-9*#]$", "description": "a digit, * or #", "default": "#"},
    ),
    "set": mapping(["variable"], variable=_NAME, text=_CALCULATED, expression=_CALCULATED)
    | {"minProperties": 2, "maxProperties": 2},
    "branch": mapping(["cases"], cases=sequence(mapping(["condition", "exit"], condition=_CALCULATED, exit=ID), 19, 1)),
    "consent": mapping(
        ["mode"],
        mode={"enum": enum_words(ConsentMode.keys(), "CONSENT_MODE_")},
        prompts=_MORE_PROMPTS,
        timeout_ms=_TIMEOUT,
    ),
    "survey": mapping(
        ["survey_id", "prompts"],
        survey_id=ID,
        prompts=_PROMPTS,
        invalid_prompts=_MORE_PROMPTS,
        lowest=count(0, 9, 1),
        highest=count(0, 9, 5),
        tries=_TRIES,
        timeout_ms=_TIMEOUT,
    ),
    "subflow": mapping(["flow_id"], flow_id=ID),
    "lookup": mapping(
        ["url"],
        url={"type": "string", "minLength": 8, "maxLength": 1_000},
        fields={"type": "object", "maxProperties": 30, "propertyNames": _NAME, "additionalProperties": _CALCULATED},
        timeout_ms=count(200, 10_000, 3_000),
        results=sequence(mapping(["path", "variable"], path=_PATH, variable=_NAME), 30),
    ),
    "hangup": mapping(
        [], cause={"type": "string", "pattern": "^[A-Z][A-Z0-9_]{0,63}$", "description": "a FreeSWITCH hang-up cause"}
    ),
}
STEP: Final[Schema] = mapping(
    ["step_id"],
    step_id=ID,
    **_TYPES,
    exits={"type": "object", "maxProperties": 20, "additionalProperties": ID},
) | {"oneOf": [{"required": [kind]} for kind in REQUIRED_EXITS]}

_VARIABLE = mapping(
    ["name", "type"],
    name=_NAME,
    type={"enum": enum_words(VariableType.keys(), "VARIABLE_TYPE_")},
    initial={"type": "string", "maxLength": 500},
)
FLOWS: Final[Schema] = sequence(
    mapping(
        ["flow_id", "start", "steps"],
        flow_id=ID,
        start=ID,
        steps=sequence(STEP, 500, 1),
        variables=sequence(_VARIABLE, 50),
    ),
    200,
    1,
)
