"""What a service's API says of itself, beside its routes: its OpenAPI document is made of this alone.

OpenAPI 3.1 describes bodies in JSON Schema (2020-12), so the schema that a request is held to is the one that is shown.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from http import HTTPStatus
from typing import Any, Final, TypeVar

import orjson
from flask import Blueprint, Flask, Response, current_app, request
from jsonschema import Draft202012Validator
from werkzeug.routing import Rule

from services.shared.access import Action, permitted_roles
from services.shared.chassis.admission import Refusal
from services.shared.chassis.problems import problem
from services.shared.json_schema import validator_of

Schema = dict[str, Any]
View = TypeVar("View", bound=Callable[..., Any])
SHOWN_SIGNS: Final = 200
TEXT: Final[Schema] = {"type": "string"}
_PLACE: Final[Schema] = {"type": "string", "pattern": "^[A-Za-z0-9][A-Za-z0-9_.:-]{0,199}$"}


def mapping(required: tuple[str, ...] | None = None, /, **properties: Schema) -> Schema:
    """Return the schema of an object of these fields alone; all are always there where `required` is not said."""
    needed = list(properties if required is None else required)
    return {"type": "object", "additionalProperties": False, "required": needed, "properties": properties}


def count(least: int, most: int, default: int | None = None) -> Schema:
    """Return the schema of a whole number."""
    schema: Schema = {"type": "integer", "minimum": least, "maximum": most}
    return schema if default is None else schema | {"default": default}


@dataclass(frozen=True)
class Model:
    """A named shape."""

    name: str
    schema: Schema

    @property
    def ref(self) -> Schema:
        """The reference to it in the description."""
        return {"$ref": f"#/components/schemas/{self.name}"}

    @cached_property
    def validator(self) -> Draft202012Validator:
        """What checks a request's body."""
        return validator_of(self.schema)


PROBLEM: Final = Model(
    "Problem",
    {
        "type": "object",
        "description": "RFC 9457.",
        "required": ["type", "title", "status", "detail"],
        "properties": {
            "type": {"type": "string", "pattern": "^urn:ringmaster:problem:[a-z0-9-]+$"},
            "title": TEXT,
            "status": {"type": "integer", "minimum": 400, "maximum": 599},
            "detail": TEXT,
        },
    },
)


@dataclass(frozen=True)
class Operation:
    """One method of one address."""

    summary: str
    action: Action | None
    """What the token must permit; None lets any known token in."""
    answer: Model | str
    """What success brings: a model as JSON, or the media type of something else."""
    status: int = 200
    body: Model | None = None
    query: dict[str, Schema] = field(default_factory=dict)
    fails: frozenset[int] = frozenset()
    """Beside 400, 401 and 403."""

    @cached_property
    def asked(self) -> dict[str, Schema]:
        """The parameters of the address."""
        of_all = {"type": "string", "maxLength": 40, "description": "The company, for a token of all of them."}
        return {"tenant": of_all, **self.query}

    @cached_property
    def query_validator(self) -> Draft202012Validator:
        """What checks them, as an object."""
        return validator_of(mapping((), **self.asked))


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
        if operation is not None:
            asked = {name: _value(name, operation.asked.get(name, {})) for name in request.args}
            _refuse_faults(operation.query_validator, asked, "The parameter")


def body_of(model: Model) -> dict[str, Any]:
    """Return the JSON object that was sent, in its model's shape; one left out counts as {}. Raises Refusal."""
    sent = request.get_data(cache=True)
    if sent and not request.is_json:
        # A form of another page can't send JSON: what changes something is asked for by a program or our own page.
        raise Refusal(problem(415, "unsupported-media-type", "Send JSON, with Content-Type: application/json."))
    try:
        body: Any = orjson.loads(sent) if sent else {}
    except orjson.JSONDecodeError as error:
        raise Refusal(problem(400, "bad-json", f"This is not JSON: {error}.")) from error
    _refuse_faults(model.validator, body, "The field")
    return dict(body)


def openapi_routes(title: str, about: str) -> Blueprint:
    """Return the route of the description. It needs no token: it shows nothing of anybody."""
    routes = Blueprint("openapi", __name__)

    @routes.get("/v1/openapi.json")
    def openapi() -> Response:
        return Response(orjson.dumps(openapi_of(current_app, title, about)), mimetype="application/json")

    return routes


def openapi_of(app: Flask, title: str, about: str) -> dict[str, Any]:
    """Describe every route that says what it is."""
    models: dict[str, Schema] = {}
    paths: dict[str, dict[str, Any]] = {}
    for rule, method, operation in sorted(_operations(app), key=lambda found: (found[0].rule, found[1])):
        path = re.sub(r"<(?:[^:<>]+:)?([^<>]+)>", r"{\1}", rule.rule)
        paths.setdefault(path, {})[method.lower()] = _described(rule, operation)
        for model in (PROBLEM, operation.answer, operation.body):
            if isinstance(model, Model):
                models[model.name] = model.schema
    return {
        "openapi": "3.1.0",
        "info": {"title": title, "version": "1.0.0", "description": about},
        "paths": paths,
        "components": {
            "schemas": dict(sorted(models.items())),
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
        "security": [{"token": []}],
    }


def _operations(app: Flask) -> Iterator[tuple[Rule, str, Operation]]:
    for rule in app.url_map.iter_rules():
        operation = operation_of(app, rule.endpoint)
        if operation is not None:
            for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}:
                yield rule, method, operation


def _described(rule: Rule, operation: Operation) -> dict[str, Any]:
    found: dict[str, Any] = {
        "operationId": rule.endpoint.replace(".", "_").replace("-", "_"),
        "tags": [rule.endpoint.partition(".")[0]],
        "summary": operation.summary,
        "parameters": list(_parameters(rule, operation)),
        "responses": _answers(operation),
    }
    if operation.action is not None:
        found["x-roles"] = permitted_roles(operation.action)
        found["description"] = f"For {', '.join(found['x-roles'])}."
    if operation.body is not None:
        is_needed = bool(operation.body.schema.get("required"))
        content = {"application/json": {"schema": operation.body.ref}}
        found["requestBody"] = {"required": is_needed, "content": content}
    return found


def _parameters(rule: Rule, operation: Operation) -> Iterator[dict[str, Any]]:
    for name in re.findall(r"<(?:[^:<>]+:)?([^<>]+)>", rule.rule):
        yield {"name": name, "in": "path", "required": True, "schema": _PLACE}
    for name, schema in operation.asked.items():
        yield {"name": name, "in": "query", "required": False, "schema": schema}


def _answers(operation: Operation) -> dict[str, Any]:
    answer = operation.answer
    brought = {"application/json": {"schema": answer.ref}} if isinstance(answer, Model) else {answer: {}}
    answers: dict[str, Any] = {str(operation.status): {"description": "Done.", "content": brought}}
    failures = {400, 401, 403} | operation.fails | ({415} if operation.body is not None else set())
    for status in sorted(failures):
        content = {"application/problem+json": {"schema": PROBLEM.ref}}
        answers[str(status)] = {"description": HTTPStatus(status).phrase, "content": content}
    return answers


def _refuse_faults(validator: Draft202012Validator, value: Any, what: str) -> None:
    fault = next(iter(validator.iter_errors(value)), None)
    if fault is not None:
        place = ".".join(map(str, fault.absolute_path))
        where = f"{what} {place[:SHOWN_SIGNS]}: " if place else ""
        raise Refusal(problem(400, "bad-parameters", f"{where}{fault.message[:SHOWN_SIGNS]}."))


def _value(name: str, schema: Schema) -> Any:
    values = request.args.getlist(name)
    if len(values) != 1:
        return values
    is_number = schema.get("type") == "integer" and re.fullmatch("-?[0-9]{1,18}", values[0], re.ASCII)
    return int(values[0]) if is_number else values[0]
