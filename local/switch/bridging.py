"""Two legs that hear each other: bridge by application, bridge by command, and what becomes of each leg afterwards.

Truths kept: CHANNEL_BRIDGE and CHANNEL_UNBRIDGE come once, on the A leg (12); uuid_bridge's EXECUTE has no COMPLETE
(11); bridging a ringing leg says +OK and kills both (16); the loser of two concurrent bridges stays in CS_RESET (17).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from local.switch import apps, holding
from local.switch.encoding import header
from local.switch.states import State
from local.switch.transfer import flip_parties, step_profile, transfer

if TYPE_CHECKING:
    from local.switch.channel import Leg
    from local.switch.scheduler import Steps
    from local.switch.speech import Talk

FRAME_SECONDS = 0.02


class Bridge:
    """Two legs in one conversation; A runs it."""

    __slots__ = ("a", "a_state", "b", "is_over", "started_us", "talk")

    def __init__(self, a: Leg, b: Leg) -> None:
        self.a = a
        self.b = b
        self.a_state = a.state
        self.is_over = False
        self.started_us = a.now_us()
        self.talk: Talk | None = None

    def other(self, leg: Leg) -> Leg:
        """Return the partner of one of the two legs."""
        return self.b if leg is self.a else self.a

    def holds(self) -> bool:
        """Say whether both legs are still in the conversation."""
        return (
            not self.is_over
            and self.a.is_up
            and self.b.is_up
            and self.a.state == self.a_state
            and self.b.state == State.EXCHANGE_MEDIA
        )

    def leg_left(self) -> None:
        """React to the hang-up of a leg: B's thread notices in one frame, A's in two."""
        self.b.wake(1)
        self.a.wake(2)


def command_bridge(originator: Leg, originatee: Leg) -> str | None:
    """Begin `uuid_bridge`: both legs leave what they do. Returns the uuid to report, or None when it can't be.

    Which leg becomes A can flip: a leg without media can't run the bridge (truth 12).
    """
    if not originator.is_up:
        return None
    a, b = originator, originatee
    for leg in (a, b):
        holding.resume(leg)
    if a.direction == "outbound" and not a.hit_dialplan:
        flip_parties(a)
    if not a.has_media:
        if not b.has_media:
            return None
        a, b = b, a
    for leg, other in ((a, b), (b, a)):
        leg.variables.set_many(
            [("bridge_channel", other.name), ("bridge_uuid", other.uuid), ("signal_bond", other.uuid)],
        )
    if b.direction == "outbound" and b.hit_dialplan:
        b.hit_dialplan = False
        b.profile.swap_parties()
    _exchange_profiles(a, b)
    for leg in (a, b):
        leg.private_commands.clear()
    a.is_bridge_originator, b.is_bridge_originator = True, False
    a.uuid_bridge_to = b.uuid
    # B's thread notices first in every capture.
    b.set_state(State.HIBERNATE)
    a.state = State.HIBERNATE
    a.wake(2)
    return originatee.uuid


def _exchange_profiles(a: Leg, b: Leg) -> None:
    """Step both caller profiles and let each leg show the other as its Other-Leg."""
    for leg in (b, a):
        profile = leg.profile
        leg.variables.set_many(
            [
                ("original_destination_number", profile.destination_number),
                ("original_caller_id_name", profile.caller_id_name),
                ("original_caller_id_number", profile.caller_id_number),
            ]
        )
    show_each_other(a, b)
    step_profile(a, a.switch.transfer_source(a, f"uuid_br:{b.uuid}"))
    step_profile(b, b.switch.transfer_source(b, f"uuid_br:{a.uuid}"))
    a.profile.callee_id_name, a.profile.callee_id_number = b.profile.callee_id_name, b.profile.callee_id_number
    b.profile.caller_id_name, b.profile.caller_id_number = a.profile.caller_id_name, a.profile.caller_id_number
    a.profile_changed()
    b.profile_changed()


def show_each_other(a: Leg, b: Leg) -> None:
    """Put each leg's profile into the other's Other-Leg headers, as they are now."""
    b.partner_block = a.profile.other_leg_block("originator")
    a.partner_block = b.profile.other_leg_block("originatee")


def join_by_command(a: Leg) -> Steps:
    """Run A's side of `uuid_bridge`: wait until B's thread has come to SOFT_EXECUTE too, then bridge."""
    b = a.switch.find(a.uuid_bridge_to or "")
    a.uuid_bridge_to = None
    if b is None:
        a.is_bridge_originator = False
        _stay_after_bridge(a, "DESTINATION_OUT_OF_ORDER", hang_up=True)
        return
    # A leg that is still on its way out of another conversation stands in SOFT_EXECUTE from that one.
    while a.state == State.SOFT_EXECUTE and b.is_up and (b.running_state != State.SOFT_EXECUTE or _is_still_leaving(b)):
        if b.running_state == State.RESET and b.state == State.RESET:
            b.set_state(State.SOFT_EXECUTE)
        yield FRAME_SECONDS
    a.is_bridge_originator = False
    if not a.is_up or a.state != State.SOFT_EXECUTE:
        b.hangup("DESTINATION_OUT_OF_ORDER")
        return
    if not b.is_up:
        a.hangup("DESTINATION_OUT_OF_ORDER")
        return
    if not b.answered:
        b.hangup("ORIGINATOR_CANCEL")
        a.hangup("ORIGINATOR_CANCEL")
        return
    a.emit("CHANNEL_EXECUTE", tail=_bridge_lines(b), origin="CHANNEL_EXECUTE bridge")
    b.emit("CHANNEL_EXECUTE", tail=_bridge_lines(a), origin="CHANNEL_EXECUTE bridge")
    yield from converse(a, b)
    if a.is_up and a.state == State.SOFT_EXECUTE:
        a.state = State.EXECUTE


def _is_still_leaving(leg: Leg) -> bool:
    return leg.bridge is not None and not leg.bridge.is_over


def _bridge_lines(other: Leg) -> str:
    return "Application: uuid_bridge\n" + header("Application-Data", other.uuid)


def converse(a: Leg, b: Leg) -> Steps:
    """Run the conversation on A's thread until one leg leaves, then decide what A does next."""
    bridge = Bridge(a, b)
    for leg in (a, b):
        leg.note_bridge(on=True)
    a.bridge = b.bridge = bridge
    b.call_uuid = a.uuid
    lead = header("Bridge-A-Unique-ID", a.uuid) + header("Bridge-B-Unique-ID", b.uuid)
    for leg, other in ((a, b), (b, a)):
        leg.variables.set_many([("bridge_to", other.uuid), ("last_bridge_to", other.uuid)])
        leg.profile.times.bridged = leg.now_us()
        leg.profile_changed()
    a.emit("CHANNEL_BRIDGE", lead)
    b.set_state(State.EXCHANGE_MEDIA)
    a.switch.note_bridge(a, b)
    yield FRAME_SECONDS
    if bridge.holds():
        _update_displays(a, b)
    while bridge.holds():
        yield from apps.run_private_commands(a)
        if bridge.holds():
            yield None
    if b.running_state == State.EXCHANGE_MEDIA:
        # B's thread leaves the bridge before A's; it may still have to notice.
        b.wake()
        yield FRAME_SECONDS
    for leg in (a, b):
        leg.note_bridge(on=False)
    bridge.is_over = True
    if a.hung_up_holding:
        _drop_the_held(a, b)
    _part(a, b, lead)


def _part(a: Leg, b: Leg, lead: str) -> None:
    for leg in (a, b):
        leg.variables.set("bridge_to", None)
    cause = b.hangup_cause
    if cause is not None:
        a.variables.set("last_bridge_hangup_cause", cause)
    a.variables.set("last_bridge_role", "originator" if a.is_up else None)
    a.emit("CHANNEL_UNBRIDGE", lead)
    a.switch.note_unbridge(a, b)
    b.wake()
    a.bridge = None
    a.far_end.on_unbridged(a)
    if a.is_up and a.state in {State.EXECUTE, State.SOFT_EXECUTE}:
        _stay_after_bridge(a, cause or "NORMAL_CLEARING", hang_up=a.variables.is_true("hangup_after_bridge"))


def _stay_after_bridge(leg: Leg, cause: str, *, hang_up: bool) -> None:
    """Decide what a leg does after its bridge: park, transfer, hang up, or go on (park first, as the switch does)."""
    if leg.variables.is_true("park_after_bridge"):
        leg.set_state(State.PARK)
        return
    target = leg.variables.get("transfer_after_bridge")
    if target:
        leg.variables.set("transfer_after_bridge", None)
        where = target.split(":")
        transfer(leg, where[0], *where[1:3])
    elif hang_up:
        leg.hangup(cause)


def _drop_the_held(holder: Leg, held: Leg) -> None:
    """Hang up whoever is on hold when the holder leaves: park_after_bridge doesn't help.

    Only `hold_hangup_xfer_exten` on the holder's leg does: then the held leg is transferred.
    """
    extension = holder.variables.get("hold_hangup_xfer_exten")
    if extension:
        held.variables.set("transfer_after_bridge", extension)
        held.break_playback = held.playing is not None
        held.wake()
    else:
        held.hangup("NORMAL_CLEARING")


def exchange_media(b: Leg) -> Steps:
    """Run B's side of a conversation."""
    bridge: Bridge | None = b.bridge
    while bridge is not None and bridge.holds():
        yield from apps.run_private_commands(b)
        if bridge.holds():
            yield None
    if bridge is not None:
        bridge.a.wake()
    b.call_uuid = b.uuid
    b.variables.set("call_uuid", b.uuid)
    if bridge is not None and b.bridge is bridge:
        cause = bridge.a.hangup_cause
        if cause is not None:
            b.variables.set_many([("last_bridge_hangup_cause", cause), ("bridge_hangup_cause", cause)])
        b.far_end.on_unbridged(b)
        if b.hung_up_holding:
            _drop_the_held(b, bridge.a)
        if b.is_up:
            b.bridge = None
        if b.is_up and b.state == State.EXCHANGE_MEDIA:
            _stay_after_bridge(b, cause or "NORMAL_CLEARING", hang_up=True)


def _update_displays(a: Leg, b: Leg) -> None:
    """Tell each phone whom it talks with: CALL_UPDATE on both legs, B first."""
    for leg, name, number, other in (
        (b, a.profile.caller_id_name, a.profile.caller_id_number, a),
        (a, b.profile.callee_id_name, b.profile.callee_id_number, b),
    ):
        leg.variables.set_many([("last_sent_callee_id_name", name), ("last_sent_callee_id_number", number)])
        lead = (
            "Direction: SEND\n"
            + header("Sent-Callee-ID-Name", name)
            + header("Sent-Callee-ID-Number", number)
            + header("Bridged-To", other.uuid)
        )
        leg.emit("CALL_UPDATE", lead)
