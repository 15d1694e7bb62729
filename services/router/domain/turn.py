from dataclasses import dataclass

from services.router.domain.ids import derived_id, derived_leg_id
from services.router.domain.model import Call, EndedCall
from services.router.domain.state import TenantState
from services.shared.contracts.ringmaster.v1.command_pb2 import Command
from services.shared.contracts.ringmaster.v1.event_pb2 import Event
from services.shared.contracts.ringmaster.v1.input_pb2 import PassedOn
from services.shared.contracts.ringmaster.v1.request_pb2 import Reply

TENANT = "tenant"
COMMAND_MS = 60_000
"""A command that was not executed for so long serves nobody any more."""


@dataclass(frozen=True, slots=True)
class Position:
    """An input's identity: its place in ringmaster.inputs."""

    partition: int
    offset: int


@dataclass(frozen=True, slots=True)
class SetTimer:
    """Bring TimerFired with this id and moment back when platform time reaches it; replaces one of the same id."""

    timer_id: str
    due_ms: int


@dataclass(frozen=True, slots=True)
class CancelTimer:
    """The timer is not needed any more; if it comes nevertheless it is ignored."""

    timer_id: str


@dataclass(frozen=True, slots=True)
class Lookup:
    """Ask the tenant's CRM and bring the answer back as TakeLookup: once it is sent, or again after a restart."""

    tenant_id: str
    call_id: str
    lookup_id: str
    url: str
    body: bytes
    """A JSON object to post; empty = only read the URL."""
    timeout_ms: int
    results: tuple[tuple[str, str], ...]
    """Path in the answer's JSON, and the variable that it is for."""


@dataclass(frozen=True, slots=True)
class Note:
    """What another log of the tenant is told; the same note told twice changes nothing there."""

    domain: str
    told: PassedOn


class Turn:
    """One decision while it is made: the state, the moment, and the outputs so far, each with its derived id."""

    __slots__ = (
        "_caused_by",
        "_ordinal",
        "callers",
        "came_or_left",
        "campaigns",
        "commands",
        "deserted",
        "events",
        "forgets",
        "freed",
        "left_alone",
        "levelled",
        "lookups",
        "needless",
        "notes",
        "now_ms",
        "position",
        "replies",
        "state",
        "timers",
        "unanswered",
        "unoffered",
    )

    def __init__(self, state: TenantState, position: Position, now_ms: int) -> None:
        self.state = state
        self.position = position
        self.now_ms = now_ms
        self.commands: list[Command] = []
        self.events: list[Event] = []
        self.replies: list[Reply] = []
        self.timers: list[SetTimer | CancelTimer] = []
        self.lookups: list[Lookup] = []
        self.freed: list[str] = []
        """Agents who became idle: to be matched before the decision ends."""
        self.callers: list[str] = []
        """Callers whom nobody is offered: to be matched before the decision ends."""
        self.levelled: list[str] = []
        """Queues of which a level was left by its last agent, or entered by its first: levels open by who is there."""
        self.came_or_left: list[str] = []
        """Agents who came to work or left: callers wait for their last agent only while it is there."""
        self.unoffered: list[str] = []
        """Callers outside of queues whose offer ended without a talk: their flow goes on."""
        self.left_alone: list[str] = []
        """Callers whose agent left after the talk and whose flow goes on."""
        self.deserted: list[str] = []
        """Queues that an agent left for good: their callers may have nobody to wait for."""
        self.campaigns: list[tuple[str, str, str]] = []
        """Campaign, task, and what became of it."""
        self.needless: list[str] = []
        """Calls to customers who need not be called any more."""
        self.unanswered: list[str] = []
        """Calls whose transfer's target did not answer."""
        self.notes: list[Note] = []
        self.forgets = False
        """Whether a snapshot is wanted soon: the last ones know a person who is to be forgotten."""
        self._ordinal = 0
        self._caused_by = f"{position.partition}:{position.offset}"

    def new_id(self) -> str:
        """Return the next derived id."""
        self._ordinal += 1
        return derived_id(self.position.partition, self.position.offset, self._ordinal)

    def new_leg_id(self) -> str:
        """Return a derived id for a leg that we make."""
        self._ordinal += 1
        return derived_leg_id(self.state.tenant_id, self.position.partition, self.position.offset, self._ordinal)

    def command(self, call: Call, leg_id: str, deadline_ms: int = COMMAND_MS) -> Command:
        """Begin a command to the call's node; the caller of this sets its action."""
        return self.command_to(call.node, call.call_id, leg_id, deadline_ms)

    def command_to(self, node: str, call_id: str, leg_id: str, deadline_ms: int = COMMAND_MS) -> Command:
        """Begin a command for a leg whose call may be over."""
        command = Command()
        command.command_id = self.new_id()
        command.tenant_id = self.state.tenant_id
        if self.state.domain:
            command.domain = self.state.domain
        command.call_id = call_id
        command.node = node
        command.leg_id = leg_id
        command.deadline_ms = self.now_ms + deadline_ms
        self.commands.append(command)
        return command

    def call_event(self, call: Call | EndedCall) -> Event:
        """Begin an event of a call; the caller of this sets its body."""
        call.sequence += 1
        event = self._event(call.call_id, call.sequence)
        event.call_id = call.call_id
        return event

    def subject_event(self, subject: str) -> Event:
        """Begin an event of an agent, a switch or the tenant; the caller of this sets its body."""
        if subject == TENANT and self.state.domain:
            subject = f"domain:{self.state.domain}"  # each log counts its own
        sequence = self.state.sequences[subject] = self.state.sequences.get(subject, 0) + 1
        return self._event(subject, sequence)

    def pass_on(self, domain: str) -> PassedOn:
        """Begin what another log of the tenant is told; the caller of this says what."""
        place, ordinal = self.position, len(self.notes) + 1
        told = PassedOn(from_domain=self.state.domain, partition=place.partition, offset=place.offset, ordinal=ordinal)
        self.notes.append(Note(domain, told))
        return told

    def set_timer(self, kind: str, subject: str, delay_ms: int) -> None:
        """Set a timer from now; one of the same kind and subject is replaced."""
        timer_id = f"{kind}:{subject}"
        due_ms = self.state.timers[timer_id] = self.now_ms + delay_ms
        self.timers.append(SetTimer(timer_id, due_ms))

    def cancel_timer(self, kind: str, subject: str) -> None:
        """Cancel a timer, if it is set."""
        timer_id = f"{kind}:{subject}"
        if self.state.timers.pop(timer_id, None) is not None:
            self.timers.append(CancelTimer(timer_id))

    def _event(self, subject: str, sequence: int) -> Event:
        event = Event()
        event.event_id = self.new_id()
        event.tenant_id = self.state.tenant_id
        event.time.seconds = self.now_ms // 1000
        event.time.nanos = self.now_ms % 1000 * 1_000_000
        event.sequence = sequence
        event.subject = subject
        event.caused_by = self._caused_by
        self.events.append(event)
        return event
