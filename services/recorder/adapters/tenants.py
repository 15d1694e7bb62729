"""The tenants' documents, followed on ringmaster.tenants."""

from collections.abc import Callable
from typing import Final

from services.shared.bus.follower import Follower
from services.shared.bus.ports import Reader
from services.shared.bus.tenants import into_documents
from services.shared.contracts.ringmaster.v1.tenant_pb2 import TenantDocument

RETRY_SECONDS: Final = 3.0


class TenantDocuments:
    """The newest document of each tenant. `loaded` is set once the topic was read to its end."""

    def __init__(self, connect: Callable[[], Reader]) -> None:
        self._documents: dict[str, TenantDocument] = {}
        follower = Follower(connect, into_documents(self._put, self._remove), pause_seconds=RETRY_SECONDS)
        self.run = follower.run
        self.loaded = follower.current

    def of(self, tenant_id: str) -> TenantDocument:
        """Return a tenant's document, an empty one where there is none."""
        return self._documents.get(tenant_id, TenantDocument(tenant_id=tenant_id))

    def _put(self, document: TenantDocument) -> None:
        self._documents[document.tenant_id] = document

    def _remove(self, tenant_id: str) -> None:
        self._documents.pop(tenant_id, None)
