"""A connector as its file describes it: data, read and checked once (SPEC 7.5)."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from services.webhooks.domain.connectors.filling import BadPlace, Maps, check_places
from services.webhooks.domain.connectors.names import unknown_names

SIGN_INS: Final = ("oauth2_refresh", "oauth2_client", "token", "basic")
METHODS: Final = ("GET", "POST", "PUT", "PATCH")
_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,62}", re.ASCII)
_TOP: Final = frozenset(
    ("connector", "title", "documentation", "base", "settings", "sign_in", "rate", "maps", "operations", "flows")
) | {"screen_pop", "remember", "limits", "links"}
RULE_FLOW: Final = "rule"
"""What is done for a rule's action that has a text, whatever its event is."""
_SETTING: Final = {"pattern", "about"}


class BadConnector(ValueError):
    """A connector's file can't be used; the message says where and why, in one sentence."""


@dataclass(frozen=True, slots=True)
class SignIn:
    """How requests are authorised: by a header, or where `place` is given by this parameter of the address.

    `form` are parts of the secret that the token's address wants beside the usual ones.
    """

    kind: str
    token_url: str = ""
    header: str = "Bearer"
    place: str = ""
    form: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Operation:
    """One request, and what to keep of its answer.

    `unless`: not done where this is known already; `needs`: not done without these; `only_if`: a path that must be
    true. `nothing` are statuses that mean "there is none". `pick` takes of a list the entry whose `where` equals ours.
    `must`: without this the delivery is tried again later. `is_one_of`: what lies `at` a path must be among `values`.
    """

    name: str
    method: str
    address: str
    body: Any = None
    is_form: bool = False
    keep: Mapping[str, str] = field(default_factory=dict)
    unless: str = ""
    needs: tuple[str, ...] = ()
    only_if: str = ""
    nothing: tuple[int, ...] = ()
    must: str = ""
    is_one_of: Mapping[str, Any] = field(default_factory=dict)
    pick: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Limit:
    """How an interface says "no more for now" where it says it in a way of its own.

    An answer of this `status` whose document has one of `values` `at` a path (no path: any) asks for `wait` seconds,
    or for what its Retry-After says where that is longer.
    """

    status: int
    wait: float
    at: str = ""
    values: tuple[Any, ...] = ()


@dataclass(frozen=True, slots=True)
class Connector:
    """One CRM or gateway. `requests` in `seconds` are what its interface allows.

    `remember`: what one event of a call has found is known to the call's later events too. `links` are addresses for
    people, made of settings and of what is known.
    """

    name: str
    title: str
    documentation: tuple[str, ...]
    base: str
    settings: Mapping[str, Mapping[str, str]]
    sign_in: SignIn
    requests: int
    seconds: float
    maps: Maps
    operations: Mapping[str, Operation]
    flows: Mapping[str, tuple[str, ...]]
    screen_pop: tuple[str, ...]
    remember: tuple[str, ...] = ()
    limits: tuple[Limit, ...] = ()
    links: Mapping[str, str] = field(default_factory=dict)


def connector_of(document: Any) -> Connector:
    """Read a parsed file. Raises BadConnector."""
    if not isinstance(document, dict):
        raise BadConnector("a connector's file is a mapping")
    unknown = sorted(map(str, set(document) - _TOP))
    if unknown:
        raise BadConnector(f"{unknown[0]} is not a part of a connector; known are {', '.join(sorted(_TOP))}")
    name = _text(document, "connector", "")
    if not _NAME.fullmatch(name):
        raise BadConnector("connector must be a name of small letters, digits and underscores")
    maps = _mapping(document, "maps", name)
    operations = {
        key: _operation(str(key), one, name, maps) for key, one in _mapping(document, "operations", name).items()
    }
    flows = {str(kind): tuple(steps) for kind, steps in _mapping(document, "flows", name).items()}
    pop = tuple(document.get("screen_pop", ()))
    for step in {step for steps in (*flows.values(), pop) for step in steps}:
        if step not in operations:
            raise BadConnector(f"{name}: there is no operation {step}")
    settings, links = _mapping(document, "settings", name), _links(document, name, maps)
    for fault in unknown_names(operations, settings, links):
        raise BadConnector(f"{name}.{fault}")
    rate = _mapping(document, "rate", name)
    requests, seconds = rate.get("requests", 5), rate.get("seconds", 1)
    if not isinstance(requests, int) or requests < 1 or not isinstance(seconds, int | float) or seconds <= 0:
        raise BadConnector(f"{name}.rate needs requests from 1 on and seconds above 0")
    for key, wish in settings.items():
        if not isinstance(wish, dict) or not set(wish) >= _SETTING:
            raise BadConnector(f"{name}.settings.{key} needs pattern and about")
    return Connector(
        name,
        _text(document, "title", name),
        tuple(document.get("documentation", ())),
        _text(document, "base", name),
        settings,
        _sign_in(document, name),
        requests,
        float(seconds),
        maps,
        operations,
        flows,
        pop,
        tuple(document.get("remember", ())),
        tuple(_limit(one, name) for one in document.get("limits", ())),
        links,
    )


def _operation(key: str, one: Any, connector: str, maps: Maps) -> Operation:
    where = f"{connector}.operations.{key}"
    if not isinstance(one, dict):
        raise BadConnector(f"{where} must be a mapping")
    request = next((method for method in METHODS if method in one), None)
    if request is None:
        raise BadConnector(f"{where} needs one of {', '.join(METHODS)} with an address")
    known = {request, "json", "form", "pick", "keep", "unless", "needs", "only_if", "nothing", "must", "is_one_of"}
    unknown = sorted(set(one) - known)
    if unknown:
        raise BadConnector(f"{where}: {unknown[0]} is not known; known are {', '.join(sorted(known))}")
    body = one.get("json", one.get("form"))
    try:
        check_places([one[request], body, one.get("pick", {})], maps)
    except BadPlace as error:
        raise BadConnector(f"{where}: {error}") from error
    return Operation(
        key,
        request,
        str(one[request]),
        body,
        "form" in one,
        one.get("keep", {}),
        one.get("unless", ""),
        tuple(one.get("needs", ())),
        one.get("only_if", ""),
        tuple(one.get("nothing", ())),
        one.get("must", ""),
        one.get("is_one_of", {}),
        one.get("pick", {}),
    )


def _limit(one: Any, connector: str) -> Limit:
    try:
        limit = Limit(**one | {"values": tuple(one.get("values", ()))})
    except (TypeError, AttributeError) as error:
        raise BadConnector(f"{connector}.limits: each has status and wait, and may have at with values") from error
    is_sound = isinstance(limit.status, int) and isinstance(limit.wait, int | float) and limit.wait > 0
    if not is_sound or bool(limit.at) != bool(limit.values):
        raise BadConnector(f"{connector}.limits needs a status, a wait above 0, and at and values together or neither")
    return limit


def _links(document: dict[str, Any], connector: str, maps: Maps) -> dict[str, str]:
    links = _mapping(document, "links", connector)
    try:
        check_places(links, maps)
    except BadPlace as error:
        raise BadConnector(f"{connector}.links: {error}") from error
    return links


def _sign_in(document: dict[str, Any], name: str) -> SignIn:
    given = _mapping(document, "sign_in", name)
    kind = given.get("kind", "")
    if kind not in SIGN_INS:
        raise BadConnector(f"{name}.sign_in.kind must be one of {', '.join(SIGN_INS)}")
    if kind.startswith("oauth2") and not given.get("token_url"):
        raise BadConnector(f"{name}.sign_in.token_url is missing")
    try:
        return SignIn(**given)
    except TypeError as error:
        raise BadConnector(f"{name}.sign_in has a part that is not known") from error


def _text(document: dict[str, Any], part: str, name: str) -> str:
    value = document.get(part)
    if not isinstance(value, str) or not value:
        raise BadConnector(f"{name + '.' if name else ''}{part} is missing")
    return value


def _mapping(document: dict[str, Any], part: str, name: str) -> dict[str, Any]:
    value = document.get(part, {})
    if not isinstance(value, dict):
        raise BadConnector(f"{name}.{part} must be a mapping")
    return value
