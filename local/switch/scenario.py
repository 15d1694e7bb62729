"""A scenario: which lines are called how often, by whom, and how the agents' phones behave. Read from YAML.

A scenario that says something unknown or impossible is refused whole, with the place named.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import yaml

from local.switch.distributions import (
    Distribution,
    DistributionError,
    Exponential,
    Fixed,
    LogNormal,
    Uniform,
    parse_distribution,
)
from local.switch.phones import BEHAVIOURS, Behaviour

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

# Names that a careless reader of events stumbles over (wire truths 1 and 2).
HOSTILE_NAMES = (
    "x\nEvent-Name: CHANNEL_HANGUP\nUnique-ID: 00000000-0000-0000-0000-000000000000",
    "M\udcfcller",
    "Robert'); DROP TABLE calls;--",
    "=cmd|' /C calc'!A0",
    "${uuid} {origination_uuid=1}",
    "<script>alert(1)</script>",
    "Зоя, Київ; 100% «так»",
    "\u202egnirts desrever",
)
_PLAIN_NAMES = ("Anna Caller", "Jürgen Groß", "O'Neill", "Olena Kovalenko", "Sam", "")


class ScenarioError(ValueError):
    """The scenario can't be played; the text says where and why."""


@dataclass(frozen=True, slots=True)
class CallerKind:
    """How the callers of a line behave. `digits` gives, for every menu in turn, weights of what is pressed.

    `says` gives what is said to every question in turn that is answered by speech; an empty text says nothing.
    """

    patience: Distribution = field(default_factory=lambda: Exponential(60.0))
    talk: Distribution = field(default_factory=lambda: LogNormal(30.0, 0.5))
    ends_first: float = 0.6
    digits: tuple[Mapping[str, float], ...] = ()
    says: tuple[str, ...] = ()
    digit_delay: Distribution = field(default_factory=lambda: Uniform(0.8, 3.0))
    lingers: Distribution = field(default_factory=lambda: Uniform(3.0, 8.0))


@dataclass(frozen=True, slots=True)
class Line:
    """A called number and its traffic."""

    number: str
    calls_per_hour: float
    callers: CallerKind


@dataclass(frozen=True, slots=True)
class ScriptedCall:
    """One call at a given second of the scenario."""

    at: float
    line: str
    number: str
    name: str
    callers: CallerKind
    headers: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Agent:
    """One agent's phone."""

    name: str
    domain: str
    behaviour: Behaviour
    is_registered: bool


@dataclass(frozen=True, slots=True)
class CallerPool:
    """Numbers and names that callers are drawn from. `hostile` is the share with names of HOSTILE_NAMES."""

    count: int = 500
    prefix: str = "+49151"
    names: tuple[str, ...] = _PLAIN_NAMES
    hostile: float = 0.02
    anonymous: float = 0.01


@dataclass(frozen=True, slots=True)
class Scenario:
    """Everything that is played.

    `minutes` is None for traffic without an end; `callers` is how people are of whom no more is said.
    """

    lines: tuple[Line, ...] = ()
    calls: tuple[ScriptedCall, ...] = ()
    callers: CallerKind = field(default_factory=CallerKind)
    agents: tuple[Agent, ...] = ()
    pool: CallerPool = field(default_factory=CallerPool)
    minutes: float | None = None
    seed: int | None = None
    domain: str | None = None
    fallback_seconds: int = 5
    fallback_number: str = ""
    extensions: Mapping[str, tuple[tuple[str, str], ...]] = field(default_factory=dict)
    prompts: Mapping[str, float] = field(
        default_factory=lambda: {"ringmaster/": 2.0, "/usr/share/freeswitch/sounds/": 2.0}
    )
    outside: Behaviour = field(default_factory=lambda: Behaviour(answer_seconds=Fixed(3.0), talk_seconds=Fixed(20.0)))


def read_scenario(path: Path) -> Scenario:
    """Read a scenario from a YAML file."""
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError) as error:
        raise ScenarioError(f"{path}: {error}") from error
    return parse_scenario(document)


def parse_scenario(document: Any) -> Scenario:
    """Read a scenario from the plain data of its document."""
    top = _Fields({} if document is None else document, "scenario")
    domain = top.take("domain", str, "")
    default = _caller_kind(_Fields(top.take("callers", dict, {}), "callers"), CallerKind())
    scenario = Scenario(
        lines=tuple(_line(fields, default) for fields in top.many("lines")),
        calls=tuple(_call(fields, default) for fields in top.many("calls")),
        callers=default,
        agents=tuple(agent for fields in top.many("agents") for agent in _agents(fields, domain)),
        pool=_pool(_Fields(top.take("pool", dict, {}), "pool")),
        minutes=top.number("minutes", None),
        seed=top.take("seed", int, None),
        domain=domain or None,
        fallback_seconds=top.take("fallback_seconds", int, 5),
        fallback_number=top.take("fallback_number", str, ""),
        extensions=_extensions(top.take("extensions", dict, {})),
        prompts=top.take("prompts", dict, dict(Scenario().prompts)),
        outside=_behaviour(_Fields(top.take("outside", dict, {}), "outside"), Scenario().outside),
    )
    top.finish()
    return scenario


def parse_caller_kind(data: Any, default: CallerKind) -> CallerKind:
    """Read how one caller behaves; what is not said is as by default."""
    return _caller_kind(_Fields(data, "caller"), default)


def parse_phone_changes(data: Any) -> dict[str, Any]:
    """Read changes of a phone's behaviour and return only what was said, under Behaviour's names."""
    names = {
        "does": "does",
        "answer": "answer_seconds",
        "talk": "talk_seconds",
        "drop": "drop_chance",
        "hold": "hold_chance",
        "miss": "miss_chance",
        "reject": "reject_chance",
    }
    behaviour = _behaviour(_Fields(data, "agent"), Behaviour())
    return {names[name]: getattr(behaviour, names[name]) for name in data}


class _Fields:
    """A mapping whose fields are taken one by one; what is left over is an error."""

    def __init__(self, data: Any, place: str) -> None:
        if not isinstance(data, dict):
            raise ScenarioError(f"{place}: expected fields, found {data!r}")
        self._data = dict(data)
        self.place = place

    def take(self, name: str, kind: type | tuple[type, ...], default: Any) -> Any:
        value = self._data.pop(name, None)
        if value is None:
            return default
        if kind is str and isinstance(value, int | float):
            value = str(value)
        if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
            raise ScenarioError(f"{self.place}.{name}: {value!r} is not what belongs here")
        return value

    def number(self, name: str, default: float | None, limit: float = float("inf")) -> Any:
        value = self.take(name, (int, float), default)
        if value is not None and not 0 <= value <= limit:
            raise ScenarioError(f"{self.place}.{name}: {value} is out of range")
        return value

    def share(self, name: str, default: float) -> float:
        return float(self.number(name, default, 1.0))

    def length(self, name: str, default: Distribution | None) -> Any:
        value = self._data.pop(name, None)
        if value is None:
            return default
        if value == "never":
            return None
        try:
            return parse_distribution(value)
        except DistributionError as error:
            raise ScenarioError(f"{self.place}.{name}: {error}") from error

    def required(self, name: str, kind: Callable[[Any], Any] = str) -> Any:
        if name not in self._data:
            raise ScenarioError(f"{self.place}: {name} is missing")
        return kind(self._data.pop(name))

    def many(self, name: str) -> list[_Fields]:
        items = self.take(name, list, [])
        return [_Fields(item, f"{self.place}.{name}[{number}]") for number, item in enumerate(items)]

    def finish(self) -> None:
        if self._data:
            raise ScenarioError(f"{self.place}: unknown {', '.join(sorted(map(str, self._data)))}")


def _extensions(data: Mapping[str, Any]) -> dict[str, tuple[tuple[str, str], ...]]:
    """Read extensions of the dialplan: a number and its applications, each `app data`."""
    extensions = {}
    for number, apps in data.items():
        if not isinstance(apps, list) or not all(isinstance(app, str) and app for app in apps):
            raise ScenarioError(f"scenario.extensions.{number}: expected a list of applications")
        pairs = [app.partition(" ") for app in apps]
        extensions[str(number)] = tuple((app, data) for app, _, data in pairs)
    return extensions


def _line(fields: _Fields, default: CallerKind) -> Line:
    number, rate = fields.required("number"), fields.number("calls_per_hour", 0.0)
    callers = _caller_kind(fields, default)
    return Line(number, float(rate), callers)


def _call(fields: _Fields, default: CallerKind) -> ScriptedCall:
    at, line = float(fields.number("at", 0.0)), fields.required("line")
    number, name = fields.take("caller", str, ""), fields.take("name", str, "")
    headers = {str(key): str(value) for key, value in fields.take("headers", dict, {}).items()}
    return ScriptedCall(at, line, number, name, _caller_kind(fields, default), headers)


def _caller_kind(fields: _Fields, default: CallerKind) -> CallerKind:
    kind = CallerKind(
        patience=fields.length("patience", default.patience),
        talk=fields.length("talk", default.talk),
        ends_first=fields.share("ends_first", default.ends_first),
        digits=_digits(fields, default.digits),
        says=tuple(str(text) for text in fields.take("says", list, default.says)),
        digit_delay=fields.length("digit_delay", default.digit_delay),
        lingers=fields.length("lingers", default.lingers),
    )
    fields.finish()
    return kind


def _digits(fields: _Fields, default: tuple[Mapping[str, float], ...]) -> tuple[Mapping[str, float], ...]:
    """Read what is pressed at each menu: a text, or texts with weights."""
    menus = fields.take("digits", list, None)
    if menus is None:
        return default
    read: list[Mapping[str, float]] = []
    for number, menu in enumerate(menus):
        if isinstance(menu, dict):
            weights = {str(text): float(weight) for text, weight in menu.items()}
        else:
            weights = {str(menu): 1.0}
        if not weights or any(weight < 0 for weight in weights.values()) or not sum(weights.values()):
            raise ScenarioError(f"{fields.place}.digits[{number}]: weights must be positive")
        read.append(weights)
    return tuple(read)


def _behaviour(fields: _Fields, default: Behaviour) -> Behaviour:
    does = fields.take("does", str, default.does)
    if does not in BEHAVIOURS:
        raise ScenarioError(f"{fields.place}.does: {does!r} is not one of {', '.join(sorted(BEHAVIOURS))}")
    behaviour = Behaviour(
        does=does,
        answer_seconds=fields.length("answer", default.answer_seconds),
        talk_seconds=fields.length("talk", default.talk_seconds),
        drop_chance=fields.share("drop", default.drop_chance),
        hold_chance=fields.share("hold", default.hold_chance),
        miss_chance=fields.share("miss", default.miss_chance),
        reject_chance=fields.share("reject", default.reject_chance),
    )
    fields.finish()
    return behaviour


def _agents(fields: _Fields, domain: str) -> list[Agent]:
    """Read one entry: an agent, or `count` of them with numbered names."""
    name = fields.required("id")
    where = fields.take("domain", str, domain)
    count = fields.take("count", int, None)
    registered = fields.take("registered", bool, True)  # noqa: FBT003 - a default value
    behaviour = _behaviour(fields, Behaviour(answer_seconds=Uniform(1.0, 4.0)))
    names = [name] if count is None else [f"{name}{number}" for number in range(1, count + 1)]
    return [Agent(each, where, behaviour, registered and behaviour.does != "unregistered") for each in names]


def _pool(fields: _Fields) -> CallerPool:
    default = CallerPool()
    pool = CallerPool(
        count=fields.take("count", int, default.count),
        prefix=fields.take("prefix", str, default.prefix),
        names=tuple(map(str, fields.take("names", list, list(default.names)))),
        hostile=fields.share("hostile", default.hostile),
        anonymous=fields.share("anonymous", default.anonymous),
    )
    fields.finish()
    if pool.count < 1 or not pool.names:
        raise ScenarioError(f"{fields.place}: at least one caller and one name are needed")
    return pool
