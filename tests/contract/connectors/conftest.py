from collections.abc import Iterator

import pytest

from tests.contract.connectors.tenant import FAKES, Crm


@pytest.fixture(params=FAKES)
def crm(request: pytest.FixtureRequest) -> Iterator[Crm]:
    crm = Crm(request.param)
    yield crm
    crm.connection.close()
    crm.fake.stop()
