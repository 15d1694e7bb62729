"""The statistics as a process: killed in mid-day, its numbers and documents are as if it never had been."""

import json
import socket
import subprocess
import sys
from typing import Any, BinaryIO

import pytest

from services.shared.bus.backlog import Backlog
from services.shared.bus.consumer import Consumer
from services.shared.bus.topics import CALLS
from services.shared.contracts.ringmaster.v1 import event_pb2 as ev
from services.shared.person import PersonSeal
from services.shared.testing.patience import Stopwatch
from services.shared.testing.waiting import wait_until
from tests.integration.stats.conftest import CLOCK, ERASURE_SECRET, WAIT_SECONDS, Floor, Stats
from tests.unit.stats.events import abandoned_call, answered_call, take_back

PERSON, OTHER = "+380501112233", "+380509999999"
pytestmark = [pytest.mark.kafka, pytest.mark.stack, pytest.mark.timeout(180)]


def lives(floor: Floor, count: int) -> list[ev.Event]:
    now_ms = CLOCK.now_ms()
    events: list[ev.Event] = []
    for number in range(count):
        at = now_ms - 30_000 - 100 * number
        call_id = f"{floor.tenant}-{number}"
        life = answered_call(call_id, at, 3_000, 9_000) if number % 3 else abandoned_call(call_id, at, 7_000)
        if number % 3 and number % 10 < 2:  # nobody is lost whom the switch took back after the talk
            take_back(life[-1].call_ended, is_older=number % 2 == 0)
        events += life
    for event in events:
        event.tenant_id = floor.tenant
    return events


def test_kills_lose_nothing_and_count_nothing_twice(stats: Stats, floor: Floor) -> None:
    events = lives(floor, 60)
    stats.start()
    for start in range(0, len(events), 90):
        floor.tell(*events[max(0, start - 5) : start + 90])
        wait_until(lambda: stats.live()["today"]["calls"]["started"] > 0, "the first call", WAIT_SECONDS)
        stats.kill()
        stats.start()
    wait_until(lambda: stats.live()["today"]["calls"]["answered"] == 40, "every answered call", WAIT_SECONDS)
    shown = stats.live()
    assert shown["today"]["calls"]["by_exit"] == {"answered": 40, "abandoned": 20}
    assert shown["queue_totals"]["last_15_min"]["offered"] == 60
    assert shown["calls"]["in_progress"] == 0
    wait_until(lambda: stats.ask("/v1/summary")[1]["calls_ended"] == 60, "every document", WAIT_SECONDS)
    assert stats.ask("/v1/summary")[1]["by_exit"] == {"answered": 40, "abandoned": 20}
    told = report(stats, "inbound", "groups=line&")
    assert told["totals"] | {"calls_in": 60, "calls_answered": 40, "calls_lost": 20} == told["totals"]
    assert {row["values"]["exit"] for row in report(stats, "lost_calls", "")["rows"]} == {"abandoned"}
    told = report(stats, "queue_exits", "groups=queue&")
    assert told["totals"] | {"offered": 60, "answered": 40, "abandoned": 20} == told["totals"]
    assert stats.stop() == 0


def test_the_documents_rebuilt_from_the_log_are_the_same_and_an_erased_person_stays_erased(
    stats: Stats, floor: Floor, kafka_bootstrap: str
) -> None:
    events = lives(floor, 30)
    for event in events:
        if event.HasField("call_started"):
            event.call_started.caller.number = PERSON if event.call_id.endswith("-7") else OTHER
    floor.tell(*events)
    stats.start()
    wait_until(lambda: stats.ask("/v1/summary")[1]["calls_ended"] == 30, "every document", WAIT_SECONDS)
    assert sorted(callers(stats)) == [PERSON, *[OTHER] * 29]
    floor.tell(erasure(floor.tenant))
    wait_until(lambda: PERSON not in callers(stats), "nobody is known any more", WAIT_SECONDS)
    stats.kill()  # about when it answers: whatever was said is said again, the same
    stats.start()
    wait_until(lambda: answers(kafka_bootstrap, floor.tenant) != [], "the answer", WAIT_SECONDS)
    told = answers(kafka_bootstrap, floor.tenant)
    assert {(one.event_id, one.person_erased.removed["calls"]) for one in told} == {(told[0].event_id, 1)}
    wait_until(lambda: PERSON not in clients(stats), "the report tables follow the documents", WAIT_SECONDS)
    before = report(stats, "call_log", "")
    assert stats.stop() == 0
    command = [sys.executable, "-m", "services.stats.rebuild", "--tenant", floor.tenant]
    done = subprocess.run(command, env=stats.environment, check=True, capture_output=True, timeout=60)  # noqa: S603 - ours
    assert b"rebuilt from" in done.stdout
    stats.start()
    after = report(stats, "call_log", "")
    assert (after["rows"], after["row_total"]) == (before["rows"], 30)
    assert sorted(callers(stats)) == ["", *[OTHER] * 29]


def callers(stats: Stats) -> list[str]:
    return [call["caller_number"] for call in stats.ask("/v1/calls?limit=100")[1]["calls"]]


def clients(stats: Stats) -> set[str]:
    return {row["values"]["client"] for row in report(stats, "call_log", "")["rows"]}


def erasure(tenant: str) -> ev.Event:
    event = ev.Event(event_id=f"asked-{tenant}", tenant_id=tenant, subject="erasure:er-1", sequence=1)
    event.time.FromMilliseconds(CLOCK.now_ms())
    sealed = PersonSeal(ERASURE_SECRET).seal(tenant, "er-1", (PERSON, "0501112233"))
    event.person_erasure_requested.erasure_id, event.person_erasure_requested.sealed_numbers = "er-1", sealed
    return event


def answers(bootstrap: str, tenant: str) -> list[ev.Event]:
    """Return what the statistics have answered on the true broker."""
    reader = Consumer(bootstrap, None, [CALLS], "erasure-answers")
    try:
        backlog, found = Backlog(reader), list[ev.Event]()
        while not backlog.is_read:
            found += [ev.Event.FromString(record.value) for record in backlog.poll(0.5) if record.key == tenant]
    finally:
        reader.close()
    return [event for event in found if event.HasField("person_erased")]


def report(stats: Stats, name: str, more: str) -> dict[str, Any]:
    """Return a report over today."""
    status, told = stats.ask(f"/v1/reports/{name}?period=today&limit=1000&{more}")
    assert status == 200
    return dict(told)


def _read_until(stream: BinaryIO, calls: int) -> None:
    """Read a stream until so many calls are in progress: frames come by themselves too, as who waits waits longer."""
    for line in stream:
        if line.startswith(b"data: ") and json.loads(line[6:])["calls"]["in_progress"] == calls:
            return
    pytest.fail("the stream ended")


def test_a_stream_tells_a_change_within_half_a_second_of_its_acknowledgement(stats: Stats, floor: Floor) -> None:
    stats.start()
    request = f"GET /v1/live/stream HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {stats.token}\r\n\r\n"
    waits = []
    with (
        socket.create_connection(("127.0.0.1", stats.port), timeout=WAIT_SECONDS) as connection,
        connection.makefile("rb") as stream,
    ):
        connection.sendall(request.encode())
        _read_until(stream, 0)
        for count, event in enumerate((one for one in lives(floor, 6) if one.HasField("call_started")), 1):
            floor.tell(event)
            told = Stopwatch()
            _read_until(stream, count)
            waits.append(told.seconds())
    assert sorted(waits)[len(waits) // 2] < 0.5
    wait_until(lambda: "ringmaster_stats_streams 0.0" in stats.ask("/metrics")[1], "the stream's end", WAIT_SECONDS)
