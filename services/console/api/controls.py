"""What may be asked for a call: for each end of its address what that does, the body it takes and the wish it makes."""

from collections.abc import Callable
from typing import Any, Final, NamedTuple

from services.console.api.models import NOTHING
from services.shared.chassis.description import Model
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
    StartConsultation,
    SwapConsultation,
    TransferCall,
    WriteToCaller,
)
from services.shared.json_schema import Schema, mapping
from services.shared.mail_address import ADDRESS_PATTERN, LONGEST_ADDRESS

ID_PATTERN: Final = r"^[A-Za-z0-9][A-Za-z0-9_.:-]{0,127}$"
_ID: Final[Schema] = {"type": "string", "pattern": ID_PATTERN}
_NUMBER: Final[Schema] = {"type": "string", "pattern": r"^\+[1-9][0-9]{3,14}$"}
_ONE: Final[Schema] = {"minProperties": 1, "maxProperties": 1, "description": "Exactly one of these."}
_TARGET: Final = Model("TransferTarget", mapping([], agent_id=_ID, queue_id=_ID, number=_NUMBER) | _ONE)
_COLLEAGUE: Final = Model("ConsultationTarget", mapping([], agent_id=_ID, queue_id=_ID, number=_NUMBER) | _ONE)
_DIGITS: Final = Model("Digits", mapping(["digits"], digits={"type": "string", "pattern": "^[0-9*#A-D]{1,32}$"}))
_MESSAGE: Final = Model(
    "Message",
    mapping(
        ["text"],
        text={"type": "string", "minLength": 1, "maxLength": 1_000},
        channel={
            "type": "string",
            "pattern": "^[A-Za-z0-9_-]{0,64}$",
            "description": "a rule's condition compares it; with email the caller's mail address must be known",
        },
        email={
            "type": "string",
            "maxLength": LONGEST_ADDRESS,
            "pattern": f"^{ADDRESS_PATTERN}$",
            "description": "the address that the caller told the agent; without it the one that the flow found",
        },
    ),
)
_MASK, _UNMASK = RecordingControl.RECORDING_CONTROL_MASK, RecordingControl.RECORDING_CONTROL_RESUME
_START, _STOP = RecordingControl.RECORDING_CONTROL_START, RecordingControl.RECORDING_CONTROL_STOP
_PAUSE = RecordingControl.RECORDING_CONTROL_PAUSE


class Control(NamedTuple):
    """One thing that may be asked for a call."""

    summary: str
    wish: Callable[[str, dict[str, Any]], Request]
    """Of the call's id and the body."""
    body: Model = NOTHING


CONTROLS: Final[dict[str, Control]] = {
    "hangup": Control("End a call.", lambda call_id, _: Request(hang_up_call=HangUpCall(call_id=call_id))),
    "hold": Control(
        "Put the customer on hold.", lambda call_id, _: Request(hold_call=HoldCall(call_id=call_id, held=True))
    ),
    "resume": Control(
        "Take the customer off hold.", lambda call_id, _: Request(hold_call=HoldCall(call_id=call_id, held=False))
    ),
    "mute": Control(
        "Let nobody hear the agent.", lambda call_id, _: Request(mute_agent=MuteAgent(call_id=call_id, muted=True))
    ),
    "unmute": Control(
        "Let the agent be heard.", lambda call_id, _: Request(mute_agent=MuteAgent(call_id=call_id, muted=False))
    ),
    "digits": Control(
        "Send digits to the customer's side.",
        lambda call_id, body: Request(send_call_digits=SendCallDigits(call_id=call_id, **body)),
        _DIGITS,
    ),
    "message": Control(
        "Have something written to the caller, by the company's rules on message.requested.",
        lambda call_id, body: Request(write_to_caller=WriteToCaller(call_id=call_id, **body)),
        _MESSAGE,
    ),
    "transfer": Control(
        "Hand the customer over at once.",
        lambda call_id, body: Request(transfer_call=TransferCall(call_id=call_id, **body)),
        _TARGET,
    ),
    "consult": Control(
        "Ask somebody while the customer waits.",
        lambda call_id, body: Request(start_consultation=StartConsultation(call_id=call_id, **body)),
        _COLLEAGUE,
    ),
    "consult/swap": Control(
        "Speak with the other of the two.",
        lambda call_id, _: Request(swap_consultation=SwapConsultation(call_id=call_id)),
    ),
    "consult/complete": Control(
        "Leave the two alone with each other.",
        lambda call_id, _: Request(complete_consultation=CompleteConsultation(call_id=call_id)),
    ),
    "consult/cancel": Control(
        "Go back to the customer.", lambda call_id, _: Request(cancel_consultation=CancelConsultation(call_id=call_id))
    ),
    "consult/join": Control(
        "Bring all three together.", lambda call_id, _: Request(join_consultation=JoinConsultation(call_id=call_id))
    ),
    "recording/mask": Control(
        "Keep what is said now out of the recording.", lambda call_id, _: _recording(call_id, _MASK)
    ),
    "recording/pause": Control("Record nothing for a while.", lambda call_id, _: _recording(call_id, _PAUSE)),
    "recording/resume": Control("Record on.", lambda call_id, _: _recording(call_id, _UNMASK)),
    "recording/start": Control(
        "Record from now on, where the policy leaves it to people.", lambda call_id, _: _recording(call_id, _START)
    ),
    "recording/stop": Control("End what was begun so.", lambda call_id, _: _recording(call_id, _STOP)),
}


def _recording(call_id: str, control: RecordingControl.ValueType) -> Request:
    return Request(control_recording=ControlRecording(call_id=call_id, control=control))
