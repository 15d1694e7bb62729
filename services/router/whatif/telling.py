"""What a switch in virtual time tells the core: facts of its legs and results of commands, as a listener does."""

from dataclasses import dataclass, field

from services.router.whatif.core import Core
from services.router.whatif.moments import Moments
from services.shared.contracts.ringmaster.v1 import command_pb2 as cm
from services.shared.contracts.ringmaster.v1.command_pb2 import Command
from services.shared.contracts.ringmaster.v1.input_pb2 import Input
from services.shared.log_keys import key_of


@dataclass(slots=True)
class SwitchLeg:
    """One channel."""

    leg_id: str
    tenant_id: str
    call_id: str
    address: str = ""
    """Phone or number that was called; empty = a caller."""
    is_answered: bool = False
    other: "SwitchLeg | None" = None
    parks_after: bool = False
    guard_ms: int = 0
    """When the switch helps itself; 0 = never."""
    sound: str = ""
    """Command of the prompt or question that runs."""
    has_waited: bool = False
    listeners: dict[str, None] = field(default_factory=dict)
    """Legs that listen to this one, and end with it."""
    recordings: dict[str, int] = field(default_factory=dict)
    """Recording → since when it writes; 0 = not yet."""
    domain: str = ""
    """Routing domain that its facts are told; empty = the tenant's own log."""
    hop: int = 0


class Telling:
    """The way from one node to the cores of all tenants. A subclass may disturb `publish`, `deliver` and `result`."""

    def __init__(self, moments: Moments, node: str, *, tells_results: bool) -> None:
        self.moments = moments
        self.node = node
        self.core_uuid = f"{node}-1"
        self.cores: dict[str, Core] = {}
        self._tells_results = tells_results
        self._sequence = 0

    def publish(self, leg: SwitchLeg, given: Input) -> None:
        """Bring a leg's fact to its tenant's core."""
        self.deliver(key_of(leg.tenant_id, given.domain), given)

    def deliver(self, key: str, given: Input) -> None:
        """Put an input into a tenant's log, behind what happens at this moment already."""
        self.moments.after(0, self.cores[key].feed, given)

    def result(self, command: Command, cause: str, outcome: "cm.CommandOutcome.ValueType | None" = None) -> None:
        """Tell what became of a command: done without a cause, failed with one."""
        if not self._tells_results and not cause and not command.HasField("lease_leg"):
            return  # but for what tells the core that there is a switch
        given = Input()
        given.tenant_id, given.domain = command.tenant_id, command.domain
        told = given.command_result
        told.command_id, told.leg_id, told.call_id = command.command_id, command.leg_id, command.call_id
        told.outcome = outcome or (cm.COMMAND_OUTCOME_FAILED if cause else cm.COMMAND_OUTCOME_DONE)
        told.cause, told.node = cause, self.node
        self.deliver(key_of(command.tenant_id, command.domain), given)

    def _fact_of(self, tenant_id: str) -> Input:
        given = Input()
        given.tenant_id = tenant_id
        self._sequence += 1
        fact = given.fact
        fact.node, fact.core_uuid, fact.switch_sequence = self.node, self.core_uuid, self._sequence
        fact.occurred_us = self.moments.now_ms * 1000
        return given

    def _fact(self, leg: SwitchLeg) -> Input:
        given = self._fact_of(leg.tenant_id)
        given.fact.leg_id = leg.leg_id
        if leg.domain:
            given.domain = leg.domain
        if leg.address:
            given.fact.call_id = leg.call_id
        return given

    def _tell(self, leg: SwitchLeg, kind: str, other: SwitchLeg | None = None) -> None:
        given = self._fact(leg)
        body = getattr(given.fact, kind)
        body.SetInParent()
        if other is not None:
            body.other_leg_id = other.leg_id
        self.publish(leg, given)

    def _tell_played(self, leg: SwitchLeg, command_id: str, *, completed: bool) -> None:
        given = self._fact(leg)
        given.fact.playback_finished.command_id = command_id
        given.fact.playback_finished.completed = completed
        self.publish(leg, given)

    def _begin_recording(self, leg: SwitchLeg, recording_id: str) -> None:
        leg.recordings[recording_id] = self.moments.now_ms
        given = self._fact(leg)
        given.fact.recording_began.recording_id = recording_id
        given.fact.recording_began.path = f"{leg.tenant_id}/{leg.call_id}/{recording_id}.wav"
        self.publish(leg, given)

    def _stop_recordings(self, leg: SwitchLeg) -> None:
        for recording_id, began_ms in leg.recordings.items():
            self._tell_recorded(leg, recording_id, began_ms)
        leg.recordings.clear()

    def _tell_recorded(self, leg: SwitchLeg, recording_id: str, began_ms: int) -> None:
        given = self._fact(leg)
        told = given.fact.recording_finished
        told.recording_id = recording_id
        told.path = f"{leg.tenant_id}/{leg.call_id}/{recording_id}.wav"
        told.duration_ms = self.moments.now_ms - began_ms if began_ms else 0
        self.publish(leg, given)
