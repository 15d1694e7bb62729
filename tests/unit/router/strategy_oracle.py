"""The rules of SPEC 3.1 once more, slowly: from the public events alone, by looking at everybody.

Nothing of the router's domain is imported here. Where the specification leaves two agents equal both are right.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from fractions import Fraction

from services.shared.contracts.ringmaster.v1 import event_pb2 as ev
from services.shared.contracts.ringmaster.v1 import request_pb2 as rq
from services.shared.contracts.ringmaster.v1.event_pb2 import Event

SHIFT_GAP_MS = 4 * 3_600_000


@dataclass
class Seen:
    """What the events told of one agent."""

    agent_id: str
    level: int
    position: int
    skills: dict[str, int]
    state: int = ev.AGENT_STATE_OFFLINE
    since_ms: int = 0
    is_offline: bool = True
    offline_ms: int = 0
    ready_ms: int = 0
    call_ended_ms: int = 0
    offered_ms: int = 0
    calls: int = 0
    talk_ms: int = 0
    handle_ms: int = 0
    idle_ms: int = 0

    def idle_from(self) -> int:
        return self.call_ended_ms or self.ready_ms

    def occupancy(self, now_ms: int) -> Fraction:
        idle_ms = self.idle_ms + (now_ms - self.since_ms if self.state == ev.AGENT_STATE_IDLE else 0)
        whole = self.handle_ms + idle_ms
        return Fraction(self.handle_ms, whole) if whole else Fraction(0)


@dataclass
class View:
    """Everything that an observer of the events knows of one queue."""

    agents: dict[str, Seen]
    required: dict[str, int] = field(default_factory=dict)
    last_offered: dict[int, Seen] = field(default_factory=dict)
    refused_by: dict[str, dict[int, Seen]] = field(default_factory=dict)
    """Call → level → the agent who refused last."""
    now_ms: int = 0

    def follow(self, event: Event) -> None:
        self.now_ms = event.time.seconds * 1000 + event.time.nanos // 1_000_000
        kind = event.WhichOneof("body") or ""
        body = getattr(event, kind)
        if kind == "agent_state_changed":
            self._state(self.agents[body.agent_id], body.state)
        elif kind == "agent_status_changed":
            self._status(self.agents[body.agent_id], body)
        elif kind == "offer_created":
            agent = self.agents[body.agent_id]
            agent.offered_ms = self.now_ms
            self.last_offered[agent.level] = agent
        elif kind in ("offer_rejected", "offer_missed", "offer_failed"):
            agent = self.agents[body.agent_id]
            self.refused_by.setdefault(event.call_id, {})[agent.level] = agent
        elif kind == "queue_joined":
            self.refused_by.pop(event.call_id, None)

    def _state(self, agent: Seen, state: int) -> None:
        lasted = self.now_ms - agent.since_ms if agent.since_ms else 0
        talks = (ev.AGENT_STATE_TALKING, ev.AGENT_STATE_HOLDING)
        if agent.state in talks:
            agent.talk_ms += lasted
            if state not in talks:
                agent.call_ended_ms = self.now_ms
        elif state == ev.AGENT_STATE_TALKING:
            agent.calls += 1
        if agent.state in (*talks, ev.AGENT_STATE_WRAP_UP):
            agent.handle_ms += lasted
        if agent.state == ev.AGENT_STATE_IDLE:
            agent.idle_ms += lasted
        agent.state, agent.since_ms = state, self.now_ms

    def _status(self, agent: Seen, body: ev.AgentStatusChanged) -> None:
        if body.status == rq.AGENT_STATUS_READY:
            agent.ready_ms = self.now_ms
        if body.status == rq.AGENT_STATUS_OFFLINE:
            agent.is_offline, agent.offline_ms = True, self.now_ms
        elif agent.is_offline:
            agent.is_offline = False
            if not agent.offline_ms or self.now_ms - agent.offline_ms >= SHIFT_GAP_MS:
                agent.calls = agent.talk_ms = agent.handle_ms = agent.idle_ms = 0

    def may(self, free: Iterable[str]) -> list[Seen]:
        """Return the agents of the lowest level that has any among `free` who know what is required."""
        able = [
            self.agents[name]
            for name in free
            if all(self.agents[name].skills.get(skill, 0) >= least for skill, least in self.required.items())
        ]
        lowest = min((agent.level for agent in able), default=0)
        return [agent for agent in able if agent.level == lowest]


Rule = Callable[[View, str, list[Seen]], set[str]]


def _least(agents: list[Seen], value: Callable[[Seen], object]) -> set[str]:
    best = min(value(agent) for agent in agents)  # type: ignore[type-var]  # values of one rule are of one kind
    return {agent.agent_id for agent in agents if value(agent) == best}


def _place(agent: Seen) -> tuple[int, str]:
    return agent.position, agent.agent_id


def _next_after(agents: list[Seen], last: Seen | None) -> set[str]:
    behind = [agent for agent in agents if last is not None and _place(agent) > _place(last)]
    return {min(behind or agents, key=_place).agent_id}


def _least_occupied(view: View, _call_id: str, agents: list[Seen]) -> set[str]:
    """Return who has worked least, and whoever has worked no more than that by a tenth of a percent."""
    lowest = min(agent.occupancy(view.now_ms) for agent in agents)
    return {agent.agent_id for agent in agents if agent.occupancy(view.now_ms) < lowest + Fraction(1, 1000)}


def _by_calls(view: View, call_id: str, agents: list[Seen]) -> set[str]:
    return _least(agents, lambda agent: agent.calls)


RULES: dict[str, Rule] = {
    "longest_idle": lambda _v, _c, agents: _least(agents, lambda agent: agent.idle_from()),
    "sla_aware": lambda _v, _c, agents: _least(agents, lambda agent: agent.idle_from()),
    "round_robin": lambda view, _c, agents: _next_after(agents, view.last_offered.get(agents[0].level)),
    "top_down": lambda view, call_id, agents: _next_after(
        agents, view.refused_by.get(call_id, {}).get(agents[0].level)
    ),
    "sequential": lambda _v, _c, agents: _least(agents, lambda agent: (agent.position, agent.offered_ms)),
    "fewest_calls": _by_calls,
    "least_talk_time": lambda _v, _c, agents: _least(agents, lambda agent: agent.talk_ms),
    "least_occupied": _least_occupied,
    "random": lambda _v, _c, agents: {agent.agent_id for agent in agents},
    "ring_progressively": lambda _v, _c, agents: _least(agents, lambda agent: agent.position),
    "best_skill": lambda view, _c, agents: _least(
        agents, lambda agent: -sum(agent.skills[skill] for skill in view.required)
    ),
}
"""Strategy → whom it may choose among the agents of the lowest level; ring_all takes them all."""
