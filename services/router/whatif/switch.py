"""A switch in virtual time: executes the core's commands and tells the facts that a listener would publish.

Legs, their order of facts and causes are those of the simulated FreeSWITCH in outline; sound, packets and the event
socket are left out. Nothing happens by itself: people say what phones and callers do, a subclass may add faults.
"""

from collections.abc import Callable

from services.router.domain.turn import Lookup
from services.router.whatif.moments import Moments
from services.router.whatif.people import People, Reaction
from services.router.whatif.telling import SwitchLeg, Telling
from services.shared.contracts.ringmaster.v1 import recognition_pb2 as rc
from services.shared.contracts.ringmaster.v1 import switch_pb2 as sw
from services.shared.contracts.ringmaster.v1.command_pb2 import CollectDigits, Command
from services.shared.contracts.ringmaster.v1.input_pb2 import Input

FIRST_GUARD_MS = 5_000
"""So long a caller waits parked before the switch helps itself (SPEC 2.4)."""
NO_SUCH_LEG = "NO_SUCH_LEG"


class Switch(Telling):
    """One node for all tenants."""

    def __init__(self, moments: Moments, people: People, node: str = "fs1", *, tells_results: bool = True) -> None:
        super().__init__(moments, node, tells_results=tells_results)
        self.people = people
        self.legs: dict[str, SwitchLeg] = {}

    # -- what the core orders

    def execute(self, command: Command) -> None:
        """Take a command on its way."""
        self.moments.after(0, self._execute, command)

    def look_up(self, lookup: Lookup) -> None:
        """Answer for a CRM that is away; a subclass may know more."""
        given = Input()
        given.tenant_id = lookup.tenant_id
        taken = given.request.take_lookup
        taken.call_id, taken.lookup_id, taken.fault = lookup.call_id, lookup.lookup_id, "unreachable"
        self.moments.after(0, self.cores[lookup.tenant_id].feed, given)

    def _execute(self, command: Command) -> None:
        action = command.WhichOneof("action") or ""
        if action == "originate_leg":
            self._originate(command)
            return
        leg = self.legs.get(command.leg_id)
        if leg is None:
            self.result(command, NO_SUCH_LEG)
            return
        do = _ACTIONS.get(action)
        self.result(command, do(self, leg, command) if do is not None else "")

    # -- what callers and agents do

    def call(self, tenant_id: str, leg_id: str, line: str, caller_number: str, caller_name: str = "") -> SwitchLeg:
        """Bring a caller in."""
        leg = self.legs[leg_id] = SwitchLeg(leg_id, tenant_id, leg_id)
        given = self._fact(leg)
        created = given.fact.leg_created
        created.direction = sw.DIRECTION_INBOUND
        created.line, created.caller_number, created.caller_name = line, caller_number, caller_name
        self.publish(leg, given)
        parked = self._fact(leg)
        parked.fact.leg_parked.line = line
        self.publish(leg, parked)
        self._guard(leg, FIRST_GUARD_MS)
        return leg

    def hang_up(self, leg: SwitchLeg, cause: str = "NORMAL_CLEARING", *, by_far_end: bool = True) -> None:
        """End a leg; the leg that it is bridged with ends too, or is parked when the bridge said so."""
        if self.legs.pop(leg.leg_id, None) is None:
            return
        other, leg.other = leg.other, None
        if other is not None:
            other.other = None
            self._tell(leg, "leg_unbridged", other)
        self._stop_sound(leg)
        self._stop_recordings(leg)
        given = self._fact(leg)
        given.fact.leg_hung_up.cause = cause
        given.fact.leg_hung_up.party = sw.HANGUP_PARTY_FAR_END if by_far_end else sw.HANGUP_PARTY_PLATFORM
        self.publish(leg, given)
        if other is not None:
            self._left_alone(other)
        for listener in [self.legs.get(leg_id) for leg_id in leg.listeners]:
            if listener is not None:
                self.hang_up(listener, by_far_end=False)

    def press(self, leg: SwitchLeg, digit: str) -> None:
        """Let a caller press a key outside of any question."""
        given = self._fact(leg)
        given.fact.digit_pressed.digit = digit
        self.publish(leg, given)

    def register(self, tenant_id: str, address: str, *, registered: bool) -> None:
        """Let a phone come or go."""
        given = self._fact_of(tenant_id)
        if registered:
            given.fact.phone_registered.address = address
        else:
            given.fact.phone_unregistered.address = address
        self.deliver(tenant_id, given)

    # -- actions; each returns the cause of its failure, empty when it is done

    def _answer(self, leg: SwitchLeg, _command: Command) -> str:
        if not leg.is_answered:
            leg.is_answered = True
            self._tell(leg, "leg_answered")
        return ""

    def _play(self, leg: SwitchLeg, command: Command) -> str:
        self._begin_sound(leg, command.command_id)
        self.moments.after(self.people.listens_ms(leg.call_id), self._played, leg, command.command_id)
        return ""

    def _played(self, leg: SwitchLeg, command_id: str) -> None:
        if leg.sound == command_id and leg.leg_id in self.legs:
            leg.sound = ""
            self._tell_played(leg, command_id, completed=True)

    def _collect(self, leg: SwitchLeg, command: Command) -> str:
        self._begin_sound(leg, command.command_id)
        answer = self.people.answer(leg.call_id, command.collect_digits)
        self.moments.after(answer.after_ms, self._collected, leg, command, answer.digits)
        return ""

    def _collected(self, leg: SwitchLeg, command: Command, digits: str) -> None:
        if leg.sound != command.command_id or leg.leg_id not in self.legs:
            return
        leg.sound = ""
        valid = command.collect_digits.valid
        given = self._fact(leg)
        told = given.fact.digits_collected
        told.command_id, told.digits = command.command_id, digits
        if not digits:
            told.outcome = sw.COLLECT_OUTCOME_TIMEOUT
        else:
            told.outcome = sw.COLLECT_OUTCOME_INVALID if valid and digits not in valid else sw.COLLECT_OUTCOME_MATCHED
        self.publish(leg, given)

    def _record_answer(self, leg: SwitchLeg, command: Command) -> str:
        self._begin_sound(leg, command.command_id)
        self.moments.after(self.people.listens_ms(leg.call_id), self._answer_recorded, leg, command.command_id)
        return ""

    def _answer_recorded(self, leg: SwitchLeg, command_id: str) -> None:
        if leg.sound == command_id and leg.leg_id in self.legs:
            leg.sound = ""
            given = self._fact(leg)
            given.fact.answer_recorded.command_id = command_id
            self.publish(leg, given)

    def _recognise(self, leg: SwitchLeg, command: Command) -> str:
        """Let the caller have said the phrase of the number that is entered; any other answer is not understood."""
        answer = self.people.answer(leg.call_id, CollectDigits())
        phrases = command.recognise_answer.phrases
        given = Input(tenant_id=leg.tenant_id)
        found = given.clip_recognised
        found.clip_id, found.call_id, found.leg_id = command.command_id, leg.call_id, leg.leg_id
        found.outcome = rc.RECOGNITION_OUTCOME_HEARD if answer.digits else rc.RECOGNITION_OUTCOME_SILENT
        if answer.digits.isdigit() and int(answer.digits) < len(phrases):
            found.phrase = int(answer.digits)
        self.moments.after(answer.after_ms, self.publish, leg, given)
        return ""

    def _music(self, leg: SwitchLeg, _command: Command) -> str:
        self._begin_sound(leg, "")
        if not leg.has_waited:
            leg.has_waited = True
            patience_ms = self.people.patience_ms(leg.call_id)
            if patience_ms is not None:
                self.moments.after(patience_ms, self._gives_up, leg)
        return ""

    def _gives_up(self, leg: SwitchLeg) -> None:
        if leg.other is None:
            self.hang_up(leg)

    def _silence(self, leg: SwitchLeg, _command: Command) -> str:
        self._stop_sound(leg)
        return ""

    def _lease(self, leg: SwitchLeg, command: Command) -> str:
        self._guard(leg, command.lease_leg.seconds * 1000)
        return ""

    def _bridge(self, leg: SwitchLeg, command: Command) -> str:
        other = self.legs.get(command.bridge_legs.other_leg_id)
        if other is None or not other.is_answered or not leg.is_answered:
            return NO_SUCH_LEG
        order = command.bridge_legs
        leg.parks_after, other.parks_after = order.park_after, order.park_other_after
        if leg.other is other:
            return ""  # ordered again only to say what becomes of them afterwards
        for one in (leg, other):
            self._stop_sound(one)
            self._leave_bridge(one)
        leg.other, other.other = other, leg
        self._tell(leg, "leg_bridged", other)
        for recording_id in leg.recordings:
            self._begin_recording(leg, recording_id)
        talk = self.people.talk(leg.call_id, other.address)
        self.moments.after(talk.lasts_ms, self._part, leg, other, talk.agent_hangs_up)
        return ""

    def _part(self, leg: SwitchLeg, other: SwitchLeg, agent_hangs_up: bool) -> None:  # noqa: FBT001 - called by plan
        if leg.other is other:
            self.hang_up(other if agent_hangs_up else leg)

    def _leave_bridge(self, leg: SwitchLeg) -> None:
        """Take a leg out of its bridge, because it goes into another one; who is left parks or ends."""
        former, leg.other = leg.other, None
        if former is not None:
            former.other = None
            self._tell(leg, "leg_unbridged", former)
            self._left_alone(former)

    def _left_alone(self, leg: SwitchLeg) -> None:
        if leg.parks_after:
            self._stop_recordings(leg)
            self._tell(leg, "leg_parked")
            if not leg.address:
                self._guard(leg, FIRST_GUARD_MS)
        else:
            self.hang_up(leg, by_far_end=False)

    def _part_legs(self, leg: SwitchLeg, command: Command) -> str:
        other = self.legs.get(command.part_legs.other_leg_id)
        if other is None or leg.other is not other:
            return "NOT_BRIDGED"
        leg.other = other.other = None
        self._tell(leg, "leg_unbridged", other)
        for one in (leg, other):
            one.parks_after = True
            self._left_alone(one)
        return ""

    def _listen(self, leg: SwitchLeg, command: Command) -> str:
        target = self.legs.get(command.eavesdrop_leg.target_leg_id)
        if target is None or not leg.is_answered:
            return NO_SUCH_LEG
        target.listeners[leg.leg_id] = None
        return ""

    def _join_room(self, leg: SwitchLeg, _command: Command) -> str:
        """Let a leg speak with whoever else is sent to the room, until the caller has talked enough."""
        self._stop_sound(leg)
        self._leave_bridge(leg)
        leg.guard_ms = 0
        if not leg.address:
            self.moments.after(self.people.talk(leg.call_id, "").lasts_ms, self.hang_up, leg)
        return ""

    def _end(self, leg: SwitchLeg, command: Command) -> str:
        self.hang_up(leg, command.hang_up_leg.cause or "NORMAL_CLEARING", by_far_end=False)
        return ""

    def _hold(self, leg: SwitchLeg, command: Command) -> str:
        self._tell(leg, "leg_held" if command.HasField("hold_leg") else "leg_resumed")
        return ""

    def _hand_over(self, leg: SwitchLeg, command: Command) -> str:
        order = command.hand_over_leg
        if order.hop < leg.hop:
            return "STALE"
        leg.domain, leg.hop = order.to_domain, order.hop
        given = self._fact(leg)
        given.fact.switch_sequence = 0
        handed = given.fact.leg_handed_over
        handed.from_domain, handed.hop, handed.record = command.domain, order.hop, order.record
        self.publish(leg, given)
        return ""

    def _record(self, leg: SwitchLeg, command: Command) -> str:
        order = command.start_recording
        leg.recordings[order.recording_id] = 0
        if order.without_bridge or leg.other is not None:
            self._begin_recording(leg, order.recording_id)
        return ""

    def _stop_recording(self, leg: SwitchLeg, command: Command) -> str:
        began_ms = leg.recordings.pop(command.stop_recording.recording_id, None)
        if began_ms is not None:
            self._tell_recorded(leg, command.stop_recording.recording_id, began_ms)
        return ""

    def _originate(self, command: Command) -> None:
        order = command.originate_leg
        address = order.phone or order.number or order.sip
        if command.leg_id in self.legs:
            self.result(command, "DUPLICATE_LEG")
            return
        leg = self.legs[command.leg_id] = SwitchLeg(command.leg_id, command.tenant_id, command.call_id, address)
        leg.domain = command.domain
        reaction = self.people.pick_up(command.call_id, address)
        given = self._fact(leg)
        given.fact.leg_created.direction = sw.DIRECTION_OUTBOUND
        given.fact.leg_created.command_id = command.command_id
        self.publish(leg, given)
        self.moments.after(reaction.rings_after_ms, self._ring, leg, command, reaction)

    def _ring(self, leg: SwitchLeg, command: Command, reaction: Reaction) -> None:
        if leg.leg_id not in self.legs:
            self.result(command, "ORIGINATOR_CANCEL")
            return
        longest_ms = command.originate_leg.ring_timeout_ms
        if not reaction.cause or reaction.then_ms:  # a phone that refuses at once never rings
            self._tell(leg, "leg_progressed")
        if reaction.then_ms >= longest_ms > 0:
            self.moments.after(longest_ms, self._rung, leg, command, "NO_ANSWER")
        else:
            self.moments.after(reaction.then_ms, self._rung, leg, command, reaction.cause)

    def _rung(self, leg: SwitchLeg, command: Command, cause: str) -> None:
        if leg.leg_id not in self.legs:
            self.result(command, "ORIGINATOR_CANCEL")
        elif cause:
            self.hang_up(leg, cause)
            self.result(command, cause)
        else:
            leg.is_answered = True
            self._tell(leg, "leg_answered")
            self._tell(leg, "leg_parked")
            self.result(command, "")

    # -- guards and sounds

    def _guard(self, leg: SwitchLeg, lasts_ms: int) -> None:
        leg.guard_ms = self.moments.now_ms + lasts_ms if lasts_ms else 0
        if lasts_ms:
            self.moments.at(leg.guard_ms, self._fall_back, leg, leg.guard_ms)

    def _fall_back(self, leg: SwitchLeg, guard_ms: int) -> None:
        if leg.guard_ms == guard_ms and leg.other is None and self.legs.pop(leg.leg_id, None) is not None:
            self._tell(leg, "leg_fell_back")

    def _begin_sound(self, leg: SwitchLeg, command_id: str) -> None:
        self._stop_sound(leg)
        leg.sound = command_id

    def _stop_sound(self, leg: SwitchLeg) -> None:
        if leg.sound:
            self._tell_played(leg, leg.sound, completed=False)
            leg.sound = ""


_ACTIONS: dict[str, Callable[[Switch, SwitchLeg, Command], str]] = {
    "lease_leg": Switch._lease,  # noqa: SLF001 - the class's own table
    "answer_leg": Switch._answer,  # noqa: SLF001 - the same
    "play_prompt": Switch._play,  # noqa: SLF001 - the same
    "collect_digits": Switch._collect,  # noqa: SLF001 - the same
    "record_answer": Switch._record_answer,  # noqa: SLF001 - the same
    "recognise_answer": Switch._recognise,  # noqa: SLF001 - the same
    "start_music": Switch._music,  # noqa: SLF001 - the same
    "stop_playback": Switch._silence,  # noqa: SLF001 - the same
    "bridge_legs": Switch._bridge,  # noqa: SLF001 - the same
    "part_legs": Switch._part_legs,  # noqa: SLF001 - the same
    "eavesdrop_leg": Switch._listen,  # noqa: SLF001 - the same
    "join_conference": Switch._join_room,  # noqa: SLF001 - the same
    "hand_over_leg": Switch._hand_over,  # noqa: SLF001 - the same
    "hang_up_leg": Switch._end,  # noqa: SLF001 - the same
    "hold_leg": Switch._hold,  # noqa: SLF001 - the same
    "resume_leg": Switch._hold,  # noqa: SLF001 - the same
    "start_recording": Switch._record,  # noqa: SLF001 - the same
    "stop_recording": Switch._stop_recording,  # noqa: SLF001 - the same
}
