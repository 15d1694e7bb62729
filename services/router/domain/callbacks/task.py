"""A callback task, and what its queue's policy says of it (SPEC 4.1, 4.2)."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from services.shared.contracts.ringmaster.v1 import tenant_pb2 as tn

DEFAULT_ATTEMPTS = 3
DEFAULT_GAP_SECONDS = 900
DEFAULT_BUSY_GAP_SECONDS = 180
DEFAULT_EXPIRES_SECONDS = 86_400
DEFAULT_RING_SECONDS = 30


@dataclass(slots=True)
class Callback:
    """An open task. It ends in exactly one of succeeded, failed for good, cancelled, expired; then it is forgotten."""

    callback_id: str
    number: str
    """E.164."""
    queue_id: str
    reason: str
    line: str
    """What the customer called, and sees when called back."""
    name: str
    asked_ms: int
    due_ms: int
    expires_ms: int
    attempts: int = 0
    """How often the customer was dialled."""
    call_id: str = ""
    """The call that waits for an agent, or is the attempt."""
    lines: list[str] = field(default_factory=list)
    """Calls of the customer that go on: nobody is called back who is on the line."""
    entered_ms: int = 0
    """The place in the queue that the customer keeps (virtual hold); 0 = none."""
    entered_order: int = 0
    priority: int = 0
    skills: dict[str, int] = field(default_factory=dict)
    campaign_id: str = ""


@dataclass(slots=True)
class CampaignRun:
    """How far a campaign is with its list (SPEC 4.4)."""

    campaign_id: str
    is_running: bool = False
    waiting: list[list[str]] = field(default_factory=list)
    """Number and name of each customer who has not had the turn."""
    active: list[str] = field(default_factory=list)
    """Tasks of customers whose turn it is; those who rest between two attempts are not among them."""
    open: int = 0
    reached: int = 0
    failed: int = 0
    abandoned: int = 0
    dialled: int = 0
    answered: int = 0
    """Of the last dials, for predictive pacing."""
    boost: int = 0
    """How much of what it expects it dares, per cent."""
    is_slow: bool = False
    """Too many hung up before an agent talked: it dials as preview."""


@dataclass(frozen=True, slots=True)
class Policy:
    """A queue's policy with its defaults filled in; durations in milliseconds."""

    is_customer_first: bool
    attempts: int
    gap_ms: int
    busy_gap_ms: int
    first_after_ms: int
    expires_ms: int
    ring_ms: int
    priority: int
    hours: Sequence[tn.OpenHours]
    caller_number: str
    gateway: str
    black_lists: Sequence[str]


def policy_of(queue: tn.Queue) -> Policy:
    """Return how a queue calls back; one that says nothing does it by the defaults."""
    said = queue.callbacks
    return Policy(
        said.order == tn.CALLBACK_ORDER_CUSTOMER_FIRST,
        said.attempts or DEFAULT_ATTEMPTS,
        (said.gap_seconds or DEFAULT_GAP_SECONDS) * 1000,
        (said.busy_gap_seconds or DEFAULT_BUSY_GAP_SECONDS) * 1000,
        said.first_after_seconds * 1000,
        (said.expires_seconds or DEFAULT_EXPIRES_SECONDS) * 1000,
        (said.ring_timeout_seconds or DEFAULT_RING_SECONDS) * 1000,
        said.priority,
        said.hours,
        said.caller_number,
        said.gateway,
        said.black_lists,
    )
