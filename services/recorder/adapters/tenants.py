"""The tenants' documents, followed on ringmaster.tenants."""

from collections.abc import Callable
from typing import Final, Protocol

import structlog
from gevent.event import Event as Flag
from google.protobuf.message import DecodeError

from services.shared.bus.errors import BusError
from services.shared.bus.record import Record
from services.shared.contracts.ringmaster.v1.tenant_pb2 import TenantDocument

POLL_SECONDS: Final = 1.0
RETRY_SECONDS: Final = 3.0

log = structlog.get_logger()


class Reading(Protocol):
    """What is read of the bus."""

    def assignment(self) -> list[tuple[str, int]]:
        """Return the partitions that are read."""

    def end_offset(self, topic: str, partition: int) -> int:
        """Return the offset after the last record."""

    def poll(self, timeout_seconds: float) -> list[Record]:
        """Return the next records."""

    def close(self) -> None:
        """Leave."""


class TenantDocuments:
    """The newest document of each tenant. `loaded` is set once the topic was read to its end."""

    def __init__(self, connect: Callable[[], Reading]) -> None:
        self._connect = connect
        self._documents: dict[str, TenantDocument] = {}
        self.loaded = Flag()

    def of(self, tenant_id: str) -> TenantDocument:
        """Return a tenant's document, an empty one where there is none."""
        return self._documents.get(tenant_id, TenantDocument(tenant_id=tenant_id))

    def run(self, stopping: Flag) -> None:
        """Follow until the service stops; a broker that is away is asked again."""
        while not stopping.is_set():
            try:
                reader = self._connect()
                try:
                    self._follow(reader, stopping)
                finally:
                    reader.close()
            except BusError as error:
                log.warning("tenants_not_read", reason=str(error), known=len(self._documents))
                stopping.wait(RETRY_SECONDS)

    def take(self, record: Record) -> None:
        """Take in one record."""
        if not record.value:
            self._documents.pop(record.key, None)
            return
        try:
            document = TenantDocument.FromString(record.value)
        except DecodeError:
            log.warning("tenant_document_unreadable", tenant_id=record.key, offset=record.offset)
            return
        if document.tenant_id == record.key:
            self._documents[record.key] = document

    def _follow(self, reader: Reading, stopping: Flag) -> None:
        left = {place: end for place in reader.assignment() if (end := reader.end_offset(*place)) > 0}
        while not stopping.is_set():
            if not left:
                self.loaded.set()
            for record in reader.poll(POLL_SECONDS):
                self.take(record)
                place = (record.topic, record.partition)
                if left.get(place, 0) <= record.offset + 1:
                    left.pop(place, None)
