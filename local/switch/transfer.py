"""Sending a leg elsewhere: transfers, and what they do to its caller profile."""

from __future__ import annotations

from typing import TYPE_CHECKING

from local.switch.states import State

if TYPE_CHECKING:
    from local.switch.channel import Leg


def transfer(leg: Leg, extension: str, dialplan: str = "XML", context: str | None = None) -> None:
    """Send a leg to another extension, or to an inline list of applications (`switch_ivr_session_transfer`)."""
    profile = leg.profile
    if leg.direction == "outbound" and not leg.hit_dialplan:
        flip_parties(leg)
    leg.hit_dialplan = True
    context = context or profile.context
    dialplan = dialplan or "XML"
    source = leg.switch.transfer_source(leg, f"bl_xfer:{extension}/{context}/{dialplan}")
    step_profile(leg, source)
    profile.rdnis, profile.destination_number = profile.destination_number, extension
    profile.dialplan, profile.context = dialplan, context
    for name in ("bridge_to", "bridge_channel", "bridge_uuid", "signal_bond", "last_sent_callee_id_name"):
        leg.variables.set(name, None)
    leg.partner_block = ""
    leg.is_bridge_originator, leg.uuid_bridge_to = False, None
    leg.private_commands.clear()
    leg.set_state(State.ROUTING)


def step_profile(leg: Leg, transfer_source: str) -> None:
    """Begin the next caller profile of a leg, as transfers and bridges by command do."""
    profile = leg.profile
    profile.index += 1
    profile.transfer_source = transfer_source
    profile.times.profile_created = leg.now_us()
    leg.variables.push("transfer_history", transfer_source)
    leg.variables.set("transfer_source", transfer_source)
    leg.profile_changed()


def flip_parties(leg: Leg) -> None:
    """Make a called leg a caller: CALL_UPDATE with Direction RECV."""
    profile = leg.profile
    leg.variables.set("pre_transfer_caller_id_name", profile.caller_id_name)
    leg.variables.set("pre_transfer_caller_id_number", profile.caller_id_number)
    profile.swap_parties()
    leg.profile_changed()
    leg.variables.set("channel_cid_flipped", "yes")
    leg.hit_dialplan = True
    leg.emit("CALL_UPDATE", "Direction: RECV\n", origin="CALL_UPDATE flip")
