"""What a call carries through its flow: typed, bounded in number and size, kept in the snapshot (SPEC 2.1)."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from services.router.domain.model import Call
from services.router.domain.scripts import VARIABLES
from services.router.domain.turn import Turn
from services.shared.contracts.ringmaster.v1 import tenant_pb2 as tn
from services.shared.expressions import Value
from services.shared.mail_address import is_address

MOST_VARIABLES: Final = 100
MOST_CHARACTERS: Final = 500
MOST_DIGITS: Final = 15
DIALLED_IN: Final = ":language"
"""Beside a call's variables, under a name that no flow can declare: the language that who dialled it has chosen."""
_FLAGS: Final = {"true": True, "false": False}


class Unsuitable(ValueError):
    """A value is not of the variable's type, or too large. Caught by the step: the variable stays as it was."""


def begin(turn: Turn, call: Call, flow: tn.Flow) -> None:
    """Give the variables of a flow their first values, but for those that the call has already."""
    for declared in flow.variables:
        if declared.initial and declared.name not in call.variables:
            keep(turn, call, declared.name, declared.initial)


def keep(turn: Turn, call: Call, name: str, value: Value) -> None:
    """Set a variable. Raises Unsuitable."""
    configuration = turn.state.configurations[call.version]
    kinds = configuration.scripts.types
    if name not in kinds:
        raise Unsuitable(f"there is no variable {name}")
    if name not in call.variables and len(call.variables) >= MOST_VARIABLES:
        raise Unsuitable(f"a call has {MOST_VARIABLES} variables at most")
    kept = _as_declared(value, kinds[name])
    if kinds[name] == tn.VARIABLE_TYPE_LANGUAGE and kept not in configuration.document.languages:
        raise Unsuitable("it is none of the company's languages")
    call.variables[name] = kept


def language_of(turn: Turn, call: Call) -> str:
    """Return the language of a call, BCP 47, as its flow has chosen it, or who dialled it; empty = nobody has."""
    chosen = turn.state.configurations[call.version].scripts.language(call.variables)
    return chosen or str(call.variables.get(DIALLED_IN, ""))


def facts(turn: Turn, call: Call) -> dict[str, Value]:
    """Return what conditions and texts know of a call beside its variables: the names of FlowFacts."""
    local = _local_time(turn, call)
    return {
        "caller": call.caller_number,
        "caller_name": call.caller_name[:MOST_CHARACTERS],
        "line": call.line,
        "queue": call.queue_id,
        "agent": call.agent_id,
        "answered": bool(call.answered_ms),
        "waited": call.wait_ms // 1000,
        "hour": local.hour,
        "weekday": local.isoweekday(),
    }


def for_conditions(turn: Turn, call: Call) -> Mapping[str, Any]:
    """Return the values as conditions read them: vars.name."""
    return {**facts(turn, call), VARIABLES: call.variables}


def for_texts(turn: Turn, call: Call) -> Mapping[str, Value]:
    """Return the values as texts read them: {vars.name}."""
    return {
        **facts(turn, call),
        **{f"{VARIABLES}.{name}": value for name, value in call.variables.items() if name != DIALLED_IN},
    }


def _as_declared(value: Value, kind: "tn.VariableType.ValueType") -> str | int | bool:
    if kind == tn.VARIABLE_TYPE_FLAG:
        return _as_flag(value)
    if kind == tn.VARIABLE_TYPE_NUMBER:
        return _as_number(value)
    text = str(value).lower() if isinstance(value, bool) else str(value)
    if kind == tn.VARIABLE_TYPE_EMAIL and not is_address(text):
        raise Unsuitable("it is no mail address")
    if len(text) > MOST_CHARACTERS:
        raise Unsuitable(f"a text has {MOST_CHARACTERS} characters at most")
    return text


def _as_flag(value: Value) -> bool:
    found = _FLAGS.get(value) if isinstance(value, str) else value
    if not isinstance(found, bool):
        raise Unsuitable("a flag is true or false")
    return found


def _as_number(value: Value) -> int:
    if isinstance(value, str) and value.isascii() and value.removeprefix("-").isdigit() and len(value) <= MOST_DIGITS:
        value = int(value)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool) or abs(value) >= 10**MOST_DIGITS:
        raise Unsuitable(f"a number is whole and has {MOST_DIGITS} digits at most")
    return value


def _local_time(turn: Turn, call: Call) -> datetime:
    moment = datetime.fromtimestamp(turn.now_ms // 1000, UTC)
    try:
        zone = ZoneInfo(turn.state.configurations[call.version].document.time_zone or "UTC")
    except (ZoneInfoNotFoundError, ValueError):
        return moment
    return moment.astimezone(zone)
