"""Who may serve whom, and whose turn it is, from the tenant's document and the clock alone (SPEC 3.2, 3.3).

Nothing of the router is imported here.
"""

from collections.abc import Collection, Iterable, Mapping
from fractions import Fraction

from services.shared.contracts.ringmaster.v1 import tenant_pb2 as tn

TurnInOrder = tuple[Fraction, int, int]
"""Lower is first: effective priority, then the time of entry, then its order."""


class QueueRules:
    """One queue of the document in force."""

    def __init__(self, queue: tn.Queue, document: tn.TenantDocument) -> None:
        skills = {agent.agent_id: dict(agent.skills) for agent in document.agents}
        self.queue = queue
        self.is_by_due = queue.strategy == tn.STRATEGY_SLA_AWARE
        self.places = {tier.agent_id: tier.level for tier in queue.tiers if tier.agent_id in skills}
        self.levels = sorted(set(self.places.values()))
        self.skills = skills
        self.groups = {
            name: {group.group_id for group in document.groups if name in group.agent_ids} for name in self.places
        }
        self.rings = [(0, _needs(queue.required_skills))]
        self.rings += sorted((ring.after_seconds * 1000, _needs(ring.required_skills)) for ring in queue.rings)

    def may_serve(
        self,
        agent_id: str,
        own_needs: Mapping[str, int],
        waited_ms: int,
        logged_in: Collection[str],
        last_agent_id: str,
    ) -> bool:
        """Whether an agent of the queue may be asked for a caller who has waited so long."""
        known = self.skills[agent_id]
        ring = [needs for after_ms, needs in self.rings if after_ms <= max(0, waited_ms)][-1]
        needs = [*ring, *own_needs.items()]  # both must be met
        if any(known.get(skill, 0) < least for skill, least in needs):
            return False
        sticky = self.queue.sticky
        agent_ms, group_ms = sticky.agent_seconds * 1000, (sticky.agent_seconds + sticky.group_seconds) * 1000
        if last_agent_id in self.places and last_agent_id in logged_in and waited_ms < agent_ms:
            return agent_id == last_agent_id
        if last_agent_id in self.places and waited_ms < group_ms:
            groups = self.groups[last_agent_id]
            if groups and not groups & self.groups[agent_id]:
                return False
        return self.places[agent_id] <= self._highest_level(waited_ms, logged_in)

    def turn_of(self, now_ms: int, priority: int, entered_ms: int, order: int, *, is_by_due: bool) -> TurnInOrder:
        """Return a caller's place in the order of waiting."""
        queue = self.queue
        aged = Fraction(now_ms - entered_ms, queue.ageing_seconds * 1000) if queue.ageing_seconds else Fraction(0)
        due_ms = entered_ms + queue.service_level_seconds * 1000 if is_by_due else entered_ms
        return -(queue.priority + priority + aged), due_ms, order

    def _highest_level(self, waited_ms: int, logged_in: Collection[str]) -> int:
        opens_ms, highest = 0, 0
        for level in self.levels:
            if opens_ms > max(0, waited_ms):
                break
            highest = level
            is_manned = any(self.places[name] == level and name in logged_in for name in self.places)
            if is_manned or self.queue.waits_for_empty_levels:
                opens_ms += self.queue.level_seconds * 1000
        return highest


class Rules:
    """The document in force."""

    def __init__(self) -> None:
        self.version = 0
        self.queues: dict[str, QueueRules] = {}
        self.by_due: set[str] = set()
        """Who serves a queue that is sla_aware: they compare all their callers so, whoever waits at the moment."""
        self.most_dials = 0
        """Customers of campaigns who may be dialled at once under the tenant's one line."""

    def take(self, document: tn.TenantDocument) -> None:
        """Let a newer document come into force."""
        if document.version > self.version:
            self.version = document.version
            self.most_dials = document.lines[0].most_dials
            self.queues = {queue.queue_id: QueueRules(queue, document) for queue in document.queues}
            self.by_due = {name for queue in self.queues.values() if queue.is_by_due for name in queue.places}


def _needs(needs: Iterable[tn.SkillNeed]) -> tuple[tuple[str, int], ...]:
    return tuple((need.skill, max(1, need.min_proficiency)) for need in needs)
