"""The last fact of a leg says the whole of it: cause, side, moments, between whom and through whom it was (ADR 25)."""

from services.listener.domain.headers import LONGEST, number
from services.listener.domain.legs import Leg
from services.shared.contracts.ringmaster.v1.switch_pb2 import (
    DIRECTION_INBOUND,
    DIRECTION_OUTBOUND,
    HANGUP_PARTY_FAR_END,
    HANGUP_PARTY_PLATFORM,
    HANGUP_PARTY_UNSPECIFIED,
    HangupParty,
    LegHungUp,
)


def tell_end(hung_up: LegHungUp, leg: Leg, values: list[str]) -> None:
    """Fill in what FreeSWITCH says; `values` are those of CHANNEL_HANGUP_COMPLETE."""
    hung_up.cause = values[4]
    hung_up.sip_status = number(values[5]) or number(values[6])
    hung_up.party = hangup_party(values[7])
    hung_up.created_us = number(values[8])
    hung_up.answered_us = number(values[9])
    hung_up.ended_us = number(values[10])
    _tell_ways(hung_up, leg, values)


def _tell_ways(hung_up: LegHungUp, leg: Leg, values: list[str]) -> None:
    """Tell between whom the leg was and through whom it went.

    A gateway is `sip_gateway_name` of a leg that went out through it and `sip_gateway` of one that came in by its
    registration (mod_sofia). The destination of an inbound leg may be another extension by now: its line is told.
    """
    tell_side(hung_up, leg)
    if not leg.is_inbound:
        hung_up.callee = values[3][:LONGEST]
    hung_up.caller_number = values[11][:LONGEST]
    hung_up.gateway = (values[12] or values[13])[:LONGEST]
    hung_up.network_address = (values[14] or values[15])[:LONGEST]
    hung_up.sip_call_id = values[16][:LONGEST]


def tell_side(hung_up: LegHungUp, leg: Leg) -> None:
    """Tell what the table of legs knows, also where the switch told no end."""
    hung_up.direction = DIRECTION_INBOUND if leg.is_inbound else DIRECTION_OUTBOUND
    hung_up.line = leg.line


def hangup_party(disposition: str) -> "HangupParty.ValueType":
    """Read sip_hangup_disposition: what was received came from the far end (wire truth 13)."""
    if disposition.startswith("recv_"):
        return HANGUP_PARTY_FAR_END
    return HANGUP_PARTY_PLATFORM if disposition.startswith("send_") else HANGUP_PARTY_UNSPECIFIED
