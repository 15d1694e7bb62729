"""The API's description (OpenAPI 3.1), made of the routes as they are registered and of what each says of itself."""

import re
from collections.abc import Iterator
from http import HTTPStatus
from typing import Any, Final

from flask import Blueprint, Flask, Response, current_app
from werkzeug.routing import Rule

from services.console.api.access import json_answer
from services.console.api.describing import Operation, operation_of
from services.console.api.models import PROBLEM, Model
from services.console.domain.schema_parts import ID, Schema
from services.shared.access import permitted_roles

_NAME: Final[Schema] = {"type": "string", "pattern": "^[A-Za-z0-9][A-Za-z0-9_.:-]{0,127}$"}
_PLACES: Final[dict[str, Schema]] = {
    "tenant_id": {"type": "string", "pattern": "^[a-z0-9][a-z0-9-]{0,39}$"},
    "flow_id": ID,
}
_KEY: Final = {
    "name": "Idempotency-Key",
    "in": "header",
    "description": "The same key makes the same request of the same token: it takes effect once.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255},
}
_ABOUT: Final = (
    "Configuration and control of a contact centre. Every error is a problem (RFC 9457). Lists come in pages: `cursor` "
    "of one page asks for the next. A POST with an Idempotency-Key may be sent again after a lost answer."
)


def openapi_routes() -> Blueprint:
    """Return the route of the description. It needs no token: it shows nothing of anybody."""
    routes = Blueprint("openapi", __name__)
    told: dict[str, Any] = {}

    @routes.get("/v1/openapi.json")
    def openapi() -> Response:
        if not told:
            told.update(openapi_of(current_app))
        return json_answer(told)

    return routes


def openapi_of(app: Flask) -> dict[str, Any]:
    """Describe every route that says what it is."""
    models: dict[str, Schema] = {}
    paths: dict[str, dict[str, Any]] = {}
    for rule, method, operation in sorted(_operations(app), key=lambda found: (found[0].rule, found[1])):
        path = re.sub(r"<(?:[^:<>]+:)?([^<>]+)>", r"{\1}", rule.rule)
        paths.setdefault(path, {})[method.lower()] = _described(rule, operation)
        for model in (PROBLEM, operation.answer, operation.body):
            _collect(model, models)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Ringmaster", "version": "1.0.0", "description": _ABOUT},
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


def _collect(model: Model | str | None, models: dict[str, Schema]) -> None:
    if isinstance(model, Model):
        models[model.name] = model.schema
        for part in model.parts:
            _collect(part, models)


def _described(rule: Rule, operation: Operation) -> dict[str, Any]:
    tag, _, _ = rule.endpoint.partition(".")
    found: dict[str, Any] = {
        "operationId": rule.endpoint.replace(".", "_").replace("-", "_"),
        "tags": [tag],
        "summary": operation.summary,
        "parameters": list(_parameters(rule, operation)),
        "responses": _answers(operation),
    }
    if operation.action is not None:
        roles = permitted_roles(operation.action)
        found["description"] = f"For {', '.join(roles)}."
        found["x-roles"] = roles
    if operation.body is not None:
        kinds = ["application/json", "application/yaml"] if operation.is_document else ["application/json"]
        content = {kind: {"schema": operation.body.ref} for kind in kinds}
        found["requestBody"] = {"required": operation.is_document or operation.body.is_needed, "content": content}
    if operation.text:
        found["requestBody"] = {"required": True, "content": {operation.text: {"schema": {"type": "string"}}}}
    return found


def _parameters(rule: Rule, operation: Operation) -> Iterator[dict[str, Any]]:
    for name in re.findall(r"<(?:[^:<>]+:)?([^<>]+)>", rule.rule):
        yield {"name": name, "in": "path", "required": True, "schema": _PLACES.get(name, _NAME)}
    for name, schema in operation.query.items():
        yield {"name": name, "in": "query", "required": name in operation.needed, "schema": schema}
    if operation.has_key or operation.asks_router:
        yield _KEY


def _answers(operation: Operation) -> dict[str, Any]:
    answer = operation.answer
    brought = {"application/json": {"schema": answer.ref}} if isinstance(answer, Model) else {answer: {}}
    answers: dict[str, Any] = {"200": {"description": "Done.", "content": brought}}
    if operation.asks_router or operation.may_be_late:
        answers["202"] = {"description": "Kept; it takes effect in a while.", "content": brought}
    for status in sorted(_failures(operation)):
        content = {"application/problem+json": {"schema": PROBLEM.ref}}
        answers[str(status)] = {"description": HTTPStatus(status).phrase, "content": content}
    return answers


def _failures(operation: Operation) -> set[int]:
    failures = {400, 401, 403} | operation.fails
    if operation.body is not None or operation.text:
        failures |= {413, 422}
    if operation.asks_router:
        failures |= {404, 409, 422, 503}
    return failures
