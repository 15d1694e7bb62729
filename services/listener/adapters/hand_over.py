"""Gives a leg to another log of its tenant (docs/adr/0033): between two of its facts, and once.

What a kill between any two lines leaves behind. The command is written down as begun before anything is told, and its
end only when the fact is safe in Kafka or on disk, and the table of legs with it. So a hand-over that a former life had
begun is always completed: the fact is told again, which its hop makes harmless, and of a leg that is gone its end too,
for that may stand in the former log. One that was never begun is refused when the leg is gone.
"""

from collections.abc import Callable

import gevent

from services.listener.adapters.gate import Gate
from services.listener.adapters.publisher import Publisher
from services.listener.domain.execution import Ended
from services.listener.domain.facts import FactBuilder
from services.listener.domain.legs import Leg, LegTable
from services.listener.domain.reconciliation import CAUSE_MISSED
from services.shared.contracts.ringmaster.v1.command_pb2 import (
    COMMAND_OUTCOME_DONE,
    COMMAND_OUTCOME_FAILED,
    Command,
)
from services.shared.contracts.ringmaster.v1.input_pb2 import Input

NO_SUCH_LEG = "NO_SUCH_LEG"
FELL_BACK = "FELL_BACK"
"""The dialplan has taken the leg from us: nobody shall take it up again."""
STALE = "STALE"
"""A later hand-over of the leg was done already."""
SETTLE_POLL_SECONDS = 0.001


class HandOver:
    """Changes the log of legs; `keep` notes what changed in the table."""

    def __init__(
        self, legs: LegTable, facts: FactBuilder, publisher: Publisher, keep: Callable[[], None], gate: Gate
    ) -> None:
        self._legs = legs
        self._facts = facts
        self._publisher = publisher
        self._keep = keep
        self._gate = gate

    def do(self, command: Command, on_sent: Callable[[], None]) -> Ended:
        """Hand a leg over. `on_sent` is called once its facts stand in the new log: whoever has it may order then."""
        leg = self._legs.live.get(command.leg_id)
        if leg is None:
            return Ended(COMMAND_OUTCOME_FAILED, NO_SUCH_LEG)
        if leg.has_fallen_back:
            return Ended(COMMAND_OUTCOME_FAILED, FELL_BACK)
        if command.hand_over_leg.hop < leg.hop:
            return Ended(COMMAND_OUTCOME_FAILED, STALE)
        return self._tell(leg, command, [], on_sent)

    def complete(self, command: Command, on_sent: Callable[[], None]) -> Ended:
        """Complete what a former life had begun, whether or not it came to anything."""
        leg = self._legs.live.get(command.leg_id)
        if leg is None:
            leg = self._legs.find(command.leg_id) or Leg(command.leg_id, command.tenant_id)
            return self._tell(leg, command, [self._end_of(command)], on_sent)
        if command.hand_over_leg.hop < leg.hop:
            return Ended(COMMAND_OUTCOME_DONE)
        return self._tell(leg, command, [], on_sent)

    def _tell(self, leg: Leg, command: Command, more: list[Input], on_sent: Callable[[], None]) -> Ended:
        order = command.hand_over_leg
        leg.domain, leg.hop = order.to_domain, order.hop
        told = self._facts.of_leg(leg, 0, self._gate.clock.now_us())
        handed = told.fact.leg_handed_over
        handed.from_domain, handed.hop, handed.record = command.domain, order.hop, order.record
        self._publisher.put_all([told, *more])
        token = self._publisher.tokens
        if leg.leg_id in self._legs.live:
            self._legs.touch(leg)
        self._keep()
        on_sent()
        while self._publisher.settled < token:
            self._gate.must_be_needed()
            gevent.sleep(SETTLE_POLL_SECONDS)
        return Ended(COMMAND_OUTCOME_DONE)

    def _end_of(self, command: Command) -> Input:
        """Tell once more that a leg is gone; without a count of its own, for the tenant's own log has the end."""
        told = Input(tenant_id=command.tenant_id, domain=command.hand_over_leg.to_domain)
        fact = told.fact
        fact.node, fact.core_uuid, fact.leg_id = self._facts.node, self._facts.core_uuid, command.leg_id
        fact.occurred_us = self._gate.clock.now_us()
        fact.leg_hung_up.cause, fact.leg_hung_up.reconciled = CAUSE_MISSED, True
        return told
