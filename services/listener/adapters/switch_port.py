"""What the listener asks of the event-socket client; the real one and the tests' twin fit it."""

from collections.abc import Iterable, Sequence
from typing import Protocol

import gevent

from services.listener.domain.headers import (
    CALL_VARIABLE,
    COMMAND_VARIABLE,
    DOMAIN_VARIABLE,
    LINE_VARIABLE,
    PROBE_PREFIX,
    PROBE_VARIABLE,
    RESPONSE_VARIABLE,
    TENANT_VARIABLE,
)
from services.listener.domain.reconciliation import (
    OwnVariables,
    Picture,
    Reconciler,
    read_calls,
    read_channels,
    read_registrations,
)
from services.shared.esl import commands as esl
from services.shared.esl.client import EslClient, Reply
from services.shared.esl.errors import OutcomeUnknown, UnsafeValue

LIST_SECONDS = 10.0
ASK_SECONDS = 5.0
QUESTIONS_AT_ONCE = 500
_UNDEFINED = ("_undef_", "")


class Pending(Protocol):
    """A reply that will come."""

    def get(self, timeout: float) -> Reply:
        """Wait for it."""


class SwitchPort(Protocol):
    """Commands to one FreeSWITCH. Raises NotSent and OutcomeUnknown as the client does."""

    def submit(self, command: esl.Command) -> Pending:
        """Write a command; the reply comes later, in order."""

    def bgapi(self, command: esl.Command, timeout: float) -> Reply:
        """Run a background job to its end."""

    def exists(self, leg_id: str, timeout: float) -> bool:
        """Whether a leg lives, by the table that does not lag."""


class Switch:
    """The event-socket client as the rest of the listener sees it."""

    def __init__(self, client: EslClient) -> None:
        self._client = client

    def submit(self, command: esl.Command) -> Pending:
        """Write a command; the reply comes later, in order."""
        return self._client.submit(command)

    def bgapi(self, command: esl.Command, timeout: float) -> Reply:
        """Run a background job to its end."""
        return self._client.bgapi(command, timeout)

    def exists(self, leg_id: str, timeout: float) -> bool:
        """Whether a leg lives, by the table that does not lag."""
        return self._client.execute(esl.api("uuid_exists", leg_id), timeout).text.strip() == "true"


def take_picture(switch: SwitchPort, reconciler: Reconciler, lag_seconds: float = 0.0) -> Picture:
    """Ask what lives. Raises NotSent or OutcomeUnknown, also for an answer that can't be read.

    The lists are asked for after `lag_seconds`, so that they hold whatever happened before this call. Who is gone is
    asked first: who ends in that time ends by an event, which says why.
    """
    gone = _gone(switch, list(reconciler.legs.live))
    gevent.sleep(lag_seconds)
    pending = [switch.submit(esl.api("show", what, "as", "json")) for what in ("channels", "calls", "registrations")]
    channels, calls, registrations = (each.get(LIST_SECONDS).text for each in pending)
    try:
        listed = read_channels(channels)
        bridges = read_calls(calls)
        registered = read_registrations(registrations)
    except (ValueError, KeyError, TypeError) as error:
        raise OutcomeUnknown(f"FreeSWITCH's lists can't be read: {error}") from error
    unknown = reconciler.unknown(listed)
    gone |= _gone(switch, unknown)
    playing = [leg_id for leg_id in reconciler.playing(listed) if leg_id not in gone]
    responses = _ask(switch, [("uuid_getvar", leg_id, RESPONSE_VARIABLE) for leg_id in playing])
    played = frozenset(leg_id for leg_id, text in zip(playing, responses, strict=True) if _is_set(text))
    return Picture(listed, bridges, registered, gone, _variables(switch, unknown), played)


def _gone(switch: SwitchPort, leg_ids: Sequence[str]) -> frozenset[str]:
    """Return the legs that do not exist: the lists lag, `uuid_exists` does not."""
    alive = _ask(switch, [("uuid_exists", leg_id) for leg_id in leg_ids])
    return frozenset(leg_id for leg_id, text in zip(leg_ids, alive, strict=True) if text == "false")


def probe(switch: SwitchPort, questions: Iterable[tuple[str, str]]) -> None:
    """Have something without effect executed behind each question (leg, command): its end is told as an event.

    Questions are locked, so FreeSWITCH keeps the order. Replies are not waited for. Raises NotSent.
    """
    for leg_id, command_id in questions:
        value, event_id = f"{PROBE_VARIABLE}={command_id}", PROBE_PREFIX + command_id
        switch.submit(esl.execute(leg_id, "set", value, event_id=event_id, lock=True))


def _variables(switch: SwitchPort, leg_ids: Sequence[str]) -> dict[str, OwnVariables]:
    names = (LINE_VARIABLE, TENANT_VARIABLE, CALL_VARIABLE, COMMAND_VARIABLE, DOMAIN_VARIABLE)
    answers = iter(_ask(switch, [("uuid_getvar", leg_id, name) for leg_id in leg_ids for name in names]))
    found = {}
    for leg_id in leg_ids:
        values = [text if _is_set(text) else "" for text in (next(answers) for _ in names)]
        found[leg_id] = OwnVariables(*values)
    return found


def _is_set(text: str) -> bool:
    """Whether uuid_getvar returned a value."""
    return text not in _UNDEFINED and not text.startswith("-")


def _ask(switch: SwitchPort, questions: Iterable[tuple[str, ...]]) -> list[str]:
    """Ask many one-line questions, pipelined. A leg id that can't be asked about answers nothing."""
    waiting: list[Pending | None] = []
    answers: list[str] = []
    for question in questions:
        try:
            waiting.append(switch.submit(esl.api(*question)))
        except UnsafeValue:
            waiting.append(None)
        if len(waiting) >= QUESTIONS_AT_ONCE:
            answers += [each.get(ASK_SECONDS).text.strip() if each else "" for each in waiting]
            waiting.clear()
    return answers + [each.get(ASK_SECONDS).text.strip() if each else "" for each in waiting]
