"""From the documents that are not of calls to the rows of their tables."""

from typing import Any, Final

from services.shared.phone_number import as_known
from services.stats.domain.facts.kept import CALLBACKS, HAPPENINGS
from services.stats.domain.facts.rows import Fact, Row, Rows

_LOST: Final = ("callback_succeeded", "callback_failed", "callback_cancelled", "callback_expired")
_NAMES: Final = ("kpi_id", "limit", "list_id", "form_id")


def rows_of(collection: str, document: dict[str, Any]) -> Rows:
    """Return the rows of one document of another collection, by table."""
    if collection == CALLBACKS:
        return _callback(document["callback_id"], document["facts"])
    if collection == HAPPENINGS:
        return _happening(document)
    rows: Rows = {}
    # A document of its own for each fact is what they were before several shared one.
    for fact in document["facts"].values() if "facts" in document else [document]:
        for table, own in _agent_fact(fact).items():
            rows.setdefault(table, []).extend(own)
    return rows


def _agent_fact(fact: Fact) -> Rows:
    at_ms, agent_id, sequence = fact["t"], fact["agent_id"], fact["sequence"]
    if fact["k"] == "agent_wrapup_ended":
        row: Row = {"queue_id": fact["queue_id"], "duration_ms": fact["duration_ms"]}
        return {"wrapups": [{"agent_id": agent_id, "at_ms": at_ms, "sequence": sequence, **row}]}
    if fact["k"] == "agent_status_changed":
        row = {name: fact[name] for name in ("status", "former_status", "reason", "actor")}
        return {"agent_statuses": [{"agent_id": agent_id, "at_ms": at_ms, "sequence": sequence, **row}]}
    # An interval is told whole when it ends: `former_ms` is 0 where the beginning is not known.
    row = {"from_ms": at_ms - fact["former_ms"], "until_ms": at_ms, "state": fact["former_state"]}
    row |= {"next_state": fact["state"], "queue_id": fact["queue_id"], "sequence": sequence}
    return {"agent_states": [{"agent_id": agent_id, **row}]}


def _happening(fact: Fact) -> Rows:
    name = next((fact[each] for each in _NAMES if each in fact), "")
    row: Row = {"kind": fact["k"].replace("_", ".", 1), "subject": fact.get("subject", ""), "name": name}
    row |= {"at_ms": fact["t"], "from_ms": fact.get("from_ms"), "until_ms": fact.get("until_ms")}
    row |= {"client": fact.get("client", ""), "node": fact.get("node", ""), "sequence": fact["sequence"]}
    row |= {"value": fact.get("value"), "norm": fact.get("norm", fact.get("allowed"))}
    return {"happenings": [row]}


def _callback(callback_id: str, facts: dict[str, Fact]) -> Rows:
    story = [fact for _, fact in sorted(facts.items())]
    asked = next((fact for fact in story if fact["k"] == "callback_requested"), {})
    over = [fact for fact in story if fact["k"] in _LOST and fact.get("final", True)]
    last = over[-1] if over else {}
    tried = {fact["attempt"]: fact for fact in story if fact["k"] == "callback_attempted"}
    first = asked or (story[0] if story else {})
    line = asked.get("line", "")
    row: Row = {
        "callback_id": callback_id,
        "queue_id": first.get("queue_id", ""),
        "client": as_known(first.get("number", ""), line),
        "line": line,
        "reason": asked.get("reason", ""),
        "keeps_place": asked.get("keeps_place", False),
        "at_ms": first.get("t", 0),
        "ended_ms": last.get("t"),
        "outcome": last["k"].removeprefix("callback_") if last else "open",
        "cause": last.get("cause") or last.get("reason") or "",
        "agent_id": last.get("agent_id", ""),
        "attempts": len(tried),
    }
    return {"callbacks": [row], "attempts": [_attempt(callback_id, line, fact, story) for fact in tried.values()]}


def _attempt(callback_id: str, line: str, tried: Fact, story: list[Fact]) -> Row:
    results = (fact for fact in story if fact["k"] in _LOST[:2] and fact["attempt"] == tried["attempt"])
    result = next(results, {})
    return {
        "callback_id": callback_id,
        "queue_id": tried["queue_id"],
        "client": as_known(tried["number"], line),
        "agent_id": tried["agent_id"],
        "attempt": tried["attempt"],
        "at_ms": tried["t"],
        "outcome": result["k"].removeprefix("callback_") if result else "open",
        "cause": result.get("cause", ""),
    }
