"""Each command as what is written to FreeSWITCH, through the encoders that let no value become a second command."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from services.listener.adapters.sip_route import SipRoute
from services.listener.domain.directory import Directory
from services.listener.domain.headers import (
    AFTER_TALK_EXTENSION,
    CALL_VARIABLE,
    COMMAND_VARIABLE,
    DIGITS_VARIABLE,
    DOMAIN_VARIABLE,
    FALLBACK_EXTENSION,
    LEASED_VARIABLE,
    PROMPTS_PREFIX,
    TENANT_VARIABLE,
)
from services.listener.domain.prompts import SHORTEST_SILENCE, PromptLibrary, answer_pattern, music
from services.listener.domain.recordings import answer_path, recording_path, safe_name
from services.shared.contracts.ringmaster.v1 import command_pb2 as pb
from services.shared.esl import commands as esl
from services.shared.esl.errors import UnsafeValue

DIALPLAN_CONTEXT = "ringmaster"
EARLY_SECONDS = 1
"""FreeSWITCH counts whole seconds of its clock, so its timers fire up to one second early (wire truth 15)."""
MUSIC_PREFIX = "music."
RINGING_TONE = "tone_stream://%(1000,4000,425);loops=-1"
"""What a European exchange plays while it rings (ITU-T E.180), endless."""
SILENCE_ENERGY = 200
"""Mean amplitude below which FreeSWITCH's `record` hears silence, of 32,767; it counts it in seconds."""
CONFERENCE_PROFILE = "default"
"""Not with the flag mintwo: two who leave a room for each other leave it one after the other, and it would end both."""
ENDS_ROOM = "+flags{mandatory_member_endconf}"
"""A room ends, about a second later, when all who came with this have left: FreeSWITCH counts them (docs/adr/0057)."""
GUARD = esl.Verbatim(
    f"expand ${{cond('${{variable_bridge_to}}${{variable_{LEASED_VARIABLE}}}' == 'true'"
    f" ? uuid_transfer ${{Unique-ID}} {FALLBACK_EXTENSION} XML {DIALPLAN_CONTEXT}"
    f" : uuid_setvar ${{Unique-ID}} {LEASED_VARIABLE} false)}}"
)
"""What a lease does when it runs out: it helps who waits, and lets go of who talks.

The switch writes `bridge_to` on both legs of a bridge for as long as it lasts. One `expand` puts the leg's headers in,
the other runs what comes of it. Whoever talks is no longer leased: else nothing would guard them after the talk.
"""
_DIGITS = frozenset("0123456789*#ABCD")
_SECOND_ORIGINATE = re.compile("(?<=:)_(?=:)")


@dataclass(frozen=True, slots=True)
class Step:
    """One command on the wire. One that is not required only prepares or clears: its refusal decides nothing."""

    wire: esl.Command
    required: bool = True
    only_while_playing: bool = False
    """A break sent to a leg that plays nothing would cut what it plays next."""


@dataclass(frozen=True, slots=True)
class Planner:
    """Knows the node's folders and gateway. `plan` raises UnsafeValue or UnsafeName for what may not be written."""

    prompts: PromptLibrary
    directory: Directory
    recordings_root: str
    gateway: str
    sip: SipRoute

    def plan(self, command: pb.Command) -> list[Step]:
        """Return the steps of any action but originate, in the order of the wire."""
        action = command.WhichOneof("action") or ""
        build = _PLANS.get(action)
        if build is None:
            raise UnsafeValue(f"there is no action {action!r}")
        return build(self, command)

    def originate(self, command: pb.Command) -> esl.Command:
        """Return the background originate; the new leg waits parked when it is answered.

        A SIP address is resolved first, which may take seconds.
        """
        action = command.originate_leg
        variables = {
            "origination_uuid": command.leg_id,
            "ignore_early_media": "true",
            "hangup_after_bridge": "true",
            # Who answers with another address (3xx) refuses: nobody has judged that one.
            "outbound_redirect_fatal": "true",
            TENANT_VARIABLE: command.tenant_id,
            CALL_VARIABLE: command.call_id,
            COMMAND_VARIABLE: command.command_id,
        }
        if command.domain:
            variables[DOMAIN_VARIABLE] = safe_name(command.domain)
        if action.caller_number:
            variables["origination_caller_id_number"] = _shown(action.caller_number)
        if action.caller_name:
            variables["origination_caller_id_name"] = _shown(action.caller_name)
        return esl.originate(self._endpoint(command), "park", variables=variables, timeout_seconds=ring_seconds(action))

    def _endpoint(self, command: pb.Command) -> str:
        action = command.originate_leg
        match action.WhichOneof("destination"):
            case "phone":
                return f"user/{action.phone}"
            case "sip":
                return self.sip.endpoint(action.sip)
            case _:
                return f"sofia/gateway/{self._gateway(command)}/{action.number}"

    def _gateway(self, command: pb.Command) -> str:
        """Return the node's gateway, or the tenant's own of the name that it gives: no other tenant's can be named."""
        own = command.originate_leg.gateway
        return safe_name(f"{command.tenant_id}.{safe_name(own)}") if own else safe_name(self.gateway)

    def recording(self, command: pb.Command, recording_id: str) -> str:
        """Return the file of a recording of this command's call."""
        return recording_path(self.recordings_root, command.tenant_id, command.call_id or command.leg_id, recording_id)

    def answer(self, command: pb.Command) -> str:
        """Return the file of what a caller answers to this command."""
        return answer_path(self.recordings_root, command.tenant_id, command.command_id)

    def sound(self, command: pb.Command, prompts: Sequence[pb.Prompt]) -> str:
        """Return the prompts as one file name."""
        return self.prompts.sound(prompts, command.tenant_id, self.directory.language_of(command.tenant_id))


def ring_seconds(action: pb.OriginateLeg) -> int:
    """Return the ring time-out in FreeSWITCH's whole seconds, never shorter than asked."""
    return -(-(action.ring_timeout_ms or 30_000) // 1000) + EARLY_SECONDS


def _shown(text: str) -> str:
    """Return a caller's name or number as a phone may show it.

    It was written by a stranger. What an originate can't carry is left out here: refused there, nobody would be rung,
    and the agents whose phones were not would be taken for broken.
    """
    plain = "".join(" " if character in "{}$" or not character.isprintable() else character for character in text)
    return _SECOND_ORIGINATE.sub(" ", plain)[:128]


def _lease(_planner: Planner, command: pb.Command) -> list[Step]:
    """Set the guard anew, or take it off. The leg itself says so first: its dialplan asks at any moment."""
    leg_id, seconds = command.leg_id, command.lease_leg.seconds
    leased = Step(esl.set_variables(leg_id, {LEASED_VARIABLE: "true" if seconds else "false"}))
    steps = [leased, Step(esl.api("sched_del", leg_id), required=False)]
    if seconds:
        task = ("expand", f"uuid:{esl_word(leg_id)}")
        steps.append(Step(esl.api("sched_api", f"+{seconds + EARLY_SECONDS}", leg_id, *task, text=GUARD)))
    return steps


def esl_word(leg_id: str) -> str:
    """Return a leg id that stays one word inside a scheduled command. Raises UnsafeName."""
    return safe_name(leg_id)


def _answer(_planner: Planner, command: pb.Command) -> list[Step]:
    return [Step(esl.api("uuid_answer", command.leg_id))]


def _play(planner: Planner, command: pb.Command) -> list[Step]:
    sound = planner.sound(command, command.play_prompt.prompts)
    return [Step(esl.execute(command.leg_id, "playback", sound, event_id=command.command_id))]


def _collect(planner: Planner, command: pb.Command) -> list[Step]:
    """Ask by play_and_get_digits. Digits left over from before would end it at once (wire truth 21): flush first."""
    ask = command.collect_digits
    prompts = planner.sound(command, ask.prompts)
    if ask.prompts_first:
        return [_break(command), *_heard_out(command, prompts), _question(planner, command, SHORTEST_SILENCE)]
    flush = Step(esl.api("uuid_flush_dtmf", command.leg_id), required=False)
    return [_break(command), flush, _question(planner, command, prompts)]


def _heard_out(command: pb.Command, prompts: str) -> list[Step]:
    """Play prompts that no digit stops, and forget what was pressed until their end; the question waits for both.

    Every digit stops the prompts of play_and_get_digits, so they are played before it. A refusal of theirs decides
    nothing: the question behind them is refused too.
    """
    leg_id = command.leg_id
    playback_id = PROMPTS_PREFIX + command.command_id
    return [
        Step(esl.set_variables(leg_id, {"playback_terminators": "none"}), required=False),
        Step(esl.execute(leg_id, "playback", prompts, event_id=playback_id, lock=True), required=False),
        Step(esl.execute(leg_id, "flush_dtmf", lock=True), required=False),
    ]


def _question(planner: Planner, command: pb.Command, prompts: str) -> Step:
    ask = command.collect_digits
    most = max(1, ask.max_digits)
    invalid = planner.sound(command, ask.invalid_prompts)
    words = [
        str(min(max(1, ask.min_digits), most)),
        str(most),
        str(max(1, ask.tries)),
        str(max(1, ask.timeout_ms)),
        "".join(dict.fromkeys(digit for digit in ask.terminators if digit in _DIGITS)) or "none",
        f"'{prompts}'",
        f"'{invalid}'",
        DIGITS_VARIABLE,
        answer_pattern(list(ask.valid), most),
        str(ask.digit_timeout_ms or max(1, ask.timeout_ms)),
    ]
    return Step(
        esl.execute(command.leg_id, "play_and_get_digits", " ".join(words), event_id=command.command_id, lock=True)
    )


def _record_answer(planner: Planner, command: pb.Command) -> list[Step]:
    """Record the caller alone until silence, counted from the beginning too, or a digit, which stays to be told.

    No digit stops what the caller hears after it: the leg gets back what our dialplan gave it.
    """
    ask = command.record_answer
    digits = "".join(dict.fromkeys(digit for digit in ask.digits if digit in _DIGITS)) or "none"
    most, silence = max(1, ask.most_seconds), max(1, ask.silence_seconds)
    words = (planner.answer(command), str(most), str(SILENCE_ENERGY), str(silence))
    return [
        _break(command),
        Step(esl.set_variables(command.leg_id, {"playback_terminators": digits, "RECORD_STEREO": "false"})),
        Step(esl.execute(command.leg_id, "record", " ".join(words), event_id=command.command_id, lock=True)),
        Step(esl.execute(command.leg_id, "set", "playback_terminators=none", lock=True), required=False),
    ]


def _music(_planner: Planner, command: pb.Command) -> list[Step]:
    """Play a stream, which has no end. A prompt that comes later plays over it, and it goes on after (truth 21)."""
    return [
        _break(command),
        Step(
            esl.execute(
                command.leg_id,
                "playback",
                RINGING_TONE if command.start_music.ringing else music(command.start_music.stream),
                event_id=MUSIC_PREFIX + command.command_id,
            )
        ),
    ]


def _stop_playback(_planner: Planner, command: pb.Command) -> list[Step]:
    return [_break(command)]


def _break(command: pb.Command) -> Step:
    return Step(esl.api("uuid_break", command.leg_id, "all"), required=False, only_while_playing=True)


def _bridge(_planner: Planner, command: pb.Command) -> list[Step]:
    """Bridge. It ends whatever plays on both legs by itself; a break sent before could hit what comes after."""
    action = command.bridge_legs
    return [
        _after_bridge(command, command.leg_id, stays=action.park_after),
        _after_bridge(command, action.other_leg_id, stays=action.park_other_after),
        Step(esl.api("uuid_bridge", command.leg_id, action.other_leg_id)),
    ]


def _after_bridge(command: pb.Command, leg_id: str, *, stays: bool) -> Step:
    """Say what becomes of a leg whose partner leaves: FreeSWITCH does it by itself, also without us.

    A customer who stays is parked by the dialplan, with a guard against silence (docs/adr/0054).
    """
    if not stays:
        return Step(_afterwards(leg_id, hang_up="true"))
    if leg_id != command.call_id:
        return Step(_afterwards(leg_id, park="true"))
    return Step(_afterwards(leg_id, transfer=f"{AFTER_TALK_EXTENSION}:XML:{DIALPLAN_CONTEXT}"))


def _afterwards(leg_id: str, *, park: str = "false", hang_up: str = "false", transfer: str = "") -> esl.Command:
    """Write all three together: of what an earlier bridge was to be followed by, nothing may be left."""
    return esl.set_variables(
        leg_id, {"park_after_bridge": park, "transfer_after_bridge": transfer, "hangup_after_bridge": hang_up}
    )


def _part(_planner: Planner, command: pb.Command) -> list[Step]:
    """Park one of two bridged legs. Its partner parks by the variable, whichever of them the switch asks first."""
    return [
        Step(_afterwards(command.leg_id, park="true")),
        Step(_afterwards(command.part_legs.other_leg_id, park="true")),
        Step(esl.api("uuid_park", command.leg_id)),
    ]


def _hang_up(_planner: Planner, command: pb.Command) -> list[Step]:
    return [Step(esl.api("uuid_kill", command.leg_id, safe_name(command.hang_up_leg.cause or "NORMAL_CLEARING")))]


def _hand_over(_planner: Planner, command: pb.Command) -> list[Step]:
    """Have the leg itself say whose it is: a listener that lost its table reads it there."""
    order = command.hand_over_leg
    place = f"{safe_name(order.to_domain) if order.to_domain else ''}:{order.hop}"
    return [Step(esl.set_variables(command.leg_id, {DOMAIN_VARIABLE: place}), required=False)]


def _hold(_planner: Planner, command: pb.Command) -> list[Step]:
    """Hold; FreeSWITCH says +OK for a leg that does not exist too (wire truth 9), so it is asked."""
    return [Step(esl.api("uuid_exists", command.leg_id)), Step(esl.api("uuid_hold", command.leg_id))]


def _resume(_planner: Planner, command: pb.Command) -> list[Step]:
    return [Step(esl.api("uuid_exists", command.leg_id)), Step(esl.api("uuid_hold", "off", command.leg_id))]


def _start_recording(planner: Planner, command: pb.Command) -> list[Step]:
    """Record what is heard in bridges only: nobody agreed to be recorded while waiting, and no talk leaves no file.

    A message that a caller leaves is the exception: it is meant to be recorded, and nobody else is there.
    """
    action = command.start_recording
    path = planner.recording(command, action.recording_id)
    limit = [str(action.limit_seconds)] if action.limit_seconds else []
    needs_bridge = "false" if action.without_bridge else "true"
    return [
        Step(esl.set_variables(command.leg_id, {"RECORD_STEREO": "true", "RECORD_BRIDGE_REQ": needs_bridge})),
        Step(esl.api("uuid_record", command.leg_id, "start", path, *limit)),
    ]


def _stop_recording(planner: Planner, command: pb.Command) -> list[Step]:
    return [_record(planner, command, "stop", command.stop_recording.recording_id)]


def _mask(planner: Planner, command: pb.Command) -> list[Step]:
    return [_record(planner, command, "mask", command.mask_recording.recording_id)]


def _unmask(planner: Planner, command: pb.Command) -> list[Step]:
    return [_record(planner, command, "unmask", command.unmask_recording.recording_id)]


def _record(planner: Planner, command: pb.Command, what: str, recording_id: str) -> Step:
    return Step(esl.api("uuid_record", command.leg_id, what, planner.recording(command, recording_id)))


def _send_digits(_planner: Planner, command: pb.Command) -> list[Step]:
    digits = command.send_digits.digits
    if not digits or not set(digits) <= _DIGITS:
        raise UnsafeValue("digits are 0-9, *, #, A-D")
    return [Step(esl.api("uuid_send_dtmf", command.leg_id, digits))]


def _mute(_planner: Planner, command: pb.Command) -> list[Step]:
    words = ("start", "read", "mute", "-1") if command.mute_leg.muted else ("stop",)
    return [Step(esl.api("uuid_audio", command.leg_id, *words))]


def _eavesdrop(_planner: Planner, command: pb.Command) -> list[Step]:
    """Listen to the agent's leg: what is whispered to its B side is heard by the agent (wire truth 27)."""
    mode = command.eavesdrop_leg.mode
    heard_by = {
        "eavesdrop_whisper_aleg": mode == pb.EAVESDROP_MODE_BARGE,
        "eavesdrop_whisper_bleg": mode in (pb.EAVESDROP_MODE_WHISPER, pb.EAVESDROP_MODE_BARGE),
    }
    target_id = command.eavesdrop_leg.target_leg_id
    return [
        Step(esl.api("uuid_exists", target_id)),
        Step(esl.set_variables(command.leg_id, {name: str(on).lower() for name, on in heard_by.items()})),
        Step(esl.api("uuid_transfer", command.leg_id, f"eavesdrop:{esl_word(target_id)}", "inline")),
    ]


def _conference(_planner: Planner, command: pb.Command) -> list[Step]:
    """Move the leg by a transfer: an application would run inside its bridge, and the partner would hear nothing.

    The customer may be that partner, who comes next: a guard that the dialplan sets in between would follow them there.
    When all others have left, the room ends, and the customer goes where they go after a talk.
    """
    room = f"conference:{safe_name(command.join_conference.conference_id)}@{CONFERENCE_PROFILE}"
    if command.call_id in ("", command.leg_id):
        leads = f"set:{LEASED_VARIABLE}=false,set:hangup_after_conference=false"
        after = f"transfer:{AFTER_TALK_EXTENSION} XML {DIALPLAN_CONTEXT}"
        return [Step(esl.api("uuid_transfer", command.leg_id, text=f"'{leads},{room},{after}' inline"))]
    joins = Step(esl.api("uuid_transfer", command.leg_id, room + ENDS_ROOM, "inline"))
    return [Step(_afterwards(command.call_id, park="true"), required=False), joins]


_PLANS: dict[str, Callable[[Planner, pb.Command], list[Step]]] = {
    "lease_leg": _lease,
    "answer_leg": _answer,
    "play_prompt": _play,
    "collect_digits": _collect,
    "record_answer": _record_answer,
    "start_music": _music,
    "stop_playback": _stop_playback,
    "bridge_legs": _bridge,
    "hang_up_leg": _hang_up,
    "hand_over_leg": _hand_over,
    "hold_leg": _hold,
    "resume_leg": _resume,
    "start_recording": _start_recording,
    "stop_recording": _stop_recording,
    "mask_recording": _mask,
    "unmask_recording": _unmask,
    "send_digits": _send_digits,
    "mute_leg": _mute,
    "eavesdrop_leg": _eavesdrop,
    "join_conference": _conference,
    "part_legs": _part,
}
