"""One suite for the store in memory and the store in MongoDB: what holds for one holds for the other."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from uuid import uuid4

import pytest

from services.console.adapters.memory import MemoryErasureStore, MemoryTenantStore
from services.console.adapters.mongo import MongoErasureStore, MongoTenantStore
from services.console.store import Holder, StoreUnavailable, TenantStore, Version, VersionTaken
from services.shared.chassis.documents import open_database
from services.shared.testing.ports import free_port


@pytest.fixture(params=["memory", "mongo"])
def store(request: pytest.FixtureRequest) -> Iterator[TenantStore]:
    if request.param == "memory":
        yield MemoryTenantStore()
        return
    database = open_database(f"{request.getfixturevalue('mongodb_uri')}/store_{uuid4().hex[:12]}", "test")
    store = MongoTenantStore(database)
    store.prepare()
    yield store
    database.client.close()


def version(number: int, tenant_id: str = "acme") -> Version:
    # A key with a dot and a dollar sign: words of a tenant, not of the store.
    return Version(tenant_id, number, {"a.b": {"$set": [1, None]}, "name": "Олена"}, b"\x00\xff", "anna", 1_700)


def test_versions_come_back_as_they_were_newest_first(store: TenantStore) -> None:
    for number in (1, 2, 10):
        store.append(version(number))
    store.append(version(1, "borealis"))
    assert store.head("acme") == version(10)
    assert store.version("acme", 2) == version(2)
    assert [one.number for one in store.history("acme", 2)] == [10, 2]
    assert store.tenants() == ["acme", "borealis"]
    assert (store.head("nobody"), store.version("acme", 3), store.history("nobody", 5)) == (None, None, [])


def test_history_goes_on_below_a_number_and_a_request_is_found_by_its_id(store: TenantStore) -> None:
    for number in (1, 2, 3):
        store.append(replace(version(number), request_id=f"r{number}" if number > 1 else ""))
    store.append(replace(version(1, "borealis"), request_id="r9"))
    assert [one.number for one in store.history("acme", 5, 3)] == [2, 1]
    found = store.applied_by("acme", "r2")
    assert found is not None
    assert (found.number, found.request_id) == (2, "r2")
    assert store.applied_by("acme", "r9") is None


def test_a_version_is_rewritten_in_place_and_keeps_the_rest(store: TenantStore) -> None:
    store.append(replace(version(1), request_id="r1"))
    store.append(version(2))
    filed: dict[str, Any] = {"rules": [{"rule_id": "late"}], "webhooks": []}
    store.rewrite(replace(version(1), document={"name": "Nobody"}, contract=b"other", actor="erasure", filed=filed))
    assert store.version("acme", 1) == replace(
        version(1), request_id="r1", document={"name": "Nobody"}, contract=b"other", filed=filed
    )
    store.append(replace(version(3), filed=filed))
    assert [one.filed for one in store.history("acme", 3)] == [filed, None, filed]
    assert store.version("acme", 2) == version(2)


def test_reports_of_erasures_are_kept_in_place_of_older_ones(request: pytest.FixtureRequest) -> None:
    database = open_database(f"{request.getfixturevalue('mongodb_uri')}/store_{uuid4().hex[:12]}", "test")
    mongo = MongoErasureStore(database)
    mongo.prepare()
    for reports in (MemoryErasureStore(), mongo):
        for state, erasure_id, asked_ms in (("open", "er-1", 1), ("open", "er-2", 2), ("done", "er-1", 1)):
            reports.keep({"tenant_id": "acme", "erasure_id": erasure_id, "asked_ms": asked_ms, "state": state})
        assert [(one["erasure_id"], one["state"]) for one in reports.newest("acme", 9)] == [
            ("er-2", "open"),
            ("er-1", "done"),
        ]
        assert (reports.find("acme", "er-1") or {})["state"] == "done"
        assert reports.find("borealis", "er-1") is None
    database.client.close()


def test_a_number_is_given_once(store: TenantStore) -> None:
    store.append(version(1))
    with pytest.raises(VersionTaken):
        store.append(version(1))


def test_a_version_is_unpublished_until_it_is_marked(store: TenantStore) -> None:
    store.append(version(1))
    store.append(version(2))
    assert store.unpublished() == [("acme", 1), ("acme", 2)]
    store.mark_published("acme", [1])
    assert store.unpublished() == [("acme", 2)]
    head = store.version("acme", 1)
    assert head is not None
    assert head.is_published


def test_a_claim_changes_hands_only_from_the_one_who_is_known_to_hold_it(store: TenantStore) -> None:
    first, second, third = Holder("acme", 1), Holder("borealis", 2), Holder("acme", 3)
    assert store.take_claim("line:+1", None, first)
    assert not store.take_claim("line:+1", None, second)
    assert store.take_claim("line:+1", first, second)
    assert not store.take_claim("line:+1", first, third)
    assert store.holder("line:+1") == second
    assert store.holder("line:+2") is None


def test_a_store_that_is_not_there_says_so() -> None:
    database = open_database(f"mongodb://127.0.0.1:{free_port()}/nothing", "test", wait_seconds=0.5)
    store = MongoTenantStore(database)
    with pytest.raises(StoreUnavailable):
        store.tenants()
    database.client.close()
