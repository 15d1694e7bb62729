"""The people who call: when they arrive, what they press, how long they wait and talk."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from local.switch.channel import SILENCE, SilentPhone
from local.switch.scenario import HOSTILE_NAMES, CallerKind, ScenarioError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from local.switch.channel import Leg
    from local.switch.core import Switch
    from local.switch.scenario import CallerPool, Line, Scenario, ScriptedCall
    from local.switch.scheduler import Timer
    from local.voices.clips import Samples

# How fast a thumb is.
SECONDS_BETWEEN_DIGITS = 0.25
_FIRST_PORT, _PORTS = 20_000, 10_000


class Caller(SilentPhone):
    """One person on the phone."""

    def __init__(self, switch: Switch, kind: CallerKind, dice: random.Random) -> None:
        self._switch = switch
        self._kind = kind
        self._dice = dice
        self._menus = 0
        self._answers = 0
        self._patience: Timer | None = None

    def wait_for_help(self, leg: Leg) -> None:
        """Begin to be patient."""
        seconds = self._kind.patience.draw(self._dice)
        self._patience = self._switch.scheduler.after(seconds, lambda: self._give_up(leg))

    def _give_up(self, leg: Leg) -> None:
        if leg.is_up and leg.bridge is None:
            leg.hangup_by_phone()

    def on_collecting(self, leg: Leg, _app_data: str) -> None:
        """Press what this person presses at this menu; nothing when the scenario says nothing of it."""
        menu, self._menus = self._menus, self._menus + 1
        if menu >= len(self._kind.digits):
            return
        weights = self._kind.digits[menu]
        text = self._dice.choices(list(weights), list(weights.values()))[0]
        delay = self._kind.digit_delay.draw(self._dice)
        for place, digit in enumerate(text):
            self._press_later(leg, digit, delay + place * SECONDS_BETWEEN_DIGITS)

    def on_answering(self, leg: Leg) -> Samples:  # noqa: ARG002 - the protocol's signature
        """Say what this person says to this question; nothing when the scenario says nothing of it."""
        answer, self._answers = self._answers, self._answers + 1
        voices = self._switch.voices
        if voices is None or answer >= len(self._kind.says) or not self._kind.says[answer]:
            return SILENCE
        return voices.saying(self._kind.says[answer])

    def _press_later(self, leg: Leg, digit: str, seconds: float) -> None:
        self._switch.scheduler.after(seconds, lambda: leg.receive_digit(digit))

    def on_bridged(self, leg: Leg, other: Leg) -> None:
        """Talk; then one of the two hangs up."""
        self._stop_waiting()
        seconds = self._kind.talk.draw(self._dice)
        ending = leg if self._dice.random() < self._kind.ends_first else other
        self._switch.scheduler.after(seconds, lambda: _end_talk(ending, leg, other))

    def on_unbridged(self, leg: Leg) -> None:
        """Linger for a while: there may be a survey or another agent; then hang up."""
        if leg.is_up:
            seconds = self._kind.lingers.draw(self._dice)
            self._patience = self._switch.scheduler.after(seconds, lambda: self._give_up(leg))

    def on_hangup(self, _leg: Leg, _cause: str) -> None:
        """Be gone."""
        self._stop_waiting()

    def _stop_waiting(self) -> None:
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None


def _end_talk(ending: Leg, leg: Leg, other: Leg) -> None:
    bridge = leg.bridge
    if bridge is not None and not bridge.is_over and bridge.other(leg) is other and ending.is_up:
        ending.hangup_by_phone()


class Traffic:
    """All arrivals of a scenario."""

    def __init__(self, switch: Switch, scenario: Scenario, dice: random.Random) -> None:
        self._switch = switch
        self._scenario = scenario
        self._dice = dice
        self._pool = Pool(scenario.pool, random.Random(dice.random()))
        self._waiting = 0
        self._ends_us: int | None = None
        self.is_started = False
        self.is_stopped = False
        self.placed = 0
        self._ports = 0

    def start(self) -> None:
        """Schedule the scripted calls and the first random one of every line."""
        self.is_started = True
        scheduler = self._switch.scheduler
        if self._scenario.minutes is not None:
            self._ends_us = scheduler.clock.now_us() + int(self._scenario.minutes * 60_000_000)
        for call in self._scenario.calls:
            self._waiting += 1
            self._later(call.at, call)
        for line in self._scenario.lines:
            if line.calls_per_hour:
                self._waiting += 1
                self._next_arrival(line, random.Random(self._dice.random()), scheduler.clock.now_us())

    def _later(self, seconds: float, call: ScriptedCall) -> None:
        self._switch.scheduler.after(seconds, lambda: self._scripted(call))

    def stop(self) -> None:
        """Let no further caller arrive."""
        self.is_stopped = True
        self._waiting = 0

    def has_arrivals(self) -> bool:
        """Say whether somebody will still call."""
        return self._waiting > 0

    def _scripted(self, call: ScriptedCall) -> None:
        if self.is_stopped:
            return
        self._waiting -= 1
        self.place(call.line, call.callers, number=call.number, name=call.name, headers=call.headers)

    def _next_arrival(self, line: Line, dice: random.Random, after_us: int) -> None:
        """Draw the next gap from when this arrival was due, not from when it was noticed: no drift under load."""
        due_us = after_us + int(dice.expovariate(line.calls_per_hour / 3600.0) * 1_000_000)
        if self._ends_us is not None and due_us >= self._ends_us:
            self._waiting -= 1
            return
        self._switch.scheduler.at(due_us, lambda: self._arrive(line, dice, due_us))

    def _arrive(self, line: Line, dice: random.Random, due_us: int) -> None:
        if self.is_stopped:
            return
        self._next_arrival(line, dice, due_us)
        self.place(line.number, line.callers)

    def place(
        self,
        line: str,
        kind: CallerKind | None = None,
        *,
        number: str = "",
        name: str = "",
        headers: Mapping[str, str] | None = None,
        uuid: str | None = None,
    ) -> Leg:
        """Let somebody call a line now."""
        for text in (line, number, name, *(headers or {}).values()):
            check_writable(text)
        drawn_number, drawn_name = self._pool.draw()
        caller = Caller(self._switch, kind or self._scenario.callers, random.Random(self._dice.random()))
        self._ports += 1
        self.placed += 1
        leg = self._switch.call_in(
            line,
            number or drawn_number,
            name or drawn_name,
            uuid=uuid,
            port=_FIRST_PORT + self._ports % _PORTS,
            sip_headers=dict(headers or {}),
            far_end=caller,
        )
        caller.wait_for_help(leg)
        return leg


def check_writable(text: str) -> None:
    """Refuse text that no wire could have brought: half a character pair. Raises ScenarioError."""
    try:
        text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError as error:
        raise ScenarioError(f"{text!r} is no text that a phone could send") from error


class Pool:
    """Who may call: numbers that come again, with the same name each time."""

    def __init__(self, pool: CallerPool, dice: random.Random) -> None:
        self._pool = pool
        self._dice = dice
        self._names: dict[int, str] = {}

    def draw(self) -> tuple[str, str]:
        """Return (number, name); an anonymous caller has neither."""
        dice, pool = self._dice, self._pool
        if dice.random() < pool.anonymous:
            return "anonymous", "Anonymous"
        person = dice.randrange(pool.count)
        name = self._names.get(person)
        if name is None:
            hostile = dice.random() < pool.hostile
            name = self._names[person] = dice.choice(HOSTILE_NAMES if hostile else pool.names)
        return f"{pool.prefix}{person:07d}", name
