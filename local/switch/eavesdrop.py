"""Listening in: eavesdrop and three_way attach to another leg's sound and raise no CHANNEL_BRIDGE (wire truth 27)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from local.switch.apps import application, run_private_commands
from local.switch.encoding import header

if TYPE_CHECKING:
    from local.switch.channel import Leg
    from local.switch.scheduler import Steps


@application("eavesdrop")
@application("three_way")
def eavesdrop(leg: Leg, data: str) -> Steps:
    """Listen to a leg until either of the two ends. A uuid that is not alive ends the application at once."""
    target = leg.switch.find(data.strip())
    if target is None or target is leg:
        return
    leg.answer()
    lead = "Media-Bug-Function: eavesdrop\n" + header("Media-Bug-Target", target.uuid)
    target.emit("MEDIA_BUG_START", lead)
    leg.emit("CALL_UPDATE", "Direction: SEND\n" + _display(target))
    state = leg.state
    if leg.strand is not None:
        target.watchers.append(leg.strand)
    while leg.state == state and target.is_up:
        yield from run_private_commands(leg)
        leg.digits.clear()
        if leg.state == state and target.is_up:
            yield None
    if leg.strand in target.watchers and leg.strand is not None:
        target.watchers.remove(leg.strand)
    target.emit("MEDIA_BUG_STOP", lead)


def _display(target: Leg) -> str:
    profile = target.profile
    return header("Sent-Callee-ID-Name", profile.caller_id_name) + header(
        "Sent-Callee-ID-Number", profile.caller_id_number
    )
