"""From events to compact facts: a table of event name → (handler, the headers that it reads).

Everything is keyed on Unique-ID alone (wire truth 12). Values are data: a tenant is found by the dialled line, or for
our own legs by what our originate set, never by anything that a caller can send.
"""

from collections.abc import Callable, Sequence
from typing import TypeAlias

from services.listener.domain.directory import Directory, canonical_line
from services.listener.domain.facts import FactBuilder
from services.listener.domain.headers import (
    BASE,
    BIRTH,
    BRIDGE,
    EXECUTED,
    FALLBACK_EXTENSION,
    HANGUP,
    MASKED_DIGIT,
    PHONE,
    PROBE_PREFIX,
    PROMPTS_PREFIX,
    SUBCLASSES,
    SwitchEvent,
    number,
)
from services.listener.domain.legs import Asked, Leg, LegTable
from services.listener.domain.recordings import recording_of
from services.shared.contracts.ringmaster.v1.input_pb2 import Input
from services.shared.contracts.ringmaster.v1.switch_pb2 import (
    COLLECT_OUTCOME_INVALID,
    COLLECT_OUTCOME_MATCHED,
    COLLECT_OUTCOME_TIMEOUT,
    DIRECTION_INBOUND,
    DIRECTION_OUTBOUND,
    HANGUP_PARTY_FAR_END,
    HANGUP_PARTY_PLATFORM,
    HANGUP_PARTY_UNSPECIFIED,
    CollectOutcome,
    HangupParty,
    LegHungUp,
)

_LONGEST = 128
"""Letters of what a far side wrote: a name of 60 kB would else be in every event of the call."""
_DIGITS = frozenset("0123456789*#ABCD")
_MATCHED_WORD = "success"
_PLAYED_WORD = "FILE PLAYED"

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
        self._recordings_root = recordings_root
        self._on_unknown_line = on_unknown_line

    def inputs(self, event: SwitchEvent) -> Inputs:
        """Return what an event tells, mostly one input or none."""
        name = event.name
        entry = _TABLE.get(name)
        if entry is None:
            return self._custom(event) if name == "CUSTOM" else _NOTHING
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
        told += self._fell_back(leg, values)
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
        if leg is None or leg.other_leg_id == other_id:
            return _NOTHING
        self._join(leg, other_id)
        told = self.facts.of_leg(leg, number(values[1]), number(values[2]))
        told.fact.leg_bridged.other_leg_id = other_id
        return (told,)

    def unbridged(self, values: list[str], _event: SwitchEvent) -> Inputs:
        """CHANNEL_UNBRIDGE: once, on one of the two legs."""
        leg, other_id = self._pair(values)
        if leg is None:
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
        told = self.facts.of_leg(leg, number(values[1]), number(values[2]))
        told.fact.leg_held.SetInParent()
        return (told,)

    def resumed(self, values: list[str], _event: SwitchEvent) -> Inputs:
        """CHANNEL_UNHOLD."""
        leg = self.legs.live.get(values[0])
        if leg is None:
            return _NOTHING
        told = self.facts.of_leg(leg, number(values[1]), number(values[2]))
        told.fact.leg_resumed.SetInParent()
        return (told,)

    def hung_up(self, values: list[str], _event: SwitchEvent) -> Inputs:
        """CHANNEL_HANGUP_COMPLETE, once a leg."""
        leg = self.legs.live.get(values[0])
        if leg is None:
            return _NOTHING
        told = self.facts.of_leg(leg, number(values[1]), number(values[2]))
        hung_up = told.fact.leg_hung_up
        hung_up.cause = values[4]
        hung_up.sip_status = number(values[5]) or number(values[6])
        hung_up.party = hangup_party(values[7])
        hung_up.created_us = number(values[8])
        hung_up.answered_us = number(values[9])
        hung_up.ended_us = number(values[10])
        _tell_ways(hung_up, leg, values)
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
        told = self._ended(leg, values, event)
        return fallen if told is None else (*fallen, told)

    def _ended(self, leg: Leg, values: list[str], event: SwitchEvent) -> Input | None:
        """Tell the end of what was asked; nobody is told of music's, nor of what we did not ask for."""
        command_id, response, result, digits = event.select(EXECUTED)
        asked = leg.asked.pop(command_id, None)
        if asked is None:
            if command_id.removeprefix(PROMPTS_PREFIX) in leg.asked:
                leg.has_pressed = False  # prompts that are heard out have ended: what was pressed so far is no answer
            return self._probed(leg, command_id.removeprefix(PROBE_PREFIX), number(values[2]))
        if leg.leg_id in self.legs.live:
            self.legs.touch(leg)
        if asked is Asked.MUSIC:
            return None
        told = self.facts.of_leg(leg, number(values[1]), number(values[2]))
        if asked is Asked.PLAYBACK:
            finished = told.fact.playback_finished
            finished.command_id = command_id
            finished.completed = response == _PLAYED_WORD
            if not finished.completed:
                finished.error = response
        elif asked is Asked.ANSWER:
            told.fact.answer_recorded.command_id = command_id
        else:
            collected = told.fact.digits_collected
            collected.command_id = command_id
            collected.outcome = _collect_outcome(leg, result, digits)
            if collected.outcome == COLLECT_OUTCOME_MATCHED and not self.legs.is_masked(leg):
                collected.digits = digits
        return told

    def _probed(self, leg: Leg, command_id: str, occurred_us: int) -> Input | None:
        """Tell the end of a question behind which a probe has run: it was never written, or has ended in the gap."""
        asked = leg.asked.pop(command_id, None)
        if asked is None:
            return None
        self.legs.touch(leg)
        return self.facts.of_missed_end(leg, command_id, asked, occurred_us)

    def pressed(self, values: list[str], _event: SwitchEvent) -> Inputs:
        """DTMF: told outside a question; inside one it belongs to the answer."""
        leg = self.legs.live.get(values[0])
        if leg is None or values[4] not in _DIGITS:
            return _NOTHING
        if Asked.DIGITS in leg.asked.values():
            leg.has_pressed = True
            return _NOTHING
        told = self.facts.of_leg(leg, number(values[1]), number(values[2]))
        told.fact.digit_pressed.digit = MASKED_DIGIT if self.legs.is_masked(leg) else values[4]
        return (told,)

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

    # -- phones ------------------------------------------------------------------------------------------------------

    def _custom(self, event: SwitchEvent) -> Inputs:
        subclass = event.subclass
        if subclass not in SUBCLASSES:
            return _NOTHING
        user, host, old_user, old_host, expires, agent, sequence, at = event.select(PHONE)
        address = f"{user or old_user}@{host or old_host}"
        if subclass == "sofia::register":
            return self.phone_registered(address, number(expires), agent, number(at), number(sequence))
        expired = subclass == "sofia::expire"
        return self.phone_unregistered(address, number(at), number(sequence), expired=expired)

    def phone_registered(
        self, address: str, expires_seconds: int, user_agent: str, occurred_us: int, sequence: int = 0
    ) -> Inputs:
        """Tell a new registration; a refresh is no news. The domain belongs to one tenant."""
        tenant_id = self.directory.tenant_of_domain(address.rpartition("@")[2])
        if not tenant_id or not self.legs.register(address, tenant_id):
            return _NOTHING
        told = self.facts.of_switch(tenant_id, occurred_us, sequence)
        registered = told.fact.phone_registered
        registered.address = address
        registered.expires_seconds = min(expires_seconds, 0xFFFFFFFF)
        registered.user_agent = user_agent[:256]
        return (told,)

    def phone_unregistered(self, address: str, occurred_us: int, sequence: int = 0, *, expired: bool) -> Inputs:
        """Tell the end of a registration that was told."""
        tenant_id = self.legs.unregister(address)
        if not tenant_id:
            return _NOTHING
        told = self.facts.of_switch(tenant_id, occurred_us, sequence)
        told.fact.phone_unregistered.address = address
        told.fact.phone_unregistered.expired = expired
        return (told,)

    # -- parts -------------------------------------------------------------------------------------------------------

    def born(self, leg: Leg, values: list[str], *, reconciled: bool = False) -> Input:
        """Take a leg into the table and tell its creation; `values` are those of CHANNEL_CREATE."""
        self.legs.add(leg)
        told = self.facts.of_leg(leg, number(values[1]), number(values[2]))
        created = told.fact.leg_created
        created.direction = DIRECTION_INBOUND if leg.is_inbound else DIRECTION_OUTBOUND
        created.line = leg.line
        created.command_id = leg.command_id
        sides = (value[:_LONGEST] for value in values[9:13])
        created.caller_number, created.caller_name, created.sip_call_id, created.network_address = sides
        created.reconciled = reconciled
        return told

    def identify(self, values: list[str]) -> Leg | None:
        """Say whose leg this is: by the line that was dialled, or by what our originate set on a leg that we made."""
        leg_id, created_us = values[0], number(values[2])
        if values[4] == "outbound":
            tenant_id, call_id, command_id = values[6:9]
            if not tenant_id:
                return None
            leg = Leg(
                leg_id, tenant_id, call_id=call_id, command_id=command_id, is_inbound=False, created_us=created_us
            )
            leg.domain, leg.hop = place_of(values[13])
            return leg
        line = canonical_line(values[5]) or canonical_line(values[3])
        tenant_id = self.directory.tenant_of_line(line)
        if not tenant_id:
            return None
        leg = Leg(leg_id, tenant_id, line=line, created_us=created_us)
        leg.domain, leg.hop = place_of(values[13])
        return leg

    def _born(self, values: list[str]) -> Inputs:
        leg = self.identify(values)
        if leg is not None:
            return (self.born(leg, values),)
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
                one.other_leg_id = ""
                if one.leg_id in self.legs.live:
                    self.legs.touch(one)


def place_of(text: str) -> tuple[str, int]:
    """Read the variable that says whose log has a leg: routing domain and hop."""
    domain, _, hop = text.partition(":")
    return domain, number(hop)


def _collect_outcome(leg: Leg, result: str, digits: str) -> "CollectOutcome.ValueType":
    """Tell a right answer, a wrong one and none apart; FreeSWITCH says only success or failure."""
    if result == _MATCHED_WORD and digits:
        return COLLECT_OUTCOME_MATCHED
    return COLLECT_OUTCOME_INVALID if leg.has_pressed else COLLECT_OUTCOME_TIMEOUT


def _tell_ways(hung_up: LegHungUp, leg: Leg, values: list[str]) -> None:
    """Tell between whom the leg was and through whom it went.

    A gateway is `sip_gateway_name` of a leg that went out through it and `sip_gateway` of one that came in by its
    registration (mod_sofia). The destination of an inbound leg may be another extension by now: its line is told.
    """
    tell_side(hung_up, leg)
    if not leg.is_inbound:
        hung_up.callee = values[3][:_LONGEST]
    hung_up.caller_number = values[11][:_LONGEST]
    hung_up.gateway = (values[12] or values[13])[:_LONGEST]
    hung_up.network_address = (values[14] or values[15])[:_LONGEST]
    hung_up.sip_call_id = values[16][:_LONGEST]


def tell_side(hung_up: LegHungUp, leg: Leg) -> None:
    """Tell what the table of legs knows, also where the switch told no end."""
    hung_up.direction = DIRECTION_INBOUND if leg.is_inbound else DIRECTION_OUTBOUND
    hung_up.line = leg.line


def hangup_party(disposition: str) -> "HangupParty.ValueType":
    """Read sip_hangup_disposition: what was received came from the far end (wire truth 13)."""
    if disposition.startswith("recv_"):
        return HANGUP_PARTY_FAR_END
    return HANGUP_PARTY_PLATFORM if disposition.startswith("send_") else HANGUP_PARTY_UNSPECIFIED


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
