from collections.abc import Callable

import structlog

from services.shared.bus.record import Record
from services.shared.contracts.ringmaster.v1.tenant_pb2 import TenantDocument

log = structlog.get_logger()


def into_documents(put: Callable[[TenantDocument], None], remove: Callable[[str], None]) -> Callable[[Record], None]:
    """Return what takes the records of ringmaster.tenants: a tenant's document, or nothing where it is gone.

    It raises DecodeError for a record that is no document. One that lies under another tenant's key is nobody's.
    """

    def take(record: Record) -> None:
        if not record.value:
            remove(record.key)
            return
        document = TenantDocument.FromString(record.value)
        if document.tenant_id == record.key:
            put(document)
        else:
            log.warning("tenant_document_misplaced", tenant_id=record.key, offset=record.offset)

    return take
