"""Commands as bytes, so encoded that no value can add a line, a second command, an argument or a channel variable.

FreeSWITCH reads one value several times over: as lines (mod_event_socket ends one at CR and at LF), as words
(switch_separate_string: blanks, quotes, backslashes), as a `{a=b,c=d}` block (switch_event_create_brackets), and when
an application runs, as a text in which `${…}` is expanded, function calls included. Every `str` given here is data and
is made to survive all of that, or refused with `UnsafeValue`. What an author writes as a constant and wants expanded
is marked `Verbatim`.
"""

import re
import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import NewType

from services.shared.esl.errors import UnsafeValue

Command = NewType("Command", bytes)
"""The bytes of one command with its final blank line. Only this module makes them."""

MAX_COMMAND_BYTES = 64 * 1024
"""Far over any real command; FreeSWITCH itself stops reading at 10 MiB."""

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_APPLICATION = re.compile(r"[A-Za-z0-9_]+").fullmatch
_EVENT_NAME = re.compile(r"[A-Z0-9_]+").fullmatch
_IDENTIFIER = re.compile(r"[A-Za-z0-9_.:@-]{1,128}").fullmatch
_JOB_ID = re.compile(r"[A-Za-z0-9-]{1,36}").fullmatch  # mod_event_socket keeps 36 characters
_VARIABLE = re.compile(r"[A-Za-z0-9_.-]{1,128}").fullmatch
_CAUSE = re.compile(r"[A-Z0-9_]+").fullmatch
# One address to dial: no blank, quote, bracket, comma or bar, because originate gives each of them a meaning.
_ENDPOINT = re.compile(r"[A-Za-z0-9_.:@/+;=?&%*#~!-]+").fullmatch
_ENTERPRISE_SEPARATOR = ":_:"
_MAX_VARIABLES_AT_ONCE = 64


class Verbatim(str):
    """Text that an author wrote as a constant: its `${…}` is meant. Never build one from data."""

    __slots__ = ()


def auth(password: str) -> Command:
    """Log in with the event socket's password."""
    return _command("auth " + _line(Verbatim(password), "the password"))


def subscribe(events: Sequence[str], subclasses: Sequence[str] = (), *, form: str = "plain") -> Command:
    """Build `event <form> …`; subclasses come after CUSTOM because FreeSWITCH takes all that follows it as such."""
    if form not in ("plain", "json"):
        raise UnsafeValue(f"an event format is plain or json, not {form!r}")
    names = [_matching(_EVENT_NAME, name, "an event name") for name in events if name != "CUSTOM"]
    custom = ["CUSTOM", *(_word(subclass) for subclass in subclasses)] if subclasses or "CUSTOM" in events else []
    return _command(" ".join(["event", form, *names, *custom]))


def api(name: str, *words: str, text: str = "") -> Command:
    """Build `api <name> <words…> <text>`: each word stays one argument; text is the free rest of the line."""
    return _command("api " + _call(name, words, text))


def bgapi(name: str, *words: str, text: str = "", job_id: str = "") -> Command:
    """Build the same to run in the background; `job_id` becomes its Job-UUID (default: a new UUID4)."""
    return _background(_call(name, words, text), job_id)


def execute(leg_id: str, application: str, argument: str = "", *, event_id: str = "", lock: bool = False) -> Command:
    """Run a dialplan application on a leg (`sendmsg`). `event_id` comes back as the events' Application-UUID.

    `+OK` means queued. An unknown application ends the call (wire truth 22). `lock` keeps this leg's executes in order.
    """
    lines = [
        "sendmsg " + _matching(_IDENTIFIER, leg_id, "a leg id"),
        "call-command: execute",
        "execute-app-name: " + _matching(_APPLICATION, application, "an application"),
    ]
    if argument:
        lines.append("execute-app-arg: " + _line(argument, "the argument"))
    if event_id:
        lines.append("Event-UUID: " + _matching(_IDENTIFIER, event_id, "an event id"))
    if lock:
        lines.append("event-lock: true")
    return _command("\n".join(lines))


def hangup(leg_id: str, cause: str = "NORMAL_CLEARING") -> Command:
    """Hang a leg up (`sendmsg`) with a cause name; FreeSWITCH takes an unknown one as NORMAL_CLEARING."""
    leg = _matching(_IDENTIFIER, leg_id, "a leg id")
    return _command(f"sendmsg {leg}\ncall-command: hangup\nhangup-cause: {_matching(_CAUSE, cause, 'a cause')}")


def originate(
    endpoint: str,
    application: str,
    argument: str = "",
    *,
    variables: Mapping[str, str] | None = None,
    timeout_seconds: int = 30,
    job_id: str = "",
) -> Command:
    """Build `bgapi originate {variables}endpoint &application(argument)` for one endpoint.

    The timeout travels as `originate_timeout` and fires up to a second early (wire truth 15).
    """
    block = {"originate_timeout": str(timeout_seconds), **(variables or {})}
    target = variable_block(block) + _matching(_ENDPOINT, endpoint, "an endpoint")
    if _ENTERPRISE_SEPARATOR in target:
        raise UnsafeValue("':_:' would start a second originate")
    action = _matching(_APPLICATION, application, "an application")
    inside = _line(argument, "the argument")
    if re.search(r"[()]", inside):
        raise UnsafeValue("a round bracket would end the argument of originate's application")
    return _background(f"originate {target} {_escaped(f'&{action}({inside})', ' ')}", job_id)


def set_variables(leg_id: str, variables: Mapping[str, str]) -> Command:
    """Set channel variables of a live leg (`api uuid_setvar_multi`), at most 64."""
    if not 0 < len(variables) <= _MAX_VARIABLES_AT_ONCE:
        raise UnsafeValue(f"{len(variables)} variables; FreeSWITCH takes 1 to {_MAX_VARIABLES_AT_ONCE} at once")
    pairs = [f"{_name(name)}={_escaped(_line(value, name), ';')}" for name, value in variables.items()]
    return _command(f"api uuid_setvar_multi {_matching(_IDENTIFIER, leg_id, 'a leg id')} {';'.join(pairs)}")


def variable_block(variables: Mapping[str, str]) -> str:
    """Write `{a=b,c=d}` as originate's first word: escaped for `=`, then for `,`, then for the blank between words.

    Braces are counted by FreeSWITCH without regard to quotes, so a value may not have one.
    """
    pairs = []
    for name, value in variables.items():
        text = _line(value, name)
        if re.search(r"[{}]", text):
            raise UnsafeValue(f"the value of {name} has a brace")
        pairs.append(f"{_name(name)}={_escaped(_escaped(text, '='), ',')}")
    return "{" + _escaped(",".join(pairs), " ") + "}"


def _escaped(text: str, delimiter: str) -> str:
    r"""Undo in advance one pass of switch_separate_string with this delimiter.

    A blank becomes `\s`, because each pass also trims the blanks at the ends of a part.
    """
    special = {"\\": "\\\\", "'": "\\'", " ": "\\s"}
    return "".join(
        special.get(character, "\\" + character if character == delimiter else character) for character in text
    )


def _call(name: str, words: Sequence[str], text: str) -> str:
    parts = [_matching(_APPLICATION, name, "a function"), *(_word(word) for word in words)]
    return " ".join([*parts, _line(text, "the text")] if text else parts)


def _background(call: str, job_id: str) -> Command:
    job = _matching(_JOB_ID, job_id or str(uuid.uuid4()), "a job id")
    return _command(f"bgapi {call}\nJob-UUID: {job}")


def job_id_of(command: Command) -> str:
    """Return the Job-UUID of a `bgapi` command, "" for another one."""
    head, _, job = command.rstrip(b"\n").rpartition(b"\nJob-UUID: ")
    return job.decode() if head.startswith(b"bgapi ") else ""


def _word(value: str) -> str:
    """Return one argument: no blank, quote or backslash, and no `^^` that would redefine the separator."""
    text = _line(value, "an argument")
    if not text or re.search(r"[\s'\"\\]", text) or text.startswith("^^"):
        raise UnsafeValue(f"{text[:40]!r} is not one argument")
    return text


def _name(name: str) -> str:
    return _matching(_VARIABLE, name, "a variable name")


def _line(value: str, what: str) -> str:
    """Return text that stays within its line and, unless its author said Verbatim, is never expanded."""
    if _CONTROL.search(value):
        raise UnsafeValue(f"{what} has a line break or another control character")
    if "${" in value and not isinstance(value, Verbatim):
        raise UnsafeValue(f"{what} has a '${{', which FreeSWITCH would expand")
    return value


def _matching(pattern: Callable[[str], object], value: str, what: str) -> str:
    if not pattern(value):
        raise UnsafeValue(f"{value[:40]!r} is not {what}")
    return value


def _command(text: str) -> Command:
    try:
        wire = text.encode() + b"\n\n"
    except UnicodeEncodeError as error:
        raise UnsafeValue("the command has a character that UTF-8 can't carry") from error
    if len(wire) > MAX_COMMAND_BYTES:
        raise UnsafeValue(f"a command of {len(wire)} bytes is over the limit of {MAX_COMMAND_BYTES}")
    return Command(wire)
