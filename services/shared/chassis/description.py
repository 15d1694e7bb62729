"""What a route says of itself, beside it; requests are held to it, and the API's description is made of this alone.

OpenAPI 3.1 describes bodies in JSON Schema (2020-12), so the schema that a request is held to is the one that is shown.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final, TypeVar

import orjson
from flask import Flask, request
from jsonschema import Draft202012Validator

from services.shared.access import Action
from services.shared.chassis.admission import Refusal
from services.shared.chassis.problems import problem
from services.shared.json_schema import Schema, mapping, validator_of

View = TypeVar("View", bound=Callable[..., Any])
SHOWN_SIGNS: Final = 200
TEXT: Final[Schema] = {"type": "string"}
JSON: Final = "application/json"
OF_TENANT: Final[dict[str, Schema]] = {
    "tenant": {"type": "string", "maxLength": 40, "description": "The company, for a token of all of them."}
}


@dataclass(frozen=True)
class Model:
    """A named shape. `parts` are the models that its schema refers to."""

    name: str
    schema: Schema
    parts: tuple["Model", ...] = ()

    @property
    def ref(self) -> Schema:
        """The reference to it in the description."""
        return {"$ref": f"#/components/schemas/{self.name}"}

    @property
    def is_needed(self) -> bool:
        """Whether a body that is left out, which counts as {}, can't be right."""
        return bool(self.schema.get("required") or self.schema.get("minProperties"))

    @cached_property
    def validator(self) -> Draft202012Validator:
        """What checks a request's body; for a model without parts."""
        return validator_of(self.schema)


@dataclass(frozen=True)
class Body:
    """What a request carries."""

    shape: Model | Schema
    is_needed: bool
    media_types: tuple[str, ...] = (JSON,)


@dataclass(frozen=True)
class Operation:
    """One method of one address."""

    summary: str
    action: Action | None
    """What the token must permit; None lets any known token in."""
    answer: Model | str
    """What success brings: a model as JSON, or the media type of something else."""
    successes: Mapping[int, str] = field(default_factory=lambda: {200: "Done."})
    """Each brings the answer."""
    body: Body | None = None
    query: Mapping[str, Schema] = field(default_factory=dict)
    needed: frozenset[str] = frozenset()
    """Of the query."""
    headers: tuple[Schema, ...] = ()
    """Parameters of OpenAPI."""
    fails: frozenset[int] = frozenset()
    """Beside 400, 401 and 403."""

    @cached_property
    def query_validator(self) -> Draft202012Validator:
        """What checks the query, as an object of its parameters."""
        return validator_of(mapping(sorted(self.needed), **self.query))


def put(operation: Operation) -> Callable[[View], View]:
    """Put what a view says of itself on the view."""

    def describe(view: View) -> View:
        view.operation = operation  # type: ignore[attr-defined]  # Flask keeps the view itself, and so what is on it
        return view

    return describe


def described(
    summary: str,
    action: Action | None,
    answer: Model | str,
    *,
    status: int = 200,
    body: Model | None = None,
    query: Mapping[str, Schema] | None = None,
    fails: frozenset[int] = frozenset(),
) -> Callable[[View], View]:
    """Describe a view of a service that is asked by tokens and by its page. `body` is JSON, read with body_of."""
    sent = Body(body, body.is_needed) if body else None
    asked = {**OF_TENANT, **(query or {})}
    of_body = {415} if body else set()
    return put(Operation(summary, action, answer, {status: "Done."}, sent, asked, fails=fails | of_body))


def operation_of(app: Flask, endpoint: str | None) -> Operation | None:
    """Return what the view of an endpoint says of itself, None for one that says nothing."""
    found = getattr(app.view_functions.get(endpoint or ""), "operation", None)
    return found if isinstance(found, Operation) else None


def refuse_first_fault(validator: Draft202012Validator, asked: Any, what: str = "The parameter") -> None:
    """Raise Refusal (400) with the first thing that is wrong."""
    fault = next(iter(validator.iter_errors(asked)), None)
    if fault is not None:
        place = ".".join(map(str, fault.absolute_path))
        where = f"{what} {place[:SHOWN_SIGNS]}: " if place else ""
        raise Refusal(problem(400, "bad-parameters", f"{where}{fault.message[:SHOWN_SIGNS]}."))


def hold_to_description(
    app: Flask, judge: Callable[[Draft202012Validator, dict[str, Any]], None] = refuse_first_fault
) -> None:
    """Refuse (400) each query that its route does not describe: a misspelt parameter must not go unnoticed.

    `judge` raises Refusal where the parameters are not what the validator wants.
    """

    @app.before_request
    def check() -> None:
        operation = operation_of(app, request.endpoint)
        if operation is not None:
            asked = {name: _value(name, operation.query.get(name, {})) for name in request.args}
            judge(operation.query_validator, asked)


def body_of(model: Model) -> dict[str, Any]:
    """Return the JSON object that was sent, in its model's shape; one left out counts as {}. Raises Refusal."""
    sent = request.get_data(cache=True)
    if sent and not request.is_json:
        # A form of another page can't send JSON: what changes something is asked for by a program or our own page.
        raise Refusal(problem(415, "unsupported-media-type", f"Send JSON, with Content-Type: {JSON}."))
    try:
        body: Any = orjson.loads(sent) if sent else {}
    except orjson.JSONDecodeError as error:
        raise Refusal(problem(400, "bad-json", f"This is not JSON: {error}.")) from error
    refuse_first_fault(model.validator, body, "The field")
    return dict(body)


def _value(name: str, schema: Schema) -> Any:
    values = request.args.getlist(name)
    if len(values) != 1:
        return values
    is_number = schema.get("type") == "integer" and re.fullmatch("-?[0-9]{1,18}", values[0])
    return int(values[0]) if is_number else values[0]
