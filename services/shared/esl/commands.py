"""Commands as bytes, so encoded that no value can add a line, a second command, an argument or a channel variable."""

from collections.abc import Mapping, Sequence
from typing import NewType

Command = NewType("Command", bytes)
"""The bytes of one command with its final blank line. Only this module makes them."""


def auth(password: str) -> Command:
    """Log in with the event socket's password."""
    raise NotImplementedError


def subscribe(events: Sequence[str], subclasses: Sequence[str] = (), *, form: str = "plain") -> Command:
    """`event <form> …`; subclasses come after CUSTOM because FreeSWITCH takes all that follows it as subclasses."""
    raise NotImplementedError


def api(name: str, *words: str, text: str = "") -> Command:
    """`api <name> <words…> <text>`: each word stays one argument; text is the free rest of the line."""
    raise NotImplementedError


def bgapi(name: str, *words: str, text: str = "", job_id: str = "") -> Command:
    """Like `api`, run in the background; `job_id` becomes the Job-UUID of its BACKGROUND_JOB (default: a new UUID4)."""
    raise NotImplementedError


def execute(leg_id: str, application: str, argument: str = "", *, event_id: str = "", lock: bool = False) -> Command:
    """`sendmsg` execute: run a dialplan application on a leg. `event_id` comes back as Application-UUID."""
    raise NotImplementedError


def hangup(leg_id: str, cause: str = "NORMAL_CLEARING") -> Command:
    """`sendmsg` hangup with a cause name."""
    raise NotImplementedError


def originate(  # noqa: PLR0913  the parts of FreeSWITCH's originate
    endpoint: str,
    application: str,
    argument: str = "",
    *,
    variables: Mapping[str, str] | None = None,
    timeout_seconds: int = 30,
    job_id: str = "",
) -> Command:
    """`bgapi originate {variables}endpoint &application(argument)`."""
    raise NotImplementedError


def set_variables(leg_id: str, variables: Mapping[str, str]) -> Command:
    """Set channel variables of a live leg."""
    raise NotImplementedError
