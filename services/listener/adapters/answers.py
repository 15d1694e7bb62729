"""What callers say to a menu: sent to be recognised, and deleted (SPEC 2.1). Nothing of it is kept anywhere."""

import time
from contextlib import suppress
from pathlib import Path

from services.listener.adapters.bus import Bus, ClosingSender
from services.listener.domain.execution import Ended
from services.listener.domain.recordings import ANSWERS, answer_path
from services.shared.bus.errors import BusError
from services.shared.bus.topics import CLIPS
from services.shared.chassis.clock import Clock
from services.shared.contracts.ringmaster.v1.command_pb2 import COMMAND_OUTCOME_DONE, COMMAND_OUTCOME_FAILED, Command
from services.shared.contracts.ringmaster.v1.recognition_pb2 import RecogniseClip

MOST_BYTES = 900_000
SEND_SECONDS = 3.0
LEFT_OVER_SECONDS = 600.0
"""An answer that nobody asked to recognise (a digit was quicker, the caller hung up) is deleted after so long."""
SWEEP_SECONDS = 60.0


class Answers:
    """Sends sounds to the recogniser, each once or not at all: a caller who was not understood is asked again."""

    def __init__(self, recordings_root: str, bus: Bus, clock: Clock) -> None:
        self._root = recordings_root
        self._bus = bus
        self._clock = clock
        self._sender: ClosingSender | None = None
        self._swept_at = 0.0

    def send(self, command: Command) -> Ended:
        """Send the sound of an answer. Raises UnsafeName."""
        self._sweep()
        path = Path(answer_path(self._root, command.tenant_id, command.recognise_answer.answer_id))
        try:
            sound = path.read_bytes()
        except OSError as error:
            return Ended(COMMAND_OUTCOME_FAILED, f"the answer can't be read: {error.strerror}")
        path.unlink(missing_ok=True)
        if len(sound) > MOST_BYTES:
            return Ended(COMMAND_OUTCOME_FAILED, f"the answer is larger than {MOST_BYTES} bytes")
        return self._publish(_clip(command, sound))

    def _publish(self, clip: RecogniseClip) -> Ended:
        try:
            if self._sender is None:
                self._sender = self._bus.producer()
            value, now_ms = clip.SerializeToString(), self._clock.now_ms()
            self._sender.send(CLIPS, clip.tenant_id, value, timestamp_ms=now_ms).wait(SEND_SECONDS)
        except BusError as error:
            self._close()
            return Ended(COMMAND_OUTCOME_FAILED, f"the answer could not be sent: {error}"[:200])
        return Ended(COMMAND_OUTCOME_DONE)

    def _close(self) -> None:
        sender, self._sender = self._sender, None
        if sender is not None:
            with suppress(BusError):
                sender.close(0)

    def _sweep(self) -> None:
        """Delete what was left over, once a minute at most."""
        now = time.time()
        if now - self._swept_at < SWEEP_SECONDS:
            return
        self._swept_at = now
        for path in Path(self._root, ANSWERS).glob("*/*.wav"):
            with suppress(OSError):
                if now - path.stat().st_mtime > LEFT_OVER_SECONDS:
                    path.unlink()


def _clip(command: Command, sound: bytes) -> RecogniseClip:
    asked = command.recognise_answer
    return RecogniseClip(
        clip_id=command.command_id,
        tenant_id=command.tenant_id,
        call_id=command.call_id,
        leg_id=command.leg_id,
        sound=sound,
        language=asked.languages[0] if len(asked.languages) == 1 else "",
        languages=asked.languages,
        phrases=asked.phrases,
        deadline_ms=command.deadline_ms,
    )
