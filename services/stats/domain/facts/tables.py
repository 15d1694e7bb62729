"""The columns of the report tables: what every report is computed from. Times are ms since 1970 UTC."""

from typing import Final

_TEXT: Final = "VARCHAR"
_WHOLE: Final = "BIGINT"
_FLAG: Final = "BOOLEAN"
_REAL: Final = "DOUBLE"


def _columns(texts: str, wholes: str, flags: str = "", reals: str = "") -> dict[str, str]:
    kinds = ((texts, _TEXT), (wholes, _WHOLE), (flags, _FLAG), (reals, _REAL))
    return {name: kind for names, kind in kinds for name in names.split()}


# What each row of a call's document also says of its call.
_CALL: Final = "call_id line client direction"
TABLES: Final[dict[str, dict[str, str]]] = {
    "calls": _columns(
        f"{_CALL} client_name flow_id node exit queue_id agent_id hangup_cause hangup_party disposition callback_id",
        "started_ms ended_ms answered_ms wait_ms talk_ms hold_ms billed_ms offers transfers visits rating",
        "ended answered recorded fell_back",
    ),
    "visits": _columns(
        f"{_CALL} queue_id agent_id exit next_queue_id",
        "started_ms joined_ms left_ms wait_ms estimated_ms error_ms priority position",
        "in_time resumed",
    ),
    "offers": _columns(
        f"{_CALL} offer_id queue_id agent_id outcome cause strategy",
        "started_ms at_ms ended_ms ring_ms waited_ms candidates",
    ),
    "talks": _columns(f"{_CALL} queue_id agent_id end_reason", "started_ms from_ms until_ms wait_ms talk_ms hold_ms"),
    "steps": _columns(f"{_CALL} flow_id step_id step_type exit next_step_id", "started_ms at_ms duration_ms"),
    "choices": _columns(f"{_CALL} flow_id step_id choice", "started_ms at_ms tries"),
    "transfers": _columns(
        f"{_CALL} queue_id from_agent_id agent_id to_agent_id to_queue_id to_number kind",
        "started_ms at_ms",
        "attended",
    ),
    "recordings": _columns(
        f"{_CALL} recording_id queue_id agent_id outcome reason language engine transcript",
        "started_ms at_ms duration_ms size_bytes words pauses masks",
        "silent repaired",
        "confidence customer_sentiment customer_sentiment_change agent_sentiment",
    ),
    "matches": _columns(f"{_CALL} recording_id queue_id agent_id rule_id speaker", "started_ms at_ms offset_ms"),
    "ratings": _columns(f"{_CALL} queue_id agent_id form_id field answer", "started_ms at_ms", "", "score"),
    "legs": _columns(
        "leg_id call_id direction role line client callee provider node hangup_cause hangup_party sip_call_id",
        "at_ms answered_ms ended_ms ring_ms billed_ms sip_status",
        "answered reconciled",
    ),
    "callbacks": _columns(
        "callback_id queue_id client line reason outcome cause agent_id", "at_ms ended_ms attempts", "keeps_place"
    ),
    "attempts": _columns("callback_id queue_id client agent_id outcome cause", "at_ms attempt"),
    "agent_states": _columns("agent_id queue_id state next_state", "from_ms until_ms sequence"),
    "agent_statuses": _columns("agent_id status former_status reason actor", "at_ms sequence"),
    "wrapups": _columns("agent_id queue_id", "at_ms duration_ms sequence"),
    "happenings": _columns("kind subject name client node", "at_ms from_ms until_ms sequence", "", "value norm"),
}
OF_CALLS: Final = (
    "calls",
    "visits",
    "offers",
    "talks",
    "steps",
    "choices",
    "transfers",
    "recordings",
    "matches",
    "ratings",
)
"""Tables whose rows come from a call's document; they are replaced together, by call."""
