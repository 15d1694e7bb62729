from typing import Any, Final

from services.console.domain.fault import Fault
from services.console.domain.meaning import faults_of_meaning
from services.console.domain.shape import faults_of_shape
from services.console.domain.yaml_text import UnreadableText, read_text

VALUES: Final = "tenants"
"""The one key of a file of Helm values that brings companies and nothing else."""


class BadDocument(ValueError):
    """A document is refused whole (SPEC 1.1). The API and the command line show every fault to its author."""

    def __init__(self, faults: list[Fault]) -> None:
        super().__init__("; ".join(map(str, faults)))
        self.faults = faults


def faults_of(document: Any) -> list[Fault]:
    """Return every fault of a document, sorted by path. Meaning is looked at only where the shape is sound."""
    return faults_of_shape(document) or faults_of_meaning(document)


def sound_document(raw: bytes) -> dict[str, Any]:
    """Read and check a text; raise BadDocument with every fault."""
    return checked(_read(raw))


def sound_documents(raw: bytes) -> list[dict[str, Any]]:
    """Read and check a text of one document, or of Helm values: `tenants`, each company under its own id (SPEC 1.1).

    Raises BadDocument with every fault of all of them.
    """
    text = _read(raw)
    if not isinstance(text, dict) or text.keys() != {VALUES}:
        return [checked(text)]
    companies = text[VALUES]
    if not isinstance(companies, dict):
        raise BadDocument([Fault(VALUES, "must be an object of companies by their ids.")])
    faults = [fault for tenant_id, one in companies.items() for fault in _faults_below(tenant_id, one)]
    if faults:
        raise BadDocument(faults)
    return list(companies.values())


def _faults_below(tenant_id: str, document: Any) -> list[Fault]:
    """Return a company's faults, their paths as they are in the file."""
    path = f"{VALUES}.{tenant_id}"
    faults = [Fault(f"{path}.{one.path}" if one.path else path, one.message) for one in faults_of(document)]
    if not faults and document["tenant_id"] != tenant_id:
        faults = [Fault(f"{path}.tenant_id", f"is {document['tenant_id']}: a document stands under its own id.")]
    return faults


def _read(raw: bytes) -> Any:
    try:
        return read_text(raw)
    except UnreadableText as error:
        raise BadDocument([Fault("", str(error))]) from error


def checked(document: Any) -> dict[str, Any]:
    """Check a document that is read already; raise BadDocument with every fault."""
    faults = faults_of(document)
    if faults:
        raise BadDocument(faults)
    sound: dict[str, Any] = document
    return sound
