"""A log that Kafka has begun anew: never taken for the former one, and nothing of it passes for something older."""

from dataclasses import replace
from typing import Any

import pytest

from services.router import standby as standby_module
from services.router.adapters import log as log_module
from services.router.adapters.bus import GROUP
from services.router.adapters.log import Log as Reader
from services.router.adapters.snapshots import MemorySnapshots, Place, TenantSnapshot
from services.router.core_identity import core_identity
from services.router.epochs import AnotherLog, Found, known_epoch, new_epoch
from services.router.shell import Session
from services.router.standby import Standby
from services.router.whatif.kafka_log import epochs_of
from services.shared.bus import positions
from services.shared.bus.errors import BusUnavailable
from services.shared.bus.positions import SPAN, LogName, epoch_of, offset_of, position_of
from services.shared.bus.topics import CALLS, COMMANDS, DEAD_LETTERS, INPUTS
from services.shared.contracts.ringmaster.v1 import request_pb2 as rq
from services.shared.contracts.ringmaster.v1.command_pb2 import Command
from services.shared.contracts.ringmaster.v1.event_pb2 import Event
from services.shared.contracts.ringmaster.v1.input_pb2 import Input
from services.shared.testing.memory_bus import MemoryBus
from services.shared.testing.waiting import wait_until
from tests.unit.router.test_shell import (
    SELDOM,
    Killed,
    TestBus,
    _expected,
    _ids,
    _put_all,
    _refuse_next_commit,
    _run,
    _story,
)
from tests.unit.router.world import START_MS, TENANT

FORMER, LATTER = "0a7e", "f3c1"
MINUTE_MS = 60_000
EPOCH = 100


@pytest.fixture(autouse=True)
def _begun(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the story begin in the hundredth minute: it is older than the count of minutes."""
    monkeypatch.setattr(positions, "FIRST_MINUTE", START_MS // MINUTE_MS - EPOCH)


def _bus(topic_id: str, bus: TestBus | None = None) -> TestBus:
    """Return a bus whose broker has just been set up, in the place of another one's where that is given."""
    bus = bus or TestBus()
    bus.memory = MemoryBus(partitions=1)
    bus.memory.topic_ids[INPUTS] = topic_id
    return bus


def _session(bus: TestBus, snapshots: MemorySnapshots, takes_log: str = "") -> Session:
    return Session(bus, snapshots, bus.hands.clock(), replace(SELDOM, takes_log=takes_log))


def _played(bus: TestBus, snapshots: MemorySnapshots) -> None:
    """Let a router decide the story and end."""
    _put_all(bus, _story(position_of(EPOCH, 0)))
    session = _session(bus, snapshots)
    _run(session)
    session.hand_over()


@pytest.mark.parametrize(
    ("found", "place", "epoch"),
    [
        (Found("", None, None), Place(0, ""), 0),
        (Found("", 5, None), Place(5, ""), 0),
        (Found(FORMER, None, None), Place(0, ""), None),
        (Found(FORMER, 5, None), Place(0, ""), 0),
        (Found(FORMER, None, None), Place(5, ""), 0),
        (Found(FORMER, 5, LogName(7, FORMER)), Place(0, ""), 7),
        (Found(FORMER, 5, LogName(7, FORMER)), Place(7 * SPAN + 3, "", log=FORMER), 7),
        (Found(FORMER, None, None), Place(7 * SPAN + 3, "", log=FORMER), 7),
        (Found(FORMER, 5, LogName(0, FORMER)), Place(3, ""), 0),
        (Found(LATTER, 5, LogName(7, FORMER)), Place(0, ""), None),
    ],
)
def test_a_log_is_known_by_what_stands_beside_the_commit_and_the_snapshot(
    found: Found, place: Place, epoch: int | None
) -> None:
    assert known_epoch(found, place) == epoch


@pytest.mark.parametrize(
    ("found", "place"),
    [
        (Found(LATTER, None, None), Place(7 * SPAN + 3, "", log=FORMER)),
        (Found(LATTER, 5, LogName(9, LATTER)), Place(7 * SPAN + 3, "", log=FORMER)),
        (Found(LATTER, 5, LogName(9, LATTER)), Place(3, "")),
        (Found(LATTER, 5, None), Place(3, "", log=FORMER)),
        (Found("", 5, LogName(9, "")), Place(3, "")),
    ],
)
def test_snapshots_of_another_log_are_no_ones(found: Found, place: Place) -> None:
    with pytest.raises(AnotherLog):
        known_epoch(found, place)


@pytest.mark.parametrize("note", ["", "7", "x/a", "-1/a", "\u0663/a", "/a"])
def test_what_somebody_else_has_noted_names_no_log(note: str) -> None:
    assert LogName.read(note) is None
    assert LogName.read(str(LogName(7, "a/b"))) == LogName(7, "a/b")


def test_epochs_rise_whatever_the_clock_says_and_a_position_tells_both() -> None:
    assert new_epoch(START_MS, Place(0, "")) == EPOCH
    assert new_epoch(0, Place(position_of(EPOCH, 17), "")) == EPOCH + 1
    assert (epoch_of(position_of(7, 17)), offset_of(position_of(7, 17))) == (7, 17)
    assert position_of(170 * 366 * 24 * 60, SPAN - 1) < 1 << 63, "MongoDB and protobuf have no greater numbers"


def test_a_new_log_keeps_its_epoch_before_anything_follows_from_it_and_over_a_kill() -> None:
    bus, log = _bus(FORMER), _story(position_of(EPOCH, 0))
    _put_all(bus, log)
    bus.hands.sends_left = 3
    with pytest.raises(Killed):
        _run(_session(bus, MemorySnapshots()))
    assert bus.memory.notes[GROUP, INPUTS, 0] == f"{EPOCH}/{FORMER}"
    assert bus.memory.offsets[GROUP, INPUTS, 0] == 0
    bus.hands.sends_left, bus.hands.now_ms = 10**9, START_MS + 10 * MINUTE_MS
    snapshots = MemorySnapshots()
    session = _session(bus, snapshots)
    session.step(0)
    bus.hands.now_ms = START_MS
    _run(session)
    session.hand_over()
    ids = _ids(bus)[1]
    assert list(dict.fromkeys(ids)) == _expected(log)[1]
    assert snapshots.places([0])[0] == Place(position_of(EPOCH, len(log.inputs)), core_identity(), log=FORMER)
    assert bus.memory.offsets[GROUP, INPUTS, 0] == len(log.inputs)


def test_a_log_of_a_version_that_knew_no_epochs_is_decided_as_before() -> None:
    bus, log, snapshots = TestBus(), _story(), MemorySnapshots()
    _put_all(bus, log)
    session = _session(bus, snapshots)
    session.step(0)
    session.step(0)
    session.hand_over()
    bus.memory.notes.clear()
    bus.memory.topic_ids[INPUTS] = FORMER
    _run(_session(bus, MemorySnapshots()))
    _run(_session(bus, snapshots))
    assert _ids(bus) == _expected(log)
    ask = rq.Request(request_id="last", end_wrap_up=rq.EndWrapUp(agent_id="olena"))
    bus.put(Input(tenant_id=TENANT, request=ask), START_MS)
    session = _session(bus, snapshots)
    _run(session)
    session.hand_over()
    assert snapshots.places([0])[0] == Place(len(log.inputs) + 1, core_identity(), log=FORMER)
    assert bus.memory.notes[GROUP, INPUTS, 0] == f"0/{FORMER}"


def test_a_router_does_not_begin_on_another_log_than_its_snapshots_and_says_what_to_do() -> None:
    bus, snapshots = _bus(FORMER), MemorySnapshots()
    _played(bus, snapshots)
    _played_on = _bus(LATTER, bus)
    _put_all(_played_on, _story())  # as long as the former log: its end does not tell
    with pytest.raises(AnotherLog, match=f"RINGMASTER_ROUTER_TAKES_LOG={LATTER}"):
        _session(bus, snapshots).step(0)
    with pytest.raises(AnotherLog):
        _session(bus, snapshots, takes_log="some other").step(0)
    assert bus.memory.offsets == {}
    assert bus.memory.records(CALLS) == []


def test_snapshots_are_carried_over_to_another_log_where_that_is_meant() -> None:
    """What was promised and chosen outlives a lost Kafka; no id and no fence of the former log comes again."""
    bus, snapshots = _bus(FORMER), MemorySnapshots()
    _played(bus, snapshots)
    before, fences = _ids(bus), [each.fence_generation for each in bus.sent(COMMANDS, Command)]
    kept = snapshots.load(0).tenants[0].data
    _bus(LATTER, bus).hands.now_ms += 3 * MINUTE_MS
    session = _session(bus, snapshots, takes_log=LATTER)
    session.step(0)
    begin = position_of(EPOCH + 3, 0)
    assert snapshots.places([0])[0] == Place(begin, core_identity(), log=LATTER)
    assert snapshots.load(0).tenants == [TenantSnapshot(TENANT, begin, kept)]
    assert session.partitions[0].capture(TENANT) == TenantSnapshot(TENANT, begin, kept)
    for time_ms, given in _story(begin).inputs[1:]:
        bus.put(given, time_ms)
    _run(session)
    assert session.trouble() == ""
    after = _ids(bus)
    assert after[0]
    assert not {*before[0], *before[1]} & {*after[0], *after[1]}
    assert min(each.fence_generation for each in bus.sent(COMMANDS, Command)) > max(fences)
    session.hand_over()
    _run(_session(bus, snapshots))  # the setting is needed once
    assert _ids(bus) == after


@pytest.mark.parametrize("killed_at", ["save_tenants", "save_place", "commit"])
def test_a_kill_while_snapshots_are_carried_over_changes_nothing(
    killed_at: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    bus, snapshots = _bus(FORMER), MemorySnapshots()
    _played(bus, snapshots)
    kept = snapshots.load(0).tenants[0].data
    _bus(LATTER, bus)

    def killed(*_: object) -> None:
        raise Killed

    session = _session(bus, snapshots, takes_log=LATTER)
    with monkeypatch.context() as kill:
        kill.setattr(session._reader if killed_at == "commit" else snapshots, killed_at, killed)
        with pytest.raises(Killed):
            session.step(0)
    bus.hands.now_ms += 5 * MINUTE_MS
    session = _session(bus, snapshots, takes_log=LATTER)
    session.step(0)
    begin = position_of(EPOCH + (5 if killed_at == "commit" else 1), 0)
    assert snapshots.places([0])[0] == Place(begin, core_identity(), log=LATTER)
    assert session.partitions[0].capture(TENANT) == TenantSnapshot(TENANT, begin, kept)


def test_ids_and_fences_go_on_where_the_snapshots_were_removed() -> None:
    bus = _bus(FORMER)
    _played(bus, MemorySnapshots())
    before, fences = _ids(bus), [each.fence_generation for each in bus.sent(COMMANDS, Command)]
    _bus(LATTER, bus).hands.now_ms += MINUTE_MS
    _session(bus, MemorySnapshots()).step(0)
    _put_all(bus, _story(position_of(EPOCH + 1, 0)))
    _run(_session(bus, MemorySnapshots()))
    after = _ids(bus)
    assert len(after[0]) == len(before[0])
    assert not {*before[0], *before[1]} & {*after[0], *after[1]}
    assert min(each.fence_generation for each in bus.sent(COMMANDS, Command)) > max(fences)


def test_states_without_a_place_are_not_taken_into_another_log() -> None:
    bus, snapshots = _bus(FORMER), MemorySnapshots()
    _played(bus, snapshots)
    snapshots._places.clear()
    _bus(LATTER, bus).hands.now_ms += MINUTE_MS
    with pytest.raises(AnotherLog, match=TENANT):
        _session(bus, snapshots).step(0)


def test_a_partition_whose_name_can_not_be_kept_just_now_is_taken_up_a_moment_later() -> None:
    bus, log = _bus(FORMER), _story(position_of(EPOCH, 0))
    _put_all(bus, log)
    session = _session(bus, MemorySnapshots())
    _refuse_next_commit(session)
    session.step(0)
    assert session.trouble() == "no partition is assigned yet"
    _run(session)
    assert _ids(bus) == _expected(log)


def test_a_log_that_goes_back_is_not_decided_on_top_of_what_was_there() -> None:
    """A broker that has lost its newest records: the reader is sent to the first one that is left."""
    bus, log = TestBus(), _story()
    _put_all(bus, log)
    session = _session(bus, MemorySnapshots())
    _run(session)
    session._reader.seek(INPUTS, 0, 3)
    with pytest.raises(BusUnavailable, match="goes back"):
        session.step(0)
    assert _ids(bus) == _expected(log)


def test_a_topic_that_is_made_anew_under_a_router_ends_its_session(monkeypatch: pytest.MonkeyPatch) -> None:
    """With as many records as before the reader's place is at its end again, and nothing would ever say so."""
    monkeypatch.setattr(log_module, "LOOK_SECONDS", 0.0)
    bus, snapshots = _bus(FORMER), MemorySnapshots()
    _put_all(bus, _story(position_of(EPOCH, 0)))
    session = _session(bus, snapshots)
    _run(session)
    session.hand_over()
    bus.memory.topic_ids[INPUTS] = LATTER
    with pytest.raises(BusUnavailable, match=LATTER):
        session.step(0)


def test_what_is_put_aside_is_named_by_its_offset() -> None:
    bus = _bus(FORMER)
    bus.memory.producer().send(INPUTS, TENANT, b"\xff\xff\xff", timestamp_ms=START_MS)
    _run(_session(bus, MemorySnapshots()))
    assert [record.headers["offset"] for record in bus.memory.records(DEAD_LETTERS)] == ["0"]


@pytest.fixture
def _hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(standby_module, "POLL_SECONDS", 0.001)
    monkeypatch.setattr(standby_module, "RETRY_SECONDS", 0.01)


@pytest.mark.usefixtures("_hurry")
def test_a_copy_follows_a_log_by_its_epoch_and_another_log_never() -> None:
    bus, snapshots = _bus(FORMER), MemorySnapshots()
    log = _story(position_of(EPOCH, 0))
    standby = Standby(bus, snapshots)
    standby.follow(frozenset({0}))
    wait_until(lambda: 0 in standby._not_before, "that nobody has begun the log yet")
    _put_all(bus, log)
    _run(_session(bus, snapshots))
    end = position_of(EPOCH, len(log.inputs))
    wait_until(lambda: 0 in standby._copies and standby._copies[0].partition.next_offset == end, "the copy")
    session = _session(bus, snapshots)
    session._standby = standby
    _run(session)
    assert session.partitions[0].next_offset == end
    assert _ids(bus) == _expected(log)
    session.hand_over()
    _bus(LATTER, bus)
    other = Standby(bus, snapshots)
    other.follow(frozenset({0}))
    wait_until(lambda: 0 in other._not_before, "that it is another log")
    assert other._copies == {}
    other.close()
    session.close()


@pytest.mark.usefixtures("_hurry")
def test_a_copy_of_the_former_log_is_not_gone_on_from() -> None:
    bus, snapshots = _bus(FORMER), MemorySnapshots()
    _played(bus, snapshots)
    end = snapshots.places([0])[0].next_offset
    standby = Standby(bus, snapshots)
    standby.follow(frozenset({0}))
    wait_until(lambda: 0 in standby._copies and standby._copies[0].partition.next_offset == end, "the copy")
    _bus(LATTER, bus)
    empty = MemorySnapshots()
    session = _session(bus, empty)
    session._standby = standby
    standby._snapshots = empty
    session.step(0)
    assert session.partitions[0].next_offset == position_of(EPOCH, 0)
    assert session.partitions[0].states == {}
    session.close()


def test_a_copy_whose_log_goes_back_is_spoilt() -> None:
    bus, log = TestBus(), _story()
    _put_all(bus, log)
    _run(_session(bus, MemorySnapshots()))
    records = bus.memory.records(INPUTS)
    standby = Standby(bus, MemorySnapshots())
    copy = standby_module.Copy(_session_partition(bus))
    copy.waiting.append(records[-1])
    assert not standby._take(copy)


def _session_partition(bus: TestBus) -> Any:
    session = _session(bus, MemorySnapshots())
    session.step(0)
    session.step(0)
    return session.partitions[0]


def test_a_what_if_decides_under_the_ids_that_the_routers_had() -> None:
    bus = _bus(FORMER)
    _put_all(bus, _story())
    assert epochs_of(bus.follower(), range(1)) == {}
    _run(_session(bus, MemorySnapshots()))
    assert epochs_of(bus.follower(), range(1)) == {0: EPOCH}


def test_a_partition_without_a_name_is_of_the_first_log() -> None:
    reader = Reader(TestBus().follower())
    assert (reader.name(0), reader.first(0), reader.committed(0)) == (LogName(), 0, 0)


def test_events_of_a_new_log_are_events() -> None:
    bus = _bus(FORMER)
    _played(bus, MemorySnapshots())
    first = bus.sent(CALLS, Event)[0]
    partition, position = first.caused_by.split(":")
    assert (partition, epoch_of(int(position))) == ("0", EPOCH)
