"""Recording what a caller answers: the `record` application, which a second or two of silence ends.

As FreeSWITCH counts it: silence from the beginning too, in whole seconds; a digit of playback_terminators ends it, any
other digit is lost. The file is complete before RECORD_STOP. One channel, 8 kHz, 16 bit.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from local.switch.apps import application
from local.switch.arguments import separate
from local.switch.clock import MICROSECONDS
from local.switch.encoding import header
from local.switch.recording import HEADER_BYTES, SAMPLE_RATE, wav_header

if TYPE_CHECKING:
    from local.switch.channel import Leg
    from local.switch.scheduler import Steps
    from local.voices.clips import Samples

LONGEST_SECONDS = 600
SILENCE_SECONDS = 3
"""Where the application is not told."""


@application("record")
def record(leg: Leg, data: str) -> Steps:
    """Record until silence, a digit, the limit or the end of the leg: `path [limit] [threshold] [silence_seconds]`."""
    words = [*separate(data), "", "", "", ""][:4]
    path, limit, threshold, silence = words
    leg.answer()
    lines = header("Record-File-Path", path)
    leg.emit("RECORD_START", tail=lines)
    sound = leg.far_end.on_answering(leg)
    most = int(limit) if limit.isdigit() else LONGEST_SECONDS
    ends_after = float(most)
    if threshold.isdigit() and int(threshold):
        quiet_after = _last_loud(sound, int(threshold)) + (int(silence) if silence.isdigit() else SILENCE_SECONDS)
        ends_after = min(ends_after, quiet_after)
    clock = leg.switch.scheduler.clock
    began_us = clock.now_us()
    yield from _wait(leg, began_us + int(ends_after * MICROSECONDS))
    seconds = (clock.now_us() - began_us) / MICROSECONDS
    written = _write(path, sound, seconds)
    leg.variables.set_many(
        [
            ("silence_hits_exhausted", str(seconds >= ends_after < most).lower()),
            ("record_seconds", int(seconds)),
            ("record_ms", int(seconds * 1000)),
            ("record_samples", int(seconds * SAMPLE_RATE)),
        ]
    )
    leg.emit("RECORD_STOP", tail=lines)
    if not written:
        leg.hangup("DESTINATION_OUT_OF_ORDER")


def _wait(leg: Leg, until_us: int) -> Steps:
    """Wait for a moment, a digit that ends it, a break, or the end of the leg."""
    clock, state = leg.switch.scheduler.clock, leg.state
    terminators = leg.variables.get("playback_terminators") or "*"
    stop_digits = set() if terminators == "none" else set(terminators)
    leg.variables.set("playback_terminator_used", None)
    while leg.state == state and not leg.break_playback and clock.now_us() < until_us:
        if leg.digits:
            digit = leg.digits.popleft()
            if digit in stop_digits:
                leg.variables.set("playback_terminator_used", digit)
                break
            continue
        yield (until_us - clock.now_us()) / MICROSECONDS
    leg.break_playback = False


def _last_loud(sound: Samples, threshold: int) -> float:
    """Return when the last frame of 20 ms ends that is louder on average, in seconds; 0 where none is."""
    frame = SAMPLE_RATE // 50
    frames = np.abs(sound[: len(sound) // frame * frame].astype(np.int32)).reshape(-1, frame).mean(axis=1)
    loud = np.nonzero(frames >= threshold)[0]
    return float(loud[-1] + 1) / 50 if len(loud) else 0.0


def _write(path: str, sound: Samples, seconds: float) -> bool:
    track = np.zeros(int(seconds * SAMPLE_RATE), dtype="<i2")
    heard = sound[: len(track)]
    track[: len(heard)] = heard
    try:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        Path(path).write_bytes(wav_header(track.nbytes, 1) + track.tobytes())
    except OSError:
        return False
    return Path(path).stat().st_size == HEADER_BYTES + track.nbytes
