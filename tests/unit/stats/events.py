"""Public events as the router tells them, for tests."""

import tempfile
from pathlib import Path
from typing import Any

from google.protobuf.message import Message

from services.shared.contracts.ringmaster.v1 import event_pb2 as ev
from services.shared.contracts.ringmaster.v1 import switch_pb2 as sw
from services.shared.contracts.ringmaster.v1.input_pb2 import Input
from services.stats.adapters.columns import Columns

TENANT = "acme"


def columns_here() -> Columns:
    """Return report tables in a folder of this moment's own."""
    return Columns(Path(tempfile.mkdtemp(prefix="ringmaster-columns-")))


LINE = "+380441000001"


def event(time_ms: int, sequence: int, call_id: str = "", tenant_id: str = TENANT, **body: Message) -> ev.Event:
    """Return one event; the body is given by its field's name."""
    ((name, message),) = body.items()
    subject = call_id or f"agent:{getattr(message, 'agent_id', '')}"
    told = ev.Event(
        event_id=f"{tenant_id}/{subject}/{sequence}",
        tenant_id=tenant_id,
        call_id=call_id,
        subject=subject,
        sequence=sequence,
    )
    told.time.FromMilliseconds(time_ms)
    getattr(told, name).CopyFrom(message)
    return told


def ended(call_exit: int, started_ms: int, answered_ms: int = 0, **fields: Any) -> ev.CallEnded:
    """Return the body of call.ended."""
    body = ev.CallEnded(exit=ev.CallExit.ValueType(call_exit), **({"line": LINE} | fields))
    body.started_at.FromMilliseconds(started_ms)
    if answered_ms:
        body.answered_at.FromMilliseconds(answered_ms)
    return body


def answered_call(call_id: str, at_ms: int, wait_ms: int, talk_ms: int, queue_id: str = "sales") -> list[ev.Event]:
    """Return the life of a call that is answered."""
    answer = at_ms + wait_ms
    left = ev.QueueLeft(
        queue_id=queue_id, exit=ev.QUEUE_EXIT_ANSWERED, wait_ms=wait_ms, within_service_level=wait_ms <= 20_000
    )
    over = ended(ev.CALL_EXIT_ANSWERED, at_ms, answer, queue_id=queue_id, talk_ms=talk_ms, wait_ms=wait_ms)
    return [
        event(at_ms, 1, call_id, call_started=ev.CallStarted(line=LINE)),
        event(at_ms, 2, call_id, queue_joined=ev.QueueJoined(queue_id=queue_id)),
        event(answer, 3, call_id, queue_left=left),
        event(answer, 4, call_id, call_answered=ev.CallAnswered(queue_id=queue_id, agent_id="olena")),
        event(answer + talk_ms, 5, call_id, call_ended=over),
    ]


def abandoned_call(call_id: str, at_ms: int, wait_ms: int, queue_id: str = "sales") -> list[ev.Event]:
    """Return the life of a call that is given up; under 5 seconds it is short."""
    is_short = wait_ms < 5_000
    left = ev.QueueLeft(
        queue_id=queue_id,
        exit=ev.QUEUE_EXIT_SHORT_ABANDONED if is_short else ev.QUEUE_EXIT_ABANDONED,
        wait_ms=wait_ms,
        within_service_level=wait_ms <= 20_000,
    )
    call_exit = ev.CALL_EXIT_SHORT_ABANDONED if is_short else ev.CALL_EXIT_ABANDONED
    return [
        event(at_ms, 1, call_id, call_started=ev.CallStarted(line=LINE)),
        event(at_ms, 2, call_id, queue_joined=ev.QueueJoined(queue_id=queue_id)),
        event(at_ms + wait_ms, 3, call_id, queue_left=left),
        event(at_ms + wait_ms, 4, call_id, call_ended=ended(call_exit, at_ms, queue_id=queue_id)),
    ]


def take_back(over: ev.CallEnded, *, is_older: bool) -> None:
    """Let the switch take a call back after its talk: a router of before `fell_back` tells that as its exit."""
    if is_older:
        over.exit = ev.CALL_EXIT_FALLBACK
    else:
        over.fell_back = True


def call_taken_back(call_id: str, at_ms: int, *, is_older: bool) -> list[ev.Event]:
    """Return the life of a call that is answered after 3 s, talks for 9 s and is then taken back by the switch."""
    life = answered_call(call_id, at_ms, 3_000, 9_000)
    take_back(life[-1].call_ended, is_older=is_older)
    return life


def state(agent_id: str, time_ms: int, sequence: int, now: "ev.AgentState.ValueType") -> ev.Event:
    """Return that an agent's state changed."""
    return event(time_ms, sequence, agent_state_changed=ev.AgentStateChanged(agent_id=agent_id, state=now))


def leg_over(
    leg_id: str, created_ms: int, ring_ms: int, billed_ms: int | None, call_id: str = "", **over: Any
) -> Input:
    """Return a leg's last fact; `billed_ms` None: nobody answered."""
    answered_ms = 0 if billed_ms is None else created_ms + ring_ms
    ended_ms = created_ms + ring_ms + (billed_ms or 0)
    body = sw.LegHungUp(created_us=created_ms * 1000, answered_us=answered_ms * 1000, ended_us=ended_ms * 1000)
    usual: dict[str, Any] = {"cause": "NORMAL_CLEARING", "direction": sw.DIRECTION_INBOUND}
    body.MergeFrom(sw.LegHungUp(**(usual | over)))
    fact = sw.SwitchFact(node="fs-1", leg_id=leg_id, call_id=call_id, occurred_us=ended_ms * 1000, leg_hung_up=body)
    return Input(tenant_id=TENANT, fact=fact)
