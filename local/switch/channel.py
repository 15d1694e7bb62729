"""One leg: a channel of the switch, what it knows, and the events that its changes make."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from local.switch.clock import floor_tick
from local.switch.encoding import encode, header
from local.switch.legvars import answered_variables
from local.switch.states import CallState, State
from local.switch.variables import Block, Variables

if TYPE_CHECKING:
    from local.switch.core import Switch
    from local.switch.profile import CallerProfile
    from local.switch.recording import Recording
    from local.switch.scheduler import Strand
    from local.voices.clips import Samples

CODEC_BLOCK = (
    "Channel-Read-Codec-Name: PCMU\nChannel-Read-Codec-Rate: 8000\nChannel-Read-Codec-Bit-Rate: 64000\n"
    "Channel-Write-Codec-Name: PCMU\nChannel-Write-Codec-Rate: 8000\nChannel-Write-Codec-Bit-Rate: 64000\n"
)
# How long a broadcast waits before it plays: five lead frames.
BROADCAST_LEAD_SECONDS = 0.1
# A phone's digit lasts 120 ms: 960 samples.
DTMF_SAMPLES = 960


SILENCE: Samples = np.zeros(0, dtype=np.int16)


class FarEnd(Protocol):
    """The phone at the other end of a leg's wire: a simulated caller or agent."""

    def on_answered(self, leg: Leg) -> None:
        """Learn that the switch has answered this phone's call."""

    def on_collecting(self, leg: Leg, app_data: str) -> None:
        """Learn that the switch begins to collect digits from this phone."""

    def on_answering(self, leg: Leg) -> Samples:
        """Learn that the switch listens to an answer; return the sound that this phone makes from now on."""

    def on_bridged(self, leg: Leg, other: Leg) -> None:
        """Begin to talk with another phone."""

    def on_unbridged(self, leg: Leg) -> None:
        """End the talk with the other phone; the leg may live on."""

    def on_hangup(self, leg: Leg, cause: str) -> None:
        """Learn that the leg has ended."""


class SilentPhone:
    """A far end that does nothing by itself."""

    def on_answered(self, leg: Leg) -> None:
        """Do nothing."""

    def on_collecting(self, leg: Leg, app_data: str) -> None:
        """Do nothing."""

    def on_answering(self, leg: Leg) -> Samples:  # noqa: ARG002 - the protocol's signature
        """Say nothing."""
        return SILENCE

    def on_bridged(self, leg: Leg, other: Leg) -> None:
        """Do nothing."""

    def on_unbridged(self, leg: Leg) -> None:
        """Do nothing."""

    def on_hangup(self, leg: Leg, cause: str) -> None:
        """Do nothing."""


@dataclass(slots=True)
class PrivateCommand:
    """A command that waits in a leg's private queue: an application to execute, or a hang-up."""

    app: str
    data: str
    event_uuid: str | None = None
    lock: bool = False
    loops: int | None = None
    lead_seconds: float = 0.0
    hangup_cause: str | None = None
    # The command's own headers, which PRIVATE_COMMAND repeats in front of its head.
    text: str = ""


class Leg:
    """One channel. Only its own strand moves it through states; others set flags and wake it."""

    __slots__ = (
        "_basic_names",
        "_profile_block",
        "_profile_made_of",
        "answered",
        "break_playback",
        "bridge",
        "call_uuid",
        "callstate",
        "codec_up",
        "destroyed_us",
        "digits",
        "digits_dialed",
        "direction",
        "early",
        "event_locked",
        "exported",
        "extension",
        "far_end",
        "hangup_cause",
        "held",
        "hit_dialplan",
        "hold_spans",
        "hung_up_holding",
        "is_bridge_originator",
        "leading",
        "media_bugs",
        "muted",
        "name",
        "partner_block",
        "playing",
        "presence_id",
        "private_commands",
        "profile",
        "recordings",
        "running_state",
        "session_id",
        "state",
        "strand",
        "switch",
        "uuid",
        "uuid_bridge_to",
        "variables",
        "was_broken",
        "watchers",
    )

    def __init__(self, switch: Switch, uuid: str, name: str, direction: str, profile: CallerProfile) -> None:
        self.switch = switch
        self.uuid = uuid
        self.name = name
        self.direction = direction
        self.profile = profile
        self.variables = Variables(as_json=switch.bus.is_json_wanted)
        self.state = State.NEW
        self.running_state = State.NEW
        self.callstate = CallState.DOWN
        self.answered = self.early = self.codec_up = self.held = self.muted = False
        self.hit_dialplan = direction == "inbound"
        self.call_uuid = uuid
        self.hangup_cause: str | None = None
        self.partner_block = ""
        self.presence_id = ""
        self.bridge: Any = None
        self.strand: Strand | None = None
        self.far_end: FarEnd = SilentPhone()
        self.private_commands: deque[PrivateCommand] = deque()
        self.leading: PrivateCommand | None = None
        """The broadcast that is about to begin: taken from the queue, and waiting for its lead."""
        self.event_locked = False
        self.digits: deque[str] = deque()
        self.digits_dialed = ""
        self.break_playback = self.was_broken = self.hung_up_holding = False
        self.is_bridge_originator = False
        self.uuid_bridge_to: str | None = None
        self.extension: list[tuple[str, str]] = []
        self.exported: list[str] = []
        self.recordings: dict[str, Recording] = {}
        self.media_bugs: list[tuple[str, str]] = []
        self.hold_spans: list[tuple[int, int]] = []
        self.playing: str | None = None
        self.session_id = 0
        self.watchers: list[Strand] = []
        self.destroyed_us: int | None = None
        self._basic_names = f"Channel-Name: {encode(name)}\nUnique-ID: {encode(uuid)}\n"
        self._profile_block: Block | None = None
        self._profile_made_of = (False, "")

    # -- what events say of the leg ------------------------------------------------------------------------------

    @property
    def answer_state(self) -> str:
        """Return hangup, answered, early or ringing."""
        if self.state >= State.HANGUP and self.state != State.NONE:
            return "hangup"
        if self.answered:
            return "answered"
        return "early" if self.early else "ringing"

    @property
    def is_up(self) -> bool:
        """Say whether nobody has hung the leg up yet."""
        return self.state < State.HANGUP or self.state == State.NONE

    @property
    def has_media(self) -> bool:
        """Say whether sound can flow: answered or early media."""
        return self.answered or self.early

    def basic_block(self) -> str:
        """Return the Channel-* headers."""
        cause = f"Hangup-Cause: {self.hangup_cause}\n" if self.hangup_cause else ""
        presence = f"Channel-Presence-ID: {encode(self.presence_id)}\n" if self.presence_id else ""
        return (
            f"Channel-State: CS_{self.running_state.name}\nChannel-Call-State: {self.callstate.name}\n"
            f"Channel-State-Number: {self.state.value}\n{self._basic_names}"
            f"Call-Direction: {self.direction}\nPresence-Call-Direction: {self.direction}\n"
            f"Channel-HIT-Dialplan: {'true' if self.hit_dialplan else 'false'}\n{presence}"
            f"Channel-Call-UUID: {encode(self.call_uuid)}\nAnswer-State: {self.answer_state}\n{cause}"
        )

    def profile_block(self) -> Block:
        """Return codec, Caller-* and Other-Leg-* headers."""
        made_of = (self.codec_up, self.partner_block)
        if self._profile_block is None or self._profile_made_of != made_of:
            self._profile_made_of = made_of
            codec = CODEC_BLOCK if self.codec_up else ""
            self._profile_block = Block(codec + self.profile.caller_block() + self.partner_block)
        return self._profile_block

    def profile_changed(self) -> None:
        """Have the Caller-* headers rendered anew at the next event."""
        self._profile_block = None

    def emit(
        self,
        name: str,
        lead: str = "",
        tail: str = "",
        *,
        full: bool = True,
        origin: str | None = None,
        subclass: str | None = None,
        body: str | None = None,
        prefix: str = "",
    ) -> None:
        """Let an event of this leg happen; `full` ones carry the variables."""
        bus = self.switch.bus
        if not bus.is_wanted(name, subclass):
            bus.sequence += 1
            return
        blocks = (lead, self.basic_block(), self.profile_block(), self.variables if full else "", tail)
        bus.emit(name, *blocks, origin=origin, subclass=subclass, body=body, prefix=prefix)

    # -- changes -------------------------------------------------------------------------------------------------

    def now_us(self) -> int:
        """Return the instant as this leg's events show it."""
        return floor_tick(self.switch.scheduler.clock.now_us())

    def set_state(self, state: State) -> None:
        """Send the leg to another state; its strand notices at its next look."""
        self.state = state
        self.wake()

    def wake(self, ticks: int = 1) -> None:
        """Have the leg's strand look around at a coming 20 ms step."""
        if self.strand is not None:
            self.strand.wake(ticks)
        for watcher in self.watchers:
            watcher.wake(ticks)

    def enter(self, state: State) -> None:
        """Record that the strand now runs a state: CHANNEL_CALLSTATE where it changes, then CHANNEL_STATE."""
        self.running_state = state
        if state == State.ROUTING and self.direction == "inbound":
            self.set_callstate(CallState.RINGING)
        elif state == State.EXECUTE and self.answered:
            self.set_callstate(CallState.ACTIVE)
        self.emit("CHANNEL_STATE", full=False)

    def set_callstate(self, callstate: CallState) -> None:
        """Change the call state and say so, when it is a change."""
        before, self.callstate = self.callstate, callstate
        if before != callstate:
            lead = f"Original-Channel-Call-State: {before.name}\nChannel-Call-State-Number: {callstate.value}\n"
            self.emit("CHANNEL_CALLSTATE", lead, full=False)

    def answer(self) -> None:
        """Answer: CHANNEL_ANSWER still shows the old call state (wire truth 11)."""
        if self.answered or not self.is_up:
            return
        self.answered = True
        self.profile.times.answered = self.now_us()
        self.profile_changed()
        self.variables.set_many(answered_variables(self))
        self.emit("CHANNEL_ANSWER")
        self.variables.set("endpoint_disposition", "ANSWER")
        self.set_callstate(CallState.ACTIVE)
        self.switch.note_answer(self)
        if self.direction == "inbound":
            self.far_end.on_answered(self)

    def pre_answer(self) -> None:
        """Open early media: CHANNEL_PROGRESS_MEDIA."""
        if self.has_media or not self.is_up:
            return
        self.early = True
        self.profile.times.progress_media = self.now_us()
        self.profile_changed()
        self.emit("CHANNEL_PROGRESS_MEDIA")
        self.set_callstate(CallState.EARLY)
        self.wake()

    def ring_ready(self) -> None:
        """Ring: CHANNEL_PROGRESS, once."""
        if self.profile.times.progress or not self.is_up:
            return
        self.profile.times.progress = self.now_us()
        self.profile_changed()
        self.emit("CHANNEL_PROGRESS")
        self.set_callstate(CallState.RINGING)
        self.wake()

    def hangup(self, cause: str, disposition: str | None = None) -> None:
        """End the leg; the event comes at once, the rest when the strand notices. Only the first cause counts."""
        if not self.is_up:
            return
        if self.held:
            self.hung_up_holding = True
            self.held = False
            self.set_callstate(CallState.UNHELD)
            self.emit("CHANNEL_UNHOLD", origin="CHANNEL_UNHOLD phone")
        self.hangup_cause = cause
        self.state = State.HANGUP
        self.profile.times.hungup = self.now_us()
        self.profile_changed()
        if disposition in {"recv_cancel", "recv_refuse"}:
            self.variables.set("sip_hangup_disposition", disposition)
        self.emit("CHANNEL_HANGUP")
        if disposition == "recv_bye":
            self.variables.set("sip_hangup_disposition", disposition)
        self.switch.note_hangup(self, cause)
        self.far_end.on_hangup(self, cause)
        self.wake()
        if self.bridge is not None:
            self.bridge.leg_left()

    def hangup_by_phone(self, cause: str | None = None) -> None:
        """Let the far end give up: CANCEL before the answer, BYE after it. A phone may choose the cause (truth 13)."""
        if self.direction == "inbound" and not self.answered:
            self.hangup(cause or "ORIGINATOR_CANCEL", "recv_cancel")
        elif self.answered:
            self.hangup(cause or "NORMAL_CLEARING", "recv_bye")
        else:
            self.hangup(cause or "CALL_REJECTED", "recv_refuse")

    def catch_up_recordings(self) -> None:
        """Have the leg's recordings write what was heard until now, before that changes."""
        for recording in self.recordings.values():
            recording.catch_up()

    def note_bridge(self, *, on: bool) -> None:
        """Tell the leg's recordings that a bridge begins or ends now."""
        for recording in self.recordings.values():
            recording.catch_up()
            recording.note_bridge(on=on)

    def queue_command(self, command: PrivateCommand) -> None:
        """Add to the private queue, which every media application looks at."""
        self.private_commands.append(command)
        self.wake()

    def broadcast(self, app: str, data: str, loops: int = 1) -> None:
        """Queue an application as uuid_broadcast does: locked, after five frames; `loops` -1 is for ever."""
        lines = "call-command: execute\n" + header("execute-app-name", app)
        lines += header("execute-app-arg", data) + "event-lock: true\nlead-frames: 5\n"
        if loops != 1:
            lines += f"loops: {loops}\n"
        text = self.switch.bus.head("COMMAND", "COMMAND", None) + lines
        self.queue_command(
            PrivateCommand(app, data, lock=True, loops=loops, lead_seconds=BROADCAST_LEAD_SECONDS, text=text)
        )

    def receive_digit(self, digit: str, source: str = "RTP", samples: int = DTMF_SAMPLES) -> None:
        """Take a digit from the far end (or from uuid_recv_dtmf, source APP)."""
        if not self.is_up:
            return
        self.digits_dialed += digit
        lines = header("DTMF-Digit", digit) + f"DTMF-Duration: {samples}\nDTMF-Source: {source}\n"
        self.emit("DTMF", tail=lines, full=False)
        self.digits.append(digit)
        self.wake()
