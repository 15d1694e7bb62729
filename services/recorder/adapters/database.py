"""How every use of the document store fails."""

from collections.abc import Iterator
from contextlib import contextmanager

from pymongo.errors import PyMongoError

from services.recorder.errors import DocumentsFailed
from services.shared.chassis.documents import sentence_of


@contextmanager
def as_documents_failed() -> Iterator[None]:
    """Raise what the driver raises as DocumentsFailed."""
    try:
        yield
    except PyMongoError as error:
        raise DocumentsFailed(sentence_of(error)) from error
