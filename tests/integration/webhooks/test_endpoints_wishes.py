"""What an endpoint may ask for, and what happens to one that fails."""

import json
import time
from collections import defaultdict
from collections.abc import Callable, Collection
from pathlib import Path

import gevent
import pytest

from services.shared.bus.topics import CALLS, DELIVERIES, DELIVERIES_DEAD, partition_of
from services.shared.contracts.ringmaster.v1.delivery_pb2 import Delivery
from services.shared.contracts.ringmaster.v1.event_pb2 import Event
from services.webhooks.adapters.broker import FOLLOWERS, SENDERS
from services.webhooks.domain.breaker import BreakerRules
from services.webhooks.retries import LOOK_SECONDS
from services.webhooks.waiting import Due, Lease, MemoryWaitingRoom, endpoint_of
from tests.integration.webhooks.harness import LocalReceiver, Service, call_ended, call_started, endpoint, wait_until
from tests.integration.webhooks.misbehaving import OK, Peer, RawReceiver, hang

EARLY_SECONDS = 0.01
"""A timer of libev may end so much before its time: its clock is read once a turn of the hub."""
SEVERAL_LOOKS_SECONDS = 5 * LOOK_SECONDS
"""How long a receiver takes, that the room is looked through meanwhile."""
Make = Callable[..., LocalReceiver]


def dead(service: Service) -> list[Delivery]:
    return [Delivery.FromString(record.value) for record in service.bus.records(DELIVERIES_DEAD)]


def matched(service: Service) -> int:
    """Return how many events were matched with endpoints."""
    places = service.bus.offsets.items()
    return sum(offset for (group, topic, _), offset in places if (group, topic) == (FOLLOWERS, CALLS))


def step(call: int, number: int) -> Event:
    event = call_started(call)
    event.event_id = f"evt-{call}-{number:02}"
    event.sequence = number
    return event


def order_of_first_arrivals(receiver: LocalReceiver) -> dict[str, list[str]]:
    """Return for each call its events in the order in which they were first taken."""
    found: dict[str, list[str]] = defaultdict(list)
    for webhook_id in receiver.ids():
        call = webhook_id.split("-")[1]
        if webhook_id not in found[call]:
            found[call].append(webhook_id)
    return found


def test_the_events_of_a_call_keep_their_order_through_failures_and_other_calls_overtake(
    service: Service, receiver: LocalReceiver
) -> None:
    service.rules = BreakerRules(failures=1000)
    service.tenant("acme", endpoint(receiver.url, keep_call_order=True, retry_wait_seconds=[0] * 30))
    receiver.behave(status=500, times=25)
    service.start()
    service.publish(*(step(call, number) for number in range(10) for call in range(20)))
    wait_until(lambda: receiver.ledger.received == 200 and service.room.size() == 0)
    expected = {str(call): [f"evt-{call}-{number:02}.crm" for number in range(10)] for call in range(20)}
    assert order_of_first_arrivals(receiver) == expected
    assert len(receiver.ids()) == 200


@pytest.mark.parametrize("polite", [True, False], ids=["stopped", "killed"])
def test_the_order_of_a_call_outlives_the_process(service: Service, receiver: LocalReceiver, *, polite: bool) -> None:
    service.rules = BreakerRules(failures=1000)
    service.tenant("acme", endpoint(receiver.url, keep_call_order=True, retry_wait_seconds=[0] * 30))
    receiver.behave(status=500, times=30)
    service.start()
    service.publish(*(step(call, number) for number in range(10) for call in range(20)))
    for goal in (30, 90, 150):
        wait_until(lambda goal=goal: receiver.ledger.received >= goal)  # type: ignore[misc]  # mypy can't see the default
        if polite:
            service.stop()
        else:
            service.kill()
        receiver.behave(status=500, times=5)
        service.start()
    wait_until(lambda: receiver.ledger.summary()["distinct"] == 200 and service.room.size() == 0)
    expected = {str(call): [f"evt-{call}-{number:02}.crm" for number in range(10)] for call in range(20)}
    assert order_of_first_arrivals(receiver) == expected


def test_a_call_goes_on_after_the_one_that_was_given_up(service: Service, receiver: LocalReceiver) -> None:
    service.rules = BreakerRules(failures=1000)
    service.tenant("acme", endpoint(receiver.url, keep_call_order=True, retry_wait_seconds=[0]))
    receiver.behave(status=500, times=2)
    service.start()
    service.publish(*(step(1, number) for number in range(4)))
    wait_until(lambda: receiver.ledger.received == 3)
    assert [one.delivery_id for one in dead(service)] == ["evt-1-00.crm"]
    assert receiver.ids() == [f"evt-1-{number:02}.crm" for number in (1, 2, 3)]


def put_off_long_ago(service: Service, one: Delivery) -> int:
    """Leave a delivery in the log as what was read and put off before; return its position."""
    place = DELIVERIES, partition_of(endpoint_of(one), service.bus.partitions)
    service.bus.producer().send(DELIVERIES, endpoint_of(one), one.SerializeToString(), timestamp_ms=1)
    service.bus.offsets[SENDERS, *place] = len(service.bus.logs[place])
    return service.bus.offsets[SENDERS, *place]


class TakenRoom(MemoryWaitingRoom):
    """Remembers what was taken, in order."""

    def __init__(self) -> None:
        super().__init__()
        self.taken: list[str] = []

    def claim(self, chosen: Collection[Due], lease: Lease) -> list[Delivery]:
        taken = super().claim(chosen, lease)
        self.taken += [one.delivery_id for one in taken]
        return taken


def test_the_next_of_a_call_is_sent_once_though_it_was_taken_before_the_one_ahead_had_ended(
    service: Service, receiver: LocalReceiver
) -> None:
    service.room = room = TakenRoom()
    service.tenant("acme", endpoint(receiver.url, keep_call_order=True))
    receiver.behave(delay_seconds=SEVERAL_LOOKS_SECONDS, times=-1)
    names = [f"evt-{number}" for number in range(3)]
    for name in names:
        one = Delivery(tenant_id="acme", endpoint_id="crm", delivery_id=name, call_id="1", payload=b"{}", created_ms=1)
        one.position = put_off_long_ago(service, one)
        room.put([one])
    service.start()
    wait_until(lambda: room.size() == 0)
    assert room.taken == names
    assert receiver.ids() == names


def test_an_endpoint_that_fails_rests_and_its_events_come_when_it_is_back(
    service: Service, receiver: LocalReceiver
) -> None:
    service.rules = BreakerRules(failures=3, first_rest_ms=400, longest_rest_ms=400)
    service.tenant("acme", endpoint(receiver.url, concurrency=1, retry_wait_seconds=[0] * 30))
    receiver.behave(status=500, times=3)
    service.start()
    service.publish(*(call_started(number) for number in range(60)))
    wait_until(lambda: receiver.ledger.received == 60)
    # Three failures, then silence, then one probe; nothing of the fifty-seven others was tried in vain.
    assert len(receiver.requests) == 63
    moments = [float(request["at"]) for request in receiver.requests]
    assert moments[3] - moments[2] >= 0.3
    assert dead(service) == []


def test_an_endpoint_gets_no_more_a_second_than_it_takes_and_nobody_waits_for_it(
    service: Service, receiver: LocalReceiver, make_receiver: Make
) -> None:
    quick = make_receiver("quick")
    service.tenant("acme", endpoint(receiver.url, rate_per_second=20), endpoint(quick.url, "quick"))
    service.start()
    began = time.monotonic()
    service.publish(*(call_started(number) for number in range(30)))
    wait_until(lambda: quick.ledger.received == receiver.ledger.received == 30, seconds=60.0)
    moments, others = ([float(request["at"]) for request in one.requests] for one in (receiver, quick))
    # Counted from before the first: however late a busy machine lets anybody run, nothing comes sooner for that.
    assert all(moment - began >= number / 20 - EARLY_SECONDS for number, moment in enumerate(moments))
    assert others[-1] < moments[-1]


def test_an_endpoint_that_asks_for_a_pause_gets_one_for_all_its_deliveries(
    service: Service, receiver: LocalReceiver
) -> None:
    service.tenant("acme", endpoint(receiver.url, concurrency=1))
    receiver.behave(status=429, retry_after="1", times=1)
    service.start()
    service.publish(*(call_started(number) for number in range(10)))
    wait_until(lambda: receiver.ledger.received == 10)
    moments = [float(request["at"]) for request in receiver.requests]
    assert len(moments) == 11
    assert moments[1] - moments[0] >= 0.9


def test_an_endpoint_that_fails_for_too_long_is_switched_off_and_another_is_told(
    service: Service, make_receiver: Make
) -> None:
    service.rules = BreakerRules(failures=2, first_rest_ms=50, longest_rest_ms=50)
    service.disable_after_ms = 400
    bad, good = make_receiver("bad"), make_receiver("good")
    bad.behave(status=500, times=-1)
    health = endpoint(good.url, "ops", ("endpoint.*",))
    service.tenant("acme", endpoint(bad.url, retry_wait_seconds=[0] * 50), health)
    service.start()
    service.publish(*(call_started(number) for number in range(5)))
    wait_until(lambda: good.ledger.received == 2)
    assert good.ledger.summary()["by_type"] == {"endpoint.failing": 1, "endpoint.disabled": 1}
    made = [Delivery.FromString(record.value) for record in service.bus.records(DELIVERIES)]
    told = {one.event_type: json.loads(one.payload)["data"] for one in made if one.endpoint_id == "ops"}
    assert told["endpoint.failing"]["last_error"]["uk"] == "відповів 500: це його власна помилка"
    assert told["endpoint.disabled"]["last_error"]["code"] == "answered_its_fault"
    assert told["endpoint.disabled"]["reason"]["code"] == "failed_for_days"
    assert told["endpoint.disabled"]["reason"]["uk"] == "його вимкнено: не приймав кілька днів"
    wait_until(lambda: len(dead(service)) == 5 and service.room.size() == 0)
    assert "had failed for days" in " ".join(one.last_error for one in dead(service))
    tries = len(bad.requests)
    service.publish(call_started(77))
    service.stop()
    bad.behave()
    service.start()
    service.publish(call_ended(1))
    wait_until(lambda: matched(service) == len(service.bus.records(CALLS)))
    service.tenant("acme", endpoint(bad.url + "?new"), health)
    service.webhooks.directory.catch_up(5)  # type: ignore[union-attr]  # it was started
    service.publish(call_ended(2))
    wait_until(lambda: "end-acme-2.crm" in bad.ids())
    assert bad.ids() == ["end-acme-2.crm"]
    assert len(bad.requests) == tries + 1


def test_who_comes_back_is_told_of_too(service: Service, make_receiver: Make) -> None:
    service.rules = BreakerRules(failures=2, first_rest_ms=50, longest_rest_ms=50)
    bad, good = make_receiver("bad"), make_receiver("good")
    bad.behave(status=500, times=4)
    service.tenant(
        "acme", endpoint(bad.url, retry_wait_seconds=[0] * 50), endpoint(good.url, "ops", ("endpoint.recovered",))
    )
    service.start()
    service.publish(*(call_started(number) for number in range(5)))
    wait_until(lambda: good.ledger.received == 1 and bad.ledger.received == 5)
    assert good.ledger.summary()["by_type"] == {"endpoint.recovered": 1}


def test_each_endpoint_gets_the_form_that_it_asked_for(service: Service, make_receiver: Make, tmp_path: Path) -> None:
    del tmp_path
    receiver = make_receiver("forms")
    template = (
        '{"type": "{{type}}", "data": {"text": "call {{data.call_id}}", "line": "{{data.line}}"}, "timestamp": ""}'
    )
    service.tenant(
        "acme",
        endpoint(receiver.url, "full", headers={"X-Api-Key": "k-1"}),
        endpoint(receiver.url, "thin", thin=True),
        endpoint(receiver.url, "own", template=template),
    )
    service.start()
    service.publish(call_ended(1))
    wait_until(lambda: receiver.ledger.received == 3)
    sent = [Delivery.FromString(record.value) for record in service.bus.records(DELIVERIES)]
    payloads = {one.endpoint_id: json.loads(one.payload) for one in sent}
    assert payloads["full"]["data"]["wait_ms"] == "9100"
    assert payloads["thin"]["data"] == {
        "event_id": "end-acme-1",
        "tenant_id": "acme",
        "call_id": "call-1",
        "sequence": "2",
    }
    assert payloads["own"]["data"] == {"text": "call call-1", "line": "+380441000001"}
    keys = {request["HTTP_WEBHOOK_ID"]: request.get("HTTP_X_API_KEY") for request in receiver.requests}
    assert keys == {"end-acme-1.full": "k-1", "end-acme-1.thin": None, "end-acme-1.own": None}


def test_a_slow_tenant_has_no_more_than_its_share_and_each_endpoint_at_least_one(
    service: Service, make_receiver: Make
) -> None:
    slow, quick = make_receiver("slow"), make_receiver("quick")
    slow.behave(delay_seconds=0.3, times=-1)
    service.tenant("acme", *(endpoint(slow.url, f"e{number}", concurrency=50) for number in range(40)))
    service.tenant("beta", endpoint(quick.url))
    service.start()
    service.publish(*(call_started(number) for number in range(20)))
    service.publish(*(call_started(number, "beta") for number in range(20)))
    wait_until(lambda: quick.ledger.received == 20)
    assert slow.ledger.received < 400
    wait_until(lambda: slow.ledger.received == 800)


@pytest.mark.parametrize(("wish", "most"), [(3, 3), (0, 8)], ids=["its own wish", "the platform's"])
def test_an_endpoint_is_asked_by_no_more_than_its_number_at_a_time(service: Service, wish: int, most: int) -> None:
    under_way: list[int] = []
    now = 0

    def answer(peer: Peer, _number: int) -> bool:
        nonlocal now
        now += 1
        under_way.append(now)
        gevent.sleep(0.05)
        now -= 1
        peer.send(OK)
        return True

    receiver = RawReceiver(answer)
    service.tenant("acme", endpoint(receiver.url, concurrency=wish))
    service.start()
    service.publish(*(call_started(number) for number in range(40)))
    wait_until(lambda: len(receiver.taken) == 40)
    assert max(under_way) == most
    receiver.stop()


def test_a_good_endpoint_is_asked_by_as_many_as_it_may_while_its_companys_others_hang(service: Service) -> None:
    now = most = 0

    def answer(peer: Peer, _number: int) -> bool:
        nonlocal now, most
        now += 1
        most = max(most, now)
        gevent.sleep(0.05)
        now -= 1
        peer.send(OK)
        return True

    hanging, good = RawReceiver(hang), RawReceiver(answer)
    hung = [endpoint(hanging.url, f"h{number}", timeout_ms=60_000) for number in range(20)]
    service.tenant("acme", *hung, endpoint(good.url, "good"))
    service.start()
    service.publish(*(call_started(number) for number in range(10)))
    wait_until(lambda: len(hanging.arrivals) >= 64)
    service.publish(*(call_started(number) for number in range(10, 50)))
    wait_until(lambda: len(good.taken) == 50)
    assert most == 8
    for receiver in (hanging, good):
        receiver.stop()


def test_a_backlog_of_a_slow_endpoint_hides_no_retry_that_came_after_it(service: Service, make_receiver: Make) -> None:
    slow, quick = make_receiver("slow"), make_receiver("quick")
    slow.behave(delay_seconds=1.0, times=-1)
    service.tenant("acme", endpoint(slow.url, "slow", concurrency=1), endpoint(quick.url, "quick"))
    service.room.put([waiting("slow", number, due_ms=number) for number in range(1500)])
    service.room.put([waiting("quick", number, due_ms=2000 + number) for number in range(20)])
    service.start()
    wait_until(lambda: quick.ledger.received == 20, seconds=5.0)
    assert len(slow.requests) < 20


def waiting(endpoint_id: str, number: int, due_ms: int) -> Delivery:
    return Delivery(
        delivery_id=f"evt-{number}.{endpoint_id}",
        tenant_id="acme",
        endpoint_id=endpoint_id,
        event_type="call.ended",
        payload=b'{"type": "call.ended", "data": {}}',
        attempts=1,
        due_ms=due_ms,
    )
