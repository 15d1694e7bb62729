from typing import Any

from flask import Blueprint, Response, request

from services.console import metrics
from services.console.api.access import Gate, Refusal, json_answer, listed, refuse
from services.console.domain.validation import BadDocument, sound_document
from services.console.store import StoreUnavailable, Version, VersionTaken
from services.console.tenancy import Applied, NoSuchVersion, Tenancy, another_tenant
from services.shared.access import EVERY_TENANT, Action

MAX_HISTORY = 100


def tenant_routes(gate: Gate, tenancy: Tenancy) -> Blueprint:
    """Return the routes of tenants' documents: YAML or JSON in, JSON out."""
    routes = Blueprint("tenants", __name__)
    answer_document_errors(routes)

    @routes.get("/v1/tenants")
    def all_tenants() -> Response:
        principal = gate.principal()
        known = tenancy.tenants() if principal.tenant == EVERY_TENANT else [principal.tenant]
        return json_answer({"tenants": [each for each in known if principal.may(Action.READ_DOCUMENT, each)]})

    @routes.get("/v1/tenants/<tenant_id>")
    def newest(tenant_id: str) -> Response:
        gate.require(Action.READ_DOCUMENT, tenant_id)
        number = version_number(request.args.get("version")) if "version" in request.args else None
        version = tenancy.version(tenant_id, number)
        return json_answer(_summary(version) | {"document": version.document})

    @routes.get("/v1/tenants/<tenant_id>/versions")
    def history(tenant_id: str) -> Response:
        gate.require(Action.READ_DOCUMENT, tenant_id)
        return json_answer({"versions": [_summary(one) for one in tenancy.history(tenant_id, MAX_HISTORY)]})

    @routes.put("/v1/tenants/<tenant_id>")
    def apply(tenant_id: str) -> Response:
        principal = gate.require(Action.CHANGE_DOCUMENT, tenant_id)
        return applied_answer(tenancy.apply(_document(tenant_id), principal.actor))

    @routes.post("/v1/tenants/<tenant_id>/diff")
    def diff(tenant_id: str) -> Response:
        gate.require(Action.READ_DOCUMENT, tenant_id)
        found = tenancy.diff(_document(tenant_id))
        changes = [{"path": one.path, "before": one.before, "after": one.after} for one in found]
        return json_answer({"changes": changes})

    @routes.post("/v1/tenants/<tenant_id>/rollback")
    def rollback(tenant_id: str) -> Response:
        principal = gate.require(Action.CHANGE_DOCUMENT, tenant_id)
        return applied_answer(tenancy.rollback(tenant_id, version_number(request.args.get("version")), principal.actor))

    return routes


def _document(tenant_id: str) -> dict[str, Any]:
    document = sound_document(request.get_data())
    faults = another_tenant(document, tenant_id)
    if faults:
        raise BadDocument(faults)
    return document


def version_number(text: str | None) -> int:
    """Return the number of a version that was asked for. Raises Refusal (400)."""
    if text is None or not text.isascii() or not text.isdigit() or not 0 < len(text) <= 9:  # noqa: PLR2004 - a billion
        raise refuse(400, "bad-version", "The parameter version must be a whole number from 1.")
    return int(text)


def applied_answer(applied: Applied) -> Response:
    """Answer with what became of a document."""
    metrics.DOCUMENTS.labels("applied" if applied.is_new else "unchanged").inc()
    body = _summary(applied.version) | {"is_new": applied.is_new, "is_published": applied.is_published}
    # Stored for certain; the services read it as soon as the broker is back.
    return json_answer(body, 200 if applied.is_published else 202)


def _summary(version: Version) -> dict[str, Any]:
    return {
        "tenant_id": version.tenant_id,
        "version": version.number,
        "actor": version.actor,
        "applied_ms": version.applied_ms,
    }


def answer_document_errors(routes: Blueprint) -> None:
    """Let a view raise what reading, checking and applying documents raises."""

    @routes.errorhandler(BadDocument)
    def bad_document(error: BadDocument) -> Response:
        metrics.DOCUMENTS.labels("refused").inc()
        detail = f"The document has {len(error.faults)} faults; nothing was changed."
        return refuse(422, "bad-document", detail, faults=listed(error.faults)).answer

    @routes.errorhandler(NoSuchVersion)
    def no_such_version(error: NoSuchVersion) -> Response:
        return refuse(404, "version-not-found", str(error)).answer

    @routes.errorhandler(VersionTaken)
    def version_taken(_error: VersionTaken) -> Response:
        return refuse(409, "changed-meanwhile", "Somebody applied another change at the same moment.").answer

    @routes.errorhandler(StoreUnavailable)
    def store_unavailable(_error: StoreUnavailable) -> Response:
        return refuse(503, "store-unavailable", "The document store does not answer; nothing was changed.").answer

    @routes.errorhandler(Refusal)
    def refused(refusal: Refusal) -> Response:
        return refusal.answer
