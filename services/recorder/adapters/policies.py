"""What each company wants done with its recordings, followed on ringmaster.tenants."""

from collections.abc import Callable

from services.recorder.domain.policy import Policies, Policy
from services.recorder.errors import TryAgain
from services.shared.bus.follower import Follower
from services.shared.bus.ports import Reader
from services.shared.bus.tenants import into_documents
from services.shared.contracts.ringmaster.v1.tenant_pb2 import TenantDocument

RETRY_SECONDS = 3.0


class PoliciesUnknown(TryAgain):
    """The companies' documents were not read yet: nothing is stored by a guess."""

    outcome = "policies_unknown"
    is_outage = True


class PolicyReader:
    """Follows the compacted topic from its begin; a company that is unknown, or gone, has the default policy."""

    def __init__(self, connect: Callable[[], Reader]) -> None:
        self._companies: dict[str, Policies] = {}
        self._follower = Follower(connect, into_documents(self._put, self._remove), pause_seconds=RETRY_SECONDS)
        self.run = self._follower.run

    def of(self, tenant_id: str, line: str, queue_id: str) -> Policy:
        """Return the policy of a recording. Raises PoliciesUnknown before the topic was read to its end once."""
        if not self._follower.current.is_set():
            raise PoliciesUnknown(f"the companies' documents were not read yet: {self._follower.trouble}")
        policies = self._companies.get(tenant_id)
        return policies.of(line, queue_id) if policies is not None else Policy()

    def lines(self, tenant_id: str) -> tuple[str, ...]:
        """Return a company's lines, E.164: they tell in which countries its callers' numbers are written."""
        policies = self._companies.get(tenant_id)
        return policies.lines if policies is not None else ()

    def companies(self) -> list[str]:
        """Return the companies that are known."""
        return sorted(self._companies)

    def least_retention_days(self, tenant_id: str) -> int:
        """Return the shortest time after which any recording of a company may go; 0 = none ever does."""
        policies = self._companies.get(tenant_id)
        return min((each.retention_days for each in policies.all if each.retention_days), default=0) if policies else 0

    def _put(self, document: TenantDocument) -> None:
        self._companies[document.tenant_id] = Policies(document)

    def _remove(self, tenant_id: str) -> None:
        self._companies.pop(tenant_id, None)
