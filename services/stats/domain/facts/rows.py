"""From a call's document to the rows of the report tables: a pure function of the facts that have come so far."""

from collections.abc import Callable, Iterator
from typing import Any, Final

from services.shared.phone_number import as_known
from services.stats.domain.exits import FALLBACK, counted

Fact = dict[str, Any]
Row = dict[str, Any]
Rows = dict[str, list[Row]]
# What ends a talk with an agent, beside the end of the call.
_ENDS_TALK: Final = frozenset({"call_transferred", "queue_joined", "call_answered", "flow_step_entered", "call_ended"})
_WHOSE: Final = ("queue_id", "agent_id")
_OUTCOMES: Final = {
    "offer_accepted": "accepted",
    "offer_rejected": "rejected",
    "offer_missed": "missed",
    "offer_cancelled": "cancelled",
    "offer_lost_race": "lost_race",
    "offer_failed": "failed",
}


def rows_of_call(call_id: str, facts: dict[str, Fact]) -> Rows:
    """Return the rows of one call by table. Facts that have not come yet leave fields empty, never wrong."""
    story = [fact for key, fact in sorted(facts.items()) if not key.startswith("x")]
    beside = sorted((fact for key, fact in facts.items() if key.startswith("x")), key=lambda fact: fact["t"])
    visits, talks, offers = list(_visits(story)), list(_talks(story)), list(_offers(story))
    # Also where only the recorder has told of it yet: rows are replaced by the call's beginning, and 0 is far from it.
    known_ms = min((fact["t"] for fact in story or beside), default=0)
    call = _call(story, visits, offers, known_ms)
    found: Rows = {"visits": visits, "talks": talks, "offers": offers}
    found["steps"], found["choices"] = list(_steps(story)), list(_choices(story))
    found["transfers"] = list(_transfers(story))
    found["recordings"] = list(_recordings(story + beside))
    spoke = {row["recording_id"]: {name: row.get(name, "") for name in _WHOSE} for row in found["recordings"]}
    matched = [fact for fact in story + beside if fact["k"] == "analysis_rule_matched"]
    found["matches"] = [{**_match(fact), **spoke.get(fact["recording_id"], {})} for fact in matched]
    found["ratings"] = list(_ratings(story, call))
    call["recorded"] = any(row["outcome"] == "stored" for row in found["recordings"])
    call["rating"] = next((row["score"] for row in found["ratings"] if row["field"] == "rating"), None)
    shared = {"call_id": call_id, **{name: call[name] for name in ("line", "client", "direction", "started_ms")}}
    for rows in found.values():
        for row in rows:
            row.update(shared)
    found["calls"] = [{"call_id": call_id, **call}]
    return found


def _call(story: list[Fact], visits: list[Row], offers: list[Row], known_ms: int) -> Row:
    started = _first(story, "call_started")
    ended = _first(story, "call_ended")
    answered = _first(story, "call_answered")
    answered_ms = ended.get("answered_ms") or answered.get("t")
    started_ms = started.get("t") or ended.get("started_ms") or known_ms
    line = started.get("line") or ended.get("line") or ""
    return {
        "line": line,
        "client": as_known(started.get("client") or ended.get("client") or "", line),
        "client_name": started.get("client_name") or ended.get("client_name") or "",
        "direction": started.get("direction") or ended.get("direction") or "inbound",
        "flow_id": started.get("flow_id", ""),
        "node": started.get("node", ""),
        "callback_id": started.get("callback_id") or ended.get("callback_id") or "",
        "started_ms": started_ms,
        "ended_ms": ended.get("t"),
        "answered_ms": answered_ms,
        "exit": counted(ended.get("exit", ""), is_answered=answered_ms is not None),
        "queue_id": ended.get("queue_id") or (visits[-1]["queue_id"] if visits else answered.get("queue_id", "")),
        "agent_id": ended.get("agent_id") or answered.get("agent_id", ""),
        "wait_ms": ended.get("wait_ms", answered.get("wait_ms", 0)),
        "talk_ms": ended.get("talk_ms", 0),
        "hold_ms": ended.get("hold_ms", 0),
        "billed_ms": max(0, ended["t"] - answered_ms) if ended and answered_ms else 0,
        "hangup_cause": ended.get("hangup_cause", ""),
        "hangup_party": ended.get("hangup_party", ""),
        "disposition": ended.get("disposition", ""),
        "ended": bool(ended),
        "answered": answered_ms is not None,
        "fell_back": ended.get("fell_back", False) or ended.get("exit") == FALLBACK,
        "offers": len(offers),
        "transfers": sum(fact["k"] == "call_transferred" for fact in story),
        "visits": len(visits),
    }


def _first(story: list[Fact], kind: str) -> Fact:
    return next((fact for fact in story if fact["k"] == kind), {})


def _visits(story: list[Fact]) -> Iterator[Row]:
    """Return one row a stay in a queue; one whose end has not come has no exit."""
    joined: Fact = {}
    for fact in story:
        if fact["k"] == "queue_joined":
            if joined:
                yield _visit(joined, {})
            joined = fact
        elif fact["k"] == "queue_left":
            is_same = joined.get("queue_id") == fact["queue_id"]
            if joined and not is_same:
                yield _visit(joined, {})
            yield _visit(joined if is_same else {}, fact)
            joined = {}
    if joined:
        yield _visit(joined, {})


def _visit(joined: Fact, left: Fact) -> Row:
    return {
        "queue_id": left.get("queue_id") or joined.get("queue_id", ""),
        "agent_id": left.get("agent_id", ""),
        "exit": left.get("exit", ""),
        "next_queue_id": left.get("next_queue_id", ""),
        "joined_ms": joined.get("t", left.get("t", 0) - left.get("wait_ms", 0)),
        "left_ms": left.get("t"),
        "wait_ms": left.get("wait_ms", 0),
        "in_time": left.get("in_time", False),
        "estimated_ms": left.get("estimated_ms") or joined.get("estimated_wait_ms", 0),
        "error_ms": left.get("error_ms", 0),
        "priority": joined.get("priority", 0),
        "position": joined.get("position", 0),
        "resumed": joined.get("resumed", False),
    }


def _offers(story: list[Fact]) -> Iterator[Row]:
    offers: dict[str, Row] = {}
    for fact in story:
        if not fact["k"].startswith("offer_"):
            continue
        row = offers.setdefault(fact["offer_id"], {"offer_id": fact["offer_id"], "outcome": "", "at_ms": fact["t"]})
        row.update(queue_id=fact["queue_id"], agent_id=fact["agent_id"])
        if fact["k"] == "offer_created":
            row.update({name: fact[name] for name in ("strategy", "waited_ms", "candidates")}, at_ms=fact["t"])
            continue
        cause = fact.get("cause") or fact.get("reason") or fact.get("winner_agent_id") or ""
        row.update(outcome=_OUTCOMES[fact["k"]], ended_ms=fact["t"], cause=cause, ring_ms=fact.get("ring_ms", 0))
    return iter(offers.values())


def _talks(story: list[Fact]) -> Iterator[Row]:
    """Return one row a talk of an agent. The end of the call tells the whole of a call with one talk."""
    talk: Row | None = None
    held_ms = held_from_ms = 0
    talks = 0
    for fact in story:
        if fact["k"] == "call_held":
            held_from_ms = fact["t"]
        elif talk is not None and fact["k"] == "call_resumed":
            held_ms, held_from_ms = held_ms + fact["held_ms"], 0
        if fact["k"] not in _ENDS_TALK:
            continue
        if talk is not None:
            # A hold that nobody ended, because the talk ended in it, lasted until then.
            open_ms = max(0, fact["t"] - held_from_ms) if held_from_ms else 0
            yield _closed(talk, fact, held_ms + open_ms, is_only=talks == 1)
        talk, held_ms, held_from_ms = None, 0, 0
        if fact["k"] == "call_answered":
            talks += 1
            talk = {"queue_id": fact["queue_id"], "agent_id": fact["agent_id"], "from_ms": fact["t"]}
            talk["wait_ms"] = fact["wait_ms"]
        elif fact["k"] == "call_transferred" and fact["to_agent_id"]:
            talks += 1
            talk = {"queue_id": "", "agent_id": fact["to_agent_id"], "from_ms": fact["t"], "wait_ms": 0}
    if talk is not None:
        yield {**talk, "until_ms": None, "talk_ms": 0, "hold_ms": held_ms, "end_reason": ""}


def _closed(talk: Row, end: Fact, held_ms: int, *, is_only: bool) -> Row:
    talk_ms = max(0, end["t"] - talk["from_ms"])
    if is_only and end["k"] == "call_ended":
        talk_ms, held_ms = end["talk_ms"], end["hold_ms"]
    return {**talk, "until_ms": end["t"], "talk_ms": talk_ms, "hold_ms": held_ms, "end_reason": end["k"]}


def _steps(story: list[Fact]) -> Iterator[Row]:
    """Return one row a step that was entered; one that was never left has no exit: the caller hung up in it."""
    open_steps: list[Fact] = []
    for fact in story:
        if fact["k"] == "flow_step_entered":
            open_steps.append(fact)
        elif fact["k"] == "flow_step_left":
            open_steps = [each for each in open_steps if each["step_id"] != fact["step_id"]]
            yield _step(fact, fact["t"] - fact["duration_ms"])
    for fact in open_steps:
        yield _step(fact, fact["t"])


def _step(fact: Fact, at_ms: int) -> Row:
    names = ("flow_id", "step_id", "step_type", "exit", "next_step_id", "duration_ms")
    return {"at_ms": at_ms, **{name: fact.get(name, 0 if name == "duration_ms" else "") for name in names}}


def _choices(story: list[Fact]) -> Iterator[Row]:
    for fact in story:
        if fact["k"] == "ivr_choice":
            yield {"at_ms": fact["t"], **{name: fact[name] for name in ("flow_id", "step_id", "choice", "tries")}}


def _transfers(story: list[Fact]) -> Iterator[Row]:
    queue_id = ""
    for fact in story:
        if fact["k"] == "call_answered":
            queue_id = fact["queue_id"] or queue_id
        if fact["k"] != "call_transferred":
            continue
        kind = "agent" if fact["to_agent_id"] else "queue" if fact["to_queue_id"] else "number"
        names = ("from_agent_id", "to_agent_id", "to_queue_id", "to_number", "attended")
        row = {"at_ms": fact["t"], "kind": kind, "queue_id": queue_id, **{name: fact[name] for name in names}}
        yield {**row, "agent_id": fact["from_agent_id"]}


def _recordings(facts: list[Fact]) -> Iterator[Row]:
    rows: dict[str, Row] = {}
    for fact in facts:
        tell = _OF_RECORDING.get(fact["k"])
        if tell is None:
            continue
        row = rows.setdefault(
            fact["recording_id"],
            {
                "recording_id": fact["recording_id"],
                "at_ms": fact["t"],
                "outcome": "recording",
                "pauses": 0,
                "masks": 0,
                "transcript": "",
            },
        )
        tell(row, fact)
    return iter(rows.values())


def _rec_stored(row: Row, fact: Fact) -> None:
    row.update({name: fact[name] for name in ("duration_ms", "size_bytes", "silent", "repaired")})
    if row["outcome"] != "deleted":
        row["outcome"] = "stored"


def _rec_failed(row: Row, fact: Fact) -> None:
    if fact["final"] and row["outcome"] == "recording":
        row.update(outcome="failed", reason=fact["reason"])


def _transcribed(row: Row, fact: Fact) -> None:
    row.update({name: fact[name] for name in ("language", "engine", "words", "confidence")}, transcript="completed")
    for name in ("customer_sentiment", "customer_sentiment_change", "agent_sentiment"):
        row[name] = fact.get(name)


def _untranscribed(row: Row, _fact: Fact) -> None:
    row["transcript"] = row["transcript"] or "failed"


_OF_RECORDING: Final[dict[str, Callable[[Row, Fact], None]]] = {
    "recording_started": lambda row, fact: row.update(agent_id=fact["agent_id"], queue_id=fact["queue_id"]),
    "recording_paused": lambda row, _: row.update(pauses=row["pauses"] + 1),
    "recording_masked": lambda row, _: row.update(masks=row["masks"] + 1),
    "recording_stored": _rec_stored,
    "recording_failed": _rec_failed,
    "recording_deleted": lambda row, fact: row.update(outcome="deleted", reason=fact["reason"]),
    "transcript_completed": _transcribed,
    "transcript_failed": _untranscribed,
}


def _match(fact: Fact) -> Row:
    row = {name: fact[name] for name in ("recording_id", "rule_id", "speaker")}
    return {**row, "at_ms": fact["t"], "offset_ms": fact["at_ms"]}


def _ratings(story: list[Fact], call: Row) -> Iterator[Row]:
    for fact in story:
        if fact["k"] != "form_answered":
            continue
        row = {"at_ms": fact["t"], "form_id": fact["form_id"], "agent_id": fact["agent_id"] or call["agent_id"]}
        for name, answer in fact["answers"]:
            yield {**row, "queue_id": call["queue_id"], "field": name, "answer": answer, "score": _score(answer)}


def _score(answer: str) -> float | None:
    """Return an answer that is a small number; None for any other."""
    is_number = answer.isascii() and answer.isdigit() and len(answer) < 6  # noqa: PLR2004 - five digits are no rating
    return float(answer) if is_number else None
