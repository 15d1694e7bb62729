"""A what-if reads one tenant's log from the true broker, and nothing else."""

import pytest

from services.router.whatif.kafka_log import TenantLog, read_kafka
from services.shared.bus.producer import Producer
from services.shared.bus.topics import INPUTS
from services.shared.contracts.ringmaster.v1.input_pb2 import Input, TimerFired

pytestmark = pytest.mark.kafka
START_MS = 1_700_000_000_000


def test_a_tenants_inputs_come_in_their_order_up_to_the_moment(kafka_bootstrap: str) -> None:
    producer = Producer(kafka_bootstrap, "whatif-test")
    for number in range(250):
        for tenant_id in ("whatif-one", "whatif-two"):
            given = Input(tenant_id=tenant_id, timer=TimerFired(timer_id=f"t{number}"))
            producer.send(INPUTS, tenant_id, given.SerializeToString(), timestamp_ms=START_MS + number)
    producer.flush(10)
    producer.close()
    found = list(read_kafka(kafka_bootstrap, "whatif-one", START_MS + 240))
    assert [one.given.timer.timer_id for one in found] == [f"t{number}" for number in range(240)]
    assert [one.time_ms for one in found] == [START_MS + number for number in range(240)]
    assert {one.given.tenant_id for one in found} == {"whatif-one"}
    assert len({one.partition for one in found}) == 1
    assert [one.offset for one in found] == sorted({one.offset for one in found})


def test_what_comes_after_is_read_on(kafka_bootstrap: str) -> None:
    producer = Producer(kafka_bootstrap, "whatif-grows")
    log = TenantLog(kafka_bootstrap, "whatif-grows", START_MS + 240)
    found = []
    for number in (1, 2, 3, 900):
        given = Input(tenant_id="whatif-grows", timer=TimerFired(timer_id=f"t{number}"))
        producer.send(INPUTS, "whatif-grows", given.SerializeToString(), timestamp_ms=START_MS + number)
        producer.flush(10)
        found.append([one.given.timer.timer_id for one in log.up_to_now()])
    assert [*found, list(log.up_to_now())] == [["t1"], ["t2"], ["t3"], [], []]
    log.close()
    producer.close()


def test_a_tenant_without_a_log_has_none(kafka_bootstrap: str) -> None:
    assert list(read_kafka(kafka_bootstrap, "whatif-nobody", 1 << 62)) == []
