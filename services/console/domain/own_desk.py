"""What an agent sees of the own work: status, the call that rings or goes on, and whom it may go to (SPEC 5.1)."""

from dataclasses import asdict, replace
from typing import Any, Final

from services.console.domain.live import Live, SeenAgent, SeenCall
from services.shared.contracts.ringmaster.v1.tenant_pb2 import TenantDocument

MOST_COLLEAGUES: Final = 500

Glance = tuple[int, SeenAgent, str, SeenCall | None]


def glance(document: TenantDocument, agent_id: str, live: Live) -> Glance:
    """Return what a desk is made of: two are equal where the desks are. Microseconds, in a hall of any size."""
    agent, call_id, call = _seen(document.tenant_id, agent_id, live)
    return document.version, replace(agent), call_id, replace(call) if call else None


def desk_of(document: TenantDocument, agent_id: str, live: Live) -> dict[str, Any] | None:
    """Return an agent's desk as JSON can have it; None for one whom the document does not have."""
    own = next((agent for agent in document.agents if agent.agent_id == agent_id), None)
    if own is None:
        return None
    agent, call_id, call = _seen(document.tenant_id, agent_id, live)
    label = next((line.label for line in document.lines if call and line.number == call.line), "")
    return {
        "company": document.name or document.tenant_id,
        "tenant_id": document.tenant_id,
        "agent": {"agent_id": agent_id, "name": own.name, **asdict(agent)},
        "call": {"call_id": call_id, "line_label": label, **asdict(call)} if call else None,
        "dispositions": list(document.dispositions),
        "queues": [queue.queue_id for queue in document.queues],
    }


def colleagues_of(document: TenantDocument, agent_id: str, live: Live) -> list[dict[str, str]]:
    """Return the other agents and how they are just now."""
    seen = live.agents(document.tenant_id)
    return [
        {"agent_id": one.agent_id, "name": one.name, "state": seen.get(one.agent_id, SeenAgent()).state}
        for one in document.agents[:MOST_COLLEAGUES]
        if one.agent_id != agent_id
    ]


def _seen(tenant_id: str, agent_id: str, live: Live) -> tuple[SeenAgent, str, SeenCall | None]:
    agent = live.agents(tenant_id).get(agent_id) or SeenAgent()
    call_id = agent.offered_call_id or agent.call_id
    return agent, call_id, live.calls(tenant_id).get(call_id) or live.over(tenant_id, agent_id)
