"""From events to compact facts: a table of event name → (handler, the headers that it reads).

Everything is keyed on Unique-ID alone (wire truth 12). Beside the life of a leg, which is here: `births` (whose it is),
`dialogue` (prompts, questions, digits), `ends` (its last fact), `phones` (registrations).
"""

from collections.abc import Callable, Sequence
from typing import TypeAlias

from services.listener.domain.births import Births
from services.listener.domain.dialogue import Dialogue
from services.listener.domain.directory import Directory
from services.listener.domain.ends import tell_end
from services.listener.domain.facts import FactBuilder
from services.listener.domain.headers import (
    BASE,
    BIRTH,
    BRIDGE,
    FALLBACK_EXTENSION,
    HANGUP,
    SUBCLASSES,
    SwitchEvent,
    number,
)
from services.listener.domain.legs import Leg, LegTable
from services.listener.domain.phones import Phones
from services.listener.domain.recordings import recording_of
from services.shared.contracts.ringmaster.v1.input_pb2 import Input

Inputs: TypeAlias = Sequence[Input]
_NOTHING: Inputs = ()


class Normaliser:
    """Turns events into inputs and keeps the table of legs true to what was told."""

    def __init__(
        self,
        facts: FactBuilder,
        directory: Directory,
        legs: LegTable,
        recordings_root: str,
        on_unknown_line: Callable[[], None],
    ) -> None:
        self.facts = facts
        self.directory = directory
        self.legs = legs
        self.births = Births(facts, directory, legs)
        self.dialogue = Dialogue(facts, legs)
        self.phones = Phones(facts, directory, legs)
        self._recordings_root = recordings_root
        self._on_unknown_line = on_unknown_line

    def inputs(self, event: SwitchEvent) -> Inputs:
        """Return what an event tells, mostly one input or none."""
        name = event.name
        entry = _TABLE.get(name)
        if entry is None:
            return self.phones.told(event) if name == "CUSTOM" and event.subclass in SUBCLASSES else _NOTHING
        handler, headers = entry
        return handler(self, event.select(headers), event)

    # -- the life of a leg -------------------------------------------------------------------------------------------

    def created(self, values: list[str], _event: SwitchEvent) -> Inputs:
        """CHANNEL_CREATE: it is not a leg's first event (wire truth 11), but the first that is read here."""
        if self.legs.find(values[0]) is not None:
            return _NOTHING  # a reconciliation told it already
        return self._born(values)

    def parked(self, values: list[str], event: SwitchEvent) -> Inputs:
        """CHANNEL_PARK: the first moment at which our dialplan's own variable can be read."""
        leg = self.legs.live.get(values[0])
        told: list[Input] = []
        if leg is None:
            if self.legs.find(values[0]) is not None:
                return _NOTHING
            told = list(self._born(event.select(BIRTH)))
            leg = self.legs.live.get(values[0])
            if leg is None:
                return _NOTHING
        if leg.is_restated:
            leg.is_restated = False
            return told
        leg.is_parked = True
        self.legs.touch(leg)
        parked = self.facts.of_leg(leg, number(values[1]), number(values[2]))
        parked.fact.leg_parked.SetInParent()
        if leg.line:
            parked.fact.leg_parked.line = leg.line
        told.append(parked)
        return told

    def progressed(self, values: list[str], *, early_media: bool) -> Inputs:
        """CHANNEL_PROGRESS (180) and CHANNEL_PROGRESS_MEDIA (183)."""
        leg = self.legs.live.get(values[0])
        if leg is None:
            return _NOTHING
        told = self.facts.of_leg(leg, number(values[1]), number(values[2]))
        told.fact.leg_progressed.SetInParent()
        if early_media:
            told.fact.leg_progressed.early_media = True
        return (told,)

    def answered(self, values: list[str], _event: SwitchEvent) -> Inputs:
        """CHANNEL_ANSWER. After a reconciliation that told it, it is not told again."""
        leg = self.legs.live.get(values[0])
        if leg is None:
            return _NOTHING
        fallen = self._fell_back(leg, values)
        if leg.answered_us:
            return fallen
        leg.answered_us = number(values[2])
        self.legs.touch(leg)
        told = self.facts.of_leg(leg, number(values[1]), number(values[2]))
        told.fact.leg_answered.SetInParent()
        return (*fallen, told)

    def bridged(self, values: list[str], _event: SwitchEvent) -> Inputs:
        """CHANNEL_BRIDGE: once, on one of the two legs (wire truth 12)."""
        leg, other_id = self._pair(values)
        if leg is None or (leg.other_leg_id == other_id and not leg.is_parked):
            return _NOTHING  # a reconciliation told it already
        self._join(leg, other_id)
        told = self.facts.of_leg(leg, number(values[1]), number(values[2]))
        told.fact.leg_bridged.other_leg_id = other_id
        return (told,)

    def unbridged(self, values: list[str], _event: SwitchEvent) -> Inputs:
        """CHANNEL_UNBRIDGE: once, on one of the two legs.

        Of a bridge that is not the present one it says nothing new: a reconciliation saw further than this event, and
        who believed it would take the talk of now for over.
        """
        leg, other_id = self._pair(values)
        if leg is None or leg.other_leg_id != other_id:
            return _NOTHING
        self._part(leg, other_id)
        told = self.facts.of_leg(leg, number(values[1]), number(values[2]))
        told.fact.leg_unbridged.other_leg_id = other_id
        return (told,)

    def held(self, values: list[str], _event: SwitchEvent) -> Inputs:
        """CHANNEL_HOLD, by command or by the phone."""
        leg = self.legs.live.get(values[0])
        if leg is None:
            return _NOTHING
        self._is_held(leg, is_held=True)
        told = self.facts.of_leg(leg, number(values[1]), number(values[2]))
        told.fact.leg_held.SetInParent()
        return (told,)

    def resumed(self, values: list[str], _event: SwitchEvent) -> Inputs:
        """CHANNEL_UNHOLD."""
        leg = self.legs.live.get(values[0])
        if leg is None:
            return _NOTHING
        self._is_held(leg, is_held=False)
        told = self.facts.of_leg(leg, number(values[1]), number(values[2]))
        told.fact.leg_resumed.SetInParent()
        return (told,)

    def _is_held(self, leg: Leg, *, is_held: bool) -> None:
        """Remember it for the next reconciliation. No event is held back by it: FreeSWITCH ends some holds silently."""
        leg.is_held = is_held
        self.legs.touch(leg)

    def hung_up(self, values: list[str], _event: SwitchEvent) -> Inputs:
        """CHANNEL_HANGUP_COMPLETE, once a leg."""
        leg = self.legs.live.get(values[0])
        if leg is None:
            self.legs.strangers_ended.append(values[0])
            return _NOTHING
        told = self.facts.of_leg(leg, number(values[1]), number(values[2]))
        tell_end(told.fact.leg_hung_up, leg, values)
        self.legs.end(leg)
        return (told,)

    # -- what a leg hears and says -----------------------------------------------------------------------------------

    def executed(self, values: list[str], event: SwitchEvent) -> Inputs:
        """CHANNEL_EXECUTE_COMPLETE: the end of a prompt or of a question that a command of ours began."""
        leg = self.legs.find(values[0])
        if leg is None:
            return _NOTHING
        fallen = self._fell_back(leg, values)
        if not leg.asked:
            return fallen
        told = self.dialogue.ended(leg, values, event)
        return fallen if told is None else (*fallen, told)

    def pressed(self, values: list[str], _event: SwitchEvent) -> Inputs:
        """DTMF."""
        leg = self.legs.live.get(values[0])
        told = self.dialogue.pressed(leg, values) if leg is not None else None
        return _NOTHING if told is None else (told,)

    def recording_began(self, values: list[str], _event: SwitchEvent) -> Inputs:
        """RECORD_START of a file below our folder; any other recording is not ours."""
        leg, place = self.legs.find(values[0]), recording_of(values[4], self._recordings_root)
        if leg is None or place is None:
            return _NOTHING
        told = self.facts.of_leg(leg, number(values[1]), number(values[2]))
        told.fact.recording_began.recording_id, told.fact.recording_began.path = place
        return (told,)

    def recording_finished(self, values: list[str], _event: SwitchEvent) -> Inputs:
        """RECORD_STOP: the file is complete (wire truth 26). It may come after the leg's hang-up."""
        leg, place = self.legs.find(values[0]), recording_of(values[4], self._recordings_root)
        if leg is None or place is None:
            return _NOTHING
        self.legs.unmask(leg.call_key, place[0])
        told = self.facts.of_leg(leg, number(values[1]), number(values[2]))
        finished = told.fact.recording_finished
        finished.recording_id, finished.path = place
        finished.duration_ms = number(values[5])
        return (told,)

    # -- parts -------------------------------------------------------------------------------------------------------

    def _born(self, values: list[str]) -> Inputs:
        leg = self.births.identify(values)
        if leg is not None:
            return (self.births.born(leg, values),)
        if values[4] == "inbound":
            self._on_unknown_line()
        return _NOTHING

    def _fell_back(self, leg: Leg, values: list[str]) -> list[Input]:
        """Notice by the leg's new destination that the dialplan has taken it from us."""
        if values[3] != FALLBACK_EXTENSION or leg.has_fallen_back or not leg.is_inbound:
            return []
        leg.has_fallen_back = True
        self.legs.touch(leg)
        told = self.facts.of_leg(leg, number(values[1]), number(values[2]))
        told.fact.leg_fell_back.SetInParent()
        told.fact.leg_fell_back.line = leg.line
        return [told]

    def _pair(self, values: list[str]) -> tuple[Leg | None, str]:
        """Return the event's leg and the other one's id; a leg that is not ours is no partner to tell of."""
        leg_id, a, b, other = values[0], values[4], values[5], values[6]
        other_id = b if a == leg_id else a or other
        leg = self.legs.find(leg_id)
        if leg is None:
            leg, other_id = self.legs.find(other_id), leg_id
        return leg, other_id

    def _join(self, leg: Leg, other_id: str) -> None:
        for one, other in ((leg, other_id), (self.legs.live.get(other_id), leg.leg_id)):
            if one is not None:
                one.other_leg_id = other
                one.is_parked = one.is_restated = False
                self.legs.touch(one)

    def _part(self, leg: Leg, other_id: str) -> None:
        for one, other in ((leg, other_id), (self.legs.live.get(other_id), leg.leg_id)):
            if one is not None and one.other_leg_id == other:
                one.other_leg_id, one.is_held = "", False  # a hold ends with its talk, and no event may say so
                if one.leg_id in self.legs.live:
                    self.legs.touch(one)


def _progress(normaliser: Normaliser, values: list[str], _event: SwitchEvent) -> Inputs:
    return normaliser.progressed(values, early_media=False)


def _early_media(normaliser: Normaliser, values: list[str], _event: SwitchEvent) -> Inputs:
    return normaliser.progressed(values, early_media=True)


_Handler: TypeAlias = Callable[[Normaliser, list[str], SwitchEvent], Inputs]
_TABLE: dict[str, tuple[_Handler, tuple[str, ...]]] = {
    "CHANNEL_CREATE": (Normaliser.created, BIRTH),
    "CHANNEL_PARK": (Normaliser.parked, BASE),
    "CHANNEL_PROGRESS": (_progress, BASE),
    "CHANNEL_PROGRESS_MEDIA": (_early_media, BASE),
    "CHANNEL_ANSWER": (Normaliser.answered, BASE),
    "CHANNEL_BRIDGE": (Normaliser.bridged, BRIDGE),
    "CHANNEL_UNBRIDGE": (Normaliser.unbridged, BRIDGE),
    "CHANNEL_HOLD": (Normaliser.held, BASE),
    "CHANNEL_UNHOLD": (Normaliser.resumed, BASE),
    "CHANNEL_HANGUP_COMPLETE": (Normaliser.hung_up, HANGUP),
    "CHANNEL_EXECUTE_COMPLETE": (Normaliser.executed, BASE),
    "DTMF": (Normaliser.pressed, (*BASE, "DTMF-Digit")),
    "RECORD_START": (Normaliser.recording_began, (*BASE, "Record-File-Path")),
    "RECORD_STOP": (Normaliser.recording_finished, (*BASE, "Record-File-Path", "variable_record_ms")),
}
