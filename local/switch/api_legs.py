"""Commands on one leg: everything that starts with uuid_."""

from __future__ import annotations

from typing import TYPE_CHECKING

from local.switch import bridging, holding
from local.switch.arguments import separate
from local.switch.causes import cause_from_text
from local.switch.recording import record_command
from local.switch.states import State
from local.switch.transfer import transfer

if TYPE_CHECKING:
    from collections.abc import Callable

    from local.switch.channel import Leg
    from local.switch.core import Switch
    from local.switch.pending import Pending

NO_CHANNEL = "-ERR No such channel!\n"
NO_SESSION = "-ERR Cannot locate session!\n"


def uuid_answer(switch: Switch, argument: str) -> str:
    """Answer a leg."""
    leg = switch.find(argument.strip())
    if leg is None:
        return "-ERROR\n"
    leg.answer()
    return "+OK\n"


def uuid_pre_answer(switch: Switch, argument: str) -> str:
    """Open early media on a leg."""
    leg = switch.find(argument.strip())
    if leg is None:
        return "-ERROR\n"
    leg.pre_answer()
    return "+OK\n"


def uuid_ring_ready(switch: Switch, argument: str) -> str:
    """Let a leg ring."""
    leg = switch.find(argument.split(maxsplit=1)[0] if argument else "")
    if leg is None:
        return NO_CHANNEL
    leg.ring_ready()
    return "+OK\n"


def uuid_kill(switch: Switch, argument: str) -> str:
    """Hang up: `uuid [cause]`; an unknown cause silently becomes NORMAL_CLEARING (wire truth 14)."""
    if not argument:
        return "-USAGE: <uuid> [cause]\n"
    uuid, _, cause = argument.strip().partition(" ")
    leg = switch.find(uuid)
    if leg is None:
        return NO_CHANNEL
    leg.hangup(cause_from_text(cause) if cause.strip() else "NORMAL_CLEARING")
    return "+OK\n"


def uuid_exists(switch: Switch, argument: str) -> str:
    """Look into the live table, which unlike `show channels` doesn't lag (wire truth 19)."""
    return "true" if switch.find(argument.strip()) is not None else "false"


def uuid_getvar(switch: Switch, argument: str) -> str:
    """Print one variable, or _undef_."""
    words = argument.split()
    if len(words) < 2:  # noqa: PLR2004 - uuid and name
        return "-USAGE: <uuid> <var>\n"
    leg = switch.find(words[0])
    if leg is None:
        return NO_CHANNEL
    value = leg.variables.look_up(words[1])
    return "_undef_" if value is None else value


def uuid_setvar(switch: Switch, argument: str) -> str:
    """Set one variable; without a value it is removed."""
    words = separate(argument, limit=3)
    if len(words) < 2:  # noqa: PLR2004 - uuid and name
        return "-USAGE: <uuid> <var> [value]\n"
    leg = switch.find(words[0])
    if leg is None:
        return NO_CHANNEL
    leg.variables.set(words[1], words[2] if len(words) > 2 else None)  # noqa: PLR2004 - the value
    return "+OK\n"


def uuid_setvar_multi(switch: Switch, argument: str) -> str:
    """Set variables: `uuid name=value;name=value`."""
    usage = "-USAGE: <uuid> <var>=<value>;<var>=<value>...\n"
    uuid, _, rest = argument.partition(" ")
    if not rest:
        return usage
    leg = switch.find(uuid)
    if leg is None:
        # The real switch says both.
        return NO_CHANNEL + usage
    for pair in separate(rest, ";"):
        name, _, value = pair.partition("=")
        if name.strip():
            leg.variables.set(name.strip(), value)
    return "+OK\n"


def uuid_dump(switch: Switch, argument: str) -> str:
    """Print a leg's event data: plain by default, or json."""
    words = argument.split()
    leg = switch.find(words[0]) if words else None
    if leg is None:
        return NO_CHANNEL if words else "-USAGE: <uuid> [format]\n"
    event = switch.data_event(leg)
    return event.json_payload() if words[1:] == ["json"] else event.plain_payload()


def uuid_bridge(switch: Switch, argument: str) -> str:
    """Bridge two legs; +OK means begun, not done (truths 16, 17)."""
    words = argument.split()
    if len(words) < 2:  # noqa: PLR2004 - two uuids
        return "-USAGE: <uuid> <other_uuid>\n"
    a, b = switch.find(words[0]), switch.find(words[1])
    who = bridging.command_bridge(a, b) if a is not None and b is not None else None
    return "-ERR Invalid uuid\n" if who is None else f"+OK {who}\n"


def uuid_park(switch: Switch, argument: str) -> str:
    """Park a leg, whatever it does."""
    leg = switch.find(argument.strip())
    if leg is None:
        return NO_CHANNEL
    leg.set_state(State.PARK)
    return "+OK\n"


def uuid_transfer(switch: Switch, argument: str) -> str:
    """Transfer a leg, its partner (-bleg), or both: `uuid [-bleg|-both] extension [dialplan] [context]`."""
    words = separate(argument)
    if not 2 <= len(words) <= 5:  # noqa: PLR2004 - the command's own limits
        return "-USAGE: <uuid> [-bleg|-both] <dest-exten> [<dialplan>] [<context>]\n"
    leg = switch.find(words[0])
    if leg is None:
        return NO_CHANNEL
    which = words[1].lstrip("-") if words[1] in {"-bleg", "-both"} else "aleg"
    target = words[1:] if which == "aleg" else words[2:]
    if not target:
        return "-USAGE: <uuid> [-bleg|-both] <dest-exten> [<dialplan>] [<context>]\n"
    other = leg.bridge.other(leg) if leg.bridge is not None else None
    chosen: dict[str, list[Leg | None]] = {"aleg": [leg], "bleg": [other], "both": [other, leg]}
    for each in chosen[which]:
        if each is not None and each.is_up:
            transfer(each, target[0], *target[1:3])
    return "+OK\n"


def uuid_broadcast(switch: Switch, argument: str) -> str:
    """Play or execute on a leg and/or its partner: `uuid path|app::data [aleg|bleg|both]`."""
    words = separate(argument)
    if len(words) < 2:  # noqa: PLR2004 - uuid and path
        return "-USAGE: <uuid> <path> [aleg|bleg|holdb|both]\n"
    leg = switch.find(words[0])
    if leg is None:
        return "-ERR invalid uuid\n"
    app, separator, data = words[1].partition("::")
    if not separator:
        app, data = "playback", words[1]
    which = words[2] if len(words) > 2 else "aleg"  # noqa: PLR2004 - the third word
    other = leg.bridge.other(leg) if leg.bridge is not None else None
    for each in ([leg] if which in {"aleg", "both", "holdb"} else []) + ([other] if which in {"bleg", "both"} else []):
        if each is not None and each.is_up:
            each.broadcast(app, data)
    return "+OK Message sent\n"


def uuid_break(switch: Switch, argument: str) -> str:
    """Stop what plays; with `all` also what waits in the queue."""
    words = argument.split()
    leg = switch.find(words[0]) if words else None
    if leg is None:
        return NO_CHANNEL if words else "-USAGE: <uuid> [all]\n"
    if words[1:] == ["all"]:
        leg.private_commands.clear()
    if leg.playing is not None:
        leg.break_playback = True
    leg.wake()
    return "+OK\n"


def uuid_hold(switch: Switch, argument: str) -> str:
    """Hold, or `off` resume. A uuid that doesn't exist gives +OK too (wire truth 9)."""
    words = argument.split()
    if not words:
        return "-USAGE: [off|toggle] <uuid> [<display>]\n"
    action = words.pop(0) if words[0] in {"off", "toggle"} else "on"
    leg = switch.find(words[0]) if words else None
    if leg is not None:
        wants_hold = not leg.held if action == "toggle" else action == "on"
        (holding.hold if wants_hold else holding.resume)(leg)
    return "+OK Success\n"


def uuid_send_dtmf(switch: Switch, argument: str) -> str:
    """Send digits to a leg's phone."""
    return _digits(switch, argument, "sent")


def uuid_recv_dtmf(switch: Switch, argument: str) -> str:
    """Pretend that a leg's phone sent digits."""
    return _digits(switch, argument, "received")


def _digits(switch: Switch, argument: str, verb: str) -> str:
    uuid, _, data = argument.partition(" ")
    if not data:
        return "-USAGE: <uuid> <dtmf_data>[@<tone_duration>]\n"
    leg = switch.find(uuid)
    if leg is None:
        return NO_SESSION
    if verb == "sent":
        switch.send_digits(leg, data)
    else:
        digits, _, duration = data.partition("@")
        samples = int(duration) * 9 // 8 if duration.isdigit() else 2250
        for place, digit in enumerate(digits):
            switch.scheduler.after(0.02 * (place + 1), lambda digit=digit: leg.receive_digit(digit, "APP", samples))  # type: ignore[misc] # a lambda with a default
    return f"+OK {uuid} {verb} DTMF {data}.\n"


def uuid_flush_dtmf(switch: Switch, argument: str) -> str:
    """Forget the digits that nobody has read."""
    leg = switch.find(argument.strip())
    if leg is None:
        return "-ERR no session\n"
    leg.digits.clear()
    return "+OK\n"


def uuid_displace(switch: Switch, argument: str) -> str:
    """Play over a leg's sound without touching what it does: `uuid start|stop path [limit] [mux]`."""
    words = separate(argument)
    if len(words) < 3:  # noqa: PLR2004 - uuid, action, path
        return "-USAGE: <uuid> [start|stop] <path> [<limit>] [mux]\n"
    leg = switch.find(words[0])
    if leg is None:
        return NO_SESSION
    bug = ("displace", words[2])
    if words[1] == "start":
        if switch.sounds.find(words[2]) is None:
            return "-ERR Cannot displace session!\n"
        leg.media_bugs.append(bug)
        leg.emit("MEDIA_BUG_START", f"Media-Bug-Function: displace\nMedia-Bug-Target: {words[2]}\n")
        return "+OK Success\n"
    if bug not in leg.media_bugs:
        return "-ERR Cannot stop displace session!\n"
    leg.media_bugs.remove(bug)
    leg.emit("MEDIA_BUG_STOP", f"Media-Bug-Function: displace\nMedia-Bug-Target: {words[2]}\n")
    return "+OK Success\n"


def uuid_audio(switch: Switch, argument: str) -> str:
    """Mute or change a leg's level: `uuid [start [read|write] [mute|level <level>]|stop]`."""
    words = argument.split()
    usage = "-USAGE: <uuid> [start [read|write] [mute|level <level>]|stop]\n"
    if len(words) < 2:  # noqa: PLR2004 - uuid and action
        return usage
    leg = switch.find(words[0])
    if leg is None:
        return NO_CHANNEL
    if words[1] == "start" and len(words) >= 5 and words[2] in {"read", "write"}:  # noqa: PLR2004 - all words
        leg.catch_up_recordings()
        leg.muted = words[2] == "read" and words[3] == "mute" and words[4] != "0"
        return "+OK\n"
    if words[1] == "stop":
        leg.catch_up_recordings()
        leg.muted = False
        return "+OK\n"
    return usage


def uuid_phone_event(switch: Switch, argument: str) -> str:
    """Make a phone do something by NOTIFY; simulated phones talk when told to."""
    words = argument.split()
    leg = switch.find(words[0]) if words else None
    if leg is None:
        return "-ERR Operation failed\n" if words else "-USAGE: <uuid>\n-ERR Operation failed\n"
    if words[1:] == ["talk"] and leg.state == State.CONSUME_MEDIA:
        leg.answer()
    return "+OK Success\n"


def _on_leg(text: str, missing: str = NO_CHANNEL) -> Callable[[Switch, str], str]:
    """Return a command that only checks that the leg lives: it changes nothing that anybody can see here."""

    def run(switch: Switch, argument: str) -> str:
        words = argument.split()
        return text if words and switch.find(words[0]) is not None else missing

    return run


LEG_COMMANDS: dict[str, Callable[[Switch, str], str | Pending]] = {
    "uuid_answer": uuid_answer,
    "uuid_pre_answer": uuid_pre_answer,
    "uuid_ring_ready": uuid_ring_ready,
    "uuid_kill": uuid_kill,
    "uuid_exists": uuid_exists,
    "uuid_getvar": uuid_getvar,
    "uuid_setvar": uuid_setvar,
    "uuid_setvar_multi": uuid_setvar_multi,
    "uuid_dump": uuid_dump,
    "uuid_bridge": uuid_bridge,
    "uuid_park": uuid_park,
    "uuid_transfer": uuid_transfer,
    "uuid_broadcast": uuid_broadcast,
    "uuid_break": uuid_break,
    "break": uuid_break,
    "uuid_hold": uuid_hold,
    "uuid_send_dtmf": uuid_send_dtmf,
    "uuid_recv_dtmf": uuid_recv_dtmf,
    "uuid_flush_dtmf": uuid_flush_dtmf,
    "uuid_displace": uuid_displace,
    "uuid_audio": uuid_audio,
    "uuid_phone_event": uuid_phone_event,
    "uuid_record": record_command,
    "uuid_display": _on_leg("+OK Success\n"),
    "uuid_media": _on_leg("+OK Success\n", "-ERR Operation failed\n"),
    "uuid_session_heartbeat": _on_leg("+OK\n", "-ERR No such channel!\n"),
}
