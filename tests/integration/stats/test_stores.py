"""One suite for both stores: the one in memory may not differ from the true one."""

from collections.abc import Iterator
from datetime import UTC, datetime
from uuid import uuid4

import pytest
from pymongo import monitoring

from services.shared.bus.positions import LogName
from services.stats.adapters.memory import MemoryStore
from services.stats.adapters.mongo import WRITE_BATCH, MongoStore
from services.stats.store import PartitionSnapshot, Store, StoreUnavailable, TenantSnapshot


@pytest.fixture(params=["memory", "mongo"])
def store(request: pytest.FixtureRequest) -> Iterator[Store]:
    if request.param == "memory":
        yield MemoryStore()
        return
    store = MongoStore(request.getfixturevalue("mongodb_uri"))
    store.prepare()
    yield store
    store.close()


@pytest.fixture
def tenant() -> str:
    return f"acme-{uuid4().hex[:8]}"


def test_fields_of_a_call_come_together_in_any_order_and_repeats_change_nothing(store: Store, tenant: str) -> None:
    ended = {(tenant, "c1"): {"ended": True, "exit": "answered"}}
    store.write({**ended, (tenant, "c2"): {"started": True, "started_ms": 2}})
    for _ in range(2):
        store.write(
            {(tenant, "c1"): {"started": True, "started_ms": 1, "answered": True, "recordings.r1": {"key": "k"}}}
        )
    store.write(ended)
    assert store.summary(tenant) == {
        "calls_in": 2,
        "calls_ended": 1,
        "answered": 1,
        "by_exit": {"answered": 1},
        "called_back": {"dialled": 0, "answered": 0, "not_ended": 0},
        "recordings_stored": 1,
    }
    newest = store.newest(tenant, 10)
    assert [call["call_id"] for call in newest] == ["c2", "c1"]
    assert newest[1]["recordings"] == {"r1": {"key": "k"}}
    assert len(store.newest(tenant, 1)) == 1


class Sizes(monitoring.CommandListener):
    """Counts what each request to the store writes."""

    def __init__(self) -> None:
        self.seen: list[int] = []

    def started(self, event: monitoring.CommandStartedEvent) -> None:
        if event.command_name == "update":
            self.seen.append(len(event.command["updates"]))

    def succeeded(self, event: monitoring.CommandSucceededEvent) -> None: ...
    def failed(self, event: monitoring.CommandFailedEvent) -> None: ...


def test_a_backlog_is_written_in_pieces_that_end_in_time(mongodb_uri: str, tenant: str) -> None:
    sizes = Sizes()
    monitoring.register(sizes)
    try:
        store = MongoStore(mongodb_uri)
    finally:
        monitoring._LISTENERS.command_listeners.remove(sizes)  # there is no public way back
    calls = 2 * WRITE_BATCH + 7
    store.write({(tenant, f"c{number}"): {"started": True, "direction": "inbound"} for number in range(calls)})
    assert store.summary(tenant)["calls_in"] == calls
    assert sizes.seen == [WRITE_BATCH, WRITE_BATCH, 7]
    store.close()


def test_customers_whom_we_called_are_counted_beside_those_who_called(store: Store, tenant: str) -> None:
    outbound = {"started": True, "direction": "outbound", "dialled": True}
    store.write(
        {
            (tenant, "c1"): {"started": True, "direction": "inbound", "ended": True, "exit": "abandoned"},
            (tenant, "c2"): {**outbound, "answered": True, "ended": True, "exit": "answered"},
            (tenant, "c3"): outbound,
        }
    )
    found = store.summary(tenant)
    assert (found["calls_in"], found["answered"], found["by_exit"]) == (1, 0, {"abandoned": 1})
    assert found["called_back"] == {"dialled": 2, "answered": 1, "not_ended": 1}


def test_a_call_that_was_answered_is_read_as_that_whatever_its_document_says_befell_it(
    store: Store, tenant: str
) -> None:
    over = {"started": True, "ended": True, "direction": "inbound"}
    store.write(
        {
            (tenant, "c1"): {**over, "answered": True, "exit": "fallback", "started_ms": 1},
            (tenant, "c2"): {**over, "answered": True, "exit": "answered", "started_ms": 2},
            (tenant, "c3"): {**over, "exit": "fallback", "started_ms": 3},
            (tenant, "c4"): {"started": True, "answered": True, "direction": "inbound", "started_ms": 4},
        }
    )
    assert store.summary(tenant)["by_exit"] == {"answered": 2, "fallback": 1}
    assert [call.get("exit") for call in store.newest(tenant, 10)] == [None, "fallback", "answered", "answered"]
    shown = store.call(tenant, "c1")
    assert shown
    assert shown["exit"] == "answered"


def test_calls_of_another_tenant_are_not_seen_though_their_ids_are_equal(store: Store, tenant: str) -> None:
    store.write({(tenant, "c1"): {"started": True}, (f"{tenant}-rival", "c1"): {"started": True}})
    assert store.summary(tenant)["calls_in"] == 1
    assert [call["tenant_id"] for call in store.newest(tenant, 10)] == [tenant]


def test_which_log_a_partition_was_is_known_whatever_is_written_anew(store: Store, tenant: str) -> None:
    partition = hash(tenant) % 1_000_000
    assert store.log_of("ringmaster.calls", partition) is None
    store.keep_log("ringmaster.calls", partition, LogName(0, "0a7e"))
    store.keep_log("ringmaster.calls", partition, LogName(480_123, "f3c1"))
    store.forget_facts(tenant)
    assert store.log_of("ringmaster.calls", partition) == LogName(480_123, "f3c1")
    assert store.log_of("ringmaster.inputs", partition) is None


def test_a_snapshot_is_loaded_as_it_was_saved_and_each_tenant_keeps_its_offset(store: Store, tenant: str) -> None:
    first, second = TenantSnapshot(tenant, 5, b"one"), TenantSnapshot(f"{tenant}-b", 5, b"\x00" * 300_000)
    partition = hash(tenant) % 1_000_000
    assert store.load(partition) == PartitionSnapshot(0, [])
    store.save(partition, 5, [first, second])
    store.save(partition, 9, [TenantSnapshot(tenant, 9, b"two")])
    loaded = store.load(partition)
    assert loaded.next_offset == 9
    assert sorted(loaded.tenants, key=lambda each: each.tenant_id) == [TenantSnapshot(tenant, 9, b"two"), second]


def test_own_documents_are_listed_by_time_and_found_by_key_however_many_there_are(store: Store, tenant: str) -> None:
    for number in range(503):
        store.keep("mails", tenant, f"k{number}", {"at_ms": number, "state": "sent"})
    store.keep("mails", f"{tenant}-b", "k0", {"at_ms": 9_999})
    store.keep("mails", tenant, "k502", {"state": "failed"})
    listed = store.kept("mails", tenant)
    assert [each["key"] for each in listed] == [f"k{number}" for number in range(502, 2, -1)]
    assert listed[0] == {"tenant_id": tenant, "key": "k502", "at_ms": 502, "state": "failed"}
    assert [each["key"] for each in store.kept("mails", tenant, ["k1", "k0", "none"])] == ["k1", "k0"]
    assert len(store.kept("mails", tenant, [f"k{number}" for number in range(503)])) == 503
    assert store.kept("mails", tenant, []) == []


def test_nothing_to_write_is_no_fault(store: Store) -> None:
    store.write({})


def test_a_document_store_that_is_away_is_named_as_such() -> None:
    store = MongoStore("mongodb://127.0.0.1:1", wait_seconds=0.2)
    with pytest.raises(StoreUnavailable):
        store.write({("acme", "c1"): {"started": True}})
    store.close()


def test_legs_are_marked_by_their_own_log_and_forgotten_from_their_own_moment(store: Store, tenant: str) -> None:
    old = {"facts.l1": {"leg_id": "l1"}, "rev": 400, "last_at": datetime(2026, 1, 1, tzinfo=UTC)}
    store.write({}, {("legs", tenant, "1"): old, ("callbacks", tenant, "b1"): {**old, "rev": 7}})
    assert (store.mark(tenant), store.mark(tenant, "callbacks"), store.mark(tenant, "legs")) == (7, 7, 400)
    store.forget_facts(tenant, None, datetime(2026, 1, 2, tzinfo=UTC))
    assert (store.mark(tenant), store.mark(tenant, "legs")) == (0, 0)
    assert list(store.changed(tenant, "callbacks", 0)) == []
    assert [each["key"] for each in store.changed(tenant, "legs", 0)] == ["1"]


def test_documents_that_are_written_anew_are_another_generation(store: Store, tenant: str) -> None:
    call = {(tenant, "c1"): {"facts.00001": {"k": "call_started", "t": 1}, "rev": 7}}
    assert store.generation(tenant) == ""
    store.write(call)
    first = store.generation(tenant)
    store.write(call)
    assert store.generation(tenant) == first != ""
    store.forget_facts(tenant)
    store.write(call)
    assert store.generation(tenant) not in ("", first)


def test_what_changed_since_is_read_by_revision_and_what_was_deleted_is_gone(store: Store, tenant: str) -> None:
    assert store.mark(tenant) == 0
    call = {"facts.00001": {"k": "call_started", "t": 1}, "rev": 7, "last_at": datetime(2026, 1, 1, tzinfo=UTC)}
    store.write({(tenant, "c1"): call, (tenant, "c2"): {**call, "rev": 9}})
    fact = {("agent_facts", tenant, "olena:1"): {"k": "agent_state_changed", "rev": 8}}
    store.write({}, fact)
    store.write({(tenant, "c1"): {**call, "rev": 3}}, fact)
    assert store.mark(tenant) == 9
    assert [(each["call_id"], each["rev"]) for each in store.changed(tenant, "calls", 0)] == [("c1", 7), ("c2", 9)]
    assert [each["call_id"] for each in store.changed(tenant, "calls", 7)] == ["c2"]
    assert [each["key"] for each in store.changed(tenant, "agent_facts", 0)] == ["olena:1"]
    assert list(store.changed(f"{tenant}-rival", "calls", 0)) == []
    store.forget_facts(tenant)
    assert (store.mark(tenant), list(store.changed(tenant, "calls", 0))) == (0, [])


def test_documents_that_name_a_person_are_found_wherever_the_number_stands_and_name_nobody_after(
    store: Store, tenant: str
) -> None:
    person, other = "+380501112233", "+380509999999"
    started = {"k": "call_started", "client": person, "client_name": "Maria"}
    own = {"caller_number": person, "facts.00001": started, "trace.00001": {"text": "x"}, "rev": 3}
    sent_on = {"caller_number": other, "facts.00002": {"k": "call_transferred", "to_number": person}, "rev": 4}
    unknown = {"facts.x1": {"k": "call_ended", "client": "0501112233", "client_name": "Maria"}, "rev": 4}
    strange = {"caller_number": other, "facts.00001": {"k": "call_started", "client": other}, "rev": 5}
    store.write({(tenant, "own"): own, (tenant, "on"): sent_on, (tenant, "un"): unknown, (tenant, "no"): strange})
    store.write({(f"{tenant}-rival", "own"): own})
    facts = {
        ("callbacks", tenant, "b1"): {"facts.00001": {"k": "callback_requested", "number": person}, "rev": 6},
        ("happenings", tenant, "h1"): {"k": "client_vip_called", "client": person, "rev": 6},
        ("legs", tenant, "1"): {
            "facts.l1": {"caller": person, "callee": "", "sip_call_id": "trace"},
            "facts.l2": {"caller": other, "callee": "olena", "sip_call_id": "kept"},
            "rev": 40,
        },
    }
    store.write({}, facts)
    numbers = (person, "0501112233")
    found = store.naming(tenant, numbers, ("calls", "callbacks", "happenings"))
    assert sorted(each.key for each in found) == ["b1", "h1", "on", "own", "un"]
    store.forget_persons(tenant, found, 9)
    store.forget_persons(tenant, store.naming(tenant, numbers, ("legs",)), 90)
    everything = ("calls", "callbacks", "happenings", "legs")
    assert store.naming(tenant, numbers, everything) == []
    assert len(store.naming(f"{tenant}-rival", numbers, everything)) == 1
    left = {each["call_id"]: each for each in store.changed(tenant, "calls", 0)}
    assert {name: each["rev"] for name, each in left.items()} == {"own": 9, "on": 9, "un": 9, "no": 5}
    assert (left["own"]["caller_number"], left["on"]["caller_number"]) == ("", other)
    assert left["own"]["facts"]["00001"] == {"k": "call_started", "client": "", "client_name": ""}
    assert "trace" not in (store.call(tenant, "own") or {})
    (legs,) = store.changed(tenant, "legs", 0)
    assert legs["facts"]["l1"] == {"caller": "", "callee": "", "sip_call_id": ""}
    assert legs["facts"]["l2"]["sip_call_id"] == "kept"
    assert (store.mark(tenant), store.mark(tenant, "legs")) == (9, 90)
