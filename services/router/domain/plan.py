"""A queue of the document in force with what its decisions need, worked out once when the document comes (SPEC 3.2)."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from services.router.domain.strategies import STRATEGIES, Strategy
from services.shared.contracts.ringmaster.v1 import tenant_pb2 as tn

Requirement = tuple[tuple[str, int], ...]
"""Skills with the least proficiency of each, sorted by name."""
INELIGIBLE = -1
_MOST_SCORE = 1_000_000_000
_PREFERRED = 1_000_000
"""Worth more than the sum of any required proficiencies: 100 skills of 100 at most."""


@dataclass(frozen=True, slots=True)
class Place:
    """An agent's tier in one queue."""

    queue_id: str
    level: int
    position: int
    compared: int = 0
    """What strategies compare of it: this position where they go by it; elsewhere, where it only parts those who are
    equal, the agent's lowest position in any queue, so that all its queues compare the same."""


def requirement_of(needs: Mapping[str, int]) -> Requirement:
    """Return skills and their least proficiency in the one order that they are compared in."""
    return tuple(sorted(needs.items()))


def both(needs: Mapping[str, int], others: Mapping[str, int]) -> dict[str, int]:
    """Return what meets two requirements: of a skill that both name the higher proficiency."""
    return {**needs, **{skill: max(least, needs.get(skill, 0)) for skill, least in others.items()}}


def needs_of(needs: Iterable[tn.SkillNeed]) -> dict[str, int]:
    """Return skill → least proficiency; a skill that names none is needed at all."""
    return {need.skill: max(1, need.min_proficiency) for need in needs}


class QueuePlan:
    """What a queue's document says, ready to be asked."""

    __slots__ = (
        "ageing_seconds",
        "groups",
        "level_seconds",
        "levels",
        "places",
        "preferred",
        "priority",
        "queue",
        "rings",
        "service_level_ms",
        "skills",
        "strategy",
        "takes_first",
        "window_ms",
    )

    def __init__(
        self, queue: tn.Queue, skills: Mapping[str, Mapping[str, int]], groups: Mapping[str, frozenset[str]]
    ) -> None:
        self.queue = queue
        self.strategy: Strategy = STRATEGIES[queue.strategy]
        self.places = {
            tier.agent_id: Place(queue.queue_id, tier.level, tier.position)
            for tier in queue.tiers
            if tier.agent_id in skills
        }
        self.levels = sorted({place.level for place in self.places.values()})
        self.skills = {agent_id: dict(skills[agent_id]) for agent_id in self.places}
        self.groups = groups if queue.sticky.group_seconds else {}
        self.preferred = requirement_of(needs_of(queue.preferred_skills))
        self.rings = [(0, needs_of(queue.required_skills))]
        self.rings += [
            (ring.after_seconds * 1000, needs_of(ring.required_skills))
            for ring in sorted(queue.rings, key=lambda ring: ring.after_seconds)
        ]
        self.takes_first = self.strategy.takes_first
        self.level_seconds = queue.level_seconds
        self.ageing_seconds = queue.ageing_seconds
        self.priority = queue.priority
        self.service_level_ms = queue.service_level_seconds * 1000
        self.window_ms = queue.window_seconds * 1000

    def rank(self, agent_id: str, requirement: Requirement) -> int:
        """Return INELIGIBLE, or how an agent stands before the strategy compares: the lower the sooner.

        More preferred skills come first; `best_skill` then wants the highest sum of proficiency over the required ones.
        """
        skills = self.skills[agent_id]
        score = 0
        for skill, least in requirement:
            proficiency = skills.get(skill, 0)
            if proficiency < least:
                return INELIGIBLE
            score += proficiency
        if not self.strategy.is_by_skill:
            score = 0
        score += _PREFERRED * sum(skills.get(skill, 0) >= least for skill, least in self.preferred)
        return _MOST_SCORE - score

    def groups_of(self, agent_id: str) -> frozenset[str]:
        """Return an agent's groups where the queue asks for them."""
        return self.groups.get(agent_id, frozenset())
