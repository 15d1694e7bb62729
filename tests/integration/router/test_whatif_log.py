"""A what-if reads one tenant's log from the true broker, and nothing else."""

import pytest

from services.router.whatif.kafka_log import TenantLog, read_kafka
from services.shared.bus.producer import Producer
from services.shared.bus.topics import INPUTS
from services.shared.contracts.ringmaster.v1.input_pb2 import Input, TimerFired
from services.shared.log_keys import key_of

pytestmark = pytest.mark.kafka
START_MS = 1_700_000_000_000


def test_a_tenants_inputs_come_in_their_order_up_to_the_moment(kafka_bootstrap: str) -> None:
    producer = Producer(kafka_bootstrap, "whatif-test")
    for number in range(250):
        for tenant_id in ("whatif-one", "whatif-two"):
            given = Input(tenant_id=tenant_id, timer=TimerFired(timer_id=f"t{number}"))
            producer.send(INPUTS, tenant_id, given.SerializeToString(), timestamp_ms=START_MS + number)
    producer.flush(60)
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
        producer.flush(60)
        found.append([one.given.timer.timer_id for one in log.up_to_now()])
    assert [*found, list(log.up_to_now())] == [["t1"], ["t2"], ["t3"], [], []]
    log.close()
    producer.close()


def test_all_logs_of_a_split_tenant_are_read_and_those_that_a_document_adds(kafka_bootstrap: str) -> None:
    tenant_id, domains = "whatif-split", ("north", "south", "east", "west")
    producer = Producer(kafka_bootstrap, tenant_id)

    def send(domain: str, given: Input) -> None:
        given.tenant_id, given.domain = tenant_id, domain
        producer.send(INPUTS, key_of(tenant_id, domain), given.SerializeToString(), timestamp_ms=START_MS)

    def told(number: int) -> list[tuple[str, str]]:
        for domain in ("", *domains):
            send(domain, Input(timer=TimerFired(timer_id=f"t{number}")))
        producer.flush(60)
        found = list(log.up_to_now())
        return sorted((one.given.domain, one.given.timer.timer_id) for one in found if one.given.HasField("timer"))

    log = TenantLog(kafka_bootstrap, tenant_id, 1 << 62)
    document = Input()
    for domain in domains:
        document.document.routing_domains.add(domain_id=domain)
    send("", document)
    for number in (1, 2):
        assert told(number) == sorted((domain, f"t{number}") for domain in ("", *domains))
    log.close()
    producer.close()


def test_a_tenant_without_a_log_has_none(kafka_bootstrap: str) -> None:
    assert list(read_kafka(kafka_bootstrap, "whatif-nobody", 1 << 62)) == []
