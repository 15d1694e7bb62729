"""One tenant's log from the broker: all that is kept of ringmaster.inputs, up to a moment."""

from collections.abc import Iterator
from typing import Final

from services.router.whatif.log_file import Logged
from services.shared.bus.consumer import Consumer
from services.shared.bus.topics import INPUTS
from services.shared.contracts.ringmaster.v1.input_pb2 import Input

POLL_SECONDS: Final = 1.0


def read_kafka(bootstrap: str, tenant_id: str, until_ms: int) -> Iterator[Logged]:
    """Yield a tenant's inputs before a moment, in their order. Raises BusUnavailable.

    It starts where the topic starts: decisions depend on all that came before. Nothing is committed, nobody disturbed.
    """
    consumer = Consumer(bootstrap, None, [INPUTS], "whatif")
    try:
        ends = {(topic, number): consumer.end_offset(topic, number) for topic, number in consumer.assignment()}
        missing = {place for place, end in ends.items() if end > 0}
        while missing:
            for record in consumer.poll(POLL_SECONDS):
                place = record.topic, record.partition
                if record.offset + 1 >= ends[place]:
                    missing.discard(place)
                if record.key == tenant_id and record.timestamp_ms < until_ms:
                    given = Input.FromString(record.value)
                    yield Logged(record.partition, record.offset, record.timestamp_ms, given)
    finally:
        consumer.close()
