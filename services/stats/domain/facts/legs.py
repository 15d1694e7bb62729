"""What the documents keep of each leg, all of it from the leg's last fact, and the row that it becomes."""

from typing import Any, Final

from services.shared.contracts.ringmaster.v1.switch_pb2 import DIRECTION_OUTBOUND, HangupParty, SwitchFact
from services.shared.phone_number import as_known
from services.stats.domain.facts.kept import FACTS, Change, Fields, escaped, word
from services.stats.domain.facts.rows import Fact, Row, Rows

LEGS: Final = "legs"
_NUMBER: Final = SwitchFact.DESCRIPTOR.fields_by_name["leg_hung_up"].number
MARK: Final = bytes((_NUMBER << 3 & 0x7F | 0x82, _NUMBER >> 4))
"""How protobuf begins this field within any message around it: (number << 3 | 2) as a varint, for numbers 16 to 2047.

An input without these bytes is no leg's last fact, and no word of an erased person: PersonForgotten has a field of this
number too. One that has them may be something else; text never has them, for no UTF-8 does.
"""
LEGS_TOGETHER_MS: Final = 2_000
"""Legs of a tenant that ended within such a piece of time share a document, as facts of agents do."""
CUSTOMER: Final = "customer"
AGENT: Final = "agent"
OUTSIDE: Final = "outside"


def change_of_leg(fact: SwitchFact) -> Change | None:
    """Return what a fact changes; None for any but a leg's last one. To tell it again changes nothing."""
    if fact.WhichOneof("fact") != "leg_hung_up" or not fact.leg_id:
        return None
    over = fact.leg_hung_up
    ended_ms = (over.ended_us or fact.occurred_us) // 1000
    fields: Fields = {
        "t": ended_ms,
        "leg_id": fact.leg_id,
        "call_id": fact.call_id or fact.leg_id,
        "direction": "outbound" if over.direction == DIRECTION_OUTBOUND else "inbound",
        "line": over.line,
        "caller": over.caller_number,
        "callee": over.callee,
        "gateway": over.gateway,
        "address": over.network_address,
        "sip_call_id": over.sip_call_id,
        "node": fact.node,
        "cause": over.cause,
        "sip_status": over.sip_status,
        "party": word(HangupParty, over.party),
        "created_ms": over.created_us // 1000 or ended_ms,
        "answered_ms": over.answered_us // 1000 or None,
        "reconciled": over.reconciled,
    }
    return Change(LEGS, f"{ended_ms // LEGS_TOGETHER_MS:013}", {f"{FACTS}.{escaped(fact.leg_id)}": fields})


def rows_of_legs(document: dict[str, Any]) -> Rows:
    """Return the rows of one document."""
    return {"legs": [_row(fact) for fact in document[FACTS].values()]}


def _row(fact: Fact) -> Row:
    answered_ms, over_ms = fact["answered_ms"], fact["t"]
    role, is_inbound = role_of(fact), fact["direction"] == "inbound"
    names = ("leg_id", "call_id", "direction", "line", "callee", "node", "sip_call_id", "sip_status", "reconciled")
    return {
        **{name: fact[name] for name in names},
        "role": role,
        "provider": "" if role == AGENT else fact["gateway"] or fact["address"],
        "client": "" if role == AGENT else as_known(fact["caller" if is_inbound else "callee"], fact["line"]),
        "hangup_cause": fact["cause"],
        "hangup_party": fact["party"],
        "at_ms": fact["created_ms"],
        "answered_ms": answered_ms,
        "ended_ms": over_ms,
        "ring_ms": max(0, (answered_ms or over_ms) - fact["created_ms"]),
        "billed_ms": max(0, over_ms - answered_ms) if answered_ms else 0,
        "answered": answered_ms is not None,
    }


def role_of(fact: Fact) -> str:
    """Return whose leg it was: the customer's names the call; of the others those through a gateway go outside."""
    if fact["leg_id"] == fact["call_id"]:
        return CUSTOMER
    return OUTSIDE if fact["gateway"] else AGENT
