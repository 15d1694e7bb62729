"""Builds the inputs that the listener tells. Fields are set one by one: half the cost of keyword arguments."""

from services.listener.domain.legs import Asked, Leg
from services.shared.contracts.ringmaster.v1.command_pb2 import Command, CommandOutcome, CommandResult
from services.shared.contracts.ringmaster.v1.input_pb2 import Input
from services.shared.contracts.ringmaster.v1.switch_pb2 import COLLECT_OUTCOME_TIMEOUT, SwitchFact

ERROR_MISSED = "the end was missed in a gap"


class FactBuilder:
    """Knows the node and the FreeSWITCH process of which facts are told."""

    def __init__(self, node: str) -> None:
        self.node = node
        self.core_uuid = ""

    def of_leg(self, leg: Leg, switch_sequence: int, occurred_us: int) -> Input:
        """Begin a fact of a leg; the caller sets what happened. `switch_sequence` is 0 for what we derived."""
        leg.sequence += 1
        told = Input()
        told.tenant_id = leg.tenant_id
        if leg.domain:
            told.domain = leg.domain
        fact = told.fact
        fact.node = self.node
        fact.core_uuid = self.core_uuid
        if switch_sequence:
            fact.switch_sequence = switch_sequence
        fact.leg_sequence = leg.sequence
        fact.occurred_us = occurred_us
        fact.leg_id = leg.leg_id
        if leg.call_id:
            fact.call_id = leg.call_id
        return told

    def of_missed_end(self, leg: Leg, command_id: str, asked: Asked, occurred_us: int) -> Input:
        """Tell the end of something asked that nobody saw: a prompt that failed, a question that got no answer."""
        told = self.of_leg(leg, 0, occurred_us)
        if asked is Asked.PLAYBACK:
            told.fact.playback_finished.command_id = command_id
            told.fact.playback_finished.error = ERROR_MISSED
        elif asked is Asked.ANSWER:
            told.fact.answer_recorded.command_id = command_id
        else:
            told.fact.digits_collected.command_id = command_id
            told.fact.digits_collected.outcome = COLLECT_OUTCOME_TIMEOUT
        return told

    def of_switch(self, tenant_id: str, occurred_us: int, switch_sequence: int = 0) -> Input:
        """Begin a fact of the switch or of a phone."""
        told = Input()
        told.tenant_id = tenant_id
        fact: SwitchFact = told.fact
        fact.node = self.node
        fact.core_uuid = self.core_uuid
        fact.switch_sequence = switch_sequence
        fact.occurred_us = occurred_us
        return told

    def of_result(self, command: Command, outcome: "CommandOutcome.ValueType", cause: str) -> Input:
        """Tell what became of a command."""
        return Input(
            tenant_id=command.tenant_id,
            domain=command.domain,
            command_result=CommandResult(
                command_id=command.command_id,
                leg_id=command.leg_id,
                call_id=command.call_id,
                outcome=outcome,
                cause=cause,
                node=self.node,
            ),
        )
