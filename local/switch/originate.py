"""Calling out: originate, and the bridge application that calls out for a caller.

Truths kept: an `origination_uuid` that is alive gives DESTINATION_OUT_OF_ORDER (18); the time-out counts whole
seconds, so it fires early (15); early media that isn't ignored counts as success (15); causes of refusals (14).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol
from uuid import uuid4

from local.switch import bridging, machine
from local.switch.apps import application
from local.switch.channel import SilentPhone
from local.switch.clock import MICROSECONDS
from local.switch.dialstring import DialString, OriginateArguments, parse_dial_string, parse_originate
from local.switch.legvars import set_outbound_variables, set_reached_variables
from local.switch.pending import Pending
from local.switch.profile import CallerProfile
from local.switch.scheduler import Strand
from local.switch.states import State
from local.switch.transfer import flip_parties, transfer

if TYPE_CHECKING:
    from local.switch.channel import Leg
    from local.switch.core import Switch
    from local.switch.scheduler import Steps

USAGE = (
    "-USAGE: <call url> <exten>|&<application_name>(<app_args>) [<dialplan>] [<context>] [<cid_name>] [<cid_num>]"
    " [<timeout_sec>]\n"
)
FRAME_SECONDS = 0.02


class CalledPhone(SilentPhone):
    """A phone that the switch can call; `ring` is its INVITE."""

    def ring(self, leg: Leg) -> None:
        """React to the call, now or later, through the leg's ring_ready, pre_answer, answer and hangup."""


@dataclass(frozen=True, slots=True)
class Destination:
    """Where a dial string leads: a phone at an address, with the headers that its directory entry adds."""

    name: str
    address: str
    port: int
    phone: CalledPhone
    presence_id: str = ""
    variables: tuple[tuple[str, str], ...] = ()


class Directory(Protocol):
    """Knows who can be called."""

    def find(self, endpoint: str, address: str) -> Destination | str:
        """Return where the dial string leads, or the cause for which it can't be called at all."""
        ...


class Attempt:
    """One call out, until it is answered or has failed."""

    __slots__ = ("cause", "leg")

    def __init__(self) -> None:
        self.leg: Leg | None = None
        self.cause: str | None = None


def originate_command(switch: Switch, argument: str) -> str | Pending:
    """Run the originate command; the result is the leg's uuid or the cause of the failure."""
    arguments = parse_originate(argument)
    if arguments is None:
        return USAGE
    command = _Originate(switch, arguments)
    command.strand.start()
    return command.pending


class _Originate:
    """One originate command on its own thread."""

    def __init__(self, switch: Switch, arguments: OriginateArguments) -> None:
        self.pending = Pending()
        self._switch = switch
        self._arguments = arguments
        self.strand = Strand(switch.scheduler, self._steps())

    def _steps(self) -> Steps:
        arguments, attempt = self._arguments, Attempt()
        dial = parse_dial_string(arguments.dial)
        caller = (arguments.caller_name, arguments.caller_number)
        yield from call_out(self._switch, dial, attempt, self.strand, caller, arguments.timeout_seconds)
        leg = attempt.leg
        if attempt.cause is not None or leg is None:
            self.pending.resolve(f"-ERR {attempt.cause or 'NORMAL_TEMPORARY_FAILURE'}\n")
            return
        yield FRAME_SECONDS
        if not leg.is_up or leg.state != State.CONSUME_MEDIA:
            # Somebody else took the leg in the meantime, or it ended.
            self.pending.resolve(f"-ERR {leg.hangup_cause or 'ORIGINATOR_CANCEL'}\n")
            return
        _hand_over(leg, arguments)
        self.pending.resolve(f"+OK {leg.uuid}\n")


def _hand_over(leg: Leg, arguments: OriginateArguments) -> None:
    """Give an answered leg to its application or extension."""
    if not arguments.extension.startswith("&"):
        transfer(leg, arguments.extension, arguments.dialplan, arguments.context)
        return
    app, _, data = arguments.extension[1:].partition(")")[0].partition("(")
    flip_parties(leg)
    leg.extension = [(app, data)]
    leg.set_state(State.EXECUTE)


def call_out(
    switch: Switch,
    dial: DialString,
    attempt: Attempt,
    watcher: Strand,
    caller: tuple[str, str] = ("", ""),
    timeout_seconds: int = 60,
    originator: Leg | None = None,
) -> Steps:
    """Call a destination and wait until it is answered, refuses, rings out, or the originator gives up."""
    uuid = dial.value("origination_uuid") or str(uuid4())
    if uuid in switch.legs:
        attempt.cause = "DESTINATION_OUT_OF_ORDER"
        return
    found = switch.directory.find(dial.endpoint, dial.address) if switch.directory else "SUBSCRIBER_ABSENT"
    if isinstance(found, str):
        attempt.cause = found
        return
    timeout = dial.value("originate_timeout") or dial.value("call_timeout") or dial.value("leg_timeout") or ""
    if timeout.isdigit():
        timeout_seconds = int(timeout)
    leg = _create(switch, uuid, dial, found, originator, caller)
    attempt.leg = leg
    leg.watchers.append(watcher)
    switch.start(leg, machine.run_outbound(leg))
    found.phone.ring(leg)
    yield from _wait_for_answer(leg, dial, timeout_seconds, originator)
    if leg.is_up:
        leg.watchers.remove(watcher)
        return
    if leg.hangup_cause != "NO_ANSWER":
        yield from _let_it_end(leg)
    attempt.cause = leg.hangup_cause


def _wait_for_answer(leg: Leg, dial: DialString, timeout_seconds: int, originator: Leg | None) -> Steps:
    """Wait while the leg rings; the time-out is a comparison of whole epoch seconds, so it fires early (truth 15)."""
    clock = leg.switch.scheduler.clock
    deadline_us = (clock.now_us() // MICROSECONDS + timeout_seconds) * MICROSECONDS
    ignores_early_media = dial.is_true("ignore_early_media")
    while leg.state == State.CONSUME_MEDIA and not leg.answered and (ignores_early_media or not leg.early):
        if originator is not None:
            _pass_progress_on(leg, originator)
        if originator is not None and not originator.is_up:
            leg.hangup("ORIGINATOR_CANCEL")
        elif clock.now_us() >= deadline_us:
            leg.hangup("NO_ANSWER")
        else:
            yield (deadline_us - clock.now_us()) / MICROSECONDS


def _pass_progress_on(leg: Leg, originator: Leg) -> None:
    """Let the caller hear what the called leg hears: ringing or early media."""
    if leg.early:
        originator.pre_answer()
    elif leg.profile.times.progress:
        originator.ring_ready()


def _let_it_end(leg: Leg) -> Steps:
    """Wait for the refused leg's report: the command's result comes after CHANNEL_HANGUP_COMPLETE."""
    while leg.state < State.REPORTING:
        yield FRAME_SECONDS


def _create(
    switch: Switch, uuid: str, dial: DialString, found: Destination, originator: Leg | None, caller: tuple[str, str]
) -> Leg:
    """Create the called leg with the caller that its phone will show."""
    shown = originator.profile if originator is not None else None
    name = dial.value("origination_caller_id_name") or caller[0] or (shown.caller_id_name if shown else "")
    number = dial.value("origination_caller_id_number") or caller[1] or (shown.caller_id_number if shown else "")
    called = found.address.partition("@")[0]
    profile = CallerProfile(
        uuid,
        found.name,
        "outbound",
        called,
        caller_id_name=name,
        caller_id_number=number or "0000000000",
        source="mod_sofia" if originator is not None else "src/switch_ivr_originate.c",
        ani=number or "0000000000",
        callee_id_name="Outbound Call",
        callee_id_number=called,
        orig_caller_id_name=name,
        orig_caller_id_number=number or "0000000000",
    )
    leg = switch.add_leg(found.name, profile)
    leg.far_end = found.phone
    leg.presence_id = found.presence_id
    exported = []
    if originator is not None:
        exported = [(name, originator.variables.get(name) or "") for name in originator.exported]
        leg.partner_block = originator.profile.other_leg_block("originator")
        originator.variables.set("originated_legs", f"{uuid};{name};{number}")
    set_outbound_variables(leg, found.address, [*exported, *found.variables, *dial.variables])
    return leg


def reach(leg: Leg, destination: Destination) -> None:
    """Record that the called phone has answered the INVITE with something: its address is known now."""
    leg.profile.network_addr = "127.0.0.1"
    leg.profile_changed()
    set_reached_variables(leg, destination.address, destination.port)


@application("bridge")
def bridge(a: Leg, data: str) -> Steps:
    """Call a destination for a caller and bridge the two when it answers."""
    if a.strand is None:
        return
    attempt = Attempt()
    dial = parse_dial_string(data)
    timeout = a.variables.get("call_timeout") or ""
    state = a.state
    yield from call_out(
        a.switch, dial, attempt, a.strand, originator=a, timeout_seconds=int(timeout) if timeout.isdigit() else 60
    )
    b = attempt.leg
    if attempt.cause is not None or b is None:
        cause = attempt.cause or "NORMAL_TEMPORARY_FAILURE"
        a.variables.set("originate_disposition", cause)
        if a.is_up and a.state == state and not a.variables.is_true("continue_on_fail"):
            a.hangup(cause)
        return
    a.variables.set("originate_disposition", "SUCCESS")
    yield FRAME_SECONDS
    a.answer()
    a.partner_block = b.profile.other_leg_block("originatee")
    a.profile.callee_id_name, a.profile.callee_id_number = b.profile.callee_id_name, b.profile.callee_id_number
    a.profile_changed()
    yield from bridging.converse(a, b)
