"""One tenant's log from the broker: all that is kept of ringmaster.inputs, up to a moment, and what comes after."""

from collections.abc import Iterator
from typing import Final

from services.router.whatif.log_file import Logged
from services.shared.bus.backlog import Backlog
from services.shared.bus.consumer import Consumer
from services.shared.bus.errors import BusUnavailable
from services.shared.bus.topics import INPUTS, partition_of
from services.shared.contracts.ringmaster.v1.input_pb2 import Input

POLL_SECONDS: Final = 1.0
MOST_EMPTY_POLLS: Final = 15


class TenantLog:
    """A tenant's inputs before a moment, in their order.

    It starts where the topic starts: decisions depend on all that came before. Nothing is committed, nobody disturbed.
    """

    def __init__(self, bootstrap: str, tenant_id: str, until_ms: int) -> None:
        """Connect. Raises BusUnavailable."""
        self._tenant_id, self._until_ms = tenant_id, until_ms
        self._consumer = Consumer(bootstrap, None, [INPUTS], "whatif")
        self._partition = partition_of(tenant_id, len(self._consumer.assignment()))
        self._next_offset = 0

    def up_to_now(self) -> Iterator[Logged]:
        """Yield what has come since the last time, up to the end that the topic has now. Raises BusUnavailable."""
        if self._consumer.end_offset(INPUTS, self._partition) <= self._next_offset:
            return
        backlog, empty = Backlog(self._consumer, [(INPUTS, self._partition)]), 0
        while not backlog.is_read:
            records = backlog.poll(POLL_SECONDS)
            empty = 0 if records else empty + 1
            if empty > MOST_EMPTY_POLLS:
                raise BusUnavailable(f"{INPUTS}, partition {self._partition}: nothing came after {self._next_offset}")
            for record in records:
                if record.partition == self._partition:
                    self._next_offset = record.offset + 1
                    if record.key == self._tenant_id and record.timestamp_ms < self._until_ms:
                        given = Input.FromString(record.value)
                        yield Logged(record.partition, record.offset, record.timestamp_ms, given)

    def close(self) -> None:
        """Leave the broker."""
        self._consumer.close()


def read_kafka(bootstrap: str, tenant_id: str, until_ms: int) -> Iterator[Logged]:
    """Yield a tenant's inputs before a moment, up to the end that the topic has now. Raises BusUnavailable."""
    log = TenantLog(bootstrap, tenant_id, until_ms)
    try:
        yield from log.up_to_now()
    finally:
        log.close()
