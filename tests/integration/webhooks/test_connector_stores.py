"""One suite for what connectors remember: in memory as tests do, and in the document store."""

from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import gevent
import pytest

from services.shared.chassis.documents import open_database
from services.webhooks.adapters.connectors.engine import MemorySteps, Steps
from services.webhooks.adapters.connectors.mongo import MongoSteps, MongoTokenStore
from services.webhooks.adapters.connectors.sign_in import MemoryTokenStore, TokenStore
from services.webhooks.waiting import StoreUnavailable


@pytest.fixture(params=["memory", "documents"])
def stores(request: pytest.FixtureRequest) -> Iterator[tuple[Steps, TokenStore]]:
    if request.param == "memory":
        yield MemorySteps(), MemoryTokenStore()
        return
    database = open_database(f"{request.getfixturevalue('store_uri')}/steps{uuid4().hex[:8]}", "test")
    steps = MongoSteps(database)
    steps.prepare()
    yield steps, MongoTokenStore(database)
    database.client.close()


def test_what_is_known_of_a_delivery_is_kept_by_its_key(stores: tuple[Steps, TokenStore]) -> None:
    steps, _ = stores
    assert steps.load("acme.crm/1") == {}
    steps.save("acme.crm/1", {"contact_id": "5"})
    steps.save("acme.crm/1", {"contact_id": "5", "activity_id": 7})
    assert steps.load("acme.crm/1") == {"contact_id": "5", "activity_id": 7}
    assert steps.load("beta.crm/1") == {}


def test_a_token_is_kept_as_it_is(stores: tuple[Steps, TokenStore]) -> None:
    _, tokens = stores
    assert tokens.load("acme.crm") is None
    tokens.save("acme.crm", b"\x00sealed")
    tokens.save("acme.crm", b"\x01sealed anew")
    assert tokens.load("acme.crm") == b"\x01sealed anew"


def test_a_token_is_refreshed_by_one_until_its_claim_ends(stores: tuple[Steps, TokenStore]) -> None:
    _, tokens = stores
    tried = [gevent.spawn(tokens.claim, "acme.crm", 100.0, 130.0) for _ in range(8)]
    gevent.joinall(tried, timeout=20)
    assert sorted(one.value for one in tried) == [False] * 7 + [True]
    assert tokens.load("acme.crm") is None
    assert tokens.claim("beta.crm", 100.0, 130.0)
    assert not tokens.claim("acme.crm", 129.9, 160.0)
    assert tokens.claim("acme.crm", 130.0, 160.0), "who held it was killed"
    tokens.save("acme.crm", b"sealed")
    assert tokens.claim("acme.crm", 131.0, 161.0), "what it was held for is there"
    assert tokens.load("acme.crm") == b"sealed"
    assert not tokens.claim("acme.crm", 132.0, 162.0)
    tokens.let_go("acme.crm")
    assert tokens.claim("acme.crm", 132.0, 162.0)


def test_a_store_that_is_away_says_so() -> None:
    database: Any = open_database("mongodb://127.0.0.1:1/steps", "test", 0.2)
    with pytest.raises(StoreUnavailable):
        MongoSteps(database).load("x")
    with pytest.raises(StoreUnavailable):
        MongoTokenStore(database).save("x", b"")
    database.client.close()
