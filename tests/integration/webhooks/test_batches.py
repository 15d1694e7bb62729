"""Several events in one signed message: for who asks, and nothing of what webhooks promise is lost by it."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from services.shared.bus.topics import DELIVERIES_DEAD
from services.shared.contracts.ringmaster.v1.delivery_pb2 import Delivery
from services.shared.contracts.ringmaster.v1.event_pb2 import Event
from services.webhooks.domain.breaker import BreakerRules
from tests.integration.webhooks.harness import LocalReceiver, Service, call_ended, call_started, endpoint, wait_until


class Messages(LocalReceiver):
    """A receiver that verifies, and keeps what it got."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, "batches")
        self.messages: list[tuple[str, dict[str, Any]]] = []
        self.application._ledger = self  # type: ignore[assignment]

    def accept(self, webhook_id: str, payload: dict[str, Any]) -> None:
        self.messages.append((webhook_id, payload))

    def refuse(self) -> None:
        raise AssertionError("a signature is wrong")

    def sizes(self) -> list[int]:
        return [len(payload["data"]["events"]) for _, payload in self.messages]

    def entries(self) -> list[str]:
        return [one["id"] for _, payload in self.messages for one in payload["data"]["events"]]

    def bodies(self) -> dict[str, Any]:
        """Return the events by their ids."""
        return {one["id"]: one["event"] for _, payload in self.messages for one in payload["data"]["events"]}


@pytest.fixture
def receiver(tmp_path: Path) -> Iterator[Messages]:
    found = Messages(tmp_path)
    yield found
    found.stop()


def step(call: int, number: int) -> Event:
    event = call_started(call)
    event.event_id = f"evt-{call}-{number:02}"
    return event


def ids(numbers: range) -> list[str]:
    return [f"evt-acme-{number}.crm" for number in numbers]


def test_a_message_holds_as_many_as_are_wished_in_the_logs_order(service: Service, receiver: Messages) -> None:
    service.tenant("acme", endpoint(receiver.url, batch_events=10, batch_wait_ms=300))
    service.start()
    service.publish(*(call_started(number) for number in range(25)))
    wait_until(lambda: len(receiver.entries()) == 25)
    assert receiver.sizes() == [10, 10, 5]
    assert receiver.entries() == ids(range(25))
    first_id, first = receiver.messages[0]
    assert first["type"] == "batch"
    assert first_id.startswith("b-")
    event = first["data"]["events"][0]["event"]
    assert (event["type"], event["data"]["call_id"]) == ("call.started", "call-0")
    wait_until(lambda: len(service.log.last_states()) == 25)
    entry = service.log.entries[0]
    assert (entry.delivery_id, entry.state, entry.message_id) == ("evt-acme-0.crm", "delivered", first_id)


def test_one_alone_waits_no_longer_than_is_wished(service: Service, receiver: Messages) -> None:
    service.tenant("acme", endpoint(receiver.url, batch_events=500, batch_wait_ms=200))
    service.start()
    began = time.monotonic()
    service.publish(call_started(1))
    wait_until(lambda: receiver.sizes() == [1])
    assert time.monotonic() - began >= 0.2


def test_a_message_that_fails_stays_as_it_is_over_all_its_tries(service: Service, receiver: Messages) -> None:
    service.rules = BreakerRules(failures=1000)
    service.tenant("acme", endpoint(receiver.url, batch_events=10, batch_wait_ms=50, retry_wait_seconds=[0] * 9))
    receiver.behave(status=500, times=4)
    service.start()
    service.publish(*(call_started(number) for number in range(30)))
    wait_until(lambda: len(receiver.entries()) == 30 and service.room.size() == 0)
    assert sorted(receiver.entries()) == sorted(ids(range(30)))
    asked = [request["HTTP_WEBHOOK_ID"] for request in receiver.requests]
    assert len(asked) == 7
    assert len(set(asked)) == 3
    wait_until(lambda: set(service.log.last_states().values()) == {"delivered"})


def test_where_order_is_asked_for_a_failed_message_holds_back_what_comes_after_it(
    service: Service, receiver: Messages
) -> None:
    service.rules = BreakerRules(failures=1000)
    wishes: dict[str, Any] = {
        "batch_events": 7,
        "batch_wait_ms": 20,
        "keep_call_order": True,
        "retry_wait_seconds": [0] * 30,
    }
    service.tenant("acme", endpoint(receiver.url, **wishes))
    receiver.behave(status=500, times=6)
    service.start()
    service.publish(*(step(call, number) for number in range(10) for call in range(10)))
    wait_until(lambda: len(set(receiver.entries())) == 100 and service.room.size() == 0)
    assert receiver.entries() == [f"evt-{call}-{number:02}.crm" for number in range(10) for call in range(10)]
    assert len(receiver.messages) <= 20, "what was held back comes in whole messages again"


@pytest.mark.parametrize("polite", [True, False], ids=["stopped", "killed"])
def test_order_and_ids_outlive_the_process(service: Service, receiver: Messages, *, polite: bool) -> None:
    service.rules = BreakerRules(failures=1000)
    wishes: dict[str, Any] = {
        "batch_events": 7,
        "batch_wait_ms": 20,
        "keep_call_order": True,
        "retry_wait_seconds": [0] * 30,
    }
    service.tenant("acme", endpoint(receiver.url, **wishes))
    service.start()
    wanted = [f"evt-{call}-{number:02}.crm" for number in range(10) for call in range(20)]
    service.publish(*(step(call, number) for number in range(10) for call in range(20)))
    for goal in (20, 70, 130):
        receiver.behave(status=500, times=3)
        wait_until(lambda goal=goal: len(set(receiver.entries())) >= goal)  # type: ignore[misc]
        if polite:
            service.stop()
        else:
            service.kill()
        service.start()
    wait_until(lambda: len(set(receiver.entries())) == 200 and service.room.size() == 0)
    assert list(dict.fromkeys(receiver.entries())) == wanted


def test_a_message_that_is_given_up_lies_whole_among_the_dead_letters(service: Service, receiver: Messages) -> None:
    service.tenant("acme", endpoint(receiver.url, batch_events=5, batch_wait_ms=50, retry_wait_seconds=[0]))
    receiver.behave(status=500, times=2)
    service.start()
    service.publish(*(call_started(number) for number in range(5)))
    wait_until(lambda: len(service.bus.records(DELIVERIES_DEAD)) == 1)
    dead = Delivery.FromString(service.bus.records(DELIVERIES_DEAD)[0].value)
    assert [one.delivery_id for one in dead.members] == ids(range(5))
    assert b'"id":"evt-acme-4.crm"' in dead.payload
    wait_until(lambda: set(service.log.last_states().values()) == {"dead"})
    assert len(service.log.last_states()) == 5
    assert service.webhooks is not None
    assert service.webhooks.redelivery.again(dead)
    wait_until(lambda: receiver.sizes() == [5])
    assert receiver.entries() == ids(range(5))


def test_templates_and_thin_bodies_are_each_events_own(service: Service, receiver: Messages) -> None:
    template = '["{{data.call_id}}", {"id": "theirs"}]'
    service.tenant("acme", endpoint(receiver.url, batch_events=2, batch_wait_ms=50, template=template))
    service.start()
    service.publish(call_ended(1), call_ended(2))
    wait_until(lambda: len(receiver.entries()) == 2)
    assert receiver.bodies()["end-acme-1.crm"] == ["call-1", {"id": "theirs"}]


def test_who_gathers_holds_nobody_else_up_and_gives_out_what_it_has_when_it_stops(
    service: Service, receiver: Messages, tmp_path: Path
) -> None:
    other = LocalReceiver(tmp_path, "other")
    gathering = endpoint(receiver.url, batch_events=500, batch_wait_ms=10_000)
    service.tenant("acme", gathering, endpoint(other.url, "other"))
    service.start()
    service.publish(*(call_started(number) for number in range(300)))
    wait_until(lambda: other.ledger.received == 300)
    assert receiver.messages == []
    service.stop()
    assert sorted(receiver.entries()) == sorted(ids(range(300)))
    other.stop()
