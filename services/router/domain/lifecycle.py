"""The life cycles of agents and calls, each an Enum and one table (SPEC 3.4)."""

from enum import IntEnum, StrEnum

from services.router.domain.errors import IllegalTransition
from services.shared.contracts.ringmaster.v1 import event_pb2 as ev


class AgentState(IntEnum):
    """What the system sees of an agent; the values are those of the contract."""

    OFFLINE = ev.AGENT_STATE_OFFLINE
    IDLE = ev.AGENT_STATE_IDLE
    RESERVED = ev.AGENT_STATE_RESERVED
    RINGING = ev.AGENT_STATE_RINGING
    TALKING = ev.AGENT_STATE_TALKING
    HOLDING = ev.AGENT_STATE_HOLDING
    WRAP_UP = ev.AGENT_STATE_WRAP_UP
    UNREACHABLE = ev.AGENT_STATE_UNREACHABLE
    AWAY = ev.AGENT_STATE_AWAY


class CallStage(StrEnum):
    """Where a customer's call is."""

    ARRIVING = "arriving"
    """Created, not parked yet: it can't be controlled."""
    IN_STEP = "in_step"
    """A prompt or question of its flow runs."""
    WAITING = "waiting"
    CALLING = "calling"
    """We ring the customer."""
    CONNECTING = "connecting"
    """An agent answered, the bridge was ordered."""
    TALKING = "talking"
    TRANSFERRING = "transferring"
    """Its agent is about to hand it to somebody else; how far that is stands in its transfer."""
    FORWARDING = "forwarding"
    FORWARDED = "forwarded"
    HANDING = "handing"
    """It is being given to another log of its tenant; until that is settled nothing is decided of it."""
    ENDING = "ending"
    """Its hang-up was ordered."""


_AT_REST = frozenset({AgentState.OFFLINE, AgentState.IDLE, AgentState.UNREACHABLE, AgentState.AWAY})
AGENT_TRANSITIONS: dict[AgentState, frozenset[AgentState]] = {
    # Reserved without being ready: for a call that they dial or take over themselves.
    AgentState.OFFLINE: _AT_REST | {AgentState.RESERVED},
    AgentState.AWAY: _AT_REST | {AgentState.RESERVED},
    AgentState.UNREACHABLE: _AT_REST | {AgentState.RESERVED},
    AgentState.IDLE: _AT_REST | {AgentState.RESERVED},
    AgentState.RESERVED: _AT_REST | {AgentState.RINGING, AgentState.TALKING},
    AgentState.RINGING: _AT_REST | {AgentState.TALKING},
    AgentState.TALKING: _AT_REST | {AgentState.HOLDING, AgentState.WRAP_UP},
    AgentState.HOLDING: _AT_REST | {AgentState.TALKING, AgentState.WRAP_UP},
    AgentState.WRAP_UP: _AT_REST,
}

_ENDING = frozenset({CallStage.ENDING})
_STEP_ENDS = _ENDING | {CallStage.IN_STEP, CallStage.WAITING, CallStage.FORWARDING, CallStage.HANDING}
CALL_TRANSITIONS: dict[CallStage, frozenset[CallStage]] = {
    CallStage.ARRIVING: _STEP_ENDS,
    CallStage.IN_STEP: _STEP_ENDS,
    CallStage.WAITING: _STEP_ENDS | {CallStage.CONNECTING, CallStage.CALLING},
    CallStage.CALLING: _ENDING | {CallStage.WAITING, CallStage.CONNECTING, CallStage.HANDING},
    CallStage.CONNECTING: _ENDING | {CallStage.WAITING, CallStage.TALKING},
    CallStage.TALKING: _STEP_ENDS | {CallStage.TRANSFERRING},
    CallStage.TRANSFERRING: _STEP_ENDS | {CallStage.TALKING, CallStage.FORWARDED},
    CallStage.FORWARDING: _STEP_ENDS | {CallStage.FORWARDED},
    CallStage.FORWARDED: _ENDING,
    CallStage.HANDING: _ENDING,
    CallStage.ENDING: frozenset(),
}


def check_agent(agent_id: str, former: AgentState, wanted: AgentState) -> None:
    """Raise IllegalTransition when an agent may not go there from where it is."""
    if wanted not in AGENT_TRANSITIONS[former]:
        raise IllegalTransition(f"agent {agent_id}", former.name, wanted.name)


def check_call(call_id: str, former: CallStage, wanted: CallStage) -> None:
    """Raise IllegalTransition when a call may not go there from where it is."""
    if wanted not in CALL_TRANSITIONS[former]:
        raise IllegalTransition(f"call {call_id}", former, wanted)
