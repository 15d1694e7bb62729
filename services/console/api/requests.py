import uuid
from collections.abc import Callable
from typing import Final

from flask import Response

from services.console.api.access import json_answer, refuse
from services.console.desk import Asked, Desk
from services.shared.access import Principal
from services.shared.bus.asking import TooManyWaiting
from services.shared.bus.errors import BusError
from services.shared.chassis.idempotency import key_id
from services.shared.chassis.problems import problem
from services.shared.contracts.ringmaster.v1.request_pb2 import Request

_SENSELESS: Final = frozenset({"not-a-number", "not-allowed", "not-a-moment", "too-late"})
"""Problems of what was asked, not of the moment at which."""


def ask_router(
    desk: Desk,
    tenant_id: str,
    principal: Principal,
    wish: Request,
    named: Callable[[str], dict[str, str]] = lambda _request_id: {},
) -> Response:
    """Hand a wish to the router and answer with what became of it.

    200: it took effect. 409 (404 where nothing was found, 422 for what makes no sense): refused, with the reason. 202:
    logged, the router has not answered in time. 503: the broker does not answer; repeat it with the same
    Idempotency-Key. `named` says what an accepted request has made, by the request's id.
    """
    wish.request_id = wish.request_id or request_id_of(principal)
    wish.actor, wish.role = principal.actor, principal.role.value
    try:
        asked = desk.ask(tenant_id, wish)
    except (BusError, TooManyWaiting) as error:
        raise refuse(503, "log-unavailable", "The request can't be taken now.", request_id=wish.request_id) from error
    return _answer(asked, named(asked.request_id))


def _answer(asked: Asked, made: dict[str, str]) -> Response:
    reply, extra = asked.reply, {"request_id": asked.request_id}
    if reply is None:
        if asked.is_logged:
            return json_answer({"accepted": None, **extra, **made}, 202)
        return problem(503, "log-unavailable", "The broker has not confirmed the request; send it again.", **extra)
    if reply.accepted:
        return json_answer({"accepted": True, **extra, **made})
    kind = reply.problem or "refused"
    status = 404 if kind.endswith("-not-found") else 422 if kind in _SENSELESS else 409
    return problem(status, kind, reply.detail or "Refused.", **extra)


def request_id_of(principal: Principal) -> str:
    """Return a request's id: that of the Idempotency-Key, or one of its own. Raises Refusal."""
    return key_id(principal) or f"req-{uuid.uuid4().hex}"
