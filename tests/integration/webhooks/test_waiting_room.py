"""One suite for every waiting room: the one in memory that tests use, and the one in the document store."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from pymongo.errors import BulkWriteError

from services.shared.chassis.documents import open_database
from services.shared.contracts.ringmaster.v1.delivery_pb2 import Delivery
from services.shared.testing.ports import free_port
from services.webhooks.adapters.mongo import MongoFailingEndpoints, MongoGoneEndpoints, MongoWaitingRoom
from services.webhooks.adapters.mongo_erasures import MongoErasureRows
from services.webhooks.adapters.mongo_log import MongoLogStore
from services.webhooks.adapters.mongo_notices import MongoNotices
from services.webhooks.delivery_log import LogEntry
from services.webhooks.domain.endpoint import EndpointKey
from services.webhooks.domain.journal import Figures
from services.webhooks.domain.outcome import Attempt
from services.webhooks.erasing import MemoryErasureRows
from services.webhooks.health import FailingEndpoints, MemoryFailingEndpoints
from services.webhooks.notices import MemoryNoticeStore, Notice, NoticeKind, NoticeStore
from services.webhooks.waiting import (
    End,
    Gone,
    GoneEndpoints,
    Lease,
    MemoryGoneEndpoints,
    MemoryWaitingRoom,
    Settlement,
    StoreUnavailable,
    WaitingRoom,
)


@pytest.fixture(params=["memory", "mongo"])
def room(request: pytest.FixtureRequest) -> WaitingRoom:
    if request.param == "memory":
        return MemoryWaitingRoom()
    found = MongoWaitingRoom(request.getfixturevalue("database"))
    found.prepare()
    return found


@pytest.fixture(params=["memory", "mongo"])
def gone(request: pytest.FixtureRequest) -> GoneEndpoints:
    return (
        MemoryGoneEndpoints() if request.param == "memory" else MongoGoneEndpoints(request.getfixturevalue("database"))
    )


def delivery(name: str, due_ms: int, endpoint_id: str = "crm", attempts: int = 1) -> Delivery:
    return Delivery(
        delivery_id=name,
        tenant_id="acme",
        endpoint_id=endpoint_id,
        payload=b'{"type":"call.ended"}\x00\xff',
        due_ms=due_ms,
        attempts=attempts,
    )


def claim(
    room: WaitingRoom, now_ms: int, until_ms: int, limit: int, without: list[EndpointKey], holder: str = "webhooks-0"
) -> list[Delivery]:
    return room.claim(room.due(now_ms, limit, without), Lease(holder, now_ms, until_ms))


def names(found: list[Delivery]) -> list[str]:
    return [one.delivery_id for one in found]


def test_what_is_due_is_claimed_oldest_first_and_by_one_only(room: WaitingRoom) -> None:
    room.put([delivery("late", 30), delivery("early", 10), delivery("later", 99)])
    claimed = claim(room, 50, 1000, 10, [])
    assert names(claimed) == ["early", "late"]
    assert claimed[0] == delivery("early", 10)
    assert claim(room, 50, 1000, 10, []) == []
    assert room.size() == 3


def test_what_was_claimed_and_never_settled_comes_due_again(room: WaitingRoom) -> None:
    room.put([delivery("one", 10)])
    claim(room, 50, 1000, 10, [])
    assert names(claim(room, 1000, 2000, 10, [])) == ["one"]


def test_what_a_claim_took_whose_answer_was_lost_is_found_by_its_mark(room: WaitingRoom) -> None:
    room.put([delivery("second", 20), delivery("first", 10), delivery("settled", 5), delivery("rests", 500)])
    chosen, lease = room.due(500, 10, []), Lease("webhooks-0", 50, 1000)
    taken = room.claim(chosen, lease)
    room.remove(taken[0])
    again = room.claimed(chosen, replace(lease, now_ms=60, until_ms=1010))
    assert again == taken[1:]
    assert names(again) == ["first", "second"]
    assert room.claimed(chosen, Lease("webhooks-0", 70, 1020)) == [], "another claim has taken nothing of it"
    assert claim(room, 1009, 2000, 10, []) == [delivery("rests", 500)], "its lease has begun anew"
    assert names(claim(room, 1010, 2010, 10, [], "webhooks-1")) == ["first", "second"]
    assert room.claimed(chosen, replace(lease, now_ms=1020, until_ms=2020)) == [], "somebody else has it by then"


def test_who_comes_back_after_a_kill_finds_due_what_it_had_taken_and_nobody_elses(room: WaitingRoom) -> None:
    room.put([delivery("second", 20), delivery("first", 10), delivery("rests", 500)])
    claim(room, 20, 1000, 10, [])
    room.put([delivery("theirs", 10)])
    claim(room, 20, 1000, 10, [], "webhooks-1")
    assert room.let_go(Lease("webhooks-0", 30, 1030)) == 2
    assert names(claim(room, 30, 1030, 10, [])) == ["first", "second"]
    assert names(claim(room, 500, 1500, 10, [])) == ["rests"]
    assert names(claim(room, 1000, 2000, 10, [])) == ["theirs"]


def test_what_another_has_taken_for_the_first_time_stays_its_own(room: WaitingRoom) -> None:
    room.put([delivery("theirs", 10, attempts=0)])
    claim(room, 20, 1000, 10, [], "webhooks-1")
    assert room.let_go(Lease("webhooks-0", 30, 1030)) == 0
    assert claim(room, 999, 2000, 10, []) == []


def test_what_was_settled_before_a_kill_is_not_touched_by_who_comes_back(room: WaitingRoom) -> None:
    room.put([delivery("ended", 10), delivery("failed", 10)])
    claim(room, 20, 1000, 10, [])
    room.remove(delivery("ended", 10))
    room.put_off(delivery("failed", 700, attempts=2))
    assert room.let_go(Lease("webhooks-0", 30, 1030)) == 0
    assert claim(room, 699, 1000, 10, []) == []
    assert claim(room, 700, 1700, 10, [])[0].attempts == 2


def test_who_waits_behind_one_that_was_taken_looks_again_after_a_kill(room: WaitingRoom) -> None:
    """The one ahead had ended, and the kill fell before the next one was called."""
    room.put([of_call(1, 10)])
    claim(room, 20, 1000, 10, [])
    room.put_behind(of_call(2, 1000, attempts=1))
    room.put([delivery("rests", 900), of_call(3, 1000)])
    room.remove(of_call(1, 0))
    assert room.let_go(Lease("webhooks-0", 30, 1030)) == 2
    assert names(claim(room, 30, 1030, 10, [])) == ["evt-call-1-2", "evt-call-1-3"]


def test_a_delivery_that_is_put_off_keeps_its_new_state(room: WaitingRoom) -> None:
    room.put([delivery("one", 10)])
    claim(room, 50, 1000, 10, [])
    room.put_off(delivery("one", 70, attempts=2))
    assert claim(room, 69, 1000, 10, []) == []
    assert claim(room, 70, 1000, 10, [])[0].attempts == 2


def test_a_delivery_that_comes_twice_waits_once_and_stays_as_it_is(room: WaitingRoom) -> None:
    room.put([delivery("one", 10, attempts=3)])
    room.put([delivery("one", 5, attempts=1)])
    assert room.size() == 1
    assert claim(room, 50, 1000, 10, [])[0].attempts == 3


def test_a_removed_delivery_is_gone_and_may_be_removed_again(room: WaitingRoom) -> None:
    room.put([delivery("one", 10)])
    room.remove(delivery("one", 10))
    room.remove(delivery("one", 10))
    assert claim(room, 50, 1000, 10, []) == []


def test_a_claim_leaves_out_endpoints_and_keeps_its_limit(room: WaitingRoom) -> None:
    room.put([delivery(f"slow{number}", number, "slow") for number in range(9)])
    room.put([delivery(f"quick{number}", 20 + number) for number in range(3)])
    assert names(claim(room, 50, 1000, 2, [EndpointKey("acme.slow")])) == ["quick0", "quick1"]


def test_several_ends_are_written_together_and_may_be_written_again(room: WaitingRoom) -> None:
    names = ("taken", "later", "behind", "unknown")
    room.put([delivery(name, 10) for name in names[:3]])
    assert len(claim(room, 10, 1_000, 5, [])) == 3
    ends = [
        Settlement(delivery("taken", 10), End.REMOVED),
        Settlement(delivery("later", 50, attempts=2), End.PUT_OFF),
        Settlement(delivery("behind", 60, attempts=2), End.PUT_BEHIND),
        Settlement(delivery("unknown", 70), End.PUT_OFF),
    ]
    for _ in range(2):
        room.settle(ends)
        assert [(one.delivery_id, one.attempts) for one in claim_again(room, 100)] == [
            ("later", 2),
            ("behind", 2),
            ("unknown", 1),
        ]
    room.settle([])


def claim_again(room: WaitingRoom, now_ms: int) -> list[Delivery]:
    """Return what is due at a moment, in the order of its time."""
    return room.claim(room.due(now_ms, 10, []), Lease("webhooks-1", now_ms, now_ms))


def test_nothing_is_put_when_there_is_nothing(room: WaitingRoom) -> None:
    room.put([])
    assert room.size() == 0


def of_call(position: int, due_ms: int, attempts: int = 0, call_id: str = "call-1") -> Delivery:
    one = delivery(f"evt-{call_id}-{position}", due_ms, attempts=attempts)
    one.call_id, one.position = call_id, position
    return one


def test_the_first_that_waits_of_a_call_is_told_with_the_rooms_due_time(room: WaitingRoom) -> None:
    room.put([of_call(3, 30), of_call(2, 20), of_call(1, 10, call_id="other")])
    assert room.ahead(of_call(1, 0)) is None
    assert room.ahead(of_call(2, 0)) == of_call(2, 20)
    assert room.ahead(of_call(9, 0)) == of_call(2, 20)
    claim(room, 25, 1000, 10, [])
    ahead = room.ahead(of_call(9, 0))
    assert ahead is not None
    assert ahead.due_ms == 1000
    room.remove(of_call(2, 0))
    assert room.ahead(of_call(9, 0)) == of_call(3, 30)


def test_what_waits_of_an_order_is_told_up_to_a_delivery_by_position(room: WaitingRoom) -> None:
    for position in (5, 3, 9, 7):
        room.put([of_call(position, 1_000, call_id=f"call-{position}")])
    several = [of_call(position, 1_000, call_id=f"call-{position}") for position in (15, 13, 19, 17)]
    for one in several:
        one.chain = "batch"
    room.put(several)
    assert [one.position for one in room.waiting_up_to(several[3], 9)] == [13, 15, 17]
    assert [one.position for one in room.waiting_up_to(several[3], 2)] == [13, 15]
    assert [one.position for one in room.waiting_up_to(of_call(5, 0, call_id="call-5"), 9)] == [5]


def test_the_next_of_a_call_is_called_unless_it_waits_for_its_own_time(room: WaitingRoom) -> None:
    room.put([of_call(2, 900), of_call(3, 900), of_call(5, 900, attempts=2, call_id="tried")])
    room.call_next(of_call(1, 0), 100)
    room.call_next(of_call(1, 0, call_id="tried"), 100)
    room.call_next(of_call(1, 0, call_id="none"), 100)
    assert names(claim(room, 100, 1000, 10, [])) == ["evt-call-1-2"]


def test_one_that_was_tried_and_waits_behind_another_is_called_when_that_has_ended(room: WaitingRoom) -> None:
    """Its due time may be the end of the other's lease, a minute away."""
    room.put([of_call(2, 10, attempts=1)])
    claim(room, 20, 60_000, 10, [])
    behind = of_call(2, 60_000, attempts=1)
    room.put_behind(behind)
    room.call_next(of_call(1, 0), 100)
    assert names(claim(room, 100, 1000, 10, [])) == ["evt-call-1-2"]
    room.put_off(of_call(2, 5_000, attempts=2))
    room.call_next(of_call(1, 0), 200)
    assert claim(room, 200, 1000, 10, []) == []


def test_one_that_somebody_has_taken_is_not_called(room: WaitingRoom) -> None:
    """Whoever has it tries it: called, it would come due beside that try, and be sent twice."""
    room.put([of_call(2, 10)])
    assert names(claim(room, 20, 60_000, 10, [])) == ["evt-call-1-2"]
    room.call_next(of_call(1, 0), 100)
    assert claim(room, 100, 70_000, 10, []) == []
    assert names(claim(room, 60_000, 70_000, 10, [])) == ["evt-call-1-2"]


def test_an_endpoint_is_held_and_nobody_else(room: WaitingRoom) -> None:
    room.put([delivery("soon", 10), delivery("late", 900), delivery("other", 10, "ops")])
    room.hold(EndpointKey("acme.crm"), 500)
    assert names(claim(room, 499, 1000, 10, [])) == ["other"]
    assert names(claim(room, 500, 1000, 10, [])) == ["soon"]
    assert names(claim(room, 900, 1000, 10, [])) == ["late"]


@pytest.fixture(params=["memory", "mongo"])
def failing(request: pytest.FixtureRequest) -> FailingEndpoints:
    if request.param == "memory":
        return MemoryFailingEndpoints()
    return MongoFailingEndpoints(request.getfixturevalue("database"))


def test_the_beginning_of_a_failure_is_kept_until_its_end(failing: FailingEndpoints) -> None:
    crm, ops = EndpointKey("acme.crm"), EndpointKey("acme.ops")
    failing.begin(crm, 5)
    failing.begin(crm, 9)
    failing.begin(ops, 7)
    failing.end(ops)
    failing.end(ops)
    assert failing.all() == {crm: 5}


@pytest.fixture(params=["memory", "mongo"])
def notices(request: pytest.FixtureRequest) -> NoticeStore:
    if request.param == "memory":
        return MemoryNoticeStore()
    found = MongoNotices(request.getfixturevalue("database"), "webhooks-0")
    found.prepare()
    return found


def test_notices_that_wait_are_kept_in_their_order_until_they_went(notices: NoticeStore) -> None:
    met = "no answer in time"
    told = [Notice("acme", f"e{number}", NoticeKind.FAILING, 5, 100 + number, met) for number in range(3)]
    told.append(Notice("acme", "e0", NoticeKind.RECOVERED, 5, 200))
    for notice in told:
        notices.put(notice)
    notices.put(told[1])
    assert notices.all() == told
    notices.remove(told[1])
    notices.remove(told[1])
    assert notices.all() == [told[0], *told[2:]]


def test_a_process_takes_up_its_own_notices_alone(database: dict[str, object]) -> None:
    notice = Notice("acme", "e1", NoticeKind.GONE, 5, 100)
    MongoNotices(database, "webhooks-0").put(notice)
    assert MongoNotices(database, "webhooks-1").all() == []
    assert MongoNotices(database, "webhooks-0").all() == [notice]


def test_gone_endpoints_are_remembered_with_their_url(gone: GoneEndpoints) -> None:
    gone.mark(Gone(EndpointKey("acme.crm"), "https://old.example/", 1))
    gone.mark(Gone(EndpointKey("acme.crm"), "https://new.example/", 2))
    gone.mark(Gone(EndpointKey("beta.crm"), "https://old.example/", 3))
    assert sorted(gone.all(), key=lambda one: one.at_ms) == [
        Gone(EndpointKey("acme.crm"), "https://new.example/", 2),
        Gone(EndpointKey("beta.crm"), "https://old.example/", 3),
    ]


def test_the_delivery_log_keeps_the_state_and_only_the_last_tries(database: dict[str, object]) -> None:
    store = MongoLogStore(database, days=30)
    store.prepare()
    store.append([_entry(number, "waiting") for number in range(1, 30)] + [_entry(30, "delivered")])
    (found,) = database["deliveries"].find()  # type: ignore[attr-defined]  # a database of the driver
    assert (found["state"], found["tries"], found["tenant_id"]) == ("delivered", 30, "acme")
    assert [attempt["number"] for attempt in found["attempts"]] == list(range(11, 31))
    assert "payload" not in found


def test_first_tries_and_later_ones_make_the_same_log_in_whatever_pieces_they_are_written(
    database: dict[str, object],
) -> None:
    """Each piece of one entry is the oracle: there nothing can come before or with anything."""
    tries = [
        (1, 1, "waiting"),
        (2, 1, "delivered"),
        (1, 2, "waiting"),
        (1, 1, "waiting"),
        (3, 0, "dead"),
        (1, 2, "dead"),
    ]
    entries = [
        replace(
            _entry(attempt, state),
            delivery_id=f"evt-{name}.crm",
            at_ms=at,
            attempt=Attempt(503, 4) if attempt else None,
        )
        for at, (name, attempt, state) in enumerate(tries)
    ]
    found = []
    for days, size in enumerate((1, 2, 3, len(entries))):
        store = MongoLogStore({"deliveries": database[f"log_{days}"], "webhook_minutes": database["minutes"]}, 30)
        for first in range(0, len(entries), size):
            store.append(entries[first : first + size])
        found.append({one["_id"]: one | {"written_at": 0} for one in database[f"log_{days}"].find()})  # type: ignore[attr-defined]
    assert [[one["number"] for one in log.get("attempts", [])] for log in found[0].values()] == [[1, 2, 1, 2], [1], []]
    assert found[1:] == found[:1] * 3


def test_a_piece_of_the_log_that_was_written_before_its_answer_was_lost_is_written_once(
    database: dict[str, object],
) -> None:
    store = MongoLogStore(database, days=30)
    first, second, end = _entry(1, "waiting"), _entry(2, "waiting"), _entry(3, "delivered")
    entries = [replace(one, at_ms=number) for number, one in enumerate([first, second, end])]
    other = replace(_entry(1, "delivered"), delivery_id="evt-2.crm")
    store.append([*entries[:2], other])
    store.append([*entries, other], again=True)
    store.append([*entries, other], again=True)
    told = store.one("acme", "evt-1.crm") or {}
    assert [(one["number"], one["at_ms"]) for one in told["attempts"]] == [(1, 0), (2, 1), (3, 2)]
    assert (told["state"], told["created_ms"]) == ("delivered", 0)
    assert len((store.one("acme", "evt-2.crm") or {})["attempts"]) == 1


def test_figures_of_a_minute_are_added_up_each_write_once(database: dict[str, object]) -> None:
    store = MongoLogStore(database, days=30)
    figures = Figures()
    figures.add("delivered", 3, 200)
    for _ in range(2):
        store.count({("acme", "crm", 0): figures, ("acme", "erp", 60_000): figures}, "write 1")
    figures.add("dead", 300, 503)
    for write in ("write 2", "write 1", "write 2"):
        store.count({("acme", "crm", 0): figures}, write)
    twice, once = store.figures("acme", 0)["crm", 0], store.figures("acme", 1)["erp", 60_000]
    assert (twice.delivered, twice.failed, twice.dead, sum(twice.classes.values())) == (2, 1, 1, 3)
    assert (once.delivered, once.failed, store.figures("beta", 0)) == (1, 0, {})


class BegunByAnother:
    """Minutes of which another process begins the first between a write's look for it and its insert.

    A server answers so only to two at once, and the one of the tests serves one after the other.
    """

    def __init__(self, minutes: Any) -> None:
        self._minutes = minutes
        self._is_first = True

    def bulk_write(self, changes: list[Any], *, ordered: bool) -> None:
        if not self._is_first:
            self._minutes.bulk_write(changes, ordered=ordered)
            return
        self._is_first = False
        MongoLogStore({"deliveries": None, "webhook_minutes": self._minutes}, 30).count(
            {("acme", "crm", 0): Figures(delivered=5)}, "another's"
        )
        self._minutes.bulk_write(changes[1:], ordered=ordered)
        raise BulkWriteError({"writeErrors": [{"index": 0, "code": 11000}]})


def test_a_minute_that_another_process_begins_in_the_same_moment_counts_for_both(database: dict[str, object]) -> None:
    minutes = BegunByAnother(database["webhook_minutes"])
    figures = {("acme", "crm", 0): Figures(delivered=1), ("acme", "erp", 0): Figures(delivered=2)}
    MongoLogStore({"deliveries": None, "webhook_minutes": minutes}, 30).count(figures, "ours")
    counted = MongoLogStore(database, days=30).figures("acme", 0)
    assert {endpoint: each.delivered for (endpoint, _), each in counted.items()} == {"crm": 6, "erp": 2}


def test_what_receivers_said_of_an_erased_person_is_blanked_and_nothing_else(database: dict[str, object]) -> None:
    store = MongoLogStore(database, days=30)
    said = Attempt(400, 4, answer="no contact +380501112233")
    entry = replace(_entry(1, "dead"), attempt=said, error="the endpoint answered 400")
    store.append([entry, replace(entry, delivery_id="evt-2.crm", attempt=Attempt(400, 4, answer="1380501112233"))])
    store.append([replace(entry, tenant_id="beta")])
    for blanked in (1, 0):
        assert store.forget("acme", lambda text: " +380501112233" in text, "380501112233|0501112233") == blanked
    kept = database["deliveries"].find()  # type: ignore[attr-defined]  # a database of the driver
    answers = {one["_id"]: one["attempts"][0]["answer"] for one in kept}
    assert answers == {
        "acme/evt-1.crm": "",
        "acme/evt-2.crm": "1380501112233",
        "beta/evt-1.crm": "no contact +380501112233",
    }
    assert store.one("acme", "evt-1.crm") == {
        **(store.one("acme", "evt-1.crm") or {}),
        "error": entry.error,
        "tries": 1,
    }


def test_who_was_erased_is_kept_by_the_first_word_with_what_was_found(database: dict[str, object]) -> None:
    row = {"_id": "acme/er-1", "tenant_id": "acme", "erasure_id": "er-1", "sealed": b"\x00", "before_ms": 5}
    for rows in (MemoryErasureRows(), MongoErasureRows(database)):
        assert rows.add(row)["removed"] == {}
        rows.counted(row, {"answers": 2})
        assert rows.add({**row, "before_ms": 9})["removed"] == {"answers": 2}
        assert [(one["before_ms"], bytes(one["sealed"])) for one in rows.all()] == [(5, b"\x00")]


def test_everything_of_a_tenant_that_waits_is_found(room: WaitingRoom) -> None:
    other = delivery("of another", 3)
    other.tenant_id = "beta"
    room.put([delivery("one", 1), delivery("two", 2), other])
    assert sorted(one.delivery_id for one in room.of_tenant("acme")) == ["one", "two"]


def _entry(number: int, state: str) -> LogEntry:
    return LogEntry("acme", "evt-1.crm", "crm", "call.ended", "call-1", state, number, number, Attempt(503, 4), "")


def test_a_store_that_is_not_there_is_one_named_error() -> None:
    database = open_database(f"mongodb://127.0.0.1:{free_port()}", "test", wait_seconds=0.5)
    calls: list[Callable[[], object]] = [
        lambda: MongoWaitingRoom(database).put([delivery("one", 1)]),
        lambda: MongoWaitingRoom(database).due(1, 3, []),
        lambda: MongoGoneEndpoints(database).all(),
    ]
    for call in calls:
        with pytest.raises(StoreUnavailable):
            call()
    database.client.close()
