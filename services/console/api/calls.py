import re
from collections.abc import Callable
from dataclasses import asdict
from typing import Any, Final

from flask import Blueprint, Response
from jsonschema import Draft202012Validator

from services.console.api.access import Gate, json_answer, read_body, refuse
from services.console.api.agents import may_control
from services.console.api.requests import ask_router
from services.console.desk import Desk
from services.console.domain.live import Live
from services.console.domain.shape import validator_of
from services.shared.access import Action, Principal
from services.shared.contracts.ringmaster.v1.request_pb2 import (
    CancelConsultation,
    CompleteConsultation,
    ControlRecording,
    HangUpCall,
    HoldCall,
    JoinConsultation,
    MuteAgent,
    RecordingControl,
    Request,
    SendCallDigits,
    SetDisposition,
    StartConsultation,
    SwapConsultation,
    TransferCall,
)

CALL_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:-]{0,127}")
ID_PATTERN: Final = r"^[A-Za-z0-9][A-Za-z0-9_.:-]{0,127}$"
_NOTHING: Final = validator_of({"type": "object", "additionalProperties": False})
_DISPOSITION: Final = validator_of(
    {
        "type": "object",
        "additionalProperties": False,
        "required": ["disposition"],
        "properties": {
            "disposition": {"type": "string", "minLength": 1, "maxLength": 64},
            "notes": {"type": "string", "maxLength": 4000},
        },
    }
)
_ID: Final = {"type": "string", "pattern": ID_PATTERN}
_NUMBER: Final = {"type": "string", "pattern": r"^\+[1-9][0-9]{3,14}$"}
_DIGITS: Final = validator_of(
    {
        "type": "object",
        "additionalProperties": False,
        "required": ["digits"],
        "properties": {"digits": {"type": "string", "pattern": "^[0-9*#A-D]{1,32}$"}},
    }
)


def _one_of(**targets: dict[str, str]) -> Draft202012Validator:
    """Return the check of a body that names exactly one target."""
    return validator_of(
        {
            "type": "object",
            "additionalProperties": False,
            "minProperties": 1,
            "maxProperties": 1,
            "properties": targets,
        }
    )


# What a POST with a body asks for a call, by the end of its address.
_QUESTIONS: Final[dict[str, tuple[Draft202012Validator, Callable[[str, dict[str, Any]], Request]]]] = {
    "transfer": (
        _one_of(agent_id=_ID, queue_id=_ID, number=_NUMBER),
        lambda call_id, body: Request(transfer_call=TransferCall(call_id=call_id, **body)),
    ),
    "consult": (
        _one_of(agent_id=_ID, number=_NUMBER),
        lambda call_id, body: Request(start_consultation=StartConsultation(call_id=call_id, **body)),
    ),
    "digits": (
        _DIGITS,
        lambda call_id, body: Request(send_call_digits=SendCallDigits(call_id=call_id, digits=body["digits"])),
    ),
}
# What a POST without a body does to a call, by the end of its address.
_CONTROLS: Final[dict[str, Callable[[str], Request]]] = {
    "hangup": lambda call_id: Request(hang_up_call=HangUpCall(call_id=call_id)),
    "mute": lambda call_id: Request(mute_agent=MuteAgent(call_id=call_id, muted=True)),
    "unmute": lambda call_id: Request(mute_agent=MuteAgent(call_id=call_id, muted=False)),
    "consult/swap": lambda call_id: Request(swap_consultation=SwapConsultation(call_id=call_id)),
    "consult/complete": lambda call_id: Request(complete_consultation=CompleteConsultation(call_id=call_id)),
    "consult/cancel": lambda call_id: Request(cancel_consultation=CancelConsultation(call_id=call_id)),
    "consult/join": lambda call_id: Request(join_consultation=JoinConsultation(call_id=call_id)),
    "hold": lambda call_id: Request(hold_call=HoldCall(call_id=call_id, held=True)),
    "resume": lambda call_id: Request(hold_call=HoldCall(call_id=call_id, held=False)),
    "recording/mask": lambda call_id: _recording(call_id, RecordingControl.RECORDING_CONTROL_MASK),
    "recording/resume": lambda call_id: _recording(call_id, RecordingControl.RECORDING_CONTROL_RESUME),
}


def call_routes(gate: Gate, desk: Desk, live: Live) -> Blueprint:
    """Return what may be done to a call, and the calls in progress."""
    routes = Blueprint("calls", __name__)

    def controlling(tenant_id: str, call_id: str) -> Principal:
        principal = gate.require(Action.CONTROL_CALL, tenant_id)
        if not CALL_ID.fullmatch(call_id):
            raise refuse(404, "call-not-found", "There is no such call.")
        if not may_control(principal, live, tenant_id, call_id):
            raise refuse(403, "forbidden", "An agent may control his own call only.")
        return principal

    @routes.get("/v1/tenants/<tenant_id>/calls")
    def calls(tenant_id: str) -> Response:
        gate.require(Action.READ_LIVE, tenant_id)
        found = live.calls(tenant_id).items()
        return json_answer({"calls": [{"call_id": call_id, **asdict(call)} for call_id, call in found]})

    @routes.post("/v1/tenants/<tenant_id>/calls/<call_id>/<path:control>")
    def control_call(tenant_id: str, call_id: str, control: str) -> Response:
        principal = controlling(tenant_id, call_id)
        if control in _QUESTIONS:
            validator, wish_of = _QUESTIONS[control]
            return ask_router(desk, tenant_id, principal, wish_of(call_id, read_body(validator)))
        if control not in _CONTROLS:
            raise refuse(404, "not-found", "There is no such address.")
        read_body(_NOTHING)
        return ask_router(desk, tenant_id, principal, _CONTROLS[control](call_id))

    @routes.put("/v1/tenants/<tenant_id>/calls/<call_id>/disposition")
    def disposition(tenant_id: str, call_id: str) -> Response:
        principal = controlling(tenant_id, call_id)
        body = read_body(_DISPOSITION)
        wish = SetDisposition(call_id=call_id, disposition=body["disposition"], notes=body.get("notes", ""))
        return ask_router(desk, tenant_id, principal, Request(set_disposition=wish))

    return routes


def _recording(call_id: str, control: RecordingControl.ValueType) -> Request:
    return Request(control_recording=ControlRecording(call_id=call_id, control=control))
