"""A new version of the tenant's document comes into force, whole (SPEC 1.2)."""

from services.router.domain import agents, offers, versions, waiting, widening
from services.router.domain.callbacks import campaign, opening
from services.router.domain.configuration import Configuration
from services.router.domain.idle import floor_of
from services.router.domain.lifecycle import AgentState
from services.router.domain.model import QueueMemory
from services.router.domain.splitting import moving
from services.router.domain.turn import Turn
from services.shared.contracts.ringmaster.v1 import request_pb2 as rq
from services.shared.contracts.ringmaster.v1.tenant_pb2 import TenantDocument


def apply(turn: Turn, document: TenantDocument) -> None:
    """Bring a document into force; one that is not newer is ignored. Calls keep the flow that they started with.

    Raises UnsupportedStrategy and UnreadableFlow before anything is changed.
    """
    state = turn.state
    if document.version <= state.version:
        return
    configuration = Configuration(document, state.domain)
    former = state.version
    state.documents[document.version] = document.SerializeToString(deterministic=True)
    state.configurations[document.version] = configuration
    state.version = document.version
    moving.tell_document(turn, document)
    versions.drop_unused(turn, former)
    opening.follow_document(turn)
    campaign.follow_document(turn)
    _rebuild(turn, configuration)
    _welcome(turn, configuration)
    moving.follow_document(turn)
    if not state.domain:
        body = turn.subject_event("tenant").config_changed
        body.version = document.version
        body.former_version = former
    _match_anew(turn)


def _rebuild(turn: Turn, configuration: Configuration) -> None:
    state = turn.state
    state.queues = {queue_id: state.queues.get(queue_id, QueueMemory()) for queue_id in configuration.plans}
    state.indexes, state.idle = floor_of(configuration)
    for agent in state.agents.values():
        agents.count_agent(state, agent)
        agents.index_agent(state, agent)
    for call in state.calls.values():
        index = state.indexes.get(call.queue_id)
        if call.is_waiting and index is not None:
            widening.widen(turn, call, index)
            waiting.index_call(state, call)


def _welcome(turn: Turn, configuration: Configuration) -> None:
    """Let new agents in, offline, and removed ones go as soon as their work is over."""
    known, elsewhere = turn.state.agents, turn.state.agents_at
    for agent_id in configuration.agents:
        agent = known.get(agent_id)
        if agent is not None:
            agent.is_removed = False
        elif turn.state.domain or agent_id in elsewhere:
            continue  # the reception lets new agents in
        elif agent_id in configuration.domain_of_agent:
            moving.send_new(turn, agent_id, configuration.domain_of_agent[agent_id])
        else:
            agents.come_new(turn, agent_id)
    for agent in [agent for agent in known.values() if agent.agent_id not in configuration.agents]:
        agent.is_removed = True
        offer = turn.state.offers.get(agent.offer_id)
        if offer is not None:
            offers.fail(turn, offer, "AGENT_REMOVED")
        elif agent.state not in agents.BUSY:
            agents.set_status(turn, agent, rq.AGENT_STATUS_OFFLINE, "", agents.SYSTEM)
            agents.rest(turn, agent)


def _match_anew(turn: Turn) -> None:
    """Let everybody who is free look again, and tell callers of queues that are gone."""
    state = turn.state
    turn.freed.extend(agent.agent_id for agent in state.agents.values() if agent.state is AgentState.IDLE)
    turn.deserted.extend(state.indexes)
    turn.deserted.extend(
        dict.fromkeys(
            call.queue_id for call in state.calls.values() if call.is_waiting and call.queue_id not in state.indexes
        )
    )
