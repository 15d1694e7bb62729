"""Agents of another log of the tenant, lent for a call that stays where it is (docs/adr/0044).

Who is asked for by name, or chosen by a queue, comes to the log that has the call if nothing keeps it, is rung and told
of there by the rules that hold for everybody, and goes home when that is over. So an agent is in exactly one log at any
moment, and all legs of a call stand in one.
"""

from services.router.domain import matching, waiting
from services.router.domain.control.asking import ANSWERED_LATER, Answer
from services.router.domain.model import Agent, Call
from services.router.domain.ordering import ANYONE
from services.router.domain.splitting import moving
from services.router.domain.turn import Turn
from services.shared.contracts.ringmaster.v1 import request_pb2 as rq
from services.shared.contracts.ringmaster.v1.input_pb2 import AgentLent, AgentWanted

_TO_AND_FRO: Answer = ("agent-not-free", "The agent is on the way between routing domains; try again in a moment.")


def is_elsewhere(turn: Turn, agent_id: str) -> bool:
    """Whether an agent of the tenant is in another of its logs."""
    configuration = turn.state.configuration
    return agent_id not in turn.state.agents and configuration is not None and agent_id in configuration.agents


def ask(turn: Turn, call: Call, request: rq.Request) -> Answer:
    """Ask for whom a request names, or a queue that it names; whether anybody comes is told later."""
    wanted = AgentWanted(for_domain=turn.state.domain, request=request, skills=call.skills)
    if turn.state.domain:
        turn.pass_on("").agent_wanted.CopyFrom(wanted)
        return ANSWERED_LATER
    return _find(turn, wanted)


def wanted(turn: Turn, asked: AgentWanted) -> None:
    """Lend an agent who is here; the reception passes the wish on to where the agent is."""
    answer = _lend(turn, asked) if turn.state.domain else _find(turn, asked)
    if answer is not ANSWERED_LATER:
        refusal = AgentLent(for_domain=asked.for_domain, request=asked.request, problem=answer[0], detail=answer[1])
        bring(turn, refusal)


def bring(turn: Turn, lent: AgentLent) -> None:
    """Bring the answer, and with it the agent, on the way to the log that has the call."""
    state = turn.state
    if state.domain:
        turn.pass_on("").agent_lent.CopyFrom(lent)
        return
    turn.pass_on(lent.for_domain).agent_lent.CopyFrom(lent)
    if lent.record:
        state.agents_at[_named(lent.request)] = lent.for_domain


def _find(turn: Turn, asked: AgentWanted) -> Answer:
    """Pass a wish on from the reception, which knows where each agent is."""
    state, configuration = turn.state, turn.state.configuration
    queue_id = _queue_of(asked.request)
    if queue_id:
        domain = configuration.domain_of_queue.get(queue_id, "") if configuration else ""
    else:
        domain = state.agents_at.get(_named(asked.request), "")
    if domain:
        turn.pass_on(domain).agent_wanted.CopyFrom(asked)
        return ANSWERED_LATER
    return _lend(turn, asked)


def _lend(turn: Turn, asked: AgentWanted) -> Answer:
    """Send an agent who is here and free to the call's log; what the request asks of it is looked at there."""
    lent = AgentLent(for_domain=asked.for_domain, request=asked.request)
    if _queue_of(asked.request):
        found = _choose(turn, asked)
        if isinstance(found, tuple):
            return found
        lent.request.start_consultation.agent_id = found.agent_id
    agent = turn.state.agents.get(_named(lent.request))
    if agent is None:
        return _TO_AND_FRO
    if not moving.is_free(turn.state, agent.agent_id):
        return "agent-not-free", f"Agent {agent.agent_id} is {agent.state.name.lower()}."
    lent.record = moving.packed_agent(turn, agent.agent_id)
    bring(turn, lent)
    return ANSWERED_LATER


def _choose(turn: Turn, asked: AgentWanted) -> Agent | Answer:
    """Return whom a queue names for a call of another log."""
    consultation = asked.request.start_consultation
    call = Call(consultation.call_id, "", "", "", "", 0, "", turn.now_ms, skills=dict(asked.skills))
    return free_of_queue(turn, call, consultation.queue_id)


def free_of_queue(turn: Turn, call: Call, queue_id: str) -> Agent | Answer:
    """Return whom a queue would ask now for somebody who needs what a customer needs, whatever the waiting time.

    Who waits in that queue is not passed over: an agent would not be free.
    """
    index = turn.state.indexes.get(queue_id)
    if index is None:
        return "queue-not-found", f"There is no queue {queue_id}."
    plan = index.plan
    call.queue_id, call.ring, call.max_level = queue_id, len(plan.rings) - 1, max(plan.levels, default=0)
    call.reserved_for, call.refused, call.last_refused = ANYONE, {}, {}
    chosen = matching.choose(turn.state, index, call)
    if not chosen:
        return "nobody-free", f"Nobody of queue {queue_id} is free now."
    agent_id = chosen[0][2]
    place = plan.places[agent_id]
    turn.state.queues[queue_id].last_offered[str(place.level)] = [place.position, agent_id]
    return turn.state.agents[agent_id]


def is_queue_elsewhere(turn: Turn, queue_id: str) -> bool:
    """Whether a queue of the tenant is decided in another of its logs."""
    return waiting.queue_of(turn.state, queue_id) is not None and not waiting.is_here(turn.state, queue_id)


def _named(request: rq.Request) -> str:
    """Return whom a request names to take part in a call."""
    asked = getattr(request, request.WhichOneof("request") or "")
    return str(asked.agent_id)


def _queue_of(request: rq.Request) -> str:
    """Return the queue of which somebody is wanted; empty where an agent is named."""
    return request.start_consultation.queue_id
