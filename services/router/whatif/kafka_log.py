"""One tenant's logs from the broker: all that is kept of ringmaster.inputs, up to a moment, and what comes after."""

from collections.abc import Iterator
from typing import Final

from services.router.adapters.bus import GROUP, LogReader
from services.router.whatif.log_file import Logged
from services.shared.bus.backlog import Backlog, Place
from services.shared.bus.consumer import Consumer
from services.shared.bus.errors import BusUnavailable
from services.shared.bus.positions import LogName, position_of
from services.shared.bus.topics import INPUTS, partition_of
from services.shared.contracts.ringmaster.v1.input_pb2 import Input
from services.shared.log_keys import key_of, parts_of

POLL_SECONDS: Final = 1.0
MOST_EMPTY_POLLS: Final = 15


class TenantLog:
    """A tenant's inputs before a moment, each log of the tenant in its order (docs/adr/0033).

    It starts where the topic starts: decisions depend on all that came before. Nothing is committed, nobody disturbed.
    """

    def __init__(self, bootstrap: str, tenant_id: str, until_ms: int) -> None:
        """Connect. Raises BusUnavailable."""
        self._tenant_id, self._until_ms = tenant_id, until_ms
        self._consumer = Consumer(bootstrap, GROUP, [INPUTS], "whatif", only_follows=True)
        self._partitions = len(self._consumer.assignment())
        self._epochs = epochs_of(self._consumer, range(self._partitions))
        self._domains = {""}
        """Of all documents that have been read; the first one is the tenant's own log."""
        self._positions: dict[Place, int] = {}

    def up_to_now(self) -> Iterator[Logged]:
        """Yield what has come since the last time, up to the end that the topic has now. Raises BusUnavailable."""
        read: set[Place] = set()
        while unread := self._places() - read:
            yield from self._read(unread)
            read |= unread

    def _places(self) -> set[Place]:
        keys = [key_of(self._tenant_id, domain) for domain in self._domains]
        return {(INPUTS, partition_of(key, self._partitions)) for key in keys}

    def _read(self, places: set[Place]) -> Iterator[Logged]:
        """Yield the tenant's records, of whatever partition they come, until all that these hold now has come."""
        backlog, empty = Backlog(self._consumer, places, self._positions), 0
        while not backlog.is_read:
            records = backlog.poll(POLL_SECONDS)
            empty = 0 if records else empty + 1
            if empty > MOST_EMPTY_POLLS:
                raise BusUnavailable(f"{INPUTS}, partitions {sorted(number for _, number in places)}: nothing comes")
            for record in records:
                self._positions[INPUTS, record.partition] = record.offset + 1
                if parts_of(record.key)[0] == self._tenant_id and record.timestamp_ms < self._until_ms:
                    given = Input.FromString(record.value)
                    self._domains.update(each.domain_id for each in given.document.routing_domains)
                    position = position_of(self._epochs.get(record.partition, 0), record.offset)
                    yield Logged(record.partition, position, record.timestamp_ms, given)

    def close(self) -> None:
        """Leave the broker."""
        self._consumer.close()


def epochs_of(reader: LogReader, partitions: range) -> dict[int, int]:
    """Return the epochs of which the routers have taken note: what was decided has its ids by them (ADR 56)."""
    notes = {number: LogName.read(note) for number, (_, note) in reader.noted_of(INPUTS, partitions).items()}
    return {number: name.epoch for number, name in notes.items() if name is not None}


def read_kafka(bootstrap: str, tenant_id: str, until_ms: int) -> Iterator[Logged]:
    """Yield a tenant's inputs before a moment, up to the end that the topic has now. Raises BusUnavailable."""
    log = TenantLog(bootstrap, tenant_id, until_ms)
    try:
        yield from log.up_to_now()
    finally:
        log.close()
