from dataclasses import dataclass

from services.router.domain.errors import UnsupportedStrategy
from services.shared.contracts.ringmaster.v1 import tenant_pb2 as tn

SUPPORTED = frozenset({tn.STRATEGY_LONGEST_IDLE, tn.STRATEGY_ROUND_ROBIN, tn.STRATEGY_RING_ALL})


@dataclass(frozen=True, slots=True)
class Place:
    """An agent's tier in one queue."""

    queue_id: str
    level: int
    position: int


class Configuration:
    """A tenant document with the lookups that decisions need, built once when it comes into force.

    Raises UnsupportedStrategy for a queue that can't be served as it asks.
    """

    def __init__(self, document: tn.TenantDocument) -> None:
        self.document = document
        self.version = document.version
        self.lines = {line.number: line.flow for line in document.lines}
        self.queues = {queue.queue_id: queue for queue in document.queues}
        self.agents = {agent.agent_id: agent for agent in document.agents}
        self.flows = {flow.flow_id: flow for flow in document.flows}
        self.steps = {(flow.flow_id, step.step_id): step for flow in document.flows for step in flow.steps}
        self.schedules = {schedule.schedule_id: schedule for schedule in document.schedules}
        self.lists = {numbers.list_id: numbers for numbers in document.lists}
        self.dispositions = frozenset(document.dispositions)
        self.agent_of_address = {f"{agent.phone}@{document.domain}": agent.agent_id for agent in document.agents}
        self.places: dict[str, list[Place]] = {agent_id: [] for agent_id in self.agents}
        for queue in document.queues:
            _check_strategy(queue)
            for tier in queue.tiers:
                if tier.agent_id in self.places:
                    self.places[tier.agent_id].append(Place(queue.queue_id, tier.level, tier.position))

    def phone_of(self, agent_id: str) -> str:
        """Return user@domain of an agent's phone, empty for an agent who is not in the document."""
        agent = self.agents.get(agent_id)
        return f"{agent.phone}@{self.document.domain}" if agent else ""

    @property
    def records_calls(self) -> bool:
        """Whether answered calls are recorded; a policy that says nothing records all."""
        return self.document.recording.mode != tn.RECORDING_MODE_NONE


def _check_strategy(queue: tn.Queue) -> None:
    if queue.strategy not in SUPPORTED:
        name = tn.Strategy.Name(queue.strategy) if queue.strategy in tn.Strategy.values() else str(queue.strategy)
        raise UnsupportedStrategy(f"queue {queue.queue_id}: {name} is not served yet")
