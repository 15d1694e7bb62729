"""Whose a leg is, found at its birth: by the line that was dialled, never by what a caller sends (DESIGN rule 6)."""

from services.listener.domain.directory import Directory, canonical_line
from services.listener.domain.facts import FactBuilder
from services.listener.domain.headers import LONGEST, number
from services.listener.domain.legs import Leg, LegTable
from services.shared.contracts.ringmaster.v1.input_pb2 import Input
from services.shared.contracts.ringmaster.v1.switch_pb2 import DIRECTION_INBOUND, DIRECTION_OUTBOUND


class Births:
    """Takes legs into the table. `values` are always those of CHANNEL_CREATE, made up where no event told them."""

    def __init__(self, facts: FactBuilder, directory: Directory, legs: LegTable) -> None:
        self._facts = facts
        self._directory = directory
        self._legs = legs

    def born(self, leg: Leg, values: list[str], *, reconciled: bool = False) -> Input:
        """Take a leg into the table and tell its creation."""
        self._legs.add(leg)
        told = self._facts.of_leg(leg, number(values[1]), number(values[2]))
        created = told.fact.leg_created
        created.direction = DIRECTION_INBOUND if leg.is_inbound else DIRECTION_OUTBOUND
        created.line = leg.line
        created.command_id = leg.command_id
        sides = (value[:LONGEST] for value in values[9:13])
        created.caller_number, created.caller_name, created.sip_call_id, created.network_address = sides
        created.reconciled = reconciled
        return told

    def identify(self, values: list[str]) -> Leg | None:
        """Say whose leg this is: by the line that was dialled, or by what our originate set on a leg that we made."""
        leg_id, created_us = values[0], number(values[2])
        if values[4] == "outbound":
            tenant_id, call_id, command_id = values[6:9]
            if not tenant_id:
                return None
            leg = Leg(
                leg_id, tenant_id, call_id=call_id, command_id=command_id, is_inbound=False, created_us=created_us
            )
            leg.domain, leg.hop = place_of(values[13])
            return leg
        line = canonical_line(values[5]) or canonical_line(values[3])
        tenant_id = self._directory.tenant_of_line(line)
        if not tenant_id:
            return None
        leg = Leg(leg_id, tenant_id, line=line, created_us=created_us)
        leg.domain, leg.hop = place_of(values[13])
        return leg


def place_of(text: str) -> tuple[str, int]:
    """Read the variable that says whose log has a leg: routing domain and hop."""
    domain, _, hop = text.partition(":")
    return domain, number(hop)
