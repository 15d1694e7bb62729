"""Rules and endpoints as they stand in the tenant's document, seen and changed over the console (SPEC 7.4)."""

from typing import Any, Final
from uuid import uuid4

import orjson
from flask import Blueprint, Response, request

from services.shared.access import Action
from services.shared.bus.asking import TooManyWaiting
from services.shared.bus.errors import BusError
from services.shared.chassis.admission import Admission, Refusal
from services.shared.chassis.description import body_of, described
from services.shared.chassis.idempotency import key_id
from services.shared.chassis.problems import problem
from services.shared.contracts.ringmaster.v1 import document_pb2 as doc
from services.webhooks.adapters.mongo_secrets import BadKey
from services.webhooks.api.answers import json_answer, number_argument
from services.webhooks.api.deliveries import AWAY
from services.webhooks.api.models import CHANGED, DOCUMENT, SEEN, WANTED_ENDPOINT, WANTED_RULE
from services.webhooks.directory import Directory
from services.webhooks.document_changes import Change, DocumentChanges
from services.webhooks.secret_book import NoKey, SecretBook
from services.webhooks.waiting import StoreUnavailable

# The change is in force once the console has published it; whoever asked for it wants to see it here too.
CATCH_UP_SECONDS: Final = 5.0
OF_CHANGE: Final = AWAY | {404, 409, 422}
_STATUS: Final = {
    "bad-document": 422,
    "changed-meanwhile": 409,
    "forbidden": 403,
    "not-found": 404,
    "store-unavailable": 503,
    "too-late": 503,
}


def document_routes(
    admission: Admission, changes: DocumentChanges, directory: Directory, secrets: SecretBook
) -> Blueprint:
    """Make the routes."""
    api = Blueprint("documents", __name__, url_prefix="/v1")
    clerk = _Clerk(admission, changes, directory)

    @api.get("/document")
    @described("Show rules and endpoints as the document has them.", Action.READ_DOCUMENT, DOCUMENT, fails=AWAY | {404})
    def shown() -> Response:
        tenant_id = admission.tenant(Action.READ_DOCUMENT)
        reply = clerk.asked(lambda: changes.shown(tenant_id, admission.principal(), uuid4().hex))
        return json_answer(_version(reply) | orjson.loads(reply.shown))

    @api.put("/rules/<rule_id>")
    @described("Make or change a rule.", Action.CHANGE_RULES, CHANGED, body=WANTED_RULE, fails=OF_CHANGE)
    def put_rule(rule_id: str) -> Response:
        admission.tenant(Action.CHANGE_RULES)  # who may not, learns nothing of the form
        body = body_of(WANTED_RULE)
        return json_answer(clerk.change(Action.CHANGE_RULES, doc.DOCUMENT_PART_RULE, rule_id, body["rule"], body)[1])

    @api.delete("/rules/<rule_id>")
    @described("Take a rule out.", Action.CHANGE_RULES, CHANGED, query=SEEN, fails=OF_CHANGE)
    def drop_rule(rule_id: str) -> Response:
        admission.tenant(Action.CHANGE_RULES)
        return json_answer(clerk.change(Action.CHANGE_RULES, doc.DOCUMENT_PART_RULE, rule_id, None, _asked())[1])

    @api.put("/endpoints/<endpoint_id>")
    @described(
        "Make or change an endpoint. A new one's secret is in the answer, this once.",
        Action.CHANGE_DOCUMENT,
        CHANGED,
        body=WANTED_ENDPOINT,
        fails=OF_CHANGE,
    )
    def put_endpoint(endpoint_id: str) -> Response:
        admission.tenant(Action.CHANGE_DOCUMENT)
        body = body_of(WANTED_ENDPOINT)
        tenant_id, answer = clerk.change(
            Action.CHANGE_DOCUMENT, doc.DOCUMENT_PART_WEBHOOK, endpoint_id, body["endpoint"], body
        )
        if not body.get("preview"):
            answer |= _first_secret(secrets, tenant_id, body["endpoint"]["secret_ref"])
        return json_answer(answer)

    @api.delete("/endpoints/<endpoint_id>")
    @described("Take an endpoint out.", Action.CHANGE_DOCUMENT, CHANGED, query=SEEN, fails=OF_CHANGE)
    def drop_endpoint(endpoint_id: str) -> Response:
        admission.tenant(Action.CHANGE_DOCUMENT)
        part = doc.DOCUMENT_PART_WEBHOOK
        return json_answer(clerk.change(Action.CHANGE_DOCUMENT, part, endpoint_id, None, _asked())[1])

    @api.errorhandler(BusError)
    @api.errorhandler(TooManyWaiting)
    def unavailable(_error: Exception) -> Response:
        return problem(503, "unavailable", "The console can't be asked now; nothing was changed. Ask again.")

    return api


class _Clerk:
    """Asks the console on behalf of who asks here, and refuses in its words."""

    def __init__(self, admission: Admission, changes: DocumentChanges, directory: Directory) -> None:
        self._admission = admission
        self._changes = changes
        self._directory = directory

    def asked(self, ask: Any) -> doc.DocumentReply:
        """Return what the console has accepted. Raises Refusal with what it has against it."""
        reply: doc.DocumentReply | None = ask()
        if reply is None:
            detail = "The console does not answer. Look at the document before you ask again: it may have changed."
            raise Refusal(problem(503, "no-answer", detail))
        if not reply.accepted:
            extra: dict[str, Any] = {"faults": [_fault(one) for one in reply.faults]} if reply.faults else {}
            if reply.version:
                extra |= {"version": reply.version, "actor": reply.actor}
            raise Refusal(problem(_STATUS.get(reply.problem, 409), reply.problem, reply.detail, **extra))
        return reply

    def change(
        self,
        action: Action,
        part: "doc.DocumentPart.ValueType",
        part_id: str,
        words: dict[str, Any] | None,
        asked: dict[str, Any],
    ) -> tuple[str, dict[str, Any]]:
        """Return the tenant and what has changed in its document, or would."""
        tenant_id, principal = self._admission.tenant(action), self._admission.principal()
        is_preview = bool(asked.get("preview"))
        wish = Change(part, part_id, words, int(asked["seen_version"]), is_preview)
        request_id = key_id(principal) or f"doc-{uuid4().hex}"
        reply = self.asked(lambda: self._changes.change(tenant_id, principal, request_id, wish))
        if not is_preview and reply.is_published:
            self._directory.catch_up(CATCH_UP_SECONDS)
        return tenant_id, _version(reply) | {
            "is_published": reply.is_published,
            "changes": [
                {"path": one.path, "before": _value(one.before), "after": _value(one.after)} for one in reply.changes
            ],
        }


def _fault(fault: doc.DocumentFault) -> dict[str, Any]:
    told = {"path": fault.path, "field": fault.field, "message": fault.message}
    return told | ({"template": fault.template, "values": dict(fault.values)} if fault.template else {})


def _first_secret(secrets: SecretBook, tenant_id: str, secret_ref: str) -> dict[str, str]:
    """Return a new secret where an endpoint has none yet: shown once, here. Where none can be made it says why."""
    try:
        if secrets.secrets_of(tenant_id, secret_ref):
            return {}
        return {"secret": secrets.rotate(tenant_id, secret_ref, 0.0, asymmetric=False).text}
    except (NoKey, BadKey, StoreUnavailable) as error:
        return {"no_secret": str(error)}


def _asked() -> dict[str, Any]:
    return {
        "seen_version": number_argument("seen_version", 1, 2**31 - 1, 1),
        "preview": request.args.get("preview") == "true",
    }


def _version(reply: doc.DocumentReply) -> dict[str, Any]:
    return {"version": reply.version, "actor": reply.actor, "applied_ms": reply.applied_ms}


def _value(text: str) -> Any:
    return orjson.loads(text) if text else None
