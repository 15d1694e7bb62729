"""What each company wants done with its recordings, followed on ringmaster.tenants."""

from collections.abc import Callable, Iterable
from typing import Protocol

import structlog
from gevent.event import Event as Flag
from google.protobuf.message import DecodeError

from services.recorder.domain.policy import Policies, Policy
from services.recorder.errors import TryAgain
from services.shared.bus.errors import BusError
from services.shared.bus.record import Record
from services.shared.contracts.ringmaster.v1.tenant_pb2 import TenantDocument

POLL_SECONDS = 1.0
RETRY_SECONDS = 3.0

log = structlog.get_logger()


class PoliciesUnknown(TryAgain):
    """The companies' documents were not read yet: nothing is stored by a guess."""

    outcome = "policies_unknown"


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


class PolicyReader:
    """Follows the compacted topic from its begin; a company that is unknown, or gone, has the default policy."""

    def __init__(self, connect: Callable[[], Reading]) -> None:
        self._connect = connect
        self._companies: dict[str, Policies] = {}
        self.loaded = Flag()
        self._trouble = "they are being read"

    def of(self, tenant_id: str, line: str, queue_id: str) -> Policy:
        """Return the policy of a recording. Raises PoliciesUnknown before the topic was read to its end once."""
        if not self.loaded.is_set():
            raise PoliciesUnknown(f"the companies' documents were not read yet: {self._trouble}")
        policies = self._companies.get(tenant_id)
        return policies.of(line, queue_id) if policies is not None else Policy()

    def companies(self) -> list[str]:
        """Return the companies that are known."""
        return sorted(self._companies)

    def least_retention_days(self, tenant_id: str) -> int:
        """Return the shortest time after which any recording of a company may go; 0 = none ever does."""
        policies = self._companies.get(tenant_id)
        return min((each.retention_days for each in policies.all if each.retention_days), default=0) if policies else 0

    def run(self, stopping: Flag) -> None:
        """Read until the service stops; a broker that is away is asked again."""
        while not stopping.is_set():
            try:
                reader = self._connect()
                try:
                    self._follow(reader, stopping)
                finally:
                    reader.close()
            except BusError as error:
                self._trouble = str(error)
                log.warning("policies_not_read", reason=str(error), known=len(self._companies))
                stopping.wait(RETRY_SECONDS)

    def take(self, records: Iterable[Record]) -> None:
        """Take in what was read."""
        for record in records:
            if not record.value:
                self._companies.pop(record.key, None)
                continue
            try:
                document = TenantDocument.FromString(record.value)
            except DecodeError:
                log.warning("tenant_document_unreadable", tenant_id=record.key, offset=record.offset)
                continue
            if document.tenant_id == record.key:
                self._companies[record.key] = Policies(document)

    def _follow(self, reader: Reading, stopping: Flag) -> None:
        left = {place: end for place in reader.assignment() if (end := reader.end_offset(*place)) > 0}
        while not stopping.is_set():
            if not left:
                self.loaded.set()
            records = reader.poll(POLL_SECONDS)
            self.take(records)
            for record in records:
                place = (record.topic, record.partition)
                if left.get(place, 0) <= record.offset + 1:
                    left.pop(place, None)
