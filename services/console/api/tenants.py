from typing import Any, Final

from flask import Blueprint, Response, request

from services.console import metrics
from services.console.api.access import Gate, json_answer, listed, refuse
from services.console.api.describing import PAGED, VERSION, described, document
from services.console.api.models import CHANGES, page
from services.console.api.paging import asked_limit, asked_number, page_of
from services.console.domain.schema import SCHEMA
from services.console.domain.validation import BadDocument, sound_document
from services.console.store import StoreUnavailable, Version, VersionTaken
from services.console.tenancy import Applied, NoSuchVersion, Tenancy, another_tenant
from services.shared.access import EVERY_TENANT, Action
from services.shared.chassis.description import Model
from services.shared.chassis.idempotency import key_id
from services.shared.json_schema import Schema, mapping

_TENANT: Final = Model("Tenant", {name: part for name, part in SCHEMA.items() if not name.startswith("$")})
_SUMMARY: Final[dict[str, Schema]] = {
    "tenant_id": {"type": "string"},
    "version": {"type": "integer"},
    "actor": {"type": "string"},
    "applied_ms": {"type": "integer"},
}
_VERSION: Final = Model("Version", mapping([*_SUMMARY], **_SUMMARY))
_WHOLE: Final = Model(
    "VersionWithDocument", mapping([*_SUMMARY, "document"], **_SUMMARY, document=_TENANT.ref), (_TENANT,)
)
APPLIED: Final = Model(
    "Applied",
    mapping(
        [*_SUMMARY, "is_new", "is_published"],
        **_SUMMARY,
        is_new={
            "type": "boolean",
            "description": "false: it was in force already, or this very request was sent again.",
        },
        is_published={"type": "boolean"},
    ),
)
_TENANTS: Final = page("Tenants", "tenants", {"type": "string"})
_VERSIONS: Final = page("Versions", "versions", _VERSION)
OF_STORE: Final = frozenset({404, 503})
OF_CHANGE: Final = OF_STORE | {409, 413, 422}


def tenant_routes(gate: Gate, tenancy: Tenancy) -> Blueprint:
    """Return the routes of tenants' documents: YAML or JSON in, JSON out."""
    routes = Blueprint("tenants", __name__)
    answer_document_errors(routes)

    @routes.get("/v1/tenants")
    @described("Tenants that the token may read.", None, _TENANTS, query=PAGED, fails=frozenset({503}))
    def all_tenants() -> Response:
        principal = gate.principal()
        known = tenancy.tenants() if principal.tenant == EVERY_TENANT else [principal.tenant]
        found = [each for each in known if principal.may(Action.READ_DOCUMENT, each)]
        return json_answer(page_of("tenants", found, lambda each: (each,), str))

    @routes.get("/v1/tenants/<tenant_id>")
    @described(
        "A tenant's document, the newest or one version.", Action.READ_DOCUMENT, _WHOLE, query=VERSION, fails=OF_STORE
    )
    def newest(tenant_id: str) -> Response:
        gate.require(Action.READ_DOCUMENT, tenant_id)
        version = tenancy.version(tenant_id, asked_version())
        return json_answer(_summary(version) | {"document": version.document})

    @routes.get("/v1/tenants/<tenant_id>/versions")
    @described("Versions, the newest first.", Action.READ_DOCUMENT, _VERSIONS, query=PAGED, fails=frozenset({503}))
    def history(tenant_id: str) -> Response:
        gate.require(Action.READ_DOCUMENT, tenant_id)
        found = tenancy.history(tenant_id, asked_limit() + 1, asked_number())
        return json_answer(page_of("versions", found, lambda one: (-one.number,), _summary))

    @routes.put("/v1/tenants/<tenant_id>")
    @described(
        "Put a document in force, whole or not at all.",
        Action.CHANGE_DOCUMENT,
        APPLIED,
        body=document(_TENANT),
        may_be_late=True,
        fails=OF_CHANGE - {404},
    )
    def apply(tenant_id: str) -> Response:
        principal = gate.require(Action.CHANGE_DOCUMENT, tenant_id)
        return applied_answer(tenancy.apply(_document(tenant_id), principal.actor))

    @routes.post("/v1/tenants/<tenant_id>/diff")
    @described(
        "What a document would change.",
        Action.READ_DOCUMENT,
        CHANGES,
        body=document(_TENANT),
        fails=OF_STORE - {404},
    )
    def diff(tenant_id: str) -> Response:
        gate.require(Action.READ_DOCUMENT, tenant_id)
        found = tenancy.diff(_document(tenant_id))
        changes = [{"path": one.path, "before": one.before, "after": one.after} for one in found]
        return json_answer({"changes": changes})

    @routes.post("/v1/tenants/<tenant_id>/rollback")
    @described(
        "Put an older version in force again, as a new one.",
        Action.CHANGE_DOCUMENT,
        APPLIED,
        query=VERSION,
        needed=frozenset(VERSION),
        has_key=True,
        may_be_late=True,
        fails=OF_CHANGE,
    )
    def rollback(tenant_id: str) -> Response:
        principal = gate.require(Action.CHANGE_DOCUMENT, tenant_id)
        former = tenancy.version(tenant_id, asked_version())
        return applied_answer(tenancy.apply(former.document, principal.actor, key_id(principal)))

    return routes


def _document(tenant_id: str) -> dict[str, Any]:
    document = sound_document(request.get_data())
    faults = another_tenant(document, tenant_id)
    if faults:
        raise BadDocument(faults)
    return document


def asked_version() -> int | None:
    """Return the number of the version that is asked for; the query was held to the route's description before."""
    return request.args.get("version", type=int)


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
