from typing import Any

from services.console.domain.fault import Fault
from services.console.domain.meaning import faults_of_meaning
from services.console.domain.shape import faults_of_shape
from services.console.domain.yaml_text import UnreadableText, read_text


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
    try:
        document = read_text(raw)
    except UnreadableText as error:
        raise BadDocument([Fault("", str(error))]) from error
    return checked(document)


def checked(document: Any) -> dict[str, Any]:
    """Check a document that is read already; raise BadDocument with every fault."""
    faults = faults_of(document)
    if faults:
        raise BadDocument(faults)
    sound: dict[str, Any] = document
    return sound
