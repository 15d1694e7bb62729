"""Hold: by command or by the phone itself; the partner hears music from the switch meanwhile."""

from __future__ import annotations

from typing import TYPE_CHECKING

from local.switch.states import CallState

if TYPE_CHECKING:
    from local.switch.channel import Leg


def hold(leg: Leg, *, by_phone: bool = False) -> None:
    """Put an answered leg on hold; harmless when it is."""
    if leg.held or not leg.answered or not leg.is_up:
        return
    other = _change(leg, held=True)
    leg.hold_spans.append((leg.now_us(), 0))
    leg.set_callstate(CallState.HELD)
    if other is not None and other.is_up:
        music = leg.variables.get("hold_music") or leg.switch.globals["hold_music"]
        other.broadcast("playback", music, loops=-1)
    leg.emit("CHANNEL_HOLD", origin="CHANNEL_HOLD phone" if by_phone else None)


def resume(leg: Leg, *, by_phone: bool = False) -> None:
    """End the hold; harmless when there is none. A phone's own resuming is announced before the leg is active."""
    if not leg.held or not leg.is_up:
        return
    other = _change(leg, held=False)
    leg.hold_spans[-1] = (leg.hold_spans[-1][0], leg.now_us())
    leg.set_callstate(CallState.UNHELD)
    if by_phone:
        leg.emit("CHANNEL_UNHOLD", origin="CHANNEL_UNHOLD phone")
    leg.set_callstate(CallState.ACTIVE)
    if other is not None:
        _stop_music(other)
    if not by_phone:
        leg.emit("CHANNEL_UNHOLD")


def _change(leg: Leg, *, held: bool) -> Leg | None:
    """Mark the leg and return its partner; recordings of both write what was heard until now."""
    other: Leg | None = leg.bridge.other(leg) if leg.bridge is not None else None
    for each in (leg, other):
        if each is not None:
            each.catch_up_recordings()
    leg.held = held
    return other


def _stop_music(other: Leg) -> None:
    """Break the music, or forget it when it has not begun yet."""
    if other.playing is not None:
        other.break_playback = True
        other.wake()
        return
    if other.leading is not None and other.leading.loops == -1:
        other.leading = None
    waiting = [command for command in other.private_commands if command.loops != -1]
    other.private_commands.clear()
    other.private_commands.extend(waiting)
