"""What a route says of itself, beside it: the API's description is made of this and of nothing else."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final, TypeVar

from flask import Flask, request
from jsonschema import Draft202012Validator

from services.console.api.access import listed, refuse
from services.console.api.models import ASKED, LISTED, MOST_LISTED, Model
from services.console.domain.schema_parts import Schema, count, mapping
from services.console.domain.shape import faults_of_shape
from services.shared.access import Action
from services.shared.json_schema import validator_of

View = TypeVar("View", bound=Callable[..., Any])
VERSION: Final[dict[str, Schema]] = {"version": count(1, 999_999_999)}
PAGED: Final[dict[str, Schema]] = {
    "limit": count(1, MOST_LISTED, LISTED),
    "cursor": {"type": "string", "maxLength": 1_000, "description": "Of the page before."},
}


@dataclass(frozen=True)
class Operation:
    """One method of one address."""

    summary: str
    action: Action | None
    """What the token must permit; None lets any token in."""
    answer: Model | str
    """What 200 brings: a model as JSON, or the media type of something else."""
    body: Model | None = None
    is_document: bool = False
    """The body may be YAML too, and is needed."""
    text: str = ""
    """Media type of a body that is text, not JSON."""
    query: dict[str, Schema] = field(default_factory=dict)
    needed: frozenset[str] = frozenset()
    """Of the query."""
    fails: frozenset[int] = frozenset()
    """Beside 401 and 403, and what follows from the other fields."""
    has_key: bool = False
    """Takes an Idempotency-Key."""
    asks_router: bool = False
    may_be_late: bool = False
    """202 brings the same when not everybody knows of it yet."""

    @cached_property
    def query_validator(self) -> Draft202012Validator:
        """What checks the query, as a mapping of its parameters."""
        return validator_of(mapping(sorted(self.needed), **self.query))


def described(summary: str, action: Action | None, answer: Model | str, **more: Any) -> Callable[[View], View]:
    """Describe a view. The arguments are Operation's."""
    operation = Operation(summary, action, answer, **more)

    def describe(view: View) -> View:
        view.operation = operation  # type: ignore[attr-defined]  # Flask keeps the view itself, and so what is on it
        return view

    return describe


def operation_of(app: Flask, endpoint: str | None) -> Operation | None:
    """Return what the view of an endpoint says of itself, None for one that says nothing."""
    found = getattr(app.view_functions.get(endpoint or ""), "operation", None)
    return found if isinstance(found, Operation) else None


def hold_to_description(app: Flask) -> None:
    """Refuse (400) each query that its route does not describe: a misspelt parameter must not go unnoticed."""

    @app.before_request
    def check() -> None:
        operation = operation_of(app, request.endpoint)
        if operation is None:
            return
        asked = {name: _value(name, operation) for name in request.args}
        faults = faults_of_shape(asked, operation.query_validator)
        if faults:
            raise refuse(400, "bad-parameters", "The address asks for what can't be.", faults=listed(faults))


def _value(name: str, operation: Operation) -> Any:
    values, schema = request.args.getlist(name), operation.query.get(name, {})
    if len(values) != 1:
        return values
    is_number = schema.get("type") == "integer" and re.fullmatch("-?[0-9]{1,18}", values[0])
    return int(values[0]) if is_number else values[0]


def asks_router(summary: str, action: Action, body: Model | None = None, **more: Any) -> Callable[[View], View]:
    """Describe a view that hands a wish to the router."""
    return described(summary, action, ASKED, body=body, asks_router=True, **more)
