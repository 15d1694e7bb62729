"""Commands about the switch as a whole: status, schedule, globals, registrations, shutdown."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING
from uuid import uuid4

from local.switch.causes import Q850, cause_from_text
from local.switch.clock import MICROSECONDS
from local.switch.conditions import cond
from local.switch.expansion import expand as expanded

if TYPE_CHECKING:
    from collections.abc import Callable

    from local.switch.core import Switch
    from local.switch.pending import Pending
    from local.switch.registrations import Registration

VERSION_TEXT = "FreeSWITCH Version 1.10.12-release~64bit ( 64bit)\n"


def status(switch: Switch, _argument: str) -> str:
    """Print the well-known status text."""
    return (
        f"UP {switch.uptime_text()}\n"
        "FreeSWITCH (Version 1.10.12-release  64bit) is ready\n"
        f"{switch.sessions_since_startup} session(s) since startup\n"
        f"{len(switch.legs)} session(s) - peak {switch.peak_sessions}, last 5min {switch.peak_sessions} \n"
        f"{switch.sessions_last_second()} session(s) per Sec out of max 2000, peak "
        f"{switch.peak_sessions_per_second}, last 5min {switch.peak_sessions_per_second} \n"
        f"{switch.max_sessions} session(s) max\n"
        "min idle cpu 0.00/97.87\n"
        "Current Stack Size/Max 240K/240K\n"
    )


def uptime(switch: Switch, argument: str) -> str:
    """Print the uptime: seconds by default, or s, ms, us, m, h, d."""
    microseconds = switch.uptime_us()
    units = {"us": 1, "ms": 1_000, "s": 1_000_000, "m": 60_000_000, "h": 3_600_000_000, "d": 86_400_000_000}
    return f"{microseconds // units.get(argument.strip() or 's', 1_000_000)}\n"


def sched_api(switch: Switch, argument: str) -> str:
    """Schedule a command: `[+@]time group command`."""
    words = argument.split(" ", 2)
    if len(words) < 3:  # noqa: PLR2004 - time, group and command
        return "-ERR Invalid syntax. USAGE: [+@]<time> <group_name> <command_string>[&]\n"
    return f"+OK Added: {switch.tasks.add(words[0], words[1], words[2].removesuffix('&'))}\n"


def sched_del(switch: Switch, argument: str) -> str:
    """Delete a scheduled command by number, or all of a group."""
    if not argument:
        return "-ERR Invalid syntax. USAGE: <task_id>|<group_id>\n"
    return f"+OK Deleted: {switch.tasks.delete(argument.strip())}\n"


def unsched_api(switch: Switch, argument: str) -> str:
    """Delete one scheduled command by number."""
    word = argument.strip()
    if not word.isdigit():
        return "-ERR Invalid syntax. USAGE: <task_id>\n"
    return "+OK\n" if switch.tasks.delete(word) else "-ERR No such id\n"


def hupall(switch: Switch, argument: str) -> str:
    """Hang up every leg, or those on which variables have values."""
    words = argument.split()
    cause = words[0].upper() if words and words[0].upper() in Q850 else "MANAGER_REQUEST"
    pairs = list(zip(words[1::2], words[2::2], strict=False))
    for leg in list(switch.legs.values()):
        if all(leg.variables.get(name) == value for name, value in pairs):
            leg.hangup(cause)
    if not pairs:
        return f"+OK hangup all channels with cause {cause}\n"
    name, value = pairs[0]
    return f"+OK hangup all channels matching [{name}]=[{value}] with cause: {cause}\n"


def fsctl(switch: Switch, argument: str) -> str:
    """Obey the few controls that the platform and its tests use."""
    words = argument.split()
    if words[:1] == ["shutdown"]:
        if switch.on_shutdown is not None:
            switch.on_shutdown("now" if "now" in words else "clean")
        return "+OK\n"
    if words[:1] == ["max_sessions"]:
        if len(words) > 1 and words[1].isdigit():
            switch.max_sessions = int(words[1])
        return f"+OK max sessions: {switch.max_sessions}\n"
    if words[:1] == ["last_sps"]:
        return f"+OK last sessions per second: {switch.sessions_last_second()}\n"
    if words[:1] == ["hupall"]:
        return hupall(switch, " ".join(words[1:]))
    if words[:1] in (["pause"], ["resume"], ["loglevel"], ["debug_level"], ["sync_clock"], ["reclaim_mem"]):
        return "+OK\n"
    return "-USAGE: [recover|send_sighup|hupall|pause [inbound|outbound]|resume [inbound|outbound]|shutdown [cancel|elegant|asap|now|restart]|sps|sps_peak_reset|sync_clock|sync_clock_when_idle|reclaim_mem|max_sessions|min_dtmf_duration [num]|max_dtmf_duration [num]|default_dtmf_duration [num]|min_idle_cpu|loglevel [level]|debug_level [level]|debug_sql|debug_pool|threaded_system_exec|mdns_resolve]\n"  # noqa: E501 - one line on the wire


def global_getvar(switch: Switch, argument: str) -> str:
    """Print one global variable, or all of them."""
    known = {**switch.globals, "core_uuid": switch.bus.identity.core_uuid}
    if not argument:
        return "".join(f"{name}={value}\n" for name, value in known.items())
    return known.get(argument.strip(), "")


def global_setvar(switch: Switch, argument: str) -> str:
    """Set one global variable."""
    name, equals, value = argument.partition("=")
    if not equals:
        return "-USAGE: <var>=<value> [=<value2>]\n"
    switch.globals[name.strip()] = value
    return "+OK"


def sofia(switch: Switch, argument: str) -> str:
    """Print profiles, gateways or one user's registrations."""
    words = argument.split()
    if words[:1] == ["status"] and len(words) == 1:
        line = "=" * 98
        registered = len(switch.registrations)
        return (
            f"{'Name':>25}\t{'Type':>10}\t{'Data':>40}\t{'State'}\n{line}\n"
            f"{'internal':>25}\t{'profile':>10}\t{'sip:mod_sofia@127.0.0.1:5060':>40}\tRUNNING ({registered})\n"
            f"{'external':>25}\t{'profile':>10}\t{'sip:mod_sofia@127.0.0.1:5080':>40}\tRUNNING (0)\n"
            f"{line}\n2 profiles 0 aliases\n"
        )
    if words[:1] == ["status"]:
        return "".join(map(_registration_text, switch.registrations.rows()))
    if words[:1] in (["profile"], ["global"]):
        return "+OK Success\n"
    return "-USAGE: sofia <status|profile|global>\n"


def _registration_text(row: Registration) -> str:
    return (
        f"Call-ID:    \t{row.token}\nUser:       \t{row.user}@{row.realm}\nContact:    \t{row.url}\n"
        f"Status:     \tRegistered(UDP)(unknown) EXP({row.expires})\n\n"
    )


def sofia_contact(switch: Switch, argument: str) -> str:
    """Print where a user is registered, or the error that a dial string would meet."""
    user, _, realm = argument.strip().rpartition("/")[2].partition("@")
    row = switch.registrations.find(user, realm or switch.globals["domain"])
    return row.url if row is not None else "error/user_not_registered"


def cdr_csv(switch: Switch, argument: str) -> str:
    """Begin a new file of call records."""
    if argument != "rotate" or switch.call_records is None:
        return ""
    moment = time.localtime(switch.scheduler.clock.now_us() // 1_000_000)
    switch.call_records.rotate(time.strftime("%Y-%m-%d-%H-%M-%S", moment))
    return "+OK"


def strftime(switch: Switch, argument: str) -> str:
    """Print the switch's date by a format."""
    moment = time.localtime(switch.scheduler.clock.now_us() // MICROSECONDS)
    return time.strftime(argument or "%Y-%m-%d %T", moment)


def reload_xml(switch: Switch, _argument: str) -> str:
    """Read the configuration anew."""
    switch.bus.emit("RELOADXML")
    return "+OK [Success]\n"


def _constant(text: str) -> Callable[[Switch, str], str]:
    return lambda _switch, _argument: text


def expand(switch: Switch, argument: str) -> str | Pending:
    """Run another command with its arguments expanded: `[uuid:<uuid> ]<command> <arguments>` (mod_commands.c).

    A `${name}` is a header of the leg's events (`variable_x`, `Unique-ID`), else a global variable; a `${command(…)}`
    is what that command answers. The command's own name stays as it is.
    """
    leg = None
    if argument.lower().startswith("uuid:"):
        uuid, _, argument = argument[5:].partition(" ")
        leg = switch.find(uuid)
    if not argument:
        return "-ERR No input\n"
    event = None if leg is None else switch.data_event(leg)

    def look_up(name: str) -> str:
        header = event.header(name) if event is not None else None
        return header or switch.globals.get(name, "")

    def run(command: str, words: str) -> str:
        result = switch.api.run(command, words)
        return result if isinstance(result, str) else ""

    name, _, rest = argument.partition(" ")
    if not switch.api.knows(name):
        return "INVALID COMMAND!\n-ERR Cannot execute command\n"
    return switch.api.run(name, expanded(rest, look_up, run).strip())


def sched_hangup(switch: Switch, argument: str) -> str:
    """Hang a leg up later: `[+]time uuid [cause]`."""
    words = argument.split()
    if len(words) < 2:  # noqa: PLR2004 - time and uuid
        return "-USAGE: [+]<time> <uuid> [<cause>]\n"
    if switch.find(words[1]) is None:
        return "-ERR No such channel!\n"
    cause = cause_from_text(words[2]) if len(words) > 2 else "ALLOTTED_TIMEOUT"  # noqa: PLR2004 - the third word
    switch.tasks.add(words[0], words[1], f"uuid_kill {words[1]} {cause}", "switch_ivr_schedule_hangup")
    return "+OK\n"


def sched_transfer(switch: Switch, argument: str) -> str:
    """Transfer a leg later: `[+]time uuid extension [dialplan] [context]`."""
    words = argument.split()
    if len(words) < 3:  # noqa: PLR2004 - time, uuid and extension
        return "-USAGE: [+]<time> <uuid> <extension> [<dialplan>] [<context>]\n"
    if switch.find(words[1]) is None:
        return "-ERR No such channel!\n"
    command = f"uuid_transfer {words[1]} {' '.join(words[2:])}"
    switch.tasks.add(words[0], words[1], command, "switch_ivr_schedule_transfer")
    return "+OK\n"


CORE_COMMANDS: dict[str, Callable[[Switch, str], str | Pending]] = {
    "status": status,
    "uptime": uptime,
    "version": _constant(VERSION_TEXT),
    "hostname": lambda switch, _argument: switch.bus.identity.hostname,
    "switchname": lambda switch, _argument: switch.bus.identity.switchname,
    "create_uuid": lambda _switch, _argument: str(uuid4()),
    "echo": lambda _switch, argument: argument,
    "expand": expand,
    "cond": lambda _switch, argument: cond(argument),
    "sched_api": sched_api,
    "sched_del": sched_del,
    "unsched_api": unsched_api,
    "sched_hangup": sched_hangup,
    "sched_transfer": sched_transfer,
    "hupall": hupall,
    "fsctl": fsctl,
    "shutdown": lambda switch, _argument: fsctl(switch, "shutdown now"),
    "global_getvar": global_getvar,
    "global_setvar": global_setvar,
    "sofia": sofia,
    "sofia_contact": sofia_contact,
    "strftime": strftime,
    "cdr_csv": cdr_csv,
    "strepoch": lambda switch, _argument: str(switch.scheduler.clock.now_us() // MICROSECONDS),
    "reloadxml": reload_xml,
    "reloadacl": _constant("+OK acl reloaded\n"),
    "reload": lambda _switch, argument: (
        "+OK Reloading XML\n+OK module loaded\n" if argument else "-USAGE: [-f] <mod>\n"
    ),
    "load": lambda _switch, argument: "+OK Reloading XML\n+OK\n" if argument else "-USAGE: <mod>\n",
    "unload": lambda _switch, argument: "+OK\n" if argument else "-USAGE: [-f] <mod>\n",
    "module_exists": lambda _switch, argument: "true" if argument.startswith("mod_") else "false",
    "log": _constant("+OK\n"),
    "console": _constant("+OK console log level set to INFO\n"),
}
