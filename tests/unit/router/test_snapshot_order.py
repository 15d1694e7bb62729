"""What earlier callers required leaves no trace in later decisions: a snapshot does not keep it."""

import orjson
import pytest

from services.router.domain.decide import decide
from services.router.domain.snapshot import from_snapshot, to_snapshot
from services.router.domain.strategies import STRATEGIES
from services.router.domain.turn import Position
from services.shared.contracts.ringmaster.v1 import tenant_pb2 as tn
from tests.unit.router.world import Log, document

AGENTS = tuple(f"a{number}" for number in range(8))


def tenant(strategy: int) -> tn.TenantDocument:
    """Return a tenant whose agents know English in turn, and whose callers need it when they press 1."""
    made = document(strategy=tn.Strategy.ValueType(strategy))
    del made.agents[:], made.queues[0].tiers[:]
    made.queues[0].capacity = made.limits.concurrent_calls = 0
    for number, name in enumerate(AGENTS):
        made.agents.add(agent_id=name, name=name, phone=f"phone-{name}").skills.update({"en": 50} if number % 2 else {})
        made.queues[0].tiers.add(agent_id=name, level=1, position=number + 1)
    flow = made.flows[0]
    next(step for step in flow.steps if step.step_id == "wait").queue.required_skills.add(skill="en")
    flow.steps.add(step_id="any", queue=tn.QueueStep(queue_id="sales"))
    next(step for step in flow.steps if step.step_id == "ask").exits["7"] = "any"
    return made


@pytest.mark.parametrize("strategy", sorted(STRATEGIES))
def test_a_snapshot_changes_neither_who_is_asked_nor_the_reasons(strategy: int) -> None:
    log = Log(tenant(strategy))
    log.ready(*AGENTS)
    log.queue("c1")
    log.hangs_up("c1")
    for leg_id in list(log.state.legs):
        log.hangs_up(leg_id, "ORIGINATOR_CANCEL")
    for number in range(2, 12):
        call_id = f"c{number}"
        log.arrive(call_id)
        resumed = from_snapshot(orjson.loads(orjson.dumps(to_snapshot(log.state))))
        log.press(call_id, "7")
        time_ms, given = log.inputs[-1]
        again = decide(resumed, Position(0, len(log.inputs) - 1), time_ms, given)
        assert again.events == log.outputs[-1].events
        assert again.commands == log.outputs[-1].commands
        log.hangs_up(call_id)
        for leg_id in list(log.state.legs):
            log.hangs_up(leg_id, "ORIGINATOR_CANCEL")
