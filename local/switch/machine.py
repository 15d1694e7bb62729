"""A session thread: how a leg walks through its states, from INIT to DESTROY."""

from __future__ import annotations

from typing import TYPE_CHECKING

from local.switch import apps, bridging
from local.switch.legvars import report_variables, set_statistics
from local.switch.states import CallState, State

if TYPE_CHECKING:
    from collections.abc import Callable

    from local.switch.channel import Leg
    from local.switch.scheduler import Steps

# One media frame.
FRAME_SECONDS = 0.02


def run_inbound(leg: Leg) -> Steps:
    """Live the life of a leg that a phone called in."""
    bus = leg.switch.bus
    bus.emit("CHANNEL_STATE", leg.basic_block())
    leg.codec_up = True
    for which, names in (("read", "channel-read-codec"), ("write", "Channel-Write-Codec")):
        tail = f"{names}-name: PCMU\n{names}-rate: 8000\n{names}-bit-rate: 64000\n"
        leg.emit("CODEC", tail=tail, full=False, origin=f"CODEC {which}")
    _initialise(leg)
    yield from _live(leg)


def run_outbound(leg: Leg) -> Steps:
    """Live the life of a leg that the switch called out: it waits for its phone in CONSUME_MEDIA."""
    leg.running_state, leg.state = State.NONE, State.INIT
    leg.emit("CHANNEL_OUTGOING", full=False)
    _initialise(leg)
    leg.emit("CHANNEL_ORIGINATE")
    leg.enter(State.ROUTING)
    leg.state = State.CONSUME_MEDIA
    yield from _live(leg)


def _initialise(leg: Leg) -> None:
    leg.state = State.INIT
    leg.enter(State.INIT)
    leg.state = State.ROUTING
    leg.emit("CHANNEL_CREATE")


def _live(leg: Leg) -> Steps:
    while leg.is_up:
        state = leg.state
        leg.enter(state)
        yield from _RUN[state](leg)
    yield from _finish(leg)


def _finish(leg: Leg) -> Steps:
    """End the thread: hang-up, report, destruction, each with its events."""
    leg.state = State.HANGUP
    leg.enter(State.HANGUP)
    for recording in list(leg.recordings.values()):
        recording.stop(by_hangup=True)
    _drop_media_bugs(leg)
    leg.set_callstate(CallState.HANGUP)
    leg.state = State.REPORTING
    leg.enter(State.REPORTING)
    if not leg.variables.get("sip_hangup_disposition"):
        disposition = _disposition(leg)
        leg.variables.set_many(report_variables(leg))
        leg.variables.set("sip_hangup_disposition", disposition)
    else:
        leg.variables.set_many(report_variables(leg))
    set_statistics(leg)
    if leg.direction == "inbound" and leg.switch.call_records is not None:
        leg.switch.call_records.write(leg)
    leg.emit("CHANNEL_HANGUP_COMPLETE", f"Hangup-Cause: {leg.hangup_cause}\n")
    leg.wake()
    # Whoever shares the call (the bridge's other thread, the originating thread) lets go one frame later, or when the
    # other leg has finished what a broadcast made it play.
    yield FRAME_SECONDS if leg.bridge is not None or leg.direction == "outbound" else 0.0
    while leg.bridge is not None and leg.bridge.b is leg and not leg.bridge.is_over:
        yield None
    leg.state = State.DESTROY
    leg.emit("CHANNEL_DESTROY")
    leg.enter(State.DESTROY)
    leg.switch.forget(leg)


def _disposition(leg: Leg) -> str:
    if leg.answered:
        return "send_bye"
    return "send_cancel" if leg.direction == "outbound" else "send_refuse"


def _drop_media_bugs(leg: Leg) -> None:
    for function, target in leg.media_bugs:
        leg.emit("MEDIA_BUG_STOP", f"Media-Bug-Function: {function}\nMedia-Bug-Target: {target}\n")
    leg.media_bugs.clear()


def _route(leg: Leg) -> Steps:
    """Look the destination up in the dialplan; a destination that it doesn't know ends the leg."""
    extension = leg.switch.dialplan.extension(leg)
    if extension is None:
        leg.hangup("NO_ROUTE_DESTINATION")
        return
    leg.extension = extension
    leg.state = State.EXECUTE
    return
    yield


def _execute(leg: Leg) -> Steps:
    """Run the extension's applications one after the other; at its end the leg is hung up."""
    while leg.extension and leg.state == State.EXECUTE:
        app, data = leg.extension.pop(0)
        yield from apps.execute(leg, app, data)
    if leg.state == State.EXECUTE:
        leg.hangup("NORMAL_CLEARING")


def _park(leg: Leg) -> Steps:
    yield from apps.park_loop(leg, State.PARK)


def _soft_execute(leg: Leg) -> Steps:
    if leg.is_bridge_originator:
        yield from bridging.join_by_command(leg)
        return
    while leg.state == State.SOFT_EXECUTE:
        yield None


def _hibernate(leg: Leg) -> Steps:
    leg.state = State.RESET
    return
    yield


def _reset(leg: Leg) -> Steps:
    if leg.is_bridge_originator:
        leg.state = State.SOFT_EXECUTE
        return
    while leg.state == State.RESET:
        yield None


def _consume_media(leg: Leg) -> Steps:
    while leg.state == State.CONSUME_MEDIA:
        yield from apps.run_private_commands(leg)
        if leg.state == State.CONSUME_MEDIA:
            yield None


_RUN: dict[State, Callable[[Leg], Steps]] = {
    State.ROUTING: _route,
    State.EXECUTE: _execute,
    State.PARK: _park,
    State.SOFT_EXECUTE: _soft_execute,
    State.HIBERNATE: _hibernate,
    State.RESET: _reset,
    State.EXCHANGE_MEDIA: bridging.exchange_media,
    State.CONSUME_MEDIA: _consume_media,
}
