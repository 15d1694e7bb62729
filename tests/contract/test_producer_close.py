"""A producer whose broker has died can be given up, at once and for good."""

import pytest

from services.shared.bus.errors import NotDelivered
from services.shared.bus.producer import Producer
from services.shared.bus.topics import DEAD_LETTERS
from services.shared.testing.patience import Stopwatch


@pytest.mark.kafka
@pytest.mark.parametrize("alone", [True, False])
def test_a_producer_is_given_up_while_its_records_are_not_acknowledged(kafka_bootstrap: str, *, alone: bool) -> None:
    producer = Producer(kafka_bootstrap, "test")
    producer.send(DEAD_LETTERS, "k", b"before", timestamp_ms=1).wait(60)
    kafka = producer._kafka
    kafka._accumulator.muted.update(kafka._accumulator._batches)  # its partition waits for an answer that never comes
    receipt = (
        producer.send(DEAD_LETTERS, "k", b"x", timestamp_ms=1)
        if alone
        else producer.send_many(DEAD_LETTERS, [("k", b"x", 1, None)])
    )
    watch = Stopwatch()
    producer.close(0.0)
    assert watch.seconds() < 3
    with pytest.raises(NotDelivered):
        receipt.wait(1)
    assert not receipt.acknowledged
    assert not kafka._sender.is_alive()
    assert producer.in_flight == 0
