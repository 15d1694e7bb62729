"""A tenant's document as decisions read it."""

from collections.abc import Mapping

from services.router.domain.errors import UnsupportedStrategy
from services.router.domain.number_lists import NumberIndex
from services.router.domain.plan import Place, QueuePlan
from services.router.domain.scripts import Scripts
from services.router.domain.strategies import STRATEGIES
from services.shared.contracts.ringmaster.v1 import tenant_pb2 as tn

CONSENT_GIVEN = "given"
CONSENT_REFUSED = "refused"


class Configuration:
    """A tenant document with the lookups that decisions need, built once when it comes into force.

    Raises UnsupportedStrategy for a queue that can't be served as it asks, UnreadableFlow for a flow.
    """

    def __init__(self, document: tn.TenantDocument, domain: str = "") -> None:
        self.document = document
        self.version = document.version
        self.domain = domain
        self.domain_of_queue = {queue_id: one.domain_id for one in document.routing_domains for queue_id in one.queues}
        self.domain_of_agent = _domains_of_agents(document, self.domain_of_queue)
        self.is_split = bool(domain or document.routing_domains)
        self.limits = _share(document, domain) if self.is_split else document.limits
        self.lines = {line.number: line.flow for line in document.lines}
        self.line_recording = {line.number: line.recording for line in document.lines if line.HasField("recording")}
        self.line_dials = {line.number: line.most_dials for line in document.lines if line.most_dials}
        """Lines of which a limited number of customers may be dialled at once by campaigns."""
        self.queues = {queue.queue_id: queue for queue in document.queues}
        self.agents = {agent.agent_id: agent for agent in document.agents}
        self.flows = {flow.flow_id: flow for flow in document.flows}
        self.steps = {(flow.flow_id, step.step_id): step for flow in document.flows for step in flow.steps}
        self.spoken_prompts = {prompt.prompt_id: prompt for prompt in document.prompts if prompt.text}
        self.scripts = Scripts(document)
        self.schedules = {schedule.schedule_id: schedule for schedule in document.schedules}
        self.lists = {numbers.list_id: NumberIndex(numbers) for numbers in document.lists}
        self.closed_callbacks = {closed.line: closed.queue_id for closed in document.closed_callbacks}
        self.campaigns = {campaign.campaign_id: campaign for campaign in document.campaigns}
        self.dispositions = frozenset(document.dispositions)
        self.agent_of_address = {f"{agent.phone}@{document.domain}": agent.agent_id for agent in document.agents}
        self.groups = _groups(document)
        self.plans = self._plans()
        self.places = self._places()
        self.rings_all = any(plan.strategy.rings_many for plan in self.plans.values())
        self.longest_window_ms = max(
            (plan.window_ms for plan in self.plans.values() if plan.strategy.is_windowed), default=0
        )

    def is_here(self, queue_id: str) -> bool:
        """Whether a queue is decided in this log of the tenant."""
        return not self.is_split or self.domain_of_queue.get(queue_id, "") == self.domain

    def way_to(self, domain: str) -> str:
        """Return the log that is next on the way to a domain: from one to another it leads through the reception."""
        return "" if self.domain else domain

    def phone_of(self, agent_id: str) -> str:
        """Return user@domain of an agent's phone, empty for an agent who is not in the document."""
        agent = self.agents.get(agent_id)
        return f"{agent.phone}@{self.document.domain}" if agent else ""

    def recording_policy(self, line: str, queue_id: str) -> tn.RecordingPolicy:
        """Return what is recorded: the queue's policy, else the line's, else the company's; each counts as a whole."""
        queue = self.queues.get(queue_id)
        if queue is not None and queue.HasField("recording"):
            return queue.recording
        return self.line_recording.get(line, self.document.recording)

    def _plans(self) -> dict[str, QueuePlan]:
        for queue in self.document.queues:
            _check_strategy(queue)
        skills = {agent_id: agent.skills for agent_id, agent in self.agents.items()}
        here = [queue for queue in self.document.queues if self.is_here(queue.queue_id)]
        return {queue.queue_id: QueuePlan(queue, skills, self.groups) for queue in here}

    def _places(self) -> dict[str, list[Place]]:
        """Return agent → its places, in the document's order of queues, and complete the plans' places."""
        lowest: dict[str, int] = {}
        for plan in self.plans.values():
            for agent_id, place in plan.places.items():
                lowest[agent_id] = min(place.position, lowest.get(agent_id, place.position))
        found: dict[str, list[Place]] = {agent_id: [] for agent_id in self.agents}
        for plan in self.plans.values():
            is_by_place = plan.strategy.is_by_place
            for agent_id, place in plan.places.items():
                compared = place.position if is_by_place else lowest[agent_id]
                plan.places[agent_id] = Place(place.queue_id, place.level, place.position, compared)
                found[agent_id].append(plan.places[agent_id])
        return found


def _groups(document: tn.TenantDocument) -> dict[str, frozenset[str]]:
    """Return agent → groups."""
    found: dict[str, set[str]] = {}
    for group in document.groups:
        for agent_id in group.agent_ids:
            found.setdefault(agent_id, set()).add(group.group_id)
    return {agent_id: frozenset(groups) for agent_id, groups in found.items()}


def _domains_of_agents(document: tn.TenantDocument, domain_of_queue: Mapping[str, str]) -> dict[str, str]:
    """Return agent → its domain, of those who serve a queue of one."""
    found: dict[str, str] = {}
    for queue in document.queues if domain_of_queue else ():
        domain = domain_of_queue.get(queue.queue_id, "")
        for tier in queue.tiers if domain else ():
            found.setdefault(tier.agent_id, domain)
    return found


def _share(document: tn.TenantDocument, domain: str) -> tn.Limits:
    """Return a log's part of the company's limits: a domain's as declared, the reception's is what is left."""
    limits = tn.Limits()
    limits.CopyFrom(document.limits)
    shares = document.routing_domains
    own = next((one for one in shares if one.domain_id == domain), tn.RoutingDomain()) if domain else None
    for name in ("concurrent_calls", "calls_per_second", "outbound_spend_per_day"):
        whole = getattr(document.limits, name)
        part = getattr(own, name) if own is not None else whole - sum(getattr(one, name) for one in shares)
        if whole:  # 0 is no limit, so nobody's part may become that
            setattr(limits, name, max(part, 0.001 if name == "outbound_spend_per_day" else 1))
    return limits


def _check_strategy(queue: tn.Queue) -> None:
    if queue.strategy not in STRATEGIES:
        raise UnsupportedStrategy(f"queue {queue.queue_id}: there is no strategy {queue.strategy}")
