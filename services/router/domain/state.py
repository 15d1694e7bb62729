"""What the router remembers of one tenant, and what it derives of that."""

from dataclasses import dataclass, field
from typing import Any

from services.router.domain.callbacks.task import Callback, CampaignRun
from services.router.domain.configuration import Configuration
from services.router.domain.idle import IdleAgents
from services.router.domain.model import Agent, Away, Call, EndedCall, Gone, Leg, Offer, QueueMemory, Transfer
from services.router.domain.ordering import QueueIndex
from services.shared.contracts.ringmaster.v1.switch_pb2 import SwitchFact


@dataclass(slots=True)
class TenantState:
    """Everything that one tenant's next decision depends on. Changed in place: a copy costs more than a decision."""

    tenant_id: str
    domain: str = ""
    """Routing domain of a tenant that is split; empty = its reception, or the whole tenant (docs/adr/0033)."""
    now_ms: int = 0
    entries: int = 0
    """Counts entries into queues: the last tie-breaker of who came first."""
    documents: dict[int, bytes] = field(default_factory=dict)
    version: int = 0
    calls: dict[str, Call] = field(default_factory=dict)
    legs: dict[str, Leg] = field(default_factory=dict)
    offers: dict[str, Offer] = field(default_factory=dict)
    transfers: dict[str, Transfer] = field(default_factory=dict)
    """By call: one at a time."""
    agents: dict[str, Agent] = field(default_factory=dict)
    queues: dict[str, QueueMemory] = field(default_factory=dict)
    ended: dict[str, EndedCall] = field(default_factory=dict)
    timers: dict[str, int] = field(default_factory=dict)
    replies: dict[str, list[str]] = field(default_factory=dict)
    sequences: dict[str, int] = field(default_factory=dict)
    familiar: dict[str, list[int | str]] = field(default_factory=dict)
    """Number → the agent who talked with it last, and when."""
    callbacks: dict[str, Callback] = field(default_factory=dict)
    campaigns: dict[str, CampaignRun] = field(default_factory=dict)
    """Tasks that are open, by id."""
    node: str = ""
    """The switch that was heard of last: the next callback is dialled there."""
    heard: dict[str, list[int]] = field(default_factory=dict)
    """Switch → when something of it came last, and how often it was asked since; those that may have legs here."""
    mute: list[str] = field(default_factory=list)
    """Those of them that owe an answer: nobody is offered who waits there."""
    begun: list[int] = field(default_factory=list)
    """When calls began in the last second; only where they are counted."""
    spent: list[int] = field(default_factory=lambda: [0, 0])
    """Day (its ordinal in the tenant's zone) and what its outbound calls that ended have cost, thousandths."""
    metered: dict[str, list[int | str]] = field(default_factory=dict)
    """Outbound leg → its number, and when it was answered, 0 = not yet; only where a tariff is known."""
    erasing: dict[str, list[Any]] = field(default_factory=dict)
    """Erasure → the person's numbers, sealed, hexadecimal, and what was removed by kind; until a snapshot is kept."""
    # Of a tenant that is split; empty where it is whole.
    passed: dict[str, list[int]] = field(default_factory=dict)
    """Log that tells us something, and its partition → offset and ordinal of the last of it."""
    domains: list[str] = field(default_factory=list)
    """Of the reception: every domain that there ever was."""
    away: dict[str, Away] = field(default_factory=dict)
    """Of the reception: calls that a domain has."""
    gone: dict[str, Gone] = field(default_factory=dict)
    """Calls that another log has had the last of, as long as somebody may ask for them."""
    agents_at: dict[str, str] = field(default_factory=dict)
    """Of the reception: agent → domain, of those who are not here."""
    campaigns_at: dict[str, str] = field(default_factory=dict)
    """Of the reception: campaign → domain, of those that are not here."""
    callbacks_at: dict[str, str] = field(default_factory=dict)
    """Of the reception: callback → domain, where its id does not say so."""
    over: list[int] = field(default_factory=list)
    """Of a domain: versions of the document by which no caller comes any more."""
    postponed: dict[str, list[str]] = field(default_factory=dict)
    """Erasure → numbers of a person who was on the line."""
    # What follows is derived from what stands above, and is built again from it.
    configurations: dict[int, Configuration] = field(default_factory=dict)
    indexes: dict[str, QueueIndex] = field(default_factory=dict)
    idle: IdleAgents = field(default_factory=lambda: IdleAgents({}, {}))
    calls_of_version: dict[int, int] = field(default_factory=dict)
    callbacks_of: dict[str, list[str]] = field(default_factory=dict)
    """Number → its open tasks, one a queue."""
    absent: set[str] = field(default_factory=set)
    """Calls without a customer's leg: callbacks that wait for an agent."""
    visitors: set[str] = field(default_factory=set)
    """Of a domain: calls that the reception takes into account."""
    leavers: set[str] = field(default_factory=set)
    """Agents who belong elsewhere, and go there as soon as their work is over."""
    held_back: list[SwitchFact] = field(default_factory=list)
    """Facts that a decision has yet to take, of calls that were being handed over, and were not; empty between two."""
    strays: set[str] = field(default_factory=set)
    """Callers who wait in a queue that is elsewhere."""

    @property
    def configuration(self) -> Configuration | None:
        """The document in force, None before the first."""
        return self.configurations.get(self.version)
