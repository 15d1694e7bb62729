"""Several agents become free at once: the first caller of all is served first, whoever may serve the others."""

from services.shared.contracts.ringmaster.v1 import request_pb2 as rq
from services.shared.contracts.ringmaster.v1 import tenant_pb2 as tn
from services.shared.contracts.ringmaster.v1.input_pb2 import Input
from tests.unit.router.world import TENANT, Log, document


def tenant(version: int, sales: list[str], vip: list[str]) -> tn.TenantDocument:
    """Return a tenant with a queue of little and one of much priority, 1 and 7 in the menu."""
    made = document(version, tn.STRATEGY_TOP_DOWN)
    made.queues.add().CopyFrom(made.queues[0])
    made.queues[1].queue_id, made.queues[1].priority = "vip", 5
    for queue, names in zip(made.queues, (sales, vip), strict=True):
        del queue.tiers[:]
        for position, name in enumerate(names, 1):
            queue.tiers.add(agent_id=name, level=1, position=position)
    flow = made.flows[0]
    flow.steps.add(step_id="vip", queue=tn.QueueStep(queue_id="vip"))
    next(step for step in flow.steps if step.step_id == "ask").exits["7"] = "vip"
    return made


def test_an_agent_is_not_given_to_a_caller_whose_turn_comes_later() -> None:
    log = Log(tenant(1, sales=["ivan"], vip=["ivan"]))
    log.ready("olena", "taras")
    log.request("r1", set_agent_status=rq.SetAgentStatus(agent_id="ivan", status=rq.AGENT_STATUS_AWAY))
    log.queue("c1")
    log.arrive("c2")
    log.press("c2", "7")
    log.feed(Input(tenant_id=TENANT, document=tenant(2, sales=["taras", "olena"], vip=["taras"])))
    offered = {event.call_id: event.offer_created.agent_id for event in log.events("offer_created")}
    assert offered == {"c1": "olena", "c2": "taras"}
