"""The API's description (OpenAPI 3.1), made of the routes as they are registered and of what each says of itself."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Final

import orjson
from flask import Blueprint, Flask, Response, current_app
from werkzeug.routing import Rule

from services.shared.access import permitted_roles
from services.shared.chassis.description import JSON, TEXT, Body, Model, Operation, operation_of
from services.shared.json_schema import Schema

PLACE: Final[Schema] = {"type": "string", "pattern": "^[A-Za-z0-9][A-Za-z0-9_.:-]{0,199}$"}
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
class About:
    """What no route says."""

    title: str
    text: str
    problem: Model = PROBLEM
    """What every failure brings."""
    places: Mapping[str, Schema] = field(default_factory=dict)
    """The names within addresses that have a form of their own."""
    place: Schema = field(default_factory=lambda: PLACE)
    """The form of all others."""


def openapi_routes(about: About) -> Blueprint:
    """Return the route of the description. It needs no token: it shows nothing of anybody."""
    routes = Blueprint("openapi", __name__)
    told: list[bytes] = []

    @routes.get("/v1/openapi.json")
    def openapi() -> Response:
        if not told:
            told.append(orjson.dumps(openapi_of(current_app, about)))
        return Response(told[0], mimetype=JSON, headers={"Cache-Control": "no-store"})

    return routes


def openapi_of(app: Flask, about: About) -> dict[str, Any]:
    """Describe every route that says what it is."""
    models: dict[str, Schema] = {}
    paths: dict[str, dict[str, Any]] = {}
    for rule, method, operation in sorted(_operations(app), key=lambda found: (found[0].rule, found[1])):
        path = re.sub(r"<(?:[^:<>]+:)?([^<>]+)>", r"{\1}", rule.rule)
        paths.setdefault(path, {})[method.lower()] = _told(rule, operation, about)
        for shape in (about.problem, operation.answer, operation.body.shape if operation.body else None):
            _collect(shape, models)
    return {
        "openapi": "3.1.0",
        "info": {"title": about.title, "version": "1.0.0", "description": about.text},
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


def _collect(shape: Model | Schema | str | None, models: dict[str, Schema]) -> None:
    if isinstance(shape, Model):
        models[shape.name] = shape.schema
        for part in shape.parts:
            _collect(part, models)


def _told(rule: Rule, operation: Operation, about: About) -> dict[str, Any]:
    found: dict[str, Any] = {
        "operationId": rule.endpoint.replace(".", "_").replace("-", "_"),
        "tags": [rule.endpoint.partition(".")[0]],
        "summary": operation.summary,
        "parameters": list(_parameters(rule, operation, about)),
        "responses": _answers(operation, about),
    }
    if operation.action is not None:
        found["x-roles"] = permitted_roles(operation.action)
        found["description"] = f"For {', '.join(found['x-roles'])}."
    if operation.body is not None:
        found["requestBody"] = _sent(operation.body)
    return found


def _parameters(rule: Rule, operation: Operation, about: About) -> Iterator[dict[str, Any]]:
    for name in re.findall(r"<(?:[^:<>]+:)?([^<>]+)>", rule.rule):
        yield {"name": name, "in": "path", "required": True, "schema": about.places.get(name, about.place)}
    for name, schema in operation.query.items():
        yield {"name": name, "in": "query", "required": name in operation.needed, "schema": schema}
    yield from operation.headers


def _sent(body: Body) -> dict[str, Any]:
    schema = body.shape.ref if isinstance(body.shape, Model) else body.shape
    return {"required": body.is_needed, "content": {media_type: {"schema": schema} for media_type in body.media_types}}


def _answers(operation: Operation, about: About) -> dict[str, Any]:
    answer = operation.answer
    brought = {JSON: {"schema": answer.ref}} if isinstance(answer, Model) else {answer: {}}
    answers: dict[str, Any] = {
        str(status): {"description": words, "content": brought} for status, words in operation.successes.items()
    }
    for status in sorted({400, 401, 403} | operation.fails):
        content = {"application/problem+json": {"schema": about.problem.ref}}
        answers[str(status)] = {"description": HTTPStatus(status).phrase, "content": content}
    return answers
