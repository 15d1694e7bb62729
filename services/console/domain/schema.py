"""The JSON Schema of a tenant's document in YAML (SPEC 1.1). proto/tenant.schema.json is its published copy."""

from typing import Final

from services.console.domain.flow_schema import FLOWS
from services.console.domain.reporting_schema import KPIS, RAPORTY
from services.console.domain.rule_schema import channels_schema, rules_schema
from services.console.domain.schema_parts import (
    DOMAIN,
    E164,
    ID,
    LANGUAGE,
    SIP_HOST,
    SPOKEN,
    TENANT_ID,
    TIME_OF_DAY,
    WORDS,
    enum_words,
)
from services.console.domain.schema_parts import NEEDS as _NEEDS
from services.console.domain.schema_parts import PRIORITY as _PRIORITY
from services.console.domain.speech_schema import SCORE_CARDS, SPEECH_RULES, TRANSCRIPTION
from services.shared.contracts.ringmaster.v1.event_pb2 import Event
from services.shared.contracts.ringmaster.v1.tenant_pb2 import (
    CallbackOrder,
    LostCall,
    Pacing,
    RecordingFormat,
    RecordingMode,
    Strategy,
)
from services.shared.json_schema import Schema
from services.shared.json_schema import count as _count
from services.shared.json_schema import mapping as _object
from services.shared.json_schema import sequence as _list

DAY_SECONDS: Final = 86_400
EVENT_TYPES: Final = tuple(field.name.replace("_", ".", 1) for field in Event.DESCRIPTOR.oneofs_by_name["body"].fields)
# What webhook endpoints are told of each other; not events of calls.
ENDPOINT_NOTICES: Final = ("endpoint.failing", "endpoint.recovered", "endpoint.disabled", "endpoint.gone")
EVENT_FAMILIES: Final = tuple(sorted({name.partition(".")[0] + ".*" for name in (*EVENT_TYPES, *ENDPOINT_NOTICES)}))

STRATEGIES: Final = enum_words(Strategy.keys(), "STRATEGY_")
LOST_CALLS: Final = enum_words(LostCall.keys(), "LOST_CALL_")
CALLBACK_ORDERS: Final = enum_words(CallbackOrder.keys(), "CALLBACK_ORDER_")
PACINGS: Final = enum_words(Pacing.keys(), "PACING_")
RECORDING_MODES: Final = enum_words(RecordingMode.keys(), "RECORDING_MODE_")
RECORDING_FORMATS: Final = enum_words(RecordingFormat.keys(), "RECORDING_FORMAT_")

_HOURS = _list(
    _object(
        ["days", "from", "until"],
        days=_list(_count(1, 7), 7, 1) | {"uniqueItems": True},
        **{"from": TIME_OF_DAY, "until": TIME_OF_DAY},
    ),
    100,
)

_CALLBACKS = _object(
    [],
    after=_list({"enum": LOST_CALLS}, len(LOST_CALLS)) | {"uniqueItems": True},
    order={"enum": CALLBACK_ORDERS, "default": "agent_first"},
    attempts=_count(1, 20, 3),
    gap_seconds=_count(30, DAY_SECONDS, 900),
    busy_gap_seconds=_count(10, DAY_SECONDS, 180),
    first_after_seconds=_count(0, DAY_SECONDS, 0),
    expires_seconds=_count(60, 30 * DAY_SECONDS, DAY_SECONDS),
    ring_timeout_seconds=_count(5, 120, 30),
    priority=_PRIORITY,
    hours=_HOURS,
    caller_number=E164,
    gateway=ID,
    black_lists=_list(ID, 100),
)

_PREFIX: Final[Schema] = {
    "type": "string",
    "pattern": r"^\+[1-9][0-9]{0,14}$",
    "description": "the first digits of a number in E.164 with +",
}
_AMOUNT: Final[Schema] = {"type": "number", "minimum": 0, "maximum": 1_000_000_000}
_RECORDING = _object(
    ["mode"],
    mode={"enum": RECORDING_MODES},
    retention_days=_count(0, 36_500, 0),
    name_template={"type": "string", "maxLength": 200},
    percent=_count(1, 100),
    format={"enum": RECORDING_FORMATS, "default": "wav"},
    remove_silent={"type": "boolean", "default": False},
    mask_seconds=_count(5, 3_600, 120),
    kms_key_id={
        "type": "string",
        "pattern": "^[A-Za-z0-9][A-Za-z0-9:/_-]{0,199}$",
        "description": "a key's id, alias or ARN: letters, digits, : / _ -",
    },
    copies=_list(
        {
            "type": "string",
            "pattern": "^[A-Za-z0-9_][A-Za-z0-9_-]{0,62}$",
            "description": "the name of an rclone remote: letters, digits, _ and -",
        },
        10,
    ),
)

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
    recording=_RECORDING,
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
    callbacks=_CALLBACKS,
)

_AGENT = _object(
    ["agent_id", "name", "phone"],
    agent_id=ID,
    name=WORDS,
    phone=ID,
    skills={"type": "object", "maxProperties": 100, "propertyNames": ID, "additionalProperties": _count(1, 100)},
)

_TIME_ZONE = {"type": "string", "minLength": 1, "maxLength": 64}
_SCHEDULE = _object(
    ["schedule_id", "open"],
    schedule_id=ID,
    open=_HOURS,
    holidays=_list(
        {"type": "string", "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}$", "description": "a day as YYYY-MM-DD"}, 1_000
    ),
    time_zone=_TIME_ZONE,
)

_WEBHOOK = _object(
    ["endpoint_id", "url", "secret_ref"],
    endpoint_id=ID,
    url={"type": "string", "minLength": 8, "maxLength": 2_048},
    events=_list({"enum": [*EVENT_TYPES, *ENDPOINT_NOTICES, *EVENT_FAMILIES]}, 200),
    secret_ref=ID,
    disabled={"type": "boolean", "default": False},
    retry_wait_seconds=_list(_count(0, 30 * DAY_SECONDS), 30),
    concurrency=_count(0, 64, 0),
    timeout_ms=_count(0, 30_000, 0),
    keep_call_order={"type": "boolean", "default": False},
    batch_events=_count(0, 500, 0),
    rate_per_second=_count(0, 10_000, 0),
    batch_wait_ms=_count(0, 10_000, 0),
    thin={"type": "boolean", "default": False},
    template={"type": "string", "maxLength": 16_384},
    headers={
        "type": "object",
        "maxProperties": 20,
        "additionalProperties": {
            "type": "string",
            "pattern": "^[!-~]([ -~]{0,1000}[!-~])?$",
            "description": "a header's value: ASCII without line ends, no space at its ends",
        },
    },
    client_certificate_ref=ID,
    oauth=_object(
        ["token_url", "client_id", "secret_ref"],
        token_url={"type": "string", "minLength": 8, "maxLength": 2_048},
        client_id={"type": "string", "minLength": 1, "maxLength": 512},
        secret_ref=ID,
        scope={"type": "string", "maxLength": 1_000},
    ),
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
        time_zone=_TIME_ZONE,
        languages=_list(
            LANGUAGE,
            20,
            1,
        ),
        domain=DOMAIN,
        lines=_list(
            _object(
                ["number", "flow"],
                number=E164,
                flow=ID,
                label=WORDS,
                recording=_RECORDING,
                most_dials=_count(0, 1_000, 0),
            ),
            1_000,
            1,
        ),
        queues=_list(_QUEUE, 500),
        agents=_list(_AGENT, 10_000),
        flows=FLOWS,
        prompts=_list(_object(["prompt_id"], prompt_id=ID, text=SPOKEN, language=LANGUAGE), 2_000),
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
        recording=_RECORDING,
        limits=_object(
            [],
            concurrent_calls=_count(0, 100_000, 0),
            allowed_prefixes=_list(_PREFIX, 1_000),
            denied_prefixes=_list(_PREFIX, 1_000),
            high_risk_prefixes=_list(_PREFIX, 1_000),
            allowed_sip_hosts=_list(SIP_HOST, 1_000),
            calls_per_second=_count(0, 10_000, 0),
            outbound_spend_per_day=_AMOUNT,
            tariffs=_list(_object(["prefix", "price_per_minute"], prefix=_PREFIX, price_per_minute=_AMOUNT), 1_000),
        ),
        closed_callbacks=_list(_object(["line", "queue_id"], line=E164, queue_id=ID), 1_000),
        campaigns=_list(
            _object(
                ["campaign_id", "queue_id", "line"],
                campaign_id=ID,
                queue_id=ID,
                pacing={"enum": PACINGS, "default": "preview"},
                line=E164,
                most_dials=_count(0, 1_000, 0),
                abandon_percent=_count(0, 100, 3),
            ),
            100,
        ),
        routing_domains=_list(
            _object(
                ["domain_id", "queues"],
                domain_id=ID,
                queues=_list(ID, 500, 1) | {"uniqueItems": True},
                concurrent_calls=_count(0, 100_000, 0),
                calls_per_second=_count(0, 10_000, 0),
                outbound_spend_per_day=_AMOUNT,
            ),
            64,
        ),
        groups=_list(_object(["group_id", "agent_ids"], group_id=ID, agent_ids=_list(ID, 5_000, 1)), 500),
        black_lists=_list(ID, 100),
        transcription=TRANSCRIPTION,
        speech_rules=SPEECH_RULES,
        score_cards=SCORE_CARDS,
        channels=channels_schema([*EVENT_TYPES, *EVENT_FAMILIES]),
        rules=rules_schema([*EVENT_TYPES, *EVENT_FAMILIES]),
        kpis=KPIS,
        raporty=RAPORTY,
        fallback_number=E164,
        dispositions=_list(ID, 200),
    ),
}
