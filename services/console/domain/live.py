from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from services.shared.contracts.ringmaster.v1.event_pb2 import AgentState, Event, QueueExit
from services.shared.contracts.ringmaster.v1.request_pb2 import AgentStatus

OVER: Final = "over"
"""The state of a call that has ended while its agent still works on it."""
_ON_CALL: Final = frozenset(
    {AgentState.AGENT_STATE_TALKING, AgentState.AGENT_STATE_HOLDING, AgentState.AGENT_STATE_WRAP_UP}
)
# The events that change a picture of agents and calls; all others need not even be decoded.
SHOWN: Final = frozenset(
    {
        "agent.status_changed",
        "agent.state_changed",
        "agent.registered",
        "agent.unregistered",
        "call.started",
        "call.answered",
        "call.held",
        "call.resumed",
        "call.transferred",
        "call.ended",
        "client.vip_called",
        "queue.joined",
        "queue.left",
        "offer.created",
        "offer.ringing",
        "offer.accepted",
        "offer.rejected",
        "offer.missed",
        "offer.cancelled",
        "offer.lost_race",
        "offer.failed",
    }
)


@dataclass(slots=True)
class SeenAgent:
    """What the events told of one agent. `offer_id` is what rings now, `call_id` the call that he had last."""

    status: str = "offline"
    reason: str = ""
    state: str = "offline"
    since_ms: int = 0
    queue_id: str = ""
    offer_id: str = ""
    offered_call_id: str = ""
    call_id: str = ""
    is_registered: bool = False


@dataclass(slots=True)
class SeenCall:
    """What the events told of one call that is not over."""

    line: str = ""
    caller: str = ""
    started_ms: int = 0
    queue_id: str = ""
    agent_id: str = ""
    state: str = "flow"
    caller_name: str = ""
    is_vip: bool = False


@dataclass(slots=True)
class _Tenant:
    agents: dict[str, SeenAgent] = field(default_factory=dict)
    calls: dict[str, SeenCall] = field(default_factory=dict)
    # The last agent of a call stays known while it is the agent's last call, for its wrap-up.
    agents_of_calls: dict[str, str] = field(default_factory=dict)
    # Agent → the call that has ended, as long as the agent works on it.
    over: dict[str, SeenCall] = field(default_factory=dict)


class Live:
    """Agents and calls of all tenants as the public events tell them. Applying an event twice changes nothing."""

    def __init__(self) -> None:
        self._tenants: dict[str, _Tenant] = {}

    def agents(self, tenant_id: str) -> dict[str, SeenAgent]:
        """Return the agents that events told of, by id."""
        return self._tenants.get(tenant_id, _Tenant()).agents

    def calls(self, tenant_id: str) -> dict[str, SeenCall]:
        """Return the calls in progress, by id."""
        return self._tenants.get(tenant_id, _Tenant()).calls

    def over(self, tenant_id: str, agent_id: str) -> SeenCall | None:
        """Return the call that has ended and on which an agent still works."""
        return self._tenants.get(tenant_id, _Tenant()).over.get(agent_id)

    def agent_of(self, tenant_id: str, call_id: str) -> str:
        """Return whose call it is or was last; empty when it is nobody's."""
        return self._tenants.get(tenant_id, _Tenant()).agents_of_calls.get(call_id, "")

    def apply(self, event: Event) -> None:
        """Take one event."""
        kind = event.WhichOneof("body") or ""
        change = _CHANGES.get(kind)
        if change is not None:
            change(self._tenants.setdefault(event.tenant_id, _Tenant()), event, getattr(event, kind))


def _agent(tenant: _Tenant, agent_id: str) -> SeenAgent:
    return tenant.agents.setdefault(agent_id, SeenAgent())


def _status_changed(tenant: _Tenant, _event: Event, body: Any) -> None:
    agent = _agent(tenant, body.agent_id)
    agent.status, agent.reason = AgentStatus.Name(body.status).removeprefix("AGENT_STATUS_").lower(), body.reason


def _state_changed(tenant: _Tenant, event: Event, body: Any) -> None:
    agent = _agent(tenant, body.agent_id)
    agent.state = AgentState.Name(body.state).removeprefix("AGENT_STATE_").lower()
    agent.since_ms, agent.queue_id = event.time.ToMilliseconds(), body.queue_id
    if body.state not in _ON_CALL:
        tenant.over.pop(body.agent_id, None)


def _registered(tenant: _Tenant, _event: Event, body: Any) -> None:
    _agent(tenant, body.agent_id).is_registered = True


def _unregistered(tenant: _Tenant, _event: Event, body: Any) -> None:
    _agent(tenant, body.agent_id).is_registered = False


def _call_started(tenant: _Tenant, event: Event, body: Any) -> None:
    tenant.calls[event.call_id] = SeenCall(
        body.line, body.caller.number, event.time.ToMilliseconds(), caller_name=body.caller.name
    )


def _vip_called(tenant: _Tenant, event: Event, _body: Any) -> None:
    call = tenant.calls.get(event.call_id)
    if call:
        call.is_vip = True


def _give(tenant: _Tenant, call_id: str, agent_id: str) -> None:
    """Let a call be an agent's: whose it was before has it no more, nor the agent the call before it."""
    agent = _agent(tenant, agent_id)
    if agent.call_id != call_id and tenant.agents_of_calls.get(agent.call_id) == agent_id:
        del tenant.agents_of_calls[agent.call_id]
    former = tenant.agents_of_calls.get(call_id, agent_id)
    if former != agent_id:
        _take_away(tenant, call_id, former)
    agent.call_id = call_id
    tenant.agents_of_calls[call_id] = agent_id


def _take_away(tenant: _Tenant, call_id: str, agent_id: str) -> None:
    agent = _agent(tenant, agent_id)
    if agent.call_id == call_id:
        agent.call_id = ""


def _talk_began(tenant: _Tenant, event: Event, body: Any) -> None:
    _give(tenant, event.call_id, body.agent_id)
    call = tenant.calls.get(event.call_id)
    if call:
        call.agent_id, call.queue_id, call.state = body.agent_id, body.queue_id, "talking"


def _call_state(state: str) -> Callable[[_Tenant, Event, Any], None]:
    def change(tenant: _Tenant, event: Event, _body: Any) -> None:
        call = tenant.calls.get(event.call_id)
        if call:
            call.state = state

    return change


def _call_transferred(tenant: _Tenant, event: Event, body: Any) -> None:
    """Give a call to the agent whom it went to; one that went to a number or a queue is nobody's."""
    former = tenant.agents_of_calls.pop(event.call_id, "")
    if former:
        _take_away(tenant, event.call_id, former)
    if body.to_agent_id:
        _give(tenant, event.call_id, body.to_agent_id)
    call = tenant.calls.get(event.call_id)
    if call:
        call.agent_id = body.to_agent_id
        if not body.to_queue_id:
            call.state = "talking"


def _call_ended(tenant: _Tenant, event: Event, _body: Any) -> None:
    call, agent_id = tenant.calls.pop(event.call_id, None), tenant.agents_of_calls.get(event.call_id, "")
    if call and agent_id:
        call.state = OVER
        tenant.over[agent_id] = call


def _queue_joined(tenant: _Tenant, event: Event, body: Any) -> None:
    call = tenant.calls.get(event.call_id)
    if call:
        call.queue_id, call.state = body.queue_id, "waiting"


def _queue_left(tenant: _Tenant, event: Event, body: Any) -> None:
    """Let a caller go on; call.answered tells only of the first talk, so who was answered talks from now on."""
    call = tenant.calls.get(event.call_id)
    if body.exit == QueueExit.QUEUE_EXIT_ANSWERED:
        _talk_began(tenant, event, body)
    elif call and call.state == "waiting":
        call.state = "flow"


def _offered(tenant: _Tenant, event: Event, body: Any) -> None:
    agent = _agent(tenant, body.agent_id)
    agent.offer_id, agent.offered_call_id = body.offer_id, event.call_id


def _offer_over(tenant: _Tenant, _event: Event, body: Any) -> None:
    agent = _agent(tenant, body.agent_id)
    if agent.offer_id == body.offer_id:
        agent.offer_id = agent.offered_call_id = ""


_CHANGES: Final[dict[str, Callable[[_Tenant, Event, Any], None]]] = {
    "agent_status_changed": _status_changed,
    "agent_state_changed": _state_changed,
    "agent_registered": _registered,
    "agent_unregistered": _unregistered,
    "call_started": _call_started,
    "client_vip_called": _vip_called,
    "call_answered": _talk_began,
    "call_held": _call_state("held"),
    "call_resumed": _call_state("talking"),
    "call_ended": _call_ended,
    "call_transferred": _call_transferred,
    "queue_joined": _queue_joined,
    "queue_left": _queue_left,
    "offer_created": _offered,
    "offer_ringing": _offered,
} | dict.fromkeys(
    ("offer_accepted", "offer_rejected", "offer_missed", "offer_cancelled", "offer_lost_race", "offer_failed"),
    _offer_over,
)
