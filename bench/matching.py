"""Decisions of matching alone: who gets whom, with both orders kept, beside a matcher that looks through everybody.

Two situations, each at 10 to 10,000 agents with as many waiting callers, 200 queues and 300 skill profiles:
an agent becomes free while all those callers wait, and a caller joins while all those agents are idle. A decision
is the choice and every change of the orders that it needs: one in, one out. No events, no commands, no protobuf. Who is
matched talks on for a while, as everywhere: that a call ends, and all that was kept of it is let go, is no decision.
"""

import gc
import random
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from services.router.domain import matching, waiting
from services.router.domain.agents import count_agent, index_agent
from services.router.domain.configuration import Configuration
from services.router.domain.idle import floor_of
from services.router.domain.lifecycle import AgentState, CallStage
from services.router.domain.model import Agent, Call, QueueMemory
from services.router.domain.state import TenantState
from services.shared.contracts.ringmaster.v1 import request_pb2 as rq
from services.shared.contracts.ringmaster.v1 import tenant_pb2 as tn

QUEUES = 200
PROFILES = 300
SKILLS = 40
QUEUES_OF_AGENT = 3
START_MS = 1_700_000_000_000
AT_ONCE = 500


def entries_an_agent(agents: int) -> float:
    """Return how many entries an idle agent has in all orders together, after everybody was busy three times."""
    floor = Floor(agents)
    for _ in range(3):
        for agent in floor.agents:
            floor.free(agent)
        for agent in floor.agents:
            floor.take(agent)
    for agent in floor.agents:
        floor.free(agent)
    return floor.state.idle.entries() / agents


@dataclass(frozen=True, slots=True)
class Measured:
    """Decisions a second of CPU, and one decision's CPU time in µs at the median and the 99th percentile."""

    rate: float
    median_us: float
    p99_us: float


def tenant(agents: int) -> tn.TenantDocument:
    """Return a tenant whose queues require a skill each, and whose agents have one of the profiles."""
    dice = random.Random(agents)
    profiles = [_profile(dice) for _ in range(PROFILES)]
    document = tn.TenantDocument(tenant_id="bench", version=1, domain="bench.example")
    for number in range(QUEUES):
        queue = document.queues.add(queue_id=f"q{number}", strategy=tn.STRATEGY_LONGEST_IDLE, service_level_seconds=20)
        queue.required_skills.add(skill=f"s{number % SKILLS}", min_proficiency=20 + number % 60)
    for number in range(agents):
        skills, queues = profiles[number % PROFILES]
        agent = document.agents.add(agent_id=f"a{number}", phone=f"p{number}")
        agent.skills.update(skills)
        for served in queues:
            document.queues[served].tiers.add(agent_id=agent.agent_id, level=1, position=number + 1)
    return document


def _profile(dice: random.Random) -> tuple[dict[str, int], list[int]]:
    """Return skills, and queues whose requirement they meet."""
    queues = dice.sample(range(QUEUES), QUEUES_OF_AGENT)
    skills: dict[str, int] = {}
    for queue in queues:
        name = f"s{queue % SKILLS}"
        skills[name] = max(skills.get(name, 0), dice.randint(20 + queue % 60, 100))
    return skills, queues


class Floor:
    """A tenant's agents and callers, with the orders of the router and plain lists for the matcher that scans."""

    def __init__(self, agents: int) -> None:
        self.configuration = Configuration(tenant(agents))
        self.state = TenantState("bench", now_ms=START_MS, version=1, configurations={1: self.configuration})
        self.state.indexes, self.state.idle = floor_of(self.configuration)
        self.state.queues = {name: QueueMemory() for name in self.configuration.plans}
        self.served = [name for name, plan in self.configuration.plans.items() if plan.places]
        self.agents = [
            Agent(agent_id, rq.AGENT_STATUS_READY, state=AgentState.TALKING) for agent_id in self.configuration.agents
        ]
        for agent in self.agents:
            self.state.agents[agent.agent_id] = agent
            count_agent(self.state, agent)
        self._dice = random.Random(agents)
        self._count = 0
        self._talking: list[str] = []

    def rest(self, agent: Agent) -> None:
        """Let an agent become idle; it stands in no order yet."""
        self.state.now_ms += 1
        agent.state, agent.last_call_ended_ms, agent.since_ms = AgentState.IDLE, self.state.now_ms, self.state.now_ms

    def free(self, agent: Agent) -> None:
        """Let an agent become idle for whom no caller waits."""
        self.rest(agent)
        index_agent(self.state, agent)

    def take(self, agent: Agent) -> None:
        """Let an idle agent take a call."""
        agent.state = AgentState.TALKING
        self.state.idle.discard(agent.agent_id)

    def caller(self) -> Call:
        """Return a new caller, not yet in a queue."""
        self._count += 1
        self.state.now_ms += 1
        call = Call(f"c{self._count}", "fs1", "", "", "", 1, "", self.state.now_ms, CallStage.WAITING)
        call.queue_id = self._dice.choice(self.served)
        call.joined_ms = call.entered_ms = self.state.now_ms
        call.entered_order, call.is_waiting, call.max_level = self._count, True, 1
        return call

    def join(self, call: Call) -> None:
        """Let a caller wait."""
        self.state.calls[call.call_id] = call
        waiting.index_call(self.state, call)

    def leave(self, call: Call) -> None:
        """Take a caller out of the queue, who talks from now on."""
        waiting.unindex_call(self.state.indexes[call.queue_id], call)
        call.is_waiting = False
        self._talking.append(call.call_id)

    def end_talks(self) -> None:
        """Let all calls end that were matched."""
        for call_id in self._talking:
            del self.state.calls[call_id]
        self._talking.clear()


def agent_freed(agents: int, decisions: int) -> Measured:
    """Measure: an agent becomes free while as many callers wait as there are agents."""
    floor = Floor(agents)
    for _ in range(agents):
        floor.join(floor.caller())
    newcomers: list[Call] = []

    def decide(number: int) -> None:
        agent, newcomer = floor.agents[number % agents], newcomers[number % AT_ONCE]
        floor.rest(agent)
        following = matching.next_caller(floor.state, agent)
        if following is None:
            index_agent(floor.state, agent)
            floor.take(agent)
            return
        call = following[1]
        agent.state = AgentState.TALKING
        floor.leave(call)
        floor.join(newcomer)

    return _time(decide, lambda: _renew(newcomers, floor), agents, decisions)


def caller_joins(agents: int, decisions: int) -> Measured:
    """Measure: a caller joins while all agents are idle; the one who gets the call comes back at once."""
    floor = Floor(agents)
    for agent in floor.agents:
        floor.free(agent)
    callers: list[Call] = []

    def decide(number: int) -> None:
        call = callers[number % AT_ONCE]
        chosen = matching.choose(floor.state, floor.state.indexes[call.queue_id], call)
        agent = floor.state.agents[chosen[0][2]]
        floor.take(agent)
        floor.free(agent)

    return _time(decide, lambda: _renew(callers, floor), agents, decisions)


def scan_agent_freed(agents: int, decisions: int) -> Measured:
    """Measure the same as `agent_freed` by a matcher that looks at every waiting caller."""
    floor = Floor(agents)
    callers, newcomers = [floor.caller() for _ in range(agents)], list[Call]()
    places = {name: {place.queue_id for place in found} for name, found in floor.configuration.places.items()}

    def decide(number: int) -> None:
        agent, newcomer = floor.agents[number % agents], newcomers[number % AT_ONCE]
        best = None
        for call in callers:
            if call.queue_id in places[agent.agent_id] and _knows(floor, agent, call):
                key = (-call.priority, call.entered_ms)
                if best is None or key < (-best.priority, best.entered_ms):
                    best = call
        if best is not None:
            callers.remove(best)
            callers.append(newcomer)

    return _time(decide, lambda: _renew(newcomers, floor), 0, decisions)


def scan_caller_joins(agents: int, decisions: int) -> Measured:
    """Measure the same as `caller_joins` by a matcher that looks at every idle agent."""
    floor = Floor(agents)
    idle = list(floor.agents)
    places = {name: {place.queue_id for place in found} for name, found in floor.configuration.places.items()}
    callers: list[Call] = []

    def decide(number: int) -> None:
        call = callers[number % AT_ONCE]
        best = None
        for agent in idle:
            may = call.queue_id in places[agent.agent_id] and _knows(floor, agent, call)
            if may and (best is None or agent.last_call_ended_ms < best.last_call_ended_ms):
                best = agent
        if best is not None:
            best.last_call_ended_ms = START_MS + number

    return _time(decide, lambda: _renew(callers, floor), 0, decisions)


def _knows(floor: Floor, agent: Agent, call: Call) -> bool:
    plan = floor.configuration.plans[call.queue_id]
    skills = plan.skills[agent.agent_id]
    return all(skills.get(skill, 0) >= least for skill, least in plan.rings[0][1].items())


def _renew(callers: list[Call], floor: Floor) -> None:
    floor.end_talks()
    callers[:] = [floor.caller() for _ in range(AT_ONCE)]


def _time(decide: Callable[[int], None], renew: Callable[[], None], unmeasured: int, decisions: int) -> Measured:
    """Time decisions in this process's CPU time: others on the machine take turns with it.

    So many unmeasured ones come first that every agent is known to its queues, as after a day's first calls. Half of
    the rest is timed as a whole, for the rate; half one by one, which costs more, for the quantiles. New callers are
    made AT_ONCE at a time beside the timing: the router makes a call shortly before it matches it, and a hundred
    thousand made before would each have to be fetched from memory.
    """
    clock, middle, end = time.thread_time, unmeasured + decisions // 2, unmeasured + decisions

    def blocks(first: int, last: int) -> Iterator[range]:
        for start in range(first, last, AT_ONCE):
            renew()
            yield range(start, min(start + AT_ONCE, last))

    for numbers in blocks(0, unmeasured):
        for number in numbers:
            decide(number)
    gc.collect()
    gc.freeze()  # as the router does after its start
    seconds, took = 0.0, []
    for numbers in blocks(unmeasured, middle):
        began = clock()
        for number in numbers:
            decide(number)
        seconds += clock() - began
    for numbers in blocks(middle, end):
        for number in numbers:
            began = clock()
            decide(number)
            took.append(clock() - began)
    ordered = sorted(took)
    rate = (middle - unmeasured) / seconds
    return Measured(rate, statistics.median(ordered) * 1e6, ordered[int(len(ordered) * 0.99)] * 1e6)
