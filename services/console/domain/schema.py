"""The JSON Schema of a tenant's document in YAML (SPEC 1.1). proto/tenant.schema.json is its published copy."""

from typing import Any, Final

from services.shared.contracts.ringmaster.v1.event_pb2 import Event
from services.shared.contracts.ringmaster.v1.tenant_pb2 import RecordingMode, Strategy

Schema = dict[str, Any]

DAY_SECONDS: Final = 86_400
EVENT_TYPES: Final = tuple(field.name.replace("_", ".", 1) for field in Event.DESCRIPTOR.oneofs_by_name["body"].fields)
EVENT_FAMILIES: Final = tuple(sorted({name.partition(".")[0] + ".*" for name in EVENT_TYPES}))

# Exits of each step type that must be there. A queue's `timeout`, `full` and digits, and a schedule's `holiday`, depend
# on what they name; the digits of a menu are its own.
REQUIRED_EXITS: Final[dict[str, tuple[str, ...]]] = {
    "schedule": ("open", "closed"),
    "menu": ("timeout", "invalid"),
    "play": ("next",),
    "check_list": ("listed", "not_listed"),
    "queue": (),
    "forward": ("failed",),
    "hangup": (),
}
OPTIONAL_EXITS: Final[dict[str, tuple[str, ...]]] = {
    "schedule": ("holiday",),
    "menu": tuple("0123456789*#"),
    "queue": ("timeout", "no_agent", "full", "blacklisted", *"0123456789*#"),
}


def enum_words(names: list[str], prefix: str) -> list[str]:
    """Return `longest_idle` for STRATEGY_LONGEST_IDLE, without the one that is never valid."""
    return [name.removeprefix(prefix).lower() for name in names if not name.endswith("_UNSPECIFIED")]


STRATEGIES: Final = enum_words(Strategy.keys(), "STRATEGY_")
RECORDING_MODES: Final = enum_words(RecordingMode.keys(), "RECORDING_MODE_")

ID: Final[Schema] = {
    "type": "string",
    "pattern": "^[A-Za-z0-9][A-Za-z0-9_-]{0,62}$",
    "description": "letters, digits, hyphens and underscores, at most 63",
}
TENANT_ID: Final[Schema] = {
    "type": "string",
    "pattern": "^[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?$",
    "description": "lower-case letters, digits and hyphens, at most 40",
}
E164: Final[Schema] = {
    "type": "string",
    "pattern": r"^\+[1-9][0-9]{4,14}$",
    "description": "a number in E.164 with +, for example +380441234567",
}
WORDS: Final[Schema] = {
    "type": "string",
    "minLength": 1,
    "maxLength": 120,
    "pattern": r"^[^\u0000-\u001f\u007f]*$",
    "description": "text of one line, at most 120 characters",
}
TIME_OF_DAY: Final[Schema] = {
    "type": "string",
    "pattern": "^(([01][0-9]|2[0-3]):[0-5][0-9]|24:00)$",
    "description": "a time of day as HH:MM",
}
DOMAIN: Final[Schema] = {
    "type": "string",
    "maxLength": 253,
    "pattern": r"^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$",
    "description": "a domain name in lower case",
}


def _count(least: int, most: int, default: int | None = None) -> Schema:
    schema: Schema = {"type": "integer", "minimum": least, "maximum": most}
    return schema if default is None else schema | {"default": default}


def _object(required: list[str], **properties: Schema) -> Schema:
    return {"type": "object", "additionalProperties": False, "required": required, "properties": properties}


def _list(items: Schema, most: int, least: int = 0) -> Schema:
    schema: Schema = {"type": "array", "items": items, "maxItems": most}
    return schema | {"minItems": least} if least else schema


_PROMPTS = _list(ID, 20, 1)

_NEEDS = _list(_object(["skill"], skill=ID, min_proficiency=_count(1, 100, 1)), 20)
_PRIORITY = _count(-1_000, 1_000, 0)

_STEP = _object(
    ["step_id"],
    step_id=ID,
    schedule=_object(["schedule_id"], schedule_id=ID),
    menu=_object(
        ["prompts"],
        prompts=_PROMPTS,
        invalid_prompts=_list(ID, 20),
        tries=_count(1, 9, 3),
        timeout_ms=_count(500, 60_000, 5_000),
    ),
    play=_object(["prompts"], prompts=_PROMPTS),
    check_list=_object(["list_id"], list_id=ID),
    queue=_object(["queue_id"], queue_id=ID, priority=_PRIORITY, required_skills=_NEEDS),
    forward=_object(["number"], number=E164, ring_timeout_seconds=_count(5, 120, 30)),
    hangup=_object(
        [], cause={"type": "string", "pattern": "^[A-Z][A-Z0-9_]{0,63}$", "description": "a FreeSWITCH hang-up cause"}
    ),
    exits={"type": "object", "maxProperties": 20, "additionalProperties": ID},
) | {"oneOf": [{"required": [kind]} for kind in REQUIRED_EXITS]}

_QUEUE = _object(
    ["queue_id", "strategy", "tiers"],
    queue_id=ID,
    strategy={"enum": STRATEGIES},
    tiers=_list(
        _object(["agent_id"], agent_id=ID, level=_count(1, 100, 1), position=_count(1, 10_000)),
        5_000,
        1,
    ),
    ring_timeout_seconds=_count(5, 120, 20),
    wrap_up_seconds=_count(0, 3_600, 15),
    max_wait_seconds=_count(0, DAY_SECONDS, 0),
    capacity=_count(0, 10_000, 0),
    music=ID,
    service_level_seconds=_count(1, 3_600, 20),
    short_abandon_seconds=_count(0, 600, 5),
    priority=_PRIORITY,
    misses_until_away=_count(0, 100, 3),
    required_skills=_NEEDS,
    preferred_skills=_NEEDS,
    rings=_list(_object(["after_seconds"], after_seconds=_count(1, DAY_SECONDS), required_skills=_NEEDS), 20),
    level_seconds=_count(0, 3_600, 0),
    waits_for_empty_levels={"type": "boolean", "default": False},
    progress_seconds=_count(1, 120, 5),
    weighted_by_position={"type": "boolean", "default": False},
    window_seconds=_count(0, DAY_SECONDS, 0),
    ageing_seconds=_count(0, DAY_SECONDS, 0),
    list_priorities=_list(_object(["list_id", "priority"], list_id=ID, priority=_count(-1_000, 1_000)), 100),
    sticky=_object(
        ["agent_seconds"],
        agent_seconds=_count(0, 3_600),
        group_seconds=_count(0, 3_600, 0),
        memory_hours=_count(1, 8_760, 720),
    ),
    overflow=_object(
        ["queue_id"],
        queue_id=ID,
        after_seconds=_count(0, DAY_SECONDS, 0),
        waiting=_count(0, 10_000, 0),
        estimated_seconds=_count(0, DAY_SECONDS, 0),
    ),
    exit_keys={"type": "string", "pattern": "^[0-9*#]{1,12}$", "description": "digits, * and # without spaces"},
    black_lists=_list(ID, 100),
    resume_seconds=_count(0, DAY_SECONDS, 0),
    announcements=_list(
        _object(
            [],
            prompts=_list(ID, 20),
            first_seconds=_count(1, 3_600, 30),
            every_seconds=_count(0, 3_600, 60),
            says_position={"type": "boolean", "default": False},
            says_estimate={"type": "boolean", "default": False},
        ),
        10,
    ),
)

_AGENT = _object(
    ["agent_id", "name", "phone"],
    agent_id=ID,
    name=WORDS,
    phone=ID,
    skills={"type": "object", "maxProperties": 100, "propertyNames": ID, "additionalProperties": _count(1, 100)},
)

_SCHEDULE = _object(
    ["schedule_id", "open"],
    schedule_id=ID,
    open=_list(
        _object(
            ["days", "from", "until"],
            days=_list(_count(1, 7), 7, 1) | {"uniqueItems": True},
            **{"from": TIME_OF_DAY, "until": TIME_OF_DAY},
        ),
        100,
    ),
    holidays=_list(
        {"type": "string", "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}$", "description": "a day as YYYY-MM-DD"}, 1_000
    ),
)

_WEBHOOK = _object(
    ["endpoint_id", "url", "secret_ref"],
    endpoint_id=ID,
    url={"type": "string", "minLength": 8, "maxLength": 2_048},
    events=_list({"enum": [*EVENT_TYPES, *EVENT_FAMILIES]}, 200),
    secret_ref=ID,
    disabled={"type": "boolean", "default": False},
)

SCHEMA: Final[Schema] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "$id": "urn:ringmaster:schema:tenant",
    "title": "Ringmaster tenant document",
    "description": "One company's whole configuration: YAML with the field names of ringmaster.v1.TenantDocument.",
    **_object(
        ["tenant_id", "name", "time_zone", "languages", "domain", "lines", "queues", "agents", "flows"],
        tenant_id=TENANT_ID,
        name=WORDS,
        time_zone={"type": "string", "minLength": 1, "maxLength": 64},
        languages=_list(
            {"type": "string", "pattern": "^[a-z]{2,3}(-[A-Z][a-z]{3})?(-[A-Z]{2})?$", "description": "a language"},
            20,
            1,
        ),
        domain=DOMAIN,
        lines=_list(_object(["number", "flow"], number=E164, flow=ID, label=WORDS), 1_000, 1),
        queues=_list(_QUEUE, 500),
        agents=_list(_AGENT, 10_000),
        flows=_list(_object(["flow_id", "start", "steps"], flow_id=ID, start=ID, steps=_list(_STEP, 500, 1)), 200, 1),
        schedules=_list(_SCHEDULE, 200),
        lists=_list(
            _object(
                ["list_id", "numbers"],
                list_id=ID,
                numbers=_list(
                    {
                        "type": "string",
                        "pattern": r"^\+[1-9][0-9]{0,14}\*?$",
                        "description": "a number in E.164 with +, or a prefix of one ending in *",
                    },
                    20_000,
                ),
            ),
            100,
        ),
        webhooks=_list(_WEBHOOK, 50),
        recording=_object(
            ["mode"],
            mode={"enum": RECORDING_MODES},
            retention_days=_count(0, 36_500, 0),
            name_template={"type": "string", "maxLength": 200},
        ),
        limits=_object(
            [],
            concurrent_calls=_count(0, 100_000, 0),
            allowed_prefixes=_list(
                {
                    "type": "string",
                    "pattern": r"^\+[1-9][0-9]{0,14}$",
                    "description": "the first digits of a number in E.164 with +",
                },
                1_000,
            ),
        ),
        groups=_list(_object(["group_id", "agent_ids"], group_id=ID, agent_ids=_list(ID, 5_000, 1)), 500),
        black_lists=_list(ID, 100),
        fallback_number=E164,
        dispositions=_list(ID, 200),
    ),
}
