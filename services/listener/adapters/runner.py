"""Does one command on the switch and says what became of it; what FreeSWITCH does is never an exception here."""

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import gevent
import structlog

from services.listener.adapters.answers import Answers
from services.listener.adapters.gate import Gate
from services.listener.adapters.hand_over import FELL_BACK, HandOver
from services.listener.adapters.switch_plan import MUSIC_PREFIX, Planner, Step, ring_seconds
from services.listener.adapters.switch_port import SwitchPort
from services.listener.domain.execution import UNKNOWN, Ended
from services.listener.domain.legs import Asked, LegTable
from services.listener.domain.recordings import UnsafeName
from services.shared.contracts.ringmaster.v1.command_pb2 import (
    COMMAND_OUTCOME_DONE,
    COMMAND_OUTCOME_EXPIRED,
    COMMAND_OUTCOME_FAILED,
    COMMAND_OUTCOME_UNKNOWN,
    Command,
)
from services.shared.esl.client import Reply
from services.shared.esl.errors import NotSent, OutcomeUnknown, UnsafeValue

log = structlog.get_logger()

REPLY_SECONDS = 5.0
JOB_SPARE_SECONDS = 10.0
NEW_LEG_SECONDS = 10.0
NEW_LEG_RETRY_SECONDS = 0.05
NO_SUCH_LEG = "NO_SUCH_LEG"
TOO_LATE = Ended(COMMAND_OUTCOME_EXPIRED, "no connection with FreeSWITCH before its deadline")

NEVER_ASKED = "NEVER_ASKED"
"""A former life was killed just before it asked."""
_ASKED = frozenset({"play_prompt", "collect_digits", "record_answer"})
_LONGEST_CAUSE = 200
_GONE = ("No such channel", "Cannot locate session", "invalid session id", "Invalid uuid", "invalid uuid", "-ERROR")


class Runner:
    """Knows how each action is done. `keep` writes a leg, or `call <id>`, down."""

    def __init__(
        self,
        switch: SwitchPort,
        planner: Planner,
        legs: LegTable,
        gate: Gate,
        keep: Callable[[str], None],
        answers: Answers,
        hand_over: HandOver,
    ) -> None:
        self._switch = switch
        self._planner = planner
        self._legs = legs
        self._gate = gate
        self._keep = keep
        self._hand_overs = hand_over
        self._originating: set[str] = set()
        self._special: dict[str, Callable[[Command], Ended]] = {
            "hang_up_leg": self._hang_up,
            "bridge_legs": self._bridge,
            "play_prompt": self._play,
            "collect_digits": self._collect,
            "record_answer": self._record_answer,
            "recognise_answer": answers.send,
            "start_music": self._start_music,
            "start_recording": self._start_recording,
            "mask_recording": self._mask,
            "unmask_recording": self._unmask,
        }

    def do(self, command: Command, on_sent: Callable[[], None]) -> Ended:
        """Send a command, waiting for a session until its deadline, and return its end.

        `on_sent` is called when the leg's next command need not wait any more, though this one may still run.
        """
        if not command.HasField("originate_leg"):
            return self._try(command, on_sent)
        self._originating.add(command.leg_id)  # also while it waits for a session: a hang-up must not overtake it
        try:
            return self._try(command, on_sent)
        finally:
            self._originating.discard(command.leg_id)

    def _try(self, command: Command, on_sent: Callable[[], None]) -> Ended:
        while True:
            try:
                return self._send(command, on_sent)
            except (UnsafeValue, UnsafeName) as error:
                return Ended(COMMAND_OUTCOME_FAILED, f"refused by the listener: {error}"[:_LONGEST_CAUSE])
            except OutcomeUnknown as error:
                return Ended(COMMAND_OUTCOME_UNKNOWN, str(error)[:_LONGEST_CAUSE])
            except NotSent:
                self._gate.pause()
                if not self._gate.wait(command.deadline_ms) or self._gate.is_late(command.deadline_ms):
                    return TOO_LATE

    def recover(self, command: Command, on_sent: Callable[[], None]) -> Ended:
        """Say what became of a command that an earlier life had begun, by looking at what lives."""
        if command.WhichOneof("action") == "bridge_legs":
            ended = self.do(command, on_sent)
            return UNKNOWN if ended is TOO_LATE else ended
        if command.HasField("hand_over_leg"):
            return self._hand_overs.complete(command, on_sent)
        try:
            exists = self._switch.exists(command.leg_id, REPLY_SECONDS)
        except (NotSent, OutcomeUnknown, UnsafeValue):
            return UNKNOWN
        if not exists:
            return Ended(COMMAND_OUTCOME_FAILED, NO_SUCH_LEG)
        return self._recover_asking(command, on_sent)

    def _recover_asking(self, command: Command, on_sent: Callable[[], None]) -> Ended:
        """Know by the table what was never sent: whatever has an end of its own is noted before.

        One whose end was told is not noted either, but nobody waits for its result. Music goes on where nothing plays.
        """
        leg, action = self._legs.live.get(command.leg_id), command.WhichOneof("action")
        if leg is not None and action in _ASKED and command.command_id not in leg.asked:
            return Ended(COMMAND_OUTCOME_FAILED, NEVER_ASKED)
        if leg is not None and action == "start_music" and not leg.asked and not leg.other_leg_id:
            return self.do(command, on_sent)
        return UNKNOWN

    def _send(self, command: Command, on_sent: Callable[[], None]) -> Ended:
        action = command.WhichOneof("action") or ""
        if self._has_fallen_back(command):
            return Ended(COMMAND_OUTCOME_FAILED, FELL_BACK)
        if action == "originate_leg":
            return self._originate(command, on_sent)
        if action == "hand_over_leg":
            with suppress(OutcomeUnknown):
                self._run(command)  # only a help for a listener that loses its table
            return self._hand_overs.do(command, on_sent)
        return self._special.get(action, self._run)(command)

    def _has_fallen_back(self, command: Command) -> bool:
        """Whether the dialplan has taken a leg from us: it may be talking, and a router that was away does not know.

        A lease would send it into the fallback once more in the middle of that talk.
        """
        named = (command.leg_id, command.bridge_legs.other_leg_id, command.part_legs.other_leg_id)
        legs = (self._legs.live.get(leg_id) for leg_id in named)
        return any(leg is not None and leg.has_fallen_back for leg in legs)

    def _run(self, command: Command) -> Ended:
        """Write a command's steps together, then read their replies in order."""
        return self._write(self._steps(command))

    def _steps(self, command: Command) -> list[Step]:
        is_playing = self._legs.is_playing(command.leg_id)
        return [step for step in self._planner.plan(command) if is_playing or not step.only_while_playing]

    def _write(self, steps: list[Step]) -> Ended:
        pending = [(step, self._switch.submit(step.wire)) for step in steps]
        ended = Ended(COMMAND_OUTCOME_DONE)
        for step, waiting in pending:
            reply = waiting.get(REPLY_SECONDS)
            if step.required and ended.outcome == COMMAND_OUTCOME_DONE:
                ended = outcome_of(reply)
        return ended

    def _play(self, command: Command) -> Ended:
        return self._ask(command, command.command_id, Asked.PLAYBACK)

    def _collect(self, command: Command) -> Ended:
        return self._ask(command, command.command_id, Asked.DIGITS)

    def _record_answer(self, command: Command) -> Ended:
        failed = _make_folder(self._planner.answer(command))
        return failed or self._ask(command, command.command_id, Asked.ANSWER)

    def _start_music(self, command: Command) -> Ended:
        return self._ask(command, MUSIC_PREFIX + command.command_id, Asked.MUSIC)

    def _ask(self, command: Command, event_id: str, asked: Asked) -> Ended:
        """Start what has an end of its own. It is noted before it is sent, or its end could come unrecognised."""
        steps = self._steps(command)
        self._legs.ask(command.leg_id, event_id, asked)
        self._keep(command.leg_id)
        try:
            ended = self._write(steps)
        except NotSent:
            self._legs.unask(command.leg_id, event_id)
            raise
        if ended.outcome == COMMAND_OUTCOME_FAILED:
            self._legs.unask(command.leg_id, event_id)
        return ended

    def _mask(self, command: Command) -> Ended:
        """Hide digits before the recording is masked, so that none slips between."""
        call, recording_id = _call_key(command), command.mask_recording.recording_id
        self._legs.mask(call, recording_id)
        self._keep(f"call {call}")
        ended = self._run(command)
        if ended.outcome == COMMAND_OUTCOME_FAILED:
            self._legs.unmask(call, recording_id)
        return ended

    def _unmask(self, command: Command) -> Ended:
        ended = self._run(command)
        if ended.outcome == COMMAND_OUTCOME_DONE:
            self._legs.unmask(_call_key(command), command.unmask_recording.recording_id)
        return ended

    def _start_recording(self, command: Command) -> Ended:
        failed = _make_folder(self._planner.recording(command, command.start_recording.recording_id))
        return failed or self._run(command)

    def _originate(self, command: Command, on_sent: Callable[[], None]) -> Ended:
        """Call out and wait for the background job; a later command of the leg (a hang-up) need not wait for it."""
        wire = self._planner.originate(command)
        seconds = self._gate.clock.wall_seconds(ring_seconds(command.originate_leg)) + JOB_SPARE_SECONDS
        on_sent()
        return outcome_of(self._switch.bgapi(wire, seconds))

    def _bridge(self, command: Command) -> Ended:
        """Bridge two legs. Two that are bridged are only told what becomes of them after: a second bridge is heard."""
        leg = self._legs.live.get(command.leg_id)
        steps = self._steps(command)
        if leg is not None and leg.other_leg_id == command.bridge_legs.other_leg_id:
            steps.pop()
        return self._write(steps)

    def _hang_up(self, command: Command) -> Ended:
        """Hang up. A leg whose originate was just sent may not be there yet: ask again until it is, or has failed."""
        ended = self._run(command)
        with gevent.Timeout(NEW_LEG_SECONDS, exception=False):
            while ended.cause == NO_SUCH_LEG and command.leg_id in self._originating:
                gevent.sleep(NEW_LEG_RETRY_SECONDS)
                ended = self._run(command)
        return ended


def _call_key(command: Command) -> str:
    return command.call_id or command.leg_id


def _make_folder(path: str) -> Ended | None:
    """Make the folder that FreeSWITCH shall write to; the failure where that can't be."""
    folder = Path(path).parent
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        log.warning("recording_folder_not_made", folder=str(folder), reason=str(error))
        return Ended(COMMAND_OUTCOME_FAILED, f"no folder for the recording: {error.strerror}")
    return None


def outcome_of(reply: Reply) -> Ended:
    """Read FreeSWITCH's answer. That a leg is gone is said in many ways; here it is one cause."""
    text = reply.text.strip()
    if text == "false" or any(words in text for words in _GONE):
        return Ended(COMMAND_OUTCOME_FAILED, NO_SUCH_LEG)
    if not reply.ok:
        words = text.removeprefix("-ERR").removeprefix("-USAGE:").strip()
        return Ended(COMMAND_OUTCOME_FAILED, words[:_LONGEST_CAUSE])
    return Ended(COMMAND_OUTCOME_DONE)
