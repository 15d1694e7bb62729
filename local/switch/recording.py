"""Recordings: real WAV files, written as the switch writes them.

Left is the recorded leg's own voice, right what the leg hears (truth 26). The file grows in 64 KiB steps and its
header says zero bytes until the recording stops, so a killed switch leaves such a file behind (truth 25). Masking
writes silence, keeps the length and raises no event. 8 kHz, 16 bit; one channel unless RECORD_STEREO is set. With
RECORD_BRIDGE_REQ only what is heard in a bridge is written. A file into which nothing was written is removed.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, BinaryIO

import numpy as np

from local.switch.arguments import separate
from local.switch.clock import MICROSECONDS, TICK_US
from local.switch.encoding import header

if TYPE_CHECKING:
    from local.switch.channel import Leg
    from local.switch.core import Switch
    from local.switch.scheduler import Timer

SAMPLE_RATE = 8_000
STEP_BYTES = 65_536
FRAME_SAMPLES = 160
HEADER_BYTES = 44
USAGE = "-USAGE: <uuid> [start|stop|mask|unmask] <path> [<limit>] [<recording_vars>]\n"
_EXTENSIONS = {".wav"}


def wav_header(data_bytes: int, channels: int) -> bytes:
    """Return the 44 bytes that begin the file; zero data bytes is what an unfinished one says."""
    return struct.pack(
        "<4sI4s4sIHHIIHH4sI",
        b"RIFF",
        data_bytes + 36 if data_bytes else 0,
        b"WAVE",
        b"fmt ",
        16,
        1,
        channels,
        SAMPLE_RATE,
        SAMPLE_RATE * channels * 2,
        channels * 2,
        16,
        b"data",
        data_bytes,
    )


class Recording:
    """One file that is being written."""

    def __init__(self, leg: Leg, path: str, file: BinaryIO, limit_seconds: int = 0) -> None:
        self.leg = leg
        self.path = path
        self._file = file
        self._channels = 2 if leg.variables.is_true("RECORD_STEREO") else 1
        self._needs_bridge = leg.variables.is_true("RECORD_BRIDGE_REQ")
        self._started_us = leg.switch.scheduler.clock.now_us()
        self._samples = 0
        self._masked = False
        self._held_up_by: set[str] = set()
        self._paused_us: int | None = None
        self._step: Timer | None = None
        self._limit: Timer | None = None
        # The switch keeps up to one step in memory; a crash loses it.
        self._waiting = bytearray()
        file.write(wav_header(0, self._channels))
        file.flush()
        if limit_seconds:
            self._limit = leg.switch.scheduler.after(limit_seconds, self.stop)
        self._arm()
        self.note_bridge(on=leg.bridge is not None)

    def mask(self, *, on: bool) -> None:
        """Write silence from now on, or sound again."""
        self.catch_up()
        self._masked = on

    def pause(self, *, on: bool) -> None:
        """Leave time out of the file from now on, or go on writing."""
        self._hold_up("a command", on=on)

    def note_bridge(self, *, on: bool) -> None:
        """Learn that the leg is in a bridge from now on, or is not any more."""
        if self._needs_bridge:
            self._hold_up("no bridge", on=not on)

    def _hold_up(self, reason: str, *, on: bool) -> None:
        self.catch_up()
        (self._held_up_by.add if on else self._held_up_by.discard)(reason)
        now_us = self.leg.switch.scheduler.clock.now_us()
        if self._held_up_by and self._paused_us is None:
            self._paused_us = now_us
            if self._step is not None:
                self._step.cancel()
        elif not self._held_up_by and self._paused_us is not None:
            self._started_us += now_us - self._paused_us
            self._paused_us = None
            self._arm()

    def stop(self, *, by_hangup: bool = False) -> None:
        """Finish the file and raise RECORD_STOP and MEDIA_BUG_STOP; the file is complete before the event."""
        leg = self.leg
        if leg.recordings.pop(self.path, None) is None:
            return
        self.catch_up()
        data_bytes = self._samples * self._channels * 2
        self._file.write(self._waiting)
        self._file.seek(0)
        self._file.write(wav_header(data_bytes, self._channels))
        self._close()
        milliseconds = self._samples * 1000 // SAMPLE_RATE
        # The cause misleads (truth 26): a stop by command says success-maxtime, a hang-up success-silence.
        cause = "success-silence" if by_hangup else "success-maxtime"
        if not self._samples:
            leg.switch.recording_path(self.path).unlink()
            leg.variables.set("RECORD_DISCARDED", "true")
            cause = "empty-file"
        leg.variables.set_many(
            [
                ("record_file_size", data_bytes + HEADER_BYTES),
                ("record_samples", self._samples),
                ("record_seconds", milliseconds // 1000),
                ("record_ms", milliseconds),
                ("record_completion_cause", cause),
            ]
        )
        lines = header("Record-File-Path", self.path)
        if not leg.switch.swallows("RECORD_STOP"):
            leg.emit("RECORD_STOP", tail=f"{lines}Record-Completion-Cause: {cause}\n")
        leg.emit("MEDIA_BUG_STOP", "Media-Bug-Function: session_record\n" + header("Media-Bug-Target", self.path))
        if self._samples:
            leg.switch.note_recording(leg, self.path, data_bytes + HEADER_BYTES)

    @property
    def size_on_disk(self) -> int:
        """Bytes that a crash would leave now, the header's among them."""
        return self.leg.switch.recording_path(self.path).stat().st_size

    def abandon(self) -> None:
        """Leave the file as a crash leaves it."""
        self._close()

    def _close(self) -> None:
        for timer in (self._step, self._limit):
            if timer is not None:
                timer.cancel()
        self._file.close()

    def _arm(self) -> None:
        missing = (STEP_BYTES - len(self._waiting)) // (self._channels * 2)
        frames = -(-(self._samples + missing) // FRAME_SAMPLES)
        due_us = self._started_us + frames * FRAME_SAMPLES * MICROSECONDS // SAMPLE_RATE
        self._step = self.leg.switch.scheduler.at(due_us, self._take_step)

    def _take_step(self) -> None:
        self.catch_up()
        self._arm()

    def catch_up(self) -> None:
        """Write what was heard until now; called whenever what the leg hears changes."""
        if self._paused_us is not None:
            return
        now_us = self.leg.switch.scheduler.clock.now_us()
        # Media moves in frames of 20 ms.
        until = (now_us - self._started_us) // TICK_US * FRAME_SAMPLES
        count = until - self._samples
        if count <= 0:
            return
        own, heard = self._sound(count)
        if self._channels == 2:  # noqa: PLR2004 - stereo
            frames = np.empty((count, 2), dtype="<i2")
            frames[:, 0], frames[:, 1] = own, heard
        else:
            frames = np.clip(own.astype(np.int32) + heard, -32_768, 32_767).astype("<i2")
        self._samples = until
        self._waiting += frames.tobytes()
        whole = len(self._waiting) // STEP_BYTES * STEP_BYTES
        if whole:
            self._file.write(self._waiting[:whole])
            self._file.flush()
            del self._waiting[:whole]

    def _sound(self, count: int) -> tuple[np.ndarray, np.ndarray]:
        voices = self.leg.switch.voices
        if self._masked or voices is None:
            silence = np.zeros(count, dtype=np.int16)
            return silence, silence
        begin_us = self._started_us + self._samples * MICROSECONDS // SAMPLE_RATE
        return voices.heard(self.leg, begin_us, count)


def start_recording(leg: Leg, path: str, limit_seconds: int = 0) -> bool:
    """Begin a recording; False when the file can't be written. A path that is being recorded already is fine."""
    if path in leg.recordings:
        return True
    target = leg.switch.recording_path(path)
    if target.suffix not in _EXTENSIONS or not leg.is_up:
        return False
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        file = target.open("wb")
    except OSError:
        return False
    if not leg.has_media:
        leg.pre_answer()
    leg.recordings[path] = Recording(leg, path, file, limit_seconds)
    leg.emit("RECORD_START", tail=header("Record-File-Path", path))
    leg.emit("MEDIA_BUG_START", "Media-Bug-Function: session_record\n" + header("Media-Bug-Target", path))
    return True


def record_command(switch: Switch, argument: str) -> str:
    """Run uuid_record: start, stop (a path or all), mask, unmask, pause, resume."""
    words = separate(argument)
    if len(words) < 3:  # noqa: PLR2004 - uuid, action, path
        return USAGE
    leg = switch.find(words[0])
    if leg is None:
        return "-ERR Cannot locate session!\n"
    action, path = words[1], words[2]
    if action == "start":
        limit = int(words[3]) if len(words) > 3 and words[3].isdigit() else 0  # noqa: PLR2004 - the fourth word
        return "+OK Success\n" if start_recording(leg, path, limit) else "-ERR Cannot record session!\n"
    chosen = (
        list(leg.recordings.values()) if path == "all" else [leg.recordings[path]] if path in leg.recordings else []
    )
    if action == "stop":
        for recording in chosen:
            recording.stop()
        return "+OK Success\n" if chosen or path == "all" else "-ERR Cannot stop record session!\n"
    if action in {"mask", "unmask", "pause", "resume"}:
        for recording in chosen:
            if action.endswith("mask"):
                recording.mask(on=action == "mask")
            else:
                recording.pause(on=action == "pause")
        return "+OK Success\n" if chosen else f"-ERR Cannot {action} recording session!\n"
    return USAGE
