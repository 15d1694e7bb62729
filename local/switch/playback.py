"""Playing sounds and collecting digits."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from local.switch.apps import application, run_private_commands
from local.switch.arguments import separate
from local.switch.clock import MICROSECONDS
from local.switch.encoding import header

if TYPE_CHECKING:
    from collections.abc import Container

    from local.switch.channel import Leg
    from local.switch.scheduler import Steps
    from local.switch.sounds import Sound

SAMPLES_PER_SECOND = 8_000
NO_DIGITS: frozenset[str] = frozenset()


@application("playback")
def playback(leg: Leg, data: str) -> Steps:
    """Play a file or stream to its end, a break, a terminator digit or the end of the leg."""
    terminators = leg.variables.get("playback_terminators") or "*"
    stop_digits = set() if terminators == "none" else set(terminators)
    if not leg.has_media:
        leg.pre_answer()
    yield from play(leg, data, stop_digits)


@application("endless_playback")
def endless_playback(leg: Leg, data: str) -> Steps:
    """Play a file again and again."""
    state = leg.state
    while leg.state == state and leg.switch.sounds.find(data) is not None:
        yield from play(leg, data, NO_DIGITS)


def play(leg: Leg, path: str, stop_digits: Container[str] | None, *, keep_digit: bool = False) -> Steps:
    """Play one sound with its PLAYBACK events; leaves FILE PLAYED, FILE NOT FOUND or PLAYBACK ERROR behind.

    Without stop_digits nobody looks at digits: they wait for what comes next.
    """
    sound = leg.switch.sounds.find(path)
    if sound is None:
        leg.variables.set("current_application_response", "FILE NOT FOUND")
        return
    lines = header("Playback-File-Type", sound.kind) if sound.kind else ""
    lines += header("Playback-File-Path", path)
    leg.catch_up_recordings()
    # A nested sound interrupts an outer one, which goes on afterwards (wire truth 21).
    outer, leg.playing = leg.playing, path
    leg.emit("PLAYBACK_START", tail=lines)
    started_us = leg.switch.scheduler.clock.now_us()
    state = leg.state
    leg.was_broken = False
    remaining_us = None if sound.seconds is None else int(sound.seconds * MICROSECONDS)
    while leg.state == state:
        mark_us = leg.switch.scheduler.clock.now_us()
        if leg.break_playback or _stops(leg, stop_digits, keep_digit=keep_digit):
            leg.was_broken = True
            break
        if remaining_us is not None and remaining_us <= 0:
            break
        if leg.private_commands and not leg.event_locked:
            yield from run_private_commands(leg)
            continue
        yield None if remaining_us is None else remaining_us / MICROSECONDS
        if remaining_us is not None:
            remaining_us -= leg.switch.scheduler.clock.now_us() - mark_us
    leg.catch_up_recordings()
    leg.playing = outer
    leg.break_playback = False
    _leave_playback_variables(leg, started_us, sound)
    leg.emit("PLAYBACK_STOP", tail=f"{lines}Playback-Status: {'break' if leg.was_broken else 'done'}\n")
    response = "FILE PLAYED" if leg.state == state else "PLAYBACK ERROR"
    leg.variables.set("current_application_response", response)


def _stops(leg: Leg, stop_digits: Container[str] | None, *, keep_digit: bool) -> bool:
    """Look at the digits that came: one that stops the sound ends the looking; others are lost, as on the switch."""
    while stop_digits is not None and leg.digits:
        if leg.digits[0] in stop_digits:
            if not keep_digit:
                leg.digits.popleft()
            return True
        leg.digits.popleft()
    return False


def _leave_playback_variables(leg: Leg, started_us: int, sound: Sound) -> None:
    milliseconds = (leg.switch.scheduler.clock.now_us() - started_us) // 1000
    if sound.seconds is not None:
        milliseconds = min(milliseconds, int(sound.seconds * 1000))
    samples = milliseconds * SAMPLES_PER_SECOND // 1000
    leg.variables.set_many(
        [
            ("playback_last_offset_pos", samples),
            ("playback_seconds", milliseconds // 1000),
            ("playback_ms", milliseconds),
            ("playback_samples", samples),
        ]
    )


class _AnyDigit:
    """Every digit stops a prompt that asks for digits."""

    def __contains__(self, digit: object) -> bool:
        return True


ANY_DIGIT = _AnyDigit()


@dataclass(frozen=True, slots=True)
class Collection:
    """What play_and_get_digits was asked: times in seconds."""

    at_least: int
    at_most: int
    tries: int
    timeout: float
    terminators: str
    prompt: str
    bad_prompt: str
    variable: str
    pattern: str
    digit_timeout: float

    @classmethod
    def parse(cls, data: str) -> Collection | None:
        """Read `min max tries timeout terminators file invalid_file variable regexp digit_timeout`."""
        words = separate(data)
        if len(words) < 7 or not all(word.isdigit() for word in words[:4]):  # noqa: PLR2004 - the syntax's own count
            return None
        words += [""] * (10 - len(words))
        timeout = int(words[3]) / 1000
        return cls(
            int(words[0]),
            int(words[1]),
            max(1, int(words[2])),
            timeout,
            "" if words[4] == "none" else words[4],
            words[5],
            words[6],
            words[7] or "dtmf_digits",
            words[8],
            int(words[9]) / 1000 if words[9].isdigit() else timeout,
        )

    def accepts(self, digits: str) -> bool:
        """Say whether the digits are enough and match."""
        return len(digits) >= self.at_least and (not self.pattern or re.fullmatch(self.pattern, digits) is not None)


@application("play_and_get_digits")
def play_and_get_digits(leg: Leg, data: str) -> Steps:
    """Ask for digits: prompt, collect, complain, up to the number of tries."""
    ask = Collection.parse(data)
    if ask is None:
        return
    leg.variables.set(ask.variable, None)
    leg.far_end.on_collecting(leg, data)
    state = leg.state
    for _ in range(ask.tries):
        got: list[str] = []
        yield from play(leg, ask.prompt, ANY_DIGIT, keep_digit=True)
        yield from _collect(leg, ask, got)
        if leg.state != state:
            return
        digits = "".join(got)
        if ask.accepts(digits) and digits:
            leg.variables.set(ask.variable, digits)
            leg.variables.set("read_result", "success")
            leg.switch.note_digits(leg, digits)
            leg.variables.set("current_application_response", None)
            return
        if ask.bad_prompt:
            yield from play(leg, ask.bad_prompt, None)
    leg.variables.set("read_result", "failure")
    leg.variables.set("current_application_response", None)


@application("read")
def read(leg: Leg, data: str) -> Steps:
    """Collect digits once: `min max file variable timeout terminators`."""
    words = separate(data)
    words += [""] * (6 - len(words))
    at_least, at_most, path, variable, timeout, terminators = words[:6]
    yield from play_and_get_digits(
        leg, f"{at_least or 0} {at_most or 128} 1 {timeout or 1000} {terminators or '#'} {path} '' {variable}"
    )


def _collect(leg: Leg, ask: Collection, got: list[str]) -> Steps:
    """Gather digits after the prompt until enough, a terminator, or silence."""
    state = leg.state
    clock = leg.switch.scheduler.clock
    deadline_us = clock.now_us() + int(ask.timeout * MICROSECONDS)
    leg.variables.set("read_terminator_used", None)
    while leg.state == state:
        while leg.digits:
            digit = leg.digits.popleft()
            if digit in ask.terminators:
                leg.variables.set("read_terminator_used", digit)
                return
            got.append(digit)
            if len(got) >= ask.at_most:
                return
            deadline_us = clock.now_us() + int(ask.digit_timeout * MICROSECONDS)
        now_us = clock.now_us()
        if now_us >= deadline_us or leg.break_playback:
            return
        if leg.private_commands and not leg.event_locked:
            yield from run_private_commands(leg)
            continue
        yield (deadline_us - now_us) / MICROSECONDS
