"""The dialplan that the switch runs by itself: hand calls over, and fall back when nobody takes them (SPEC 2.4)."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from local.switch.arguments import separate

if TYPE_CHECKING:
    from local.switch.channel import Leg

Extension = list[tuple[str, str]]

CONTEXT = "ringmaster"
FALLBACK = "fallback"
AFTER_TALK = "after_talk"
_PLAIN_CALLER = re.compile(r"\+?[0-9]{1,20}").fullmatch


@dataclass(slots=True)
class Dialplan:
    """Lines that are handed over, and extensions that tests and scenarios add.

    A called number that is no line is refused with UNALLOCATED_NUMBER. `fallback_seconds` is how long the platform
    has to claim a call; `fallback_number` is where an unclaimed call goes, else it hears an apology.
    """

    lines: set[str] = field(default_factory=set)
    extensions: dict[str, Extension] = field(default_factory=dict)
    fallback_seconds: int = 5
    fallback_number: str = ""
    apology: str = "ringmaster/apology.wav"

    def extension(self, leg: Leg) -> Extension | None:
        """Return the applications for a leg's destination; None when there is no such extension."""
        profile = leg.profile
        number = profile.destination_number
        if profile.dialplan == "inline":
            return _inline(number)
        if number == FALLBACK:
            leg.switch.note_fallback(leg)
            return self._fallback(leg.uuid)
        if number == AFTER_TALK:
            return self._after_talk(leg)
        if number in self.extensions:
            return list(self.extensions[number])
        if number in self.lines:
            return self._hand_over(leg, number)
        return [("hangup", "UNALLOCATED_NUMBER")]

    def _hand_over(self, leg: Leg, line: str) -> Extension:
        caller = leg.profile.caller_id_number
        notes = [("set", f"ringmaster_caller={caller}")] if _PLAIN_CALLER(caller) else []
        return [
            *notes,
            ("set", "playback_terminators=none"),
            ("export", f"ringmaster_line=+{line.removeprefix('+')}"),
            self._guard(leg),
            ("park", ""),
        ]

    def globals(self) -> dict[str, str]:
        """Return the global variables that the switch begins with: what the guards count with, and what it was."""
        return dict.fromkeys(("fallback_seconds", "usual_fallback_seconds"), str(self.fallback_seconds))

    def _after_talk(self, leg: Leg) -> Extension:
        guard = [] if leg.variables.get("ringmaster_leased") == "true" else [self._guard(leg)]
        return [*guard, ("park", "")]

    def _guard(self, leg: Leg) -> tuple[str, str]:
        task = f"sched_api(+${{fallback_seconds}} {leg.uuid} uuid_transfer {leg.uuid} {FALLBACK} XML {CONTEXT})"
        return "set", f"ringmaster_fallback=${{{task}}}"

    def _fallback(self, uuid: str) -> Extension:
        taken = [
            ("set", "ringmaster_fell_back=true"),
            ("set", f"ringmaster_fallback=${{sched_del({uuid})}}"),
        ]
        if self.fallback_number:
            after = [("set", "hangup_after_bridge=true"), ("set", "park_after_bridge=false")]
            after += [("unset", "transfer_after_bridge")]
            return [*taken, *after, ("bridge", self.fallback_number), ("hangup", "")]
        return [*taken, ("answer", ""), ("playback", self.apology), ("hangup", "NORMAL_TEMPORARY_FAILURE")]


def _inline(text: str) -> Extension:
    """Read `app:argument,app:argument`, as the inline dialplan does."""
    extension: Extension = []
    for word in separate(text, ","):
        app, _, argument = word.strip().partition(":")
        if app:
            extension.append((app, argument))
    return extension
