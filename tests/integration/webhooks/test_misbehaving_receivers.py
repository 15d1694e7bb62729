"""Receivers misbehave in every way, and the sender is killed again and again: nobody else feels it, nothing is lost."""

import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from typing import Any

import gevent
import pytest
from pymongo.errors import PyMongoError

from services.shared.bus.consumer import Consumer
from services.shared.bus.events import publish_event
from services.shared.bus.producer import Producer
from services.shared.bus.topics import DELIVERIES_DEAD, TENANTS
from services.shared.chassis.documents import open_database
from services.shared.contracts.ringmaster.v1.delivery_pb2 import Delivery
from services.shared.contracts.ringmaster.v1.event_pb2 import CallStarted, Event
from services.shared.contracts.ringmaster.v1.tenant_pb2 import TenantDocument, WebhookEndpoint
from services.shared.testing.patience import Patience, own_time
from services.webhooks.__main__ import EXIT_DEPENDENCY
from services.webhooks.call_order import BEHIND_MS
from services.webhooks.retries import LEASE_SECONDS
from tests.integration.webhooks import misbehaving
from tests.integration.webhooks.harness import SECRET, Service, endpoint, wait_until
from tests.integration.webhooks.misbehaving import RawReceiver

# Twenty by hand; a test run of everything has no minutes for that.
KILLS = int(os.environ.get("WEBHOOK_KILLS", "5"))
CALLS_A_ROUND, EVENTS_A_CALL = 3, 4
TRY_SECONDS, LONG_TRY_SECONDS = 1.0, 4.0
LOOK_SECONDS = 0.25
LADDER = "0,0.3,0.6,1,2,4,4,8,16,30,60,120,240,480"
# Whoever takes everything in the end refuses a delivery a few times, so it waits seconds for its next rung; nothing
# waits longer than what a dead process has claimed, and then behind another of its call. Where nothing at all has come
# for as long as both, of time that the processes had, something is lost.
PATIENCE_SECONDS = LEASE_SECONDS + BEHIND_MS / 1000
# The last resort alone: what decides is counted in the time that the processes had.
RUN_SECONDS = 1_500


class Cast:
    """The endpoints of one company: good ones, and one of every way to misbehave."""

    def __init__(self, folder: Path) -> None:
        def untrusted() -> RawReceiver:
            return RawReceiver(misbehaving.good, misbehaving.untrusted_tls(folder))

        self.trap = RawReceiver(misbehaving.good)
        self.good = {f"good{number}": RawReceiver(misbehaving.good) for number in range(3)}
        self.ordered = {
            "order": RawReceiver(misbehaving.good),
            "order-bursts": RawReceiver(misbehaving.bursts),
        }
        troubled = (misbehaving.slow, misbehaving.busy, misbehaving.bursts, misbehaving.huge, misbehaving.drip)
        self.troubled = {answer.__name__: RawReceiver(answer) for answer in troubled}
        refusing = (misbehaving.hang, misbehaving.reset, misbehaving.drip_head, misbehaving.garbage)
        self.refusing = {answer.__name__: RawReceiver(answer) for answer in refusing}
        self.refusing["redirect"] = RawReceiver(misbehaving.redirect_to(self.trap.url))
        self.refusing["untrusted"] = untrusted()
        self.gone = RawReceiver(misbehaving.gone)

    @property
    def takers(self) -> dict[str, RawReceiver]:
        """Who takes everything sooner or later."""
        return self.good | self.ordered | self.troubled

    @property
    def everybody(self) -> dict[str, RawReceiver]:
        return self.takers | self.refusing | {"gone": self.gone}

    def endpoints(self, try_seconds: float = TRY_SECONDS) -> list[WebhookEndpoint]:
        wishes: dict[str, Any] = {"events": ("call.*",), "timeout_ms": int(try_seconds * 1000)}
        closed = endpoint("http://127.0.0.1:1/hook", "closed", **wishes)
        return [
            endpoint(receiver.url, name, keep_call_order=name in self.ordered, **wishes)
            for name, receiver in self.everybody.items()
        ] + [closed]

    def arrivals(self) -> int:
        return sum(len(receiver.arrivals) for receiver in self.everybody.values())

    def stop(self) -> None:
        for receiver in (*self.everybody.values(), self.trap):
            receiver.stop()


@pytest.fixture
def cast(tmp_path: Path) -> Iterator[Cast]:
    cast = Cast(tmp_path)
    yield cast
    cast.stop()


def events_of(tenant_id: str, calls: range) -> list[Event]:
    """Return four events of each call, the calls' events mixed."""
    found = []
    for number in range(EVENTS_A_CALL):
        for call in calls:
            event = Event(event_id=f"evt-{call}-{number}", tenant_id=tenant_id, call_id=f"call-{call}", sequence=number)
            event.time.GetCurrentTime()
            event.call_started.CopyFrom(CallStarted(line="+380441000001"))
            found.append(event)
    return found


def lags(receiver: RawReceiver, events: dict[str, float]) -> list[float]:
    """Return how long each delivery took from its event to its first arrival, seconds, sorted."""
    return sorted(at - events[one.partition(".")[0]] for one, at in receiver.first_taken().items())


def assert_order_is_kept(receiver: RawReceiver) -> None:
    for webhook_ids in misbehaving.order_by_call(receiver).values():
        assert webhook_ids == sorted(webhook_ids)


def assert_copies_are_equal(cast: Cast) -> None:
    """Everything that came was signed rightly, and what came twice under an id was the same."""
    for receiver in cast.everybody.values():
        assert receiver.mistakes == []
        bodies: dict[str, bytes] = {}
        for arrival in receiver.arrivals:
            assert bodies.setdefault(arrival.webhook_id, arrival.body) == arrival.body


def test_bad_receivers_fail_alone_and_good_ones_get_everything_in_their_normal_time(
    service: Service, cast: Cast
) -> None:
    calm = RawReceiver(misbehaving.good)
    service.tenant("beta", endpoint(calm.url))
    service.tenant("acme", *cast.endpoints(LONG_TRY_SECONDS))
    service.start()
    moments: dict[str, float] = {}
    publish_paced(service, events_of("beta", range(100, 110)), moments)
    wait_until(lambda: len(calm.taken) == 40)
    publish_paced(service, events_of("acme", range(40)), moments)
    publish_paced(service, events_of("beta", range(200, 210)), moments)
    expected = EVENTS_A_CALL * 40
    wait_until(lambda: all(len(receiver.taken) == expected for receiver in cast.good.values()))
    usual, crowded = lags(calm, moments), [lags(receiver, moments) for receiver in cast.good.values()]
    # One try at a bad receiver takes seconds, each of the ten gets hundreds: who waits for one of them is later. The
    # slowest of so many is now and then one that the machine kept waiting; half of them are not.
    assert max(lag[-1] for lag in crowded) < usual[-1] + LONG_TRY_SECONDS / 2
    assert max(median(lag) for lag in crowded) < median(usual) + LONG_TRY_SECONDS / 8
    wait_until(lambda: len(cast.ordered["order"].taken) == expected)
    for receiver in cast.ordered.values():
        assert_order_is_kept(receiver)
    assert cast.trap.arrivals == []
    assert_copies_are_equal(cast)
    calm.stop()


def publish_paced(service: Service, events: list[Event], moments: dict[str, float]) -> None:
    """Publish 200 events a second, each with the moment at which it is published, in time that this process had."""
    for event in events:
        event.time.GetCurrentTime()
        moments[event.event_id] = own_time()
        service.publish(event)
        gevent.sleep(0.005)


class Sender:
    """The service as a process of its own that may be killed at any moment."""

    def __init__(self, folder: Path, bootstrap: str, store_uri: str) -> None:
        secrets = folder / "secrets.json"
        secrets.write_text(json.dumps({"unruly/main": [SECRET]}))
        self._log = (folder / "webhooks.log").open("wb")
        self._environment = os.environ | {
            "RINGMASTER_KAFKA_BOOTSTRAP": bootstrap,
            "RINGMASTER_MONGODB_URI": store_uri,
            "RINGMASTER_WEBHOOK_SECRETS": str(secrets),
            "RINGMASTER_WEBHOOK_ALLOW_PRIVATE": "127.0.0.1/32",
            "RINGMASTER_WEBHOOK_LADDER": LADDER,
            "RINGMASTER_WEBHOOK_REST_SECONDS": "0.2",
            "RINGMASTER_WEBHOOK_LONGEST_REST_SECONDS": "1",
            "RINGMASTER_WEBHOOK_TENANT_CONCURRENCY": "128",
            "RINGMASTER_HTTP_PORT": "0",
        }
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        command = [sys.executable, "-m", "services.webhooks"]
        self._process = subprocess.Popen(command, env=self._environment, stdout=self._log, stderr=self._log)  # noqa: S603 - our own

    def keep_running(self) -> None:
        """Start it again where it has ended by itself because the broker did not answer: a cluster does so too."""
        code = self._process.poll() if self._process is not None else None
        if code is not None:
            assert code == EXIT_DEPENDENCY
            self.start()

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait(10)

    def close(self) -> None:
        self.kill()
        self._log.close()


@pytest.mark.kafka
@pytest.mark.timeout(RUN_SECONDS)
def test_kills_among_bad_receivers_lose_nothing_and_change_no_order(
    tmp_path: Path, kafka_bootstrap: str, store_uri: str, cast: Cast
) -> None:
    uri = f"{store_uri.rstrip('/')}/unruly"
    sender, producer = Sender(tmp_path, kafka_bootstrap, uri), Producer(kafka_bootstrap, "test-unruly")
    document = TenantDocument(tenant_id="unruly", webhooks=cast.endpoints())
    producer.send(TENANTS, "unruly", document.SerializeToString(), timestamp_ms=0).wait(60)
    dice = random.Random(7)
    try:
        sender.start()
        for number in range(KILLS + 1):
            events = events_of("unruly", range(number * CALLS_A_ROUND, (number + 1) * CALLS_A_ROUND))
            for event in events:
                publish_event(producer, event)
            producer.flush(60)
            wait_for_arrivals(cast, sender, dice.randrange(1, 150))
            if number < KILLS:
                sender.kill()
                sender.start()
        names = {event.event_id for event in events_of("unruly", range((KILLS + 1) * CALLS_A_ROUND))}
        wait_until_none(sender, lambda: missing(cast, names))
        created = names_in(kafka_bootstrap, "ringmaster.deliveries")
        wait_until_none(sender, lambda: created - settled(cast, kafka_bootstrap, uri))
    finally:
        sender.close()
        producer.close()
    for name, receiver in cast.everybody.items():
        assert {one.webhook_id for one in receiver.arrivals} <= {f"{event}.{name}" for event in names}
    assert {f"{name}/{event}.{name}" for name in {*cast.takers, *cast.refusing, "closed"} for event in names} <= created
    for receiver in cast.ordered.values():
        assert_order_is_kept(receiver)
    assert cast.trap.arrivals == []
    assert_copies_are_equal(cast)


def wait_for_arrivals(cast: Cast, sender: Sender, more: int) -> None:
    """Wait for so many more requests, or until a second brings none: then all good ones have got theirs."""
    before, last, since = cast.arrivals(), cast.arrivals(), time.monotonic()
    patience, looked_at = Patience(PATIENCE_SECONDS), since
    while (now_there := cast.arrivals()) < before + more:
        now = time.monotonic()
        if now_there != last:
            last, since = now_there, now
        elif now_there > before and now - since >= 1.0:
            return
        if now - looked_at >= LOOK_SECONDS:
            looked_at = now
            sender.keep_running()
            assert patience.is_left(now_there), "nothing is sent any more"
        gevent.sleep(0.005)


def wait_until_none(sender: Sender, look: Callable[[], object]) -> None:
    """Look now and then until nothing is missing; when that has not changed for long, show what is."""
    patience = Patience(PATIENCE_SECONDS)
    while found := look():
        assert patience.is_left(found), f"nothing came of these for {patience.spent:.0f} s: {found}"
        sender.keep_running()
        gevent.sleep(LOOK_SECONDS)


def missing(cast: Cast, names: set[str]) -> dict[str, tuple[int, str]]:
    """Return of each that takes everything how much it has not, and the first of that."""
    lost = {name: sorted(names - taken_by(receiver)) for name, receiver in cast.takers.items()}
    return {name: (len(some), some[0]) for name, some in lost.items() if some}


def taken_by(receiver: RawReceiver) -> set[str]:
    return {one.partition(".")[0] for one in receiver.taken}


def names_in(bootstrap: str, topic: str) -> set[str]:
    """Return `<endpoint>/<delivery>` of all deliveries of a topic."""
    reader = Consumer(bootstrap, None, [topic], "test-unruly-reader")
    found, ends = set(), {place: reader.end_offset(*place) for place in reader.assignment()}
    left = sum(ends.values())
    while left:
        records = reader.poll(0.5)
        left -= len(records)
        deliveries = [Delivery.FromString(record.value) for record in records]
        found |= {f"{one.endpoint_id}/{one.delivery_id}" for one in deliveries if one.tenant_id == "unruly"}
    reader.close()
    return found


def settled(cast: Cast, bootstrap: str, uri: str) -> set[str]:
    """Return what was taken, waits for its next try, or was given up."""
    gevent.sleep(0.5)
    database = open_database(uri, "test")
    try:
        waiting = {one["_id"].removeprefix("unruly.") for one in database["webhook_retries"].find({}, {"_id": 1})}
    except PyMongoError:
        # A store that gives no answer in time is asked again.
        waiting = set()
    finally:
        database.client.close()
    taken = {f"{name}/{one}" for name, receiver in cast.takers.items() for one in receiver.taken}
    return waiting | taken | names_in(bootstrap, DELIVERIES_DEAD)
