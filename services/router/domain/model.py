"""The records that a tenant's state is made of. They hold only what JSON can: snapshots are their fields."""

from dataclasses import dataclass, field
from enum import StrEnum

from services.router.domain.lifecycle import AgentState, CallStage
from services.shared.contracts.ringmaster.v1 import event_pb2 as ev
from services.shared.contracts.ringmaster.v1 import request_pb2 as rq


class LegRole(StrEnum):
    """Whose phone is at the far end."""

    CUSTOMER = "customer"
    AGENT = "agent"
    OUTSIDE = "outside"
    SUPERVISOR = "supervisor"


@dataclass(slots=True)
class Leg:
    """One channel that serves a call. `sequence` and `kinds` know the last fact, so a fact told twice counts once."""

    leg_id: str
    call_id: str
    role: LegRole
    node: str
    agent_id: str = ""
    offer_id: str = ""
    command_id: str = ""
    is_answered: bool = False
    release_tries: int = 0
    """How often its hang-up was ordered; from the first on nothing else of it matters."""
    release_cause: str = ""
    release_command_id: str = ""
    core_uuid: str = ""
    sequence: int = 0
    kinds: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Offer:
    """A call held out to one agent (SPEC 3.5)."""

    offer_id: str
    call_id: str
    agent_id: str
    queue_id: str
    leg_id: str
    created_ms: int
    ringing_ms: int = 0
    is_transfer: bool = False
    """Made by an agent's transfer, not by a queue."""


class TransferPhase(StrEnum):
    """Where a transfer is; who hears whom stands in brackets, the third of them hears music."""

    RINGING = "ringing"
    """The target's phone rings (nobody: the agent hears that it rings)."""
    CONSULTING = "consulting"
    """(agent, target)"""
    SWAPPED = "swapped"
    """(agent, customer)"""
    TOGETHER = "together"
    """(all three, in a conference)"""
    JOINING = "joining"
    """The customer and the target are being connected; then the agent is let go."""
    RETURNING = "returning"
    """The target is gone; the customer and the agent are being connected again."""


@dataclass(slots=True)
class Transfer:
    """A call on its way from its agent to somebody else (SPEC 3.8). The agent's leg is the call's `other_leg_id`."""

    call_id: str
    actor: str
    from_agent_id: str
    leg_id: str
    """The target's leg; empty when it is gone."""
    to_agent_id: str = ""
    to_number: str = ""
    is_attended: bool = False
    phase: TransferPhase = TransferPhase.RINGING
    pair: list[str] = field(default_factory=list)
    """The two legs whose bridge was ordered and is not told yet."""
    command_id: str = ""
    tries: int = 0
    is_done: bool = False
    """FreeSWITCH said that it bridged them; the fact may still come."""


@dataclass(slots=True)
class Agent:
    """One person. `leg_id` is set as long as a leg to the phone may live, whatever the state says."""

    agent_id: str
    status: int = rq.AGENT_STATUS_OFFLINE
    reason: str = ""
    state: AgentState = AgentState.OFFLINE
    since_ms: int = 0
    is_reachable: bool = True
    registered_at: list[str] = field(default_factory=list)
    """Switches where the phone is registered, as far as it was told since this is kept."""
    offer_id: str = ""
    leg_id: str = ""
    call_id: str = ""
    queue_id: str = ""
    last_call_ended_ms: int = 0
    ready_since_ms: int = 0
    last_offered_ms: int = 0
    handling_from_ms: int = 0
    """When the call was answered that it handles, wrap-up included."""
    offline_since_ms: int = 0
    shift: list[int] = field(default_factory=lambda: [0, 0, 0, 0])
    """Calls, talk, handling and idleness of the shift, milliseconds."""
    slices: dict[str, list[int]] = field(default_factory=dict)
    """Number of a slice of time → the same of this slice; only while a queue of the document asks for a window."""
    misses_in_row: int = 0
    wrap_up_from_ms: int = 0
    is_done: bool = False
    """Work is over, only the leg's end is waited for."""
    is_removed: bool = False
    supervised_call_id: str = ""
    """The call that the phone listens to; `leg_id` is then the leg that does."""
    supervision_mode: int = rq.SUPERVISION_MODE_UNSPECIFIED


@dataclass(slots=True)
class Handing:
    """A call on its way to another log of its tenant."""

    domain: str
    how: str
    """What is to be done with it there: step, queue, wait or live."""
    what: str = ""
    """Which step or queue."""
    commands: list[str] = field(default_factory=list)
    """Those that order it, and of which nothing was heard yet."""
    tries: int = 0
    timers: dict[str, int] = field(default_factory=dict)
    """Of a caller who waits on: kind of timer → when it is due."""
    held_back: list[str] = field(default_factory=list)
    """Facts of recordings that came meanwhile, hexadecimal: whoever has the call then tells them."""
    farewell: list[str | int] = field(default_factory=list)
    """Cause and party of a hang-up that came meanwhile."""


@dataclass(slots=True)
class Call:
    """A customer's visit. Moments are milliseconds since 1970 UTC, 0 = never."""

    call_id: str
    node: str
    line: str
    caller_number: str
    """E.164, whatever the carrier wrote; what is no number is as it came."""
    caller_name: str
    version: int
    flow_id: str
    started_ms: int
    stage: CallStage = CallStage.ARRIVING
    sequence: int = 0
    is_leg_answered: bool = False
    refusal_cause: str = ""
    step_id: str = ""
    step_type: str = ""
    step_from_ms: int = 0
    step_command_id: str = ""
    step_phase: str = ""
    """How far a step is that asks or plays more than once."""
    typed_number: str = ""
    """What the caller entered and has yet to confirm."""
    variables: dict[str, str | int | bool] = field(default_factory=dict)
    returns: list[list[str | int]] = field(default_factory=list)
    """Where to go on when a subflow ends, innermost last: flow, step, and when that was entered."""
    lookup: list[str] = field(default_factory=list)
    """What the tenant's CRM is being asked for this call, as texts; empty when nothing is."""
    consent: str = ""
    """What the caller said to recording: given, refused, or empty when nobody asked."""
    messages: list[str] = field(default_factory=list)
    """Recordings that the caller spoke for later: they count without any talk."""
    goes_on: bool = False
    """Its flow goes on after the talk: the caller stays when the agent leaves."""
    is_parked_again: bool = False
    """FreeSWITCH gave the caller back after the talk."""
    other_leg_id: str = ""
    """The leg it is, or shall be, bridged with."""
    supervisors: list[str] = field(default_factory=list)
    """Agents whose phones listen to it."""
    dialled_by: str = ""
    """The agent who called the customer."""
    bridge_command_id: str = ""
    bridge_tries: int = 0
    is_bridge_done: bool = False
    """FreeSWITCH said that it bridged them; the fact that they are may still come."""
    queue_id: str = ""
    is_waiting: bool = False
    """In the queue, from queue.joined to queue.left."""
    priority: int = 0
    list_priority: int = 0
    """What of the priority the lists of its queue gave."""
    skills: dict[str, int] = field(default_factory=dict)
    """What the flow's step requires beside the queue's own skills, with the least proficiency."""
    joined_ms: int = 0
    """When it joined this queue; the time of entry below may be earlier: it is kept by overflow and resumed places."""
    entered_ms: int = 0
    entered_order: int = 0
    ring: int = 0
    max_level: int = 0
    estimated_wait_ms: int = 0
    """What was estimated when it joined the queue."""
    announce_at: list[int] = field(default_factory=list)
    """When each of the queue's announcements is due next, 0 = not any more."""
    told_position: int = 0
    reserved_for: str = ""
    """Who may serve it now: required skills by ring, highest level, and anyone, agent:<id> or group:<id>[,<id>…]."""
    last_agent_id: str = ""
    """With whom the caller talked last, where the queue asks for it."""
    offers: list[str] = field(default_factory=list)
    refused: dict[str, int] = field(default_factory=dict)
    """Agent → until when it is not tried again; 0 = until all who are free were tried."""
    last_refused: dict[str, list[int | str]] = field(default_factory=dict)
    """Per level, position and id of the agent who refused last (top down)."""
    offers_made: int = 0
    queue_exit: int = ev.QUEUE_EXIT_UNSPECIFIED
    places: dict[str, list[int]] = field(default_factory=dict)
    """Queue that it left without a talk → time and order of entry: what it has again if its flow leads it back."""
    wait_ms: int = 0
    agent_id: str = ""
    answered_ms: int = 0
    talk_from_ms: int = 0
    talk_ms: int = 0
    held_from_ms: int = 0
    hold_ms: int = 0
    planned_exit: int = ev.CALL_EXIT_UNSPECIFIED
    hang_up_tries: int = 0
    hang_up_cause: str = ""
    recording_id: str = ""
    recording_asked_by: str = ""
    """Who asked for the recording; empty when the policy did."""
    masked_by: list[str] = field(default_factory=list)
    """Mask or pause, and who asked for it; empty while voices are written."""
    recordings: list[str] = field(default_factory=list)
    stopped: list[str] = field(default_factory=list)
    """Those of its recordings whose end was told."""
    masking: dict[str, list[str]] = field(default_factory=dict)
    """Command that masks or unmasks → what is told when it is done, and who asked."""
    disposition: str = ""
    asked_callback: str = ""
    """The callback that its caller asked for."""
    was_closed: bool = False
    """A schedule said that nobody is there."""
    callback_id: str = ""
    """The callback that it serves, of a customer whom we call."""
    is_absent: bool = False
    """A callback whose customer is not on the line: it waits for an agent, and no event tells so."""
    keeps_place: bool = True
    """It counts among those who wait; a callback without a place of its own does not."""
    dialled_ms: int = 0
    """When the customer's phone was first rung by us."""
    hop: int = 0
    """How often it was handed over between a tenant's logs."""
    handing: Handing | None = None
    """Where it is being handed over to; None for a call that stays."""

    @property
    def is_outbound(self) -> bool:
        """Whether we called the customer."""
        return bool(self.callback_id or self.dialled_by)


@dataclass(slots=True)
class EndedCall:
    """What may still be told or asked of a call after its end: late recordings, the agent's outcome."""

    call_id: str
    ended_ms: int
    sequence: int
    agent_id: str
    queue_id: str
    stopped: list[str]
    node: str
    line: str = ""
    caller_number: str = ""
    caller_name: str = ""
    email: str = ""
    """The caller's mail address, where its flow found one."""


@dataclass(slots=True)
class Away:
    """A call that a routing domain has."""

    domain: str
    number: str
    version: int = 0
    """The document that it goes by; 0 = the domain made the call itself, within its own share of the limits."""
    hop: int = 0


@dataclass(slots=True)
class Gone:
    """A call that is not here any more: another log has told its last, or will."""

    domain: str
    at_ms: int
    hop: int = 0


@dataclass(slots=True)
class QueueMemory:
    """What a queue remembers beside who waits."""

    last_offered: dict[str, list[int | str]] = field(default_factory=dict)
    """Per level, position and id of the agent last offered (round robin)."""
    abandoned: dict[str, list[int]] = field(default_factory=dict)
    """Number → entry time, order of entry and the moment at which it hung up."""
    handled: dict[str, list[int]] = field(default_factory=dict)
    """Number of a slice of time → calls, handling for this queue, and handling of its agents for all queues, ms."""
