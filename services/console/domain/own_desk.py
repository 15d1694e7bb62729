"""What an agent sees of the own work: status, the call that rings or goes on, and whom it may go to (SPEC 5.1)."""

from dataclasses import asdict
from typing import Any, Final

from services.console.domain.live import Live, SeenAgent
from services.shared.contracts.ringmaster.v1.tenant_pb2 import TenantDocument

MOST_COLLEAGUES: Final = 500


def desk_of(document: TenantDocument, agent_id: str, live: Live) -> dict[str, Any] | None:
    """Return an agent's desk as JSON can have it; None for one whom the document does not have."""
    own = next((agent for agent in document.agents if agent.agent_id == agent_id), None)
    if own is None:
        return None
    seen, labels = live.agents(document.tenant_id), {line.number: line.label for line in document.lines}
    agent, calls = seen.get(agent_id, SeenAgent()), live.calls(document.tenant_id)
    call_id = agent.offered_call_id or agent.call_id
    call = calls.get(call_id) or live.over(document.tenant_id, agent_id)
    shown = {"call_id": call_id, "line_label": labels.get(call.line, ""), **asdict(call)} if call else None
    return {
        "company": document.name or document.tenant_id,
        "tenant_id": document.tenant_id,
        "agent": {"agent_id": agent_id, "name": own.name, **asdict(agent)},
        "call": shown,
        "dispositions": list(document.dispositions),
        "queues": [queue.queue_id for queue in document.queues],
        "colleagues": [
            {"agent_id": one.agent_id, "name": one.name, "state": seen.get(one.agent_id, SeenAgent()).state}
            for one in document.agents[:MOST_COLLEAGUES]
            if one.agent_id != agent_id
        ],
    }
