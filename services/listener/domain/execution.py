"""Whether a command may run: once, in time, and only when sent by the router that owns its tenant's partition."""

from collections import OrderedDict
from dataclasses import dataclass
from enum import Enum

from services.shared.contracts.ringmaster.v1.command_pb2 import (
    COMMAND_OUTCOME_EXPIRED,
    COMMAND_OUTCOME_FENCED,
    COMMAND_OUTCOME_UNKNOWN,
    Command,
    CommandOutcome,
)

REMEMBERED = 200_000
"""So many ids at most; a command can come again only until its offset is committed or its deadline has passed."""
KEPT_AFTER_DEADLINE_MS = 3_600_000
KEPT_WITHOUT_DEADLINE_MS = 86_400_000

# What may safely be done twice: it says what shall be, not what shall happen.
_REPEATABLE = {
    "lease_leg",
    "answer_leg",
    "stop_playback",
    "hang_up_leg",
    "hold_leg",
    "resume_leg",
    "start_recording",
    "stop_recording",
    "mask_recording",
    "unmask_recording",
    "mute_leg",
}


def is_repeatable(action: str) -> bool:
    """Whether doing an action again changes nothing: then it needs no record before it is sent."""
    return action in _REPEATABLE


class Verdict(Enum):
    """What to do with a command that was read."""

    RUN = "run"
    RECOVER = "recover"
    """It was begun by an earlier life of the listener and its end is not known: look, never repeat blindly."""
    TELL_AGAIN = "tell_again"
    """It is done; only its result may not have been told."""
    REFUSE = "refuse"


@dataclass(frozen=True, slots=True)
class Ended:
    """What became of a command."""

    outcome: "CommandOutcome.ValueType"
    cause: str = ""


@dataclass(slots=True)
class Known:
    """A command that was begun; `ended` is None while its end is not known."""

    forget_after_ms: int
    ended: Ended | None = None


class CommandLedger:
    """The memory of executed commands and of the highest generation of each partition's router."""

    def __init__(self) -> None:
        self.known: OrderedDict[str, Known] = OrderedDict()
        self.generations: dict[int, int] = {}

    def judge(self, command: Command, now_ms: int) -> tuple[Verdict, Ended | None]:
        """Decide. A command already known is never refused: what was done was done."""
        known = self.known.get(command.command_id)
        if known is not None:
            return (Verdict.RECOVER, None) if known.ended is None else (Verdict.TELL_AGAIN, known.ended)
        if command.fence_generation < self.generations.get(command.fence_partition, 0):
            return Verdict.REFUSE, Ended(COMMAND_OUTCOME_FENCED)
        if command.deadline_ms and now_ms > command.deadline_ms:
            return Verdict.REFUSE, Ended(COMMAND_OUTCOME_EXPIRED)
        return Verdict.RUN, None

    def fence(self, command: Command) -> bool:
        """Take note of a router's generation; return whether it is a new highest."""
        if command.fence_generation <= self.generations.get(command.fence_partition, 0):
            return False
        self.generations[command.fence_partition] = command.fence_generation
        return True

    def begin(self, command: Command, now_ms: int) -> Known:
        """Remember a command before it is sent."""
        kept = (
            command.deadline_ms + KEPT_AFTER_DEADLINE_MS if command.deadline_ms else now_ms + KEPT_WITHOUT_DEADLINE_MS
        )
        known = self.known[command.command_id] = Known(kept)
        return known

    def end(self, command: Command, ended: Ended, now_ms: int) -> Known:
        """Remember what became of a command."""
        known = self.known.get(command.command_id) or self.begin(command, now_ms)
        known.ended = ended
        return known

    def forget(self, now_ms: int) -> None:
        """Drop what can't come again: over its time, or beyond the bound (oldest first)."""
        old = [command_id for command_id, known in self.known.items() if known.forget_after_ms < now_ms]
        for command_id in old:
            del self.known[command_id]
        while len(self.known) > REMEMBERED:
            self.known.popitem(last=False)


UNKNOWN = Ended(COMMAND_OUTCOME_UNKNOWN, "the listener was restarted while it ran")
