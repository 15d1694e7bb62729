"""A log that is held to the order of SPEC 3.3, judged by the records and the document alone."""

from dataclasses import replace

from services.router.domain.decide import Outputs
from services.router.domain.lifecycle import AgentState, CallStage
from services.router.domain.model import Agent, Call
from services.router.domain.state import TenantState
from services.shared.contracts.ringmaster.v1 import tenant_pb2 as tn
from services.shared.contracts.ringmaster.v1.event_pb2 import Event
from services.shared.contracts.ringmaster.v1.input_pb2 import Input
from tests.unit.router.world import Log


def enriched(made: tn.TenantDocument) -> tn.TenantDocument:
    """Return the tenant with every modifier that a queue knows, and a second queue to overflow to."""
    made.agents[0].skills["en"] = 60
    made.agents[1].skills["en"] = 20
    made.groups.add(group_id="team", agent_ids=["olena", "ivan"])
    queue = made.queues[0]
    queue.required_skills.add(skill="en", min_proficiency=50)
    queue.rings.add(after_seconds=6).required_skills.add(skill="en")
    queue.rings.add(after_seconds=16)
    queue.preferred_skills.add(skill="en", min_proficiency=50)
    queue.level_seconds, queue.ageing_seconds, queue.resume_seconds, queue.window_seconds = 6, 10, 60, 120
    queue.list_priorities.add(list_id="vip", priority=2)
    queue.sticky.agent_seconds = queue.sticky.group_seconds = 6
    queue.exit_keys = "9"
    queue.announcements.add(prompts=["place"], first_seconds=6, every_seconds=16, says_position=True)
    queue.overflow.queue_id, queue.overflow.after_seconds, queue.overflow.waiting = "second", 30, 2
    second = made.queues.add()
    second.CopyFrom(queue)
    second.queue_id, second.priority = "second", 1
    second.ClearField("overflow")
    next(step for step in made.flows[0].steps if step.step_id == "wait").exits["9"] = "hear"
    return made


def may_serve(state: TenantState, agent: Agent, call: Call) -> bool:
    """Whether an agent could be asked for a caller now, by the records and the document alone."""
    document = state.configurations[state.version].document
    queue = next((queue for queue in document.queues if queue.queue_id == call.queue_id), None)
    tier = next((tier for tier in queue.tiers if tier.agent_id == agent.agent_id), None) if queue else None
    skills = next((dict(one.skills) for one in document.agents if one.agent_id == agent.agent_id), None)
    if queue is None or tier is None or skills is None or agent.state is not AgentState.IDLE:
        return False
    needs = [queue.required_skills, *(ring.required_skills for ring in queue.rings)][call.ring]
    groups = {group.group_id for group in document.groups if agent.agent_id in group.agent_ids}
    wanted = call.reserved_for.removeprefix("group:").split(",")
    until = call.refused.get(agent.agent_id)
    return (
        all(skills.get(need.skill, 0) >= max(1, need.min_proficiency) for need in needs)
        and (tier.level <= call.max_level or call.reserved_for.startswith("agent:"))
        and (call.reserved_for in {"", f"agent:{agent.agent_id}"} or bool(groups & set(wanted)))
        and (until is None or 0 < until <= state.now_ms)
    )


def turn_of(state: TenantState, call: Call) -> tuple[float, int, int]:
    """Return a caller's place in the order of SPEC 3.3, lower first: effective priority, then time of entry."""
    queue = next(
        queue for queue in state.configurations[state.version].document.queues if queue.queue_id == call.queue_id
    )
    aged = (state.now_ms - call.entered_ms) / 1000 / queue.ageing_seconds if queue.ageing_seconds else 0
    return -(queue.priority + call.priority + aged), call.entered_ms, call.entered_order


class WatchedLog(Log):
    """A log that holds each decision to the order of waiting callers (SPEC 3.3)."""

    def feed(self, given: Input) -> Outputs:
        out = super().feed(given)
        for event in out.events:
            if event.WhichOneof("body") == "offer_created":
                self._check(event)
        return out

    def _check(self, event: Event) -> None:
        """Whoever got an agent came before everybody who could have had the same agent and still waits."""
        state = self.state
        agent = state.agents.get(event.offer_created.agent_id)
        call = state.calls.get(event.call_id)
        if agent is None or call is None or agent.offer_id != event.offer_created.offer_id:
            return
        if (
            not call.is_waiting
        ):  # held out to one agent by name, by the flow or by another agent: it takes nobody's turn
            return
        free = replace(agent, state=AgentState.IDLE)
        for other in state.calls.values():
            is_open = other.is_waiting and not other.offers and other.stage is CallStage.WAITING
            if other is not call and is_open and may_serve(state, free, other):
                assert turn_of(state, call) <= turn_of(state, other)
