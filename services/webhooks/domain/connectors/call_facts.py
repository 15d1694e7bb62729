"""What connectors know of a call: the values of their places."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from services.shared.event_facts import one_line

LOST: Final = frozenset({"ABANDONED", "TIMEOUT", "NO_AGENT", "ERROR", "FALLBACK"})
"""A customer wanted to talk and did not (SPEC 4.1); a short abandon asks for nothing."""
RECORDING_PLACE: Final = "{recording_id}"


def facts_for(payload: Mapping[str, Any], users: Mapping[str, str], recording_link: str) -> dict[str, Any]:
    """Return `call`, and `transcript` where there is one, of an event as webhooks have it.

    `users` are the CRM's users by agent; `recording_link` is an address with {recording_id}, empty where nobody
    listens to recordings.
    """
    data: Mapping[str, Any] = payload.get("data") or {}
    caller = data.get("caller") or {}
    exit_way = str(data.get("exit", "")).removeprefix("CALL_EXIT_")
    agent = one_line(str(data.get("agent_id", "")))
    recordings = [str(one) for one in data.get("recording_ids") or ()] or [str(data.get("recording_id") or "")]
    started_ms, ended_ms = _ms(data.get("started_at")), _ms(payload.get("timestamp"))
    outbound = data.get("direction") == "DIRECTION_OUTBOUND"
    call = {
        "id": one_line(str(data.get("call_id", ""))),
        "direction": "outbound" if outbound else "inbound",
        "customer": one_line(str(caller.get("number", ""))),
        "customer_name": one_line(str(caller.get("name", ""))) or one_line(str(caller.get("number", ""))),
        "line": one_line(str(data.get("line", ""))),
        "from": one_line(str(data.get("line" if outbound else "_", "") or caller.get("number", ""))),
        "to": one_line(str(caller.get("number", "") if outbound else data.get("line", ""))),
        "queue": one_line(str(data.get("queue_id", ""))),
        "agent": agent,
        "user": users.get(agent, ""),
        "exit": exit_way.lower(),
        "is_answered": exit_way == "ANSWERED",
        "is_lost": exit_way in LOST and not outbound,
        "started_ms": started_ms,
        "ended_ms": ended_ms,
        "wait_ms": int(data.get("wait_ms") or 0),
        "talk_ms": int(data.get("talk_ms") or 0),
        "disposition": one_line(str(data.get("disposition", ""))),
        "recording_url": recording_link.replace(RECORDING_PLACE, recordings[0]) if recordings[0] else "",
    }
    call["summary"] = _summary(call)
    transcript = {
        "language": one_line(str(data.get("language", ""))),
        "words": int(data.get("words") or 0),
        "recording_url": call["recording_url"],
    }
    return {"call": call, "transcript": transcript, "tenant": {"id": data.get("tenant_id", "")}}


def is_callable(number: str) -> bool:
    """Whether a customer can be found by this number: a hidden one names nobody."""
    return sum(sign.isdigit() for sign in number) >= 5  # noqa: PLR2004 - the shortest number in E.164


def _summary(call: Mapping[str, Any]) -> str:
    parts = [f"{call['direction']}, {call['exit']}", f"line {call['line']}"]
    parts += [f"queue {call['queue']}"] if call["queue"] else []
    parts += [f"agent {call['agent']}"] if call["agent"] else []
    parts += [f"waited {call['wait_ms'] // 1000} s, talked {call['talk_ms'] // 1000} s"]
    parts += [f"outcome {call['disposition']}"] if call["disposition"] else []
    parts += [call["recording_url"]] if call["recording_url"] else []
    return "; ".join(parts)


def _ms(text: object) -> int:
    try:
        return int(datetime.fromisoformat(str(text)).timestamp() * 1000)
    except ValueError:
        return 0
