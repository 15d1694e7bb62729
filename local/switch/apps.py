"""Dialplan applications, and the private queue through which commands run them on a leg."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import uuid4

from local.switch.causes import SIP_REFUSALS, cause_from_text
from local.switch.clock import MICROSECONDS
from local.switch.encoding import header
from local.switch.transfer import transfer

if TYPE_CHECKING:
    from collections.abc import Callable

    from local.switch.channel import Leg, PrivateCommand
    from local.switch.scheduler import Steps
    from local.switch.states import State

APPLICATIONS: dict[str, Callable[[Leg, str], Steps]] = {}


def application(name: str) -> Callable[[Callable[[Leg, str], Steps]], Callable[[Leg, str], Steps]]:
    """Register a dialplan application under its name."""

    def register(run: Callable[[Leg, str], Steps]) -> Callable[[Leg, str], Steps]:
        APPLICATIONS[name] = run
        return run

    return register


def execute(leg: Leg, app: str, data: str, event_uuid: str | None = None) -> Steps:
    """Run one application with its CHANNEL_EXECUTE and _COMPLETE; an unknown one kills the leg (wire truth 22)."""
    run = APPLICATIONS.get(app)
    if run is None:
        leg.hangup("DESTINATION_OUT_OF_ORDER")
        return
    data = leg.switch.expand(leg, data)
    variables = leg.variables
    variables.set("current_application_response", None)
    variables.set("current_application", app)
    variables.set("current_application_data", data)
    lines = f"Application: {app}\n" + (header("Application-Data", data) if data else "")
    ticket = header("Application-UUID", event_uuid or str(uuid4()))
    leg.emit("CHANNEL_EXECUTE", tail=lines + ticket)
    yield from run(leg, data)
    response = variables.get("current_application_response") or "_none_"
    leg.emit("CHANNEL_EXECUTE_COMPLETE", tail=lines + header("Application-Response", response) + ticket)


def run_private_commands(leg: Leg) -> Steps:
    """Execute what waits in the private queue, unless a locked command is running (wire truth 21)."""
    while leg.private_commands and not leg.event_locked and leg.is_up:
        command = leg.private_commands.popleft()
        if command.hangup_cause is not None:
            leg.hangup(command.hangup_cause)
            return
        yield from _run_command(leg, command)


def _run_command(leg: Leg, command: PrivateCommand) -> Steps:
    state = leg.state
    if command.lead_seconds:
        leg.leading = command
        yield command.lead_seconds
        if leg.state != state or leg.leading is not command:
            return
        leg.leading = None
    was_locked, leg.event_locked = leg.event_locked, command.lock
    loops = 1 if command.loops is None else command.loops
    done = 0
    leg.was_broken = False
    while loops < 0 or done < loops:
        done += 1
        if command.lead_seconds or command.loops is not None:
            leg.variables.set_many([("current_loop", done), ("total_loops", loops)])
        yield from execute(leg, command.app, command.data, command.event_uuid)
        if not leg.is_up or leg.state != state or leg.was_broken or command.loops is None:
            break
    leg.event_locked = was_locked
    for name in ("current_loop", "total_loops"):
        leg.variables.set(name, None)
    leg.emit("PRIVATE_COMMAND", full=False, prefix=command.text)


def park_loop(leg: Leg, state: State) -> Steps:
    """Hold the leg for whoever controls it: CHANNEL_PARK, its private commands, CHANNEL_UNPARK."""
    expires_us, cause = _park_timeout(leg)
    leg.emit("CHANNEL_PARK")
    while leg.state == state:
        yield from run_private_commands(leg)
        if leg.state != state:
            break
        leg.digits.clear()
        now_us = leg.switch.scheduler.clock.now_us()
        if expires_us is not None and now_us >= expires_us:
            leg.hangup(cause)
            break
        yield None if expires_us is None else (expires_us - now_us) / MICROSECONDS
    leg.emit("CHANNEL_UNPARK")


def _park_timeout(leg: Leg) -> tuple[int | None, str]:
    """Read and spend `park_timeout` (seconds[:cause])."""
    text = leg.variables.get("park_timeout")
    if text is None:
        return None, ""
    leg.variables.set("park_timeout", None)
    seconds, _, cause = text.partition(":")
    if not seconds.isdigit():
        return None, ""
    return leg.switch.scheduler.clock.now_us() + int(seconds) * MICROSECONDS, cause_from_text(cause)


@application("park")
def _park(leg: Leg, _data: str) -> Steps:
    yield from park_loop(leg, leg.state)


@application("answer")
def _answer(leg: Leg, _data: str) -> Steps:
    leg.answer()
    return
    yield


@application("pre_answer")
def _pre_answer(leg: Leg, _data: str) -> Steps:
    leg.pre_answer()
    return
    yield


@application("ring_ready")
def _ring_ready(leg: Leg, _data: str) -> Steps:
    leg.ring_ready()
    return
    yield


@application("hangup")
def _hangup(leg: Leg, data: str) -> Steps:
    leg.hangup(cause_from_text(data) if data else "NORMAL_CLEARING")
    return
    yield


@application("sleep")
def _sleep(leg: Leg, data: str) -> Steps:
    clock = leg.switch.scheduler.clock
    end_us = clock.now_us() + int(data or 0) * 1000
    state = leg.state
    while leg.state == state and clock.now_us() < end_us:
        yield from run_private_commands(leg)
        yield (end_us - clock.now_us()) / MICROSECONDS


@application("set")
def _set(leg: Leg, data: str) -> Steps:
    name, _, value = data.partition("=")
    leg.variables.set(name.strip(), value)
    return
    yield


@application("unset")
def _unset(leg: Leg, data: str) -> Steps:
    leg.variables.set(data.strip(), None)
    return
    yield


@application("multiset")
def _multiset(leg: Leg, data: str) -> Steps:
    separator = " "
    if data.startswith("^^"):
        separator, data = data[2], data[3:]
    for pair in data.split(separator):
        name, _, value = pair.partition("=")
        leg.variables.set(name.strip(), value)
    return
    yield


@application("export")
def _export(leg: Leg, data: str) -> Steps:
    name, _, value = data.partition("=")
    name = name.removeprefix("nolocal:").strip()
    leg.variables.set(name, value)
    if name not in leg.exported:
        leg.exported.append(name)
    leg.variables.set("export_vars", ",".join(leg.exported))
    return
    yield


@application("transfer")
def _transfer(leg: Leg, data: str) -> Steps:
    words = data.split()
    if words:
        transfer(leg, words[0], *words[1:3])
    return
    yield


@application("send_dtmf")
def _send_dtmf(leg: Leg, data: str) -> Steps:
    leg.switch.send_digits(leg, data)
    return
    yield


@application("flush_dtmf")
def _flush_dtmf(leg: Leg, _data: str) -> Steps:
    """Forget the digits that nobody has read."""
    leg.digits.clear()
    return
    yield


@application("respond")
def _respond(leg: Leg, data: str) -> Steps:
    """Refuse the call with a SIP status; the cause is the one that the status maps to."""
    status = data.split(maxsplit=1)[0] if data else ""
    leg.variables.set("sip_hangup_disposition", "send_refuse")
    leg.hangup(SIP_REFUSALS.get(int(status) if status.isdigit() else 0, "NORMAL_CLEARING"))
    return
    yield


@application("sched_hangup")
def _sched_hangup(leg: Leg, data: str) -> Steps:
    when, _, cause = data.partition(" ")
    command = f"uuid_kill {leg.uuid} {cause or 'ALLOTTED_TIMEOUT'}"
    leg.switch.tasks.add(when, leg.uuid, command)
    return
    yield


@application("log")
@application("info")
def _log(_leg: Leg, _data: str) -> Steps:
    """Write to the switch's log, which nobody reads here."""
    return
    yield
