"""A busy floor as its router and recorder tell it: every event of answered and abandoned calls, in order of time."""

import random
from collections.abc import Iterator
from typing import Any

from google.protobuf.message import Message

from services.shared.contracts.ringmaster.v1 import event_pb2 as ev

TENANTS = 4
AGENTS = 2_000
QUEUES = 8
ABANDONS = 0.1
Told = tuple[int, ev.Event]
"""(milliseconds since the beginning, event without its time)."""


def story(calls_a_second: float, seconds: float, talk_seconds: float, seed: int = 3) -> list[Told]:
    """Return the events of all calls that begin within `seconds`."""
    dice, told = random.Random(seed), list[Told]()
    sequences: dict[str, int] = {}
    for number in range(int(calls_a_second * seconds)):
        at = int(number / calls_a_second * 1000 + dice.uniform(0, 20))
        told += list(_call(number, at, talk_seconds, dice, sequences))
    return sorted(told, key=lambda each: each[0])


def _call(  # noqa: PLR0915 - a story is read from top to bottom
    number: int, at: int, talk_seconds: float, dice: random.Random, sequences: dict[str, int]
) -> Iterator[Told]:
    tenant_id, queue_id, call_id = f"floor{number % TENANTS}", f"q{dice.randrange(QUEUES)}", f"call-{number:08}"
    agent_id = f"agent-{number % AGENTS}"

    def tell(at_ms: int, subject: str, **body: Message) -> Told:
        sequence = sequences[subject] = sequences.get(subject, 0) + 1
        ((name, message),) = body.items()
        event = ev.Event(event_id=f"{tenant_id}/{subject}/{sequence}", tenant_id=tenant_id, subject=subject)
        event.sequence = sequence
        if subject == call_id:
            event.call_id = call_id
        getattr(event, name).CopyFrom(message)
        return at_ms, event

    party = ev.Party(number=f"+38050{number % 10_000_000:07}", name=f"Customer {number % 9_000}")
    line = f"+38044200000{number % TENANTS}"
    yield tell(at, call_id, call_started=ev.CallStarted(line=line, caller=party, flow_id="main", node="fs-1"))
    spent = dice.randrange(200, 2_000)
    greet: dict[str, Any] = {"flow_id": "main", "flow_version": 1, "step_id": "greet", "step_type": "play"}
    wait: dict[str, Any] = {"flow_id": "main", "flow_version": 1, "step_id": "wait", "step_type": "queue"}
    yield tell(at, call_id, flow_step_entered=ev.FlowStepEntered(**greet))
    at += spent
    left = ev.FlowStepLeft(exit="done", next_step_id="wait", duration_ms=spent, why="it was played", **greet)
    yield tell(at, call_id, flow_step_left=left)
    yield tell(at, call_id, flow_step_entered=ev.FlowStepEntered(**wait))
    yield tell(at, call_id, queue_joined=ev.QueueJoined(queue_id=queue_id, position=1, waiting=1))
    over = ev.CallEnded(line=line, caller=party, queue_id=queue_id, hangup_cause="NORMAL_CLEARING")
    if dice.random() < ABANDONS:
        waited = dice.randrange(1_000, 15_000)
        gone = ev.QueueLeft(queue_id=queue_id, exit=ev.QUEUE_EXIT_ABANDONED, wait_ms=waited)
        yield tell(at + waited, call_id, queue_left=gone)
        over.exit, over.wait_ms = ev.CALL_EXIT_ABANDONED, waited
        yield tell(at + waited, call_id, call_ended=over)
        return
    agent = f"agent:{agent_id}"
    candidates = [ev.Candidate(agent_id=f"agent-{(number + more) % AGENTS}", level=1) for more in range(5)]
    whose: dict[str, Any] = {"offer_id": f"{call_id}/1", "queue_id": queue_id, "agent_id": agent_id}
    offered = ev.OfferCreated(strategy="longest_idle", candidates=candidates, candidates_total=40, **whose)
    yield tell(at, call_id, offer_created=offered)
    yield tell(at, agent, agent_state_changed=_state(agent_id, ev.AGENT_STATE_RINGING, ev.AGENT_STATE_IDLE, 20_000))
    ring = dice.randrange(500, 5_000)
    yield tell(at + 150, call_id, offer_ringing=ev.OfferRinging(**whose))
    at += ring
    yield tell(at, call_id, offer_accepted=ev.OfferAccepted(ring_ms=ring, **whose))
    in_time = ev.QueueLeft(
        queue_id=queue_id, exit=ev.QUEUE_EXIT_ANSWERED, wait_ms=ring, agent_id=agent_id, within_service_level=True
    )
    yield tell(at, call_id, queue_left=in_time)
    answered = ev.CallAnswered(queue_id=queue_id, agent_id=agent_id, wait_ms=ring)
    yield tell(at, call_id, call_answered=answered)
    yield tell(at, agent, agent_state_changed=_state(agent_id, ev.AGENT_STATE_TALKING, ev.AGENT_STATE_RINGING, ring))
    talk = int(dice.uniform(0.5, 1.5) * talk_seconds * 1000)
    at += talk
    over.exit, over.wait_ms, over.talk_ms, over.agent_id = ev.CALL_EXIT_ANSWERED, ring, talk, agent_id
    yield tell(at, call_id, call_ended=over)
    yield tell(at, agent, agent_state_changed=_state(agent_id, ev.AGENT_STATE_WRAP_UP, ev.AGENT_STATE_TALKING, talk))
    yield tell(at, agent, agent_wrapup_started=ev.AgentWrapupStarted(agent_id=agent_id, queue_id=queue_id))
    wrap = 5_000
    ended = ev.AgentWrapupEnded(agent_id=agent_id, queue_id=queue_id, duration_ms=wrap)
    yield tell(at + wrap, agent, agent_wrapup_ended=ended)
    free = _state(agent_id, ev.AGENT_STATE_IDLE, ev.AGENT_STATE_WRAP_UP, wrap)
    yield tell(at + wrap, agent, agent_state_changed=free)


def _state(
    agent_id: str, now: ev.AgentState.ValueType, former: ev.AgentState.ValueType, former_ms: int
) -> ev.AgentStateChanged:
    return ev.AgentStateChanged(agent_id=agent_id, state=now, former_state=former, former_ms=former_ms)
