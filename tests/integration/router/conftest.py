from collections.abc import Iterator

import pytest

from services.shared.testing.document_store import document_store


@pytest.fixture(scope="session")
def mongodb_uri(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of a document store of this run's own."""
    with document_store(tmp_path_factory.mktemp("documents")) as server:
        yield f"{server}/router-tests"
