"""One tenant's log from the broker: all that is kept of ringmaster.inputs, up to a moment."""

from collections.abc import Iterator
from typing import Final

from services.router.whatif.log_file import Logged
from services.shared.bus.consumer import Consumer
from services.shared.bus.errors import BusUnavailable
from services.shared.bus.topics import INPUTS, partition_of
from services.shared.contracts.ringmaster.v1.input_pb2 import Input

POLL_SECONDS: Final = 1.0
MOST_EMPTY_POLLS: Final = 15


def read_kafka(bootstrap: str, tenant_id: str, until_ms: int) -> Iterator[Logged]:
    """Yield a tenant's inputs before a moment, in their order. Raises BusUnavailable.

    It starts where the topic starts: decisions depend on all that came before. Nothing is committed, nobody disturbed.
    """
    consumer = Consumer(bootstrap, None, [INPUTS], "whatif")
    try:
        partition = partition_of(tenant_id, len(consumer.assignment()))
        end = consumer.end_offset(INPUTS, partition)
        empty = next_offset = 0
        while next_offset < end:
            records = consumer.poll(POLL_SECONDS)
            empty = 0 if records else empty + 1
            if empty > MOST_EMPTY_POLLS:
                raise BusUnavailable(
                    f"{INPUTS}, partition {partition}: nothing came after offset {next_offset} of {end}"
                )
            for record in records:
                if record.partition != partition:
                    continue
                next_offset = record.offset + 1
                if record.key == tenant_id and record.timestamp_ms < until_ms and record.offset < end:
                    given = Input.FromString(record.value)
                    yield Logged(partition, record.offset, record.timestamp_ms, given)
    finally:
        consumer.close()
