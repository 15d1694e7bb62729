"""What connectors know of a call: the values of their places."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final
from urllib.parse import quote

from services.shared.event_facts import one_line

LOST: Final = frozenset({"ABANDONED", "TIMEOUT", "NO_AGENT", "ERROR", "FALLBACK"})
"""A customer wanted to talk and did not (SPEC 4.1); a short abandon asks for nothing."""
MAX_GIST: Final = 600
RECORDING_PLACE: Final = "{recording_id}"


def facts_for(payload: Mapping[str, Any], users: Mapping[str, str], recording_link: str) -> dict[str, Any]:
    """Return `call`, `transcript` and `rule`, as far as they are in it, of an event as webhooks have it.

    `users` are the CRM's users by agent; `recording_link` is an address with {recording_id}, empty where nobody
    listens to recordings. `rule` is what a rule's action says beside the event, and the customer that it knows.
    """
    data: Mapping[str, Any] = payload.get("data") or {}
    rule: Mapping[str, Any] = payload.get("rule") or {}
    caller = data.get("caller") or {"number": rule.get("customer", ""), "name": rule.get("customer_name", "")}
    told = str(data.get("exit", "")).removeprefix("CALL_EXIT_")
    # Events from before routers said so themselves tell of a call that was answered what befell it afterwards.
    exit_way = "ANSWERED" if data.get("answered_at") else told
    agent = one_line(str(data.get("agent_id", "")))
    recordings = [str(one) for one in data.get("recording_ids") or ()] or [str(data.get("recording_id") or "")]
    links = [recording_link.replace(RECORDING_PLACE, quote(one, safe="")) for one in recordings if one]
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
        "fell_back": bool(data.get("fell_back")) or told == "FALLBACK",
        "is_answered": exit_way == "ANSWERED",
        "is_lost": exit_way in LOST and not outbound,
        "started_ms": started_ms,
        "ended_ms": ended_ms,
        "wait_ms": int(data.get("wait_ms") or 0),
        "talk_ms": int(data.get("talk_ms") or 0),
        "disposition": one_line(str(data.get("disposition", ""))),
        "recording_url": links[0] if links else "",
    }
    call["summary"] = _summary(call, links)
    said = {"text": str(rule.get("text", "")), "subject": str(rule.get("subject", ""))}
    return {
        "call": call,
        "transcript": _transcript(data, call),
        "rule": said,
        "tenant": {"id": data.get("tenant_id", "")},
    }


def _transcript(data: Mapping[str, Any], call: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a transcript.completed says of a talk; `summary` is one line for a person, with the link."""
    words, language = int(data.get("words") or 0), one_line(str(data.get("language", "")))
    parts = [f"{language}, {words} words"]
    mood, at_end = data.get("customer_sentiment"), data.get("customer_sentiment_at_end")
    if isinstance(mood, int | float):
        parts += [f"customer's mood {mood:+.1f}" + (f", at the end {at_end:+.1f}" if _is_number(at_end) else "")]
    for score in data.get("scores") or ():
        parts += [f"{one_line(str(score.get('card_id', '')))} {float(score.get('percent') or 0):.0f} %"]
    parts += [gist] if (gist := one_line(str(data.get("gist", "")), MAX_GIST)) else []
    summary = "; ".join(parts) + (f": {call['recording_url']}" if call["recording_url"] else "")
    return {"language": language, "words": words, "recording_url": call["recording_url"], "summary": summary}


def _is_number(value: object) -> bool:
    return isinstance(value, int | float)


def _summary(call: Mapping[str, Any], links: Sequence[str]) -> str:
    parts = [f"{call['direction']}, {call['exit']}", f"line {call['line']}"]
    parts += ["taken back by the switch after the talk"] if call["fell_back"] and call["is_answered"] else []
    parts += [f"queue {call['queue']}"] if call["queue"] else []
    parts += [f"agent {call['agent']}"] if call["agent"] else []
    parts += [f"waited {call['wait_ms'] // 1000} s, talked {call['talk_ms'] // 1000} s"]
    parts += [f"outcome {call['disposition']}"] if call["disposition"] else []
    return "; ".join([*parts, *links])


def _ms(text: object) -> int:
    try:
        return int(datetime.fromisoformat(str(text)).timestamp() * 1000)
    except ValueError:
        return 0
