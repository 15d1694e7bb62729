import re
from collections.abc import Iterable
from dataclasses import asdict
from datetime import datetime
from typing import Final

from flask import Blueprint, Response, request

from services.console.api.access import Gate, json_answer, read_body, refuse
from services.console.api.describing import PAGED, asks_router, described
from services.console.api.models import page, record
from services.console.api.paging import Place, page_of
from services.console.api.requests import ask_router
from services.console.desk import Desk
from services.console.domain.callback_view import CallbackView, SeenCallback
from services.shared.access import Action
from services.shared.chassis.description import Model
from services.shared.contracts.ringmaster.v1.request_pb2 import (
    AskCallback,
    CancelCallback,
    Request,
    RescheduleCallback,
)
from services.shared.json_schema import Schema

ID_PREFIX: Final = "cb-"
"""A task that is asked for has its request's id with this before it."""
_CALLBACK_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:-]{0,127}")
_LINE_OF_TEXT: Final = r"^[^\u0000-\u001f\u007f]*$"
_MOMENT: Final = {"type": "string", "format": "date-time", "minLength": 10, "maxLength": 40}
_WISH: Final = Model(
    "CallbackWish",
    {
        "type": "object",
        "additionalProperties": False,
        "required": ["queue_id", "number"],
        "properties": {
            "queue_id": {"type": "string", "minLength": 1, "maxLength": 64},
            "number": {"type": "string", "minLength": 1, "maxLength": 40},
            "name": {"type": "string", "maxLength": 120, "pattern": _LINE_OF_TEXT},
            "line": {"type": "string", "maxLength": 20},
            "due_at": _MOMENT,
        },
    },
)
_CANCELLATION: Final = Model(
    "CallbackCancellation",
    {
        "type": "object",
        "additionalProperties": False,
        "properties": {"reason": {"type": "string", "maxLength": 120, "pattern": _LINE_OF_TEXT}},
    },
)
_MOVE: Final = Model(
    "CallbackMove",
    {
        "type": "object",
        "additionalProperties": False,
        "required": ["due_at"],
        "properties": {"due_at": _MOMENT},
    },
)


_CALLBACK: Final = record("Callback", SeenCallback)
_CALLBACKS: Final = page("Callbacks", "callbacks", _CALLBACK)
_QUERY: Final[dict[str, Schema]] = {
    "state": {"enum": ["open", "done"], "default": "open"},
    "queue_id": {"type": "string", "maxLength": 64},
    **PAGED,
}


def callback_routes(gate: Gate, desk: Desk, view: CallbackView) -> Blueprint:
    """Return what may be asked of callbacks (SPEC 4): the list, one of them, a new one, another moment, the end."""
    routes = Blueprint("callbacks", __name__)

    @routes.get("/v1/tenants/<tenant_id>/callbacks")
    @described(
        "Callbacks that are open, the next first, or done, the last first.", Action.READ_LIVE, _CALLBACKS, query=_QUERY
    )
    def callbacks(tenant_id: str) -> Response:
        gate.require(Action.READ_LIVE, tenant_id)
        return json_answer(page_of("callbacks", _wanted(view, tenant_id), _place, asdict))

    @routes.get("/v1/tenants/<tenant_id>/callbacks/<callback_id>")
    @described("One callback.", Action.READ_LIVE, _CALLBACK, fails=frozenset({404}))
    def callback(tenant_id: str, callback_id: str) -> Response:
        gate.require(Action.READ_LIVE, tenant_id)
        task = view.find(tenant_id, callback_id)
        if task is None:
            raise _no_callback()
        return json_answer(asdict(task))

    @routes.post("/v1/tenants/<tenant_id>/callbacks")
    @asks_router("Ask for a customer to be called back.", Action.ASK_CALLBACK, _WISH)
    def ask(tenant_id: str) -> Response:
        principal = gate.require(Action.ASK_CALLBACK, tenant_id)
        body = read_body(_WISH)
        due_ms = _moment_ms(body["due_at"]) if "due_at" in body else 0
        wanted = {name: body[name] for name in ("queue_id", "number", "name", "line") if name in body}
        wish = Request(ask_callback=AskCallback(due_ms=due_ms, **wanted))
        return ask_router(desk, tenant_id, principal, wish, lambda request_id: {"callback_id": ID_PREFIX + request_id})

    @routes.post("/v1/tenants/<tenant_id>/callbacks/<callback_id>/cancel")
    @asks_router("Do not call back.", Action.MANAGE_CALLBACKS, _CANCELLATION)
    def cancel(tenant_id: str, callback_id: str) -> Response:
        principal = gate.require(Action.MANAGE_CALLBACKS, tenant_id)
        reason = read_body(_CANCELLATION).get("reason", "")
        wish = CancelCallback(callback_id=_known_shape(callback_id), reason=reason)
        return ask_router(desk, tenant_id, principal, Request(cancel_callback=wish))

    @routes.post("/v1/tenants/<tenant_id>/callbacks/<callback_id>/reschedule")
    @asks_router("Call back at another moment.", Action.MANAGE_CALLBACKS, _MOVE)
    def reschedule(tenant_id: str, callback_id: str) -> Response:
        principal = gate.require(Action.MANAGE_CALLBACKS, tenant_id)
        due_ms = _moment_ms(read_body(_MOVE)["due_at"])
        wish = RescheduleCallback(callback_id=_known_shape(callback_id), due_ms=due_ms)
        return ask_router(desk, tenant_id, principal, Request(reschedule_callback=wish))

    return routes


def _wanted(view: CallbackView, tenant_id: str) -> Iterable[SeenCallback]:
    """Return what the address asks for: `state` open (as is) or done, `queue_id`."""
    is_open = request.args.get("state", "open") == "open"
    tasks = view.open_ones(tenant_id) if is_open else view.done_ones(tenant_id)
    queue_id = request.args.get("queue_id", "")
    return (task for task in tasks if queue_id in ("", task.queue_id))


def _place(task: SeenCallback) -> Place:
    """Return what callbacks are listed by: open ones by when they are due, done ones backwards from the last."""
    return (task.due_ms if task.is_open else -task.ended_ms, task.callback_id)


def _moment_ms(text: str) -> int:
    """Return an ISO 8601 moment with its offset. Raises Refusal (422)."""
    try:
        moment = datetime.fromisoformat(text)
        found = int(moment.timestamp() * 1000) if moment.tzinfo else -1
    except (ValueError, OverflowError):
        found = -1
    if found < 0:
        detail = "Write the moment as ISO 8601 with its offset, for example 2026-03-01T09:30:00+02:00."
        raise refuse(422, "not-a-moment", detail)
    return found


def _known_shape(callback_id: str) -> str:
    if not _CALLBACK_ID.fullmatch(callback_id):
        raise _no_callback()
    return callback_id


def _no_callback() -> Exception:
    return refuse(404, "callback-not-found", "There is no such callback, or it is done long since.")
