"""Agents: what they chose, what the system sees, and the way back to rest after work (SPEC 3.4)."""

from services.router.domain import estimating, work
from services.router.domain.lifecycle import AgentState, check_agent
from services.router.domain.model import Agent
from services.router.domain.ordering import QueueIndex
from services.router.domain.plan import Place
from services.router.domain.splitting import telling
from services.router.domain.state import TenantState
from services.router.domain.strategies import AgentKey
from services.router.domain.turn import Turn
from services.shared.contracts.ringmaster.v1 import request_pb2 as rq
from services.shared.contracts.ringmaster.v1 import tenant_pb2 as tn

SYSTEM = "system"
MISSED = "missed"
"""The reason of an agent who became away by missing offers."""
BUSY = frozenset({AgentState.RESERVED, AgentState.RINGING, AgentState.TALKING, AgentState.HOLDING, AgentState.WRAP_UP})
_IDLE = AgentState.IDLE
"""An enum's member costs as much to look up as a dict's."""
ON_CALL = frozenset({AgentState.TALKING, AgentState.HOLDING})


def rest_state(agent: Agent) -> AgentState:
    """Return where an agent without work belongs."""
    if agent.status == rq.AGENT_STATUS_READY:
        is_free = agent.is_reachable and not agent.supervised_call_id
        return AgentState.IDLE if is_free else AgentState.UNREACHABLE
    return AgentState.AWAY if agent.status == rq.AGENT_STATUS_AWAY else AgentState.OFFLINE


def move(turn: Turn, agent: Agent, wanted: AgentState) -> None:
    """Bring an agent into a state and tell it. Raises IllegalTransition."""
    former = agent.state
    if former is wanted:
        return
    check_agent(agent.agent_id, former, wanted)
    agent.state = wanted
    body = turn.subject_event(f"agent:{agent.agent_id}").agent_state_changed
    body.agent_id = agent.agent_id
    body.state = wanted.value
    body.former_state = former.value
    body.former_ms = turn.now_ms - agent.since_ms if agent.since_ms else 0
    body.queue_id = agent.queue_id
    for place in _places_of(turn.state, agent.agent_id):
        states = turn.state.indexes[place.queue_id].states
        states[former] -= 1
        states[wanted] += 1
    if wanted is AgentState.TALKING and not agent.handling_from_ms:
        agent.handling_from_ms = turn.now_ms
    work.record(agent, former, wanted, turn.now_ms, _longest_window_ms(turn.state))
    agent.since_ms = turn.now_ms
    if former is AgentState.IDLE:
        turn.state.idle.discard(agent.agent_id)
    elif wanted is AgentState.IDLE:
        turn.freed.append(agent.agent_id)  # is put into the orders when no caller waits for it


def rest(turn: Turn, agent: Agent) -> None:
    """End an agent's work. While a leg to the phone lives nobody else is sent there: its end is waited for."""
    if agent.leg_id:
        agent.is_done = True
        return
    agent.is_done = False
    if agent.handling_from_ms:
        lasted_ms = turn.now_ms - agent.handling_from_ms
        estimating.handled(turn.state, agent.queue_id, _queues_of(turn.state, agent.agent_id), lasted_ms)
        agent.handling_from_ms = 0
    agent.call_id = agent.queue_id = agent.offer_id = ""
    wanted = rest_state(agent)
    if agent.is_removed:
        move(turn, agent, AgentState.OFFLINE)
        turn.cancel_timer("reach", agent.agent_id)
        del turn.state.agents[agent.agent_id]
        telling.agent_gone(turn, agent.agent_id)
        return
    move(turn, agent, wanted)


def leg_gone(turn: Turn, agent: Agent, leg_id: str) -> None:
    """Take note that the leg to an agent's phone is no more."""
    if agent.leg_id != leg_id:
        return
    agent.leg_id = ""
    was_listening = bool(agent.supervised_call_id)
    if was_listening:
        stop_listening(turn, agent)
    if agent.is_done:
        rest(turn, agent)
    elif was_listening and agent.state not in BUSY:
        move(turn, agent, rest_state(agent))


def stop_listening(turn: Turn, agent: Agent) -> None:
    """Take note that a phone listens to no call any more."""
    call = turn.state.calls.get(agent.supervised_call_id)
    if call is not None:
        call.supervisors.remove(agent.agent_id)
    agent.supervised_call_id = ""


def set_status(turn: Turn, agent: Agent, status: "rq.AgentStatus.ValueType", reason: str, actor: str) -> None:
    """Change what the person chose; the state follows at once, or when the work at hand is over."""
    if status != rq.AGENT_STATUS_AWAY:
        reason = ""
    if agent.status == status and agent.reason == reason:
        return
    body = turn.subject_event(f"agent:{agent.agent_id}").agent_status_changed
    body.agent_id = agent.agent_id
    body.status = status
    body.former_status = rq.AgentStatus.ValueType(agent.status)
    body.reason = reason
    body.actor = actor
    if status == rq.AGENT_STATUS_READY and agent.status != status:
        agent.ready_since_ms = turn.now_ms
        agent.misses_in_row = 0
    _count_logged_in(turn, agent, status)
    agent.status = status
    agent.reason = reason
    if status == rq.AGENT_STATUS_OFFLINE:
        turn.deserted.extend(_queues_of(turn.state, agent.agent_id))
    if agent.state not in BUSY:
        move(turn, agent, rest_state(agent))


def set_reachable(turn: Turn, agent: Agent, *, is_reachable: bool) -> None:
    """Take note whether the phone can be rung."""
    agent.is_reachable = is_reachable
    if is_reachable:
        turn.cancel_timer("reach", agent.agent_id)
    if agent.state not in BUSY:
        move(turn, agent, rest_state(agent))


def begin_wrap_up(turn: Turn, agent: Agent, queue: tn.Queue | None) -> None:
    """Let an agent finish up after a talk that ends now; without wrap-up time the agent rests."""
    agent.last_call_ended_ms = turn.now_ms
    if queue is None or not queue.wrap_up_seconds:
        rest(turn, agent)
        return
    move(turn, agent, AgentState.WRAP_UP)
    agent.wrap_up_from_ms = turn.now_ms
    turn.set_timer("wrap", agent.agent_id, queue.wrap_up_seconds * 1000)
    body = turn.subject_event(f"agent:{agent.agent_id}").agent_wrapup_started
    body.agent_id = agent.agent_id
    body.queue_id = agent.queue_id
    body.seconds = queue.wrap_up_seconds


def end_wrap_up(turn: Turn, agent: Agent) -> None:
    """End a wrap-up, by its timer or on request."""
    turn.cancel_timer("wrap", agent.agent_id)
    body = turn.subject_event(f"agent:{agent.agent_id}").agent_wrapup_ended
    body.agent_id = agent.agent_id
    body.queue_id = agent.queue_id
    body.duration_ms = turn.now_ms - agent.wrap_up_from_ms
    agent.wrap_up_from_ms = 0
    rest(turn, agent)


def come_new(turn: Turn, agent_id: str) -> None:
    """Let an agent in who is new in the document, offline."""
    agent = turn.state.agents[agent_id] = Agent(agent_id, since_ms=turn.now_ms)
    count_agent(turn.state, agent)


def came(turn: Turn, agent: Agent) -> None:
    """Let an agent in who comes from another log of the tenant, as it is; whoever waits may have waited for it."""
    count_agent(turn.state, agent)
    if agent.state is AgentState.IDLE:
        turn.freed.append(agent.agent_id)
    turn.deserted.extend(_queues_of(turn.state, agent.agent_id))  # callers may have waited for this one alone
    if agent.status == rq.AGENT_STATUS_OFFLINE:
        return
    turn.came_or_left.append(agent.agent_id)
    for place in _places_of(turn.state, agent.agent_id):
        if turn.state.indexes[place.queue_id].logged_in[place.level] == 1:
            turn.levelled.append(place.queue_id)


def went(turn: Turn, agent: Agent) -> None:
    """Take note that an agent is in another log of the tenant now; whoever waits goes by those who are here."""
    state, places = turn.state, _places_of(turn.state, agent.agent_id)
    state.idle.discard(agent.agent_id)
    is_in = agent.status != rq.AGENT_STATUS_OFFLINE
    if is_in and places:
        turn.came_or_left.append(agent.agent_id)
    for place in places:
        index = state.indexes[place.queue_id]
        index.states[agent.state] -= 1
        index.logged_in[place.level] -= is_in
        if is_in and not index.logged_in[place.level]:
            turn.levelled.append(place.queue_id)


def remove(turn: Turn, agent: Agent) -> None:
    """Let an agent go who is at rest and has no entry in the document any more."""
    agent.is_removed = True
    set_status(turn, agent, rq.AGENT_STATUS_OFFLINE, "", SYSTEM)
    rest(turn, agent)


def index_agent(state: TenantState, agent: Agent) -> None:
    """Put an idle agent into its orders, by what the strategies of its queues compare."""
    if agent.state is _IDLE:
        state.idle.add(agent, state.now_ms)


def key_in(index: QueueIndex, agent: Agent, now_ms: int) -> AgentKey:
    """Return what a queue's strategy compares of an agent now."""
    plan = index.plan
    return plan.strategy.key(agent, plan.places[agent.agent_id].compared, plan.window_ms, now_ms)


def count_agent(state: TenantState, agent: Agent) -> None:
    """Count an agent in the queues that it serves, whose indexes are new: by state, and whether it is logged in."""
    for place in _places_of(state, agent.agent_id):
        index = state.indexes[place.queue_id]
        index.states[agent.state] += 1
        index.logged_in[place.level] += agent.status != rq.AGENT_STATUS_OFFLINE


def _count_logged_in(turn: Turn, agent: Agent, status: int) -> None:
    was_in, is_in = agent.status != rq.AGENT_STATUS_OFFLINE, status != rq.AGENT_STATUS_OFFLINE
    if was_in == is_in:
        return
    if is_in:
        work.begin_shift(agent, turn.now_ms)
    else:
        agent.offline_since_ms = turn.now_ms
    turn.came_or_left.append(agent.agent_id)
    for place in _places_of(turn.state, agent.agent_id):
        counts = turn.state.indexes[place.queue_id].logged_in
        counts[place.level] += 1 if is_in else -1
        if counts[place.level] == int(is_in):
            turn.levelled.append(place.queue_id)


def _longest_window_ms(state: TenantState) -> int:
    return state.configuration.longest_window_ms if state.configuration else 0


def _queues_of(state: TenantState, agent_id: str) -> list[str]:
    return [place.queue_id for place in _places_of(state, agent_id)]


def _places_of(state: TenantState, agent_id: str) -> list[Place]:
    return state.configuration.places.get(agent_id, []) if state.configuration else []
