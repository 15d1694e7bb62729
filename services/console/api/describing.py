"""How the console's routes describe themselves: documents as YAML, keys of requests, and answers that may be late."""

from collections.abc import Callable
from typing import Any, Final

from jsonschema import Draft202012Validator

from services.console.api.access import listed, refuse
from services.console.api.models import ASKED, LISTED, MOST_LISTED, PROBLEM
from services.console.domain.schema_parts import ID
from services.console.domain.shape import faults_of_shape
from services.shared.access import Action
from services.shared.chassis.description import JSON, TEXT, Body, Model, Operation, View, put
from services.shared.chassis.openapi import About
from services.shared.json_schema import Schema, count

VERSION: Final[dict[str, Schema]] = {"version": count(1, 999_999_999)}
PAGED: Final[dict[str, Schema]] = {
    "limit": count(1, MOST_LISTED, LISTED),
    "cursor": {"type": "string", "maxLength": 1_000, "description": "Of the page before."},
}
ABOUT: Final = About(
    "Ringmaster",
    "Configuration and control of a contact centre. Every error is a problem (RFC 9457). Lists come in pages: `cursor` "
    "of one page asks for the next. A POST with an Idempotency-Key may be sent again after a lost answer.",
    PROBLEM,
    {"tenant_id": {"type": "string", "pattern": "^[a-z0-9][a-z0-9-]{0,39}$"}, "flow_id": ID},
    {"type": "string", "pattern": "^[A-Za-z0-9][A-Za-z0-9_.:-]{0,127}$"},
)
_KEY: Final[Schema] = {
    "name": "Idempotency-Key",
    "in": "header",
    "description": "The same request of the same token with the same key takes effect once; another one with this key "
    "is a request of its own.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255},
}
_DONE: Final = {200: "Done."}
_LATE: Final = {202: "Kept; it takes effect in a while."}
_OF_BODY: Final = frozenset({413, 422})
_OF_ROUTER: Final = frozenset({404, 409, 422, 503})


def described(
    summary: str,
    action: Action | None,
    answer: Model | str,
    *,
    has_key: bool = False,
    may_be_late: bool = False,
    body: Body | None = None,
    fails: frozenset[int] = frozenset(),
    **more: Any,
) -> Callable[[View], View]:
    """Describe a view; the other arguments are Operation's.

    It takes an Idempotency-Key where `has_key`; where it `may_be_late`, 202 brings the same when not all know yet.
    """
    successes = _DONE | (_LATE if may_be_late else {})
    headers = (_KEY,) if has_key else ()
    of_body = _OF_BODY if body else frozenset()
    return put(Operation(summary, action, answer, successes, body, headers=headers, fails=fails | of_body, **more))


def asks_router(summary: str, action: Action, body: Model | None = None, **more: Any) -> Callable[[View], View]:
    """Describe a view that hands a wish to the router; the other arguments are Operation's."""
    sent = Body(body, body.is_needed) if body else None
    return described(summary, action, ASKED, has_key=True, may_be_late=True, body=sent, fails=_OF_ROUTER, **more)


def document(model: Model) -> Body:
    """Return a body that is a whole document, as JSON or YAML."""
    return Body(model, is_needed=True, media_types=(JSON, "application/yaml"))


def text(media_type: str) -> Body:
    """Return a body that is text."""
    return Body(TEXT, is_needed=True, media_types=(media_type,))


def refuse_query(validator: Draft202012Validator, asked: dict[str, Any]) -> None:
    """Raise Refusal (400) with everything that is wrong with the parameters of an address."""
    faults = faults_of_shape(asked, validator)
    if faults:
        raise refuse(400, "bad-parameters", "The address asks for what can't be.", faults=listed(faults))
