"""What requests and answers of the webhooks' API look like: held to, and shown, in /v1/openapi.json."""

from typing import Any, Final

from services.shared.chassis.description import TEXT, Model
from services.shared.json_schema import Schema, count, mapping
from services.webhooks.domain.journal import STATES

MOST_LISTED: Final = 200
LATEST_MS: Final = 9_999_999_999_999
MAX_TEXT: Final = 200
MOST_TYPES: Final = 60
MOST_HOURS: Final = 24
MOST_MINUTES: Final = 1_440
DAY_SECONDS: Final = 86_400
LONGEST_OVERLAP_SECONDS: Final = 30 * DAY_SECONDS

_NUMBER: Final[Schema] = {"type": "integer"}
_MOMENT: Final[Schema] = {"type": "integer", "description": "Milliseconds since 1970 UTC."}
_ASKED_MOMENT: Final[Schema] = count(0, LATEST_MS) | {"description": "Milliseconds since 1970 UTC."}
_SHORT: Final[Schema] = {"type": "string", "maxLength": MAX_TEXT}
_FLAG: Final[Schema] = {"type": "boolean"}


def _list_of(items: Schema) -> Schema:
    return {"type": "array", "items": items}


def _or_null(schema: Schema) -> Schema:
    return schema | {"type": [schema["type"], "null"]}


_SPOKEN: Final = mapping(None, en=TEXT, uk=TEXT)
_TROUBLE: Final = mapping(
    ("code", "en", "uk"),
    code=TEXT | {"description": "One of a fixed list (services/webhooks/troubles.yaml); other for anything else."},
    en=TEXT,
    uk=TEXT,
    do=_SPOKEN | {"description": "What helps."},
) | {"description": "What the error is, for people."}

# -- the delivery log -------------------------------------------------------------------------------------------------

SEARCH: Final[dict[str, Schema]] = {
    "endpoint": _SHORT,
    "type": _SHORT | {"description": "An event type, or a family: call.*"},
    "state": {"enum": ["", *STATES]},
    "call": _SHORT,
    "since_ms": _ASKED_MOMENT,
    "until_ms": _ASKED_MOMENT,
    "limit": count(1, MOST_LISTED, 50),
}
PAGED: Final[dict[str, Schema]] = {"cursor": {"type": "string", "maxLength": 400, "description": "Of the page before."}}
_LISTED: Final[dict[str, Any]] = {
    "delivery_id": TEXT | {"description": "The webhook-id of an event that travels alone."},
    "endpoint_id": TEXT,
    "event_type": TEXT,
    "call_id": TEXT,
    "state": {"enum": list(STATES)},
    "tries": _NUMBER,
    "error": TEXT,
    "created_ms": _MOMENT,
    "updated_ms": _MOMENT,
    "message_id": TEXT | {"description": "The webhook-id of the message of several that it travelled in."},
    "trouble": _TROUBLE,
}
_ALWAYS: Final = tuple(name for name in _LISTED if name not in ("message_id", "trouble"))
_TRY: Final = mapping(
    ("number", "at_ms", "status", "ms", "error"),
    number=_NUMBER,
    at_ms=_MOMENT,
    status=_NUMBER | {"description": "0 where no answer came."},
    ms=_NUMBER,
    error=TEXT,
    trouble=_TROUBLE,
    answer=TEXT | {"description": "The beginning of what a failed try was answered, personal data masked."},
)
DELIVERIES: Final = Model(
    "Deliveries",
    mapping(("deliveries",), deliveries=_list_of(mapping(_ALWAYS, **_LISTED)), cursor=TEXT),
)
DELIVERY: Final = Model(
    "Delivery",
    mapping(
        (*_ALWAYS, "tenant_id"),
        **_LISTED,
        tenant_id=TEXT,
        position=_NUMBER,
        payload_bytes=_NUMBER,
        attempts=_list_of(_TRY),
    ),
)
BODY: Final = Model("Body", mapping(body={}, policy=TEXT))
SENT: Final = Model("Sent", mapping(delivery_id=TEXT))

# -- endpoints --------------------------------------------------------------------------------------------------------

_TOLD: Final[dict[str, Schema]] = {
    "delivered": _NUMBER,
    "failed": _NUMBER,
    "dead": _NUMBER,
    "success": {"type": ["number", "null"], "minimum": 0, "maximum": 1},
    "p50_ms": _or_null(_NUMBER),
    "p99_ms": _or_null(_NUMBER),
}
_ENDPOINT: Final = mapping(
    None,
    endpoint_id=TEXT,
    kind=TEXT | {"description": "webhook, or a channel's kind: telegram, slack, email, sms, feed, crm."},
    url=TEXT,
    events=_list_of(TEXT),
    state={"enum": ["open", "failing", "resting", "closed", "disabled"]},
    reason=TEXT | {"description": "Why it is closed."},
    trouble=_TROUBLE,
    failing_since_ms=_or_null(_MOMENT),
    keeps_call_order=_FLAG,
    batch_events=_NUMBER | {"description": "How many come in one message at most; 0 = each in its own."},
    **_TOLD,
)
_ENDPOINT["required"].remove("trouble")
ENDPOINT: Final = Model("Endpoint", _ENDPOINT)
ENDPOINTS: Final = Model(
    "Endpoints",
    mapping(
        tenant=TEXT,
        now_ms=_MOMENT,
        minutes=_NUMBER,
        endpoints=_list_of(_ENDPOINT),
        totals=mapping(None, **_TOLD),
        points=_list_of(mapping(None, from_ms=_MOMENT, **_TOLD)),
    ),
)
MINUTES: Final = {"minutes": count(1, MOST_MINUTES, 60)}
ROTATION: Final = Model(
    "Rotation",
    mapping(
        (),
        overlap_seconds=count(0, LONGEST_OVERLAP_SECONDS, DAY_SECONDS)
        | {"description": "So long the former secrets sign too."},
        scheme={"enum": ["v1", "v1a"], "default": "v1"},
    ),
)
SECRET: Final = Model(
    "Secret",
    mapping(("former_until_ms",), secret=TEXT, public_key=TEXT, former_until_ms=_MOMENT)
    | {"description": "Shown once: of a key pair the public half."},
)
TENANTS: Final = Model("Tenants", mapping(tenants=_list_of(TEXT), may=_list_of(TEXT)))

# -- examples ---------------------------------------------------------------------------------------------------------

EXAMPLES: Final = Model(
    "Examples",
    mapping(
        examples=_list_of(
            mapping(event_type=TEXT, body={"type": "object", "description": "What an endpoint without wishes gets."})
        )
    ),
)
WANTED_EXAMPLE: Final = Model("WantedExample", mapping(("event_type",), event_type=_SHORT))

# -- replays ----------------------------------------------------------------------------------------------------------

_REPLAY: Final = mapping(
    replay_id=TEXT,
    tenant_id=TEXT,
    endpoint_id=TEXT,
    since_ms=_MOMENT,
    until_ms=_MOMENT,
    event_types=_list_of(TEXT),
    call_id=TEXT,
    state={"enum": ["waiting", "running", "done", "failed"]},
    sent=_NUMBER,
    reached_ms=_MOMENT,
    error=TEXT,
    trouble=_TROUBLE,
    asked_ms=_MOMENT,
    failed_only=_FLAG,
)
_REPLAY["required"].remove("trouble")
REPLAY: Final = Model("Replay", _REPLAY)
REPLAYS: Final = Model("Replays", mapping(replays=_list_of(_REPLAY)))
WANTED_REPLAY: Final = Model(
    "WantedReplay",
    mapping(
        ("endpoint_id", "since_ms"),
        endpoint_id=_SHORT,
        since_ms=_ASKED_MOMENT,
        until_ms=_ASKED_MOMENT,
        event_types=_list_of(_SHORT) | {"maxItems": MOST_TYPES},
        call_id=_SHORT,
        failed_only=_FLAG | {"description": "Only what was given up: the receiver gets nothing twice."},
    ),
)

# -- rules ------------------------------------------------------------------------------------------------------------

_RULE: Final = mapping(
    rule_id=TEXT,
    trigger={"enum": ["event", "window", "wait", "kpi"]},
    events=_list_of(TEXT),
    condition=TEXT,
    schedule_id=TEXT,
    to=_list_of(TEXT),
    words={"type": "object", "description": "The rule as it stands in the tenant's document."},
)
RULES: Final = Model("Rules", mapping(rules=_list_of(_RULE)))
WANTED_REHEARSAL: Final = Model(
    "WantedRehearsal",
    mapping(
        (),
        rule_id=_SHORT,
        rule={"type": "object", "description": "A rule as it stands in the tenant's document."},
        hours=count(1, MOST_HOURS, MOST_HOURS),
    ),
)
_VERSION: Final[dict[str, Schema]] = {
    "version": _NUMBER,
    "actor": TEXT | {"description": "Who applied it."},
    "applied_ms": _MOMENT,
}
_SEEN: Final[dict[str, Schema]] = {
    "seen_version": count(1, 2**31 - 1)
    | {"description": "Of GET /v1/document: who has changed the same one since is not overwritten."},
}
_OBJECT: Final[Schema] = {"type": "object"}
DOCUMENT: Final = Model(
    "Document",
    mapping(
        None,
        **_VERSION,
        rules=_list_of(_OBJECT),
        webhooks=_list_of(_OBJECT),
        channels=_list_of(mapping(channel_id=TEXT, kind=TEXT)),
        schedules=_list_of(TEXT),
        queues=_list_of(TEXT),
        events=_list_of(TEXT),
    ),
)
_IS_PREVIEW: Final = _FLAG | {"description": "Only say what would change, and what is wrong.", "default": False}
SEEN: Final = {**_SEEN, "preview": {"enum": ["true", "false"], "default": "false"}}
WANTED_RULE: Final = Model("WantedRule", mapping(("rule", "seen_version"), rule=_OBJECT, **_SEEN, preview=_IS_PREVIEW))
WANTED_ENDPOINT: Final = Model(
    "WantedEndpoint", mapping(("endpoint", "seen_version"), endpoint=_OBJECT, **_SEEN, preview=_IS_PREVIEW)
)
CHANGED: Final = Model(
    "Changed",
    mapping(
        ("version", "actor", "applied_ms", "is_published", "changes"),
        **_VERSION,
        is_published=_FLAG | {"description": "Whether every service can read it now; else it follows by itself."},
        changes=_list_of(mapping(path=TEXT, before={}, after={})),
        secret=TEXT | {"description": "A new endpoint's: shown once."},
        no_secret=TEXT | {"description": "Why none could be made."},
    ),
)
_FIRING: Final = mapping(
    rule_id=TEXT,
    event_id=TEXT,
    event_type=TEXT,
    at_ms=_MOMENT,
    call_id=TEXT,
    count=_NUMBER,
    messages=_list_of(mapping(to=TEXT, subject=TEXT, text=TEXT)),
)
REHEARSAL: Final = Model(
    "Rehearsal",
    mapping(
        since_ms=_MOMENT,
        until_ms=_MOMENT,
        events=_NUMBER,
        fired=_NUMBER,
        is_whole=_FLAG | {"description": "False where it took too long: until_ms says how far it came."},
        firings=_list_of(_FIRING),
    ),
)
