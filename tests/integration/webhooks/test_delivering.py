import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from services.shared.bus.topics import DEAD_LETTERS, DELIVERIES, DELIVERIES_DEAD, DELIVERIES_OVERFLOW, DELIVERIES_RETRY
from services.shared.contracts.ringmaster.v1.delivery_pb2 import Delivery
from tests.integration.webhooks.harness import (
    OTHER_SECRET,
    SECRET,
    LocalReceiver,
    Service,
    call_ended,
    call_started,
    endpoint,
    wait_until,
)


def dead(service: Service) -> list[Delivery]:
    return [Delivery.FromString(record.value) for record in service.bus.records(DELIVERIES_DEAD)]


def test_every_wanted_event_reaches_its_endpoint_signed_and_once(
    service: Service, make_receiver: Callable[..., LocalReceiver]
) -> None:
    everything, only_ends = make_receiver("everything"), make_receiver("ends")
    service.tenant("acme", endpoint(everything.url), endpoint(only_ends.url, "ends", ("call.ended",)))
    service.tenant("beta", endpoint(everything.url))
    service.start()
    service.publish(*(call_started(number) for number in range(30)))
    service.publish(*(call_ended(number) for number in range(30)), call_ended(1, "beta"))
    wait_until(lambda: everything.ledger.received == 61 and only_ends.ledger.received == 30)
    summary = everything.ledger.summary()
    assert (summary["distinct"], summary["invalid"], summary["calls_ended"]) == (61, 0, 31)
    assert summary["by_type"] == {"call.started": 30, "call.ended": 31}
    assert summary["by_tenant"] == {"acme": 60, "beta": 1}
    assert only_ends.ledger.summary()["by_type"] == {"call.ended": 30}


def test_a_failed_delivery_is_tried_again_under_the_same_id(service: Service, receiver: LocalReceiver) -> None:
    receiver.behave(status=503, times=2)
    service.tenant("acme", endpoint(receiver.url))
    service.start()
    service.publish(call_started(1))
    wait_until(lambda: receiver.ledger.received == 1 and service.room.size() == 0)
    assert {request["HTTP_WEBHOOK_ID"] for request in receiver.requests} == {"evt-acme-1.crm"}
    assert len(receiver.requests) == 3
    assert len(service.bus.records(DELIVERIES_RETRY)) == 1
    wait_until(lambda: service.log.last_states() == {"evt-acme-1.crm": "delivered"})
    assert [entry.attempt.status for entry in service.log.entries if entry.attempt] == [503, 503, 200]


def test_each_try_is_a_post_of_json_with_its_own_moment_signed_under_one_id(
    service: Service, receiver: LocalReceiver
) -> None:
    """Standard Webhooks 1.0.0: the id is the message's, the timestamp is that of the attempt."""
    receiver.behave(status=500, times=2)
    service.tenant("acme", endpoint(receiver.url))
    service.start()
    assert service.webhooks is not None
    dispatcher: Any = service.webhooks._lanes._attempt.__self__  # type: ignore[attr-defined]
    begin = int(time.time())
    moments = iter(begin + 60 * number for number in range(3))
    object.__setattr__(dispatcher, "unix_time", lambda: float(next(moments)))
    service.publish(call_started(1))
    wait_until(lambda: receiver.ledger.received == 1)
    assert [int(one["HTTP_WEBHOOK_TIMESTAMP"]) - begin for one in receiver.requests] == [0, 60, 120]
    assert len({one["HTTP_WEBHOOK_SIGNATURE"] for one in receiver.requests}) == 3
    assert {one["HTTP_WEBHOOK_ID"] for one in receiver.requests} == {"evt-acme-1.crm"}
    assert {(one["REQUEST_METHOD"], one["CONTENT_TYPE"]) for one in receiver.requests} == {("POST", "application/json")}


def test_a_delivery_that_always_fails_is_given_up_after_the_ladders_last_rung(
    service: Service, receiver: LocalReceiver
) -> None:
    receiver.behave(status=500, times=-1)
    service.tenant("acme", endpoint(receiver.url))
    service.start()
    service.publish(call_started(1))
    wait_until(lambda: len(dead(service)) == 1 and service.room.size() == 0)
    assert len(receiver.requests) == 4
    assert dead(service)[0].last_error == "the endpoint answered 500"
    assert dead(service)[0].attempts == 4


def test_a_redirect_is_a_failure_and_is_not_followed(
    service: Service, make_receiver: Callable[..., LocalReceiver]
) -> None:
    asked, named = make_receiver("asked"), make_receiver("named")
    asked.behave(status=302, location=named.url, times=-1)
    service.tenant("acme", endpoint(asked.url))
    service.start()
    service.publish(call_started(1))
    wait_until(lambda: len(dead(service)) == 1)
    assert named.requests == []


def test_an_endpoint_that_is_gone_gets_nothing_more_until_its_url_changes(
    service: Service, make_receiver: Callable[..., LocalReceiver]
) -> None:
    old, new = make_receiver("old"), make_receiver("new")
    old.behave(status=410, times=-1)
    service.tenant("acme", endpoint(old.url))
    service.start()
    service.publish(call_started(1))
    wait_until(lambda: len(dead(service)) == 1)
    service.stop()
    service.start()
    service.publish(call_started(2))
    wait_until(lambda: service.bus.offsets.get(("webhooks", "ringmaster.calls", _partition(service))) == 2)
    service.tenant("acme", endpoint(new.url))
    wait_until(lambda: _url(service) == new.url)
    service.publish(call_started(3))
    wait_until(lambda: new.ledger.received == 1)
    assert len(old.requests) == 1
    assert new.ids() == ["evt-acme-3.crm"]


def _partition(service: Service) -> int:
    return service.bus.records("ringmaster.calls")[0].partition


def _url(service: Service) -> str:
    assert service.webhooks is not None
    found = service.webhooks.directory.find("acme", "crm")
    return found.url if found else ""


def test_retry_after_makes_the_wait_longer(service: Service, receiver: LocalReceiver) -> None:
    receiver.behave(status=429, retry_after="1", times=1)
    service.tenant("acme", endpoint(receiver.url))
    service.start()
    service.publish(call_started(1))
    wait_until(lambda: receiver.ledger.received == 1)
    first, second = (float(request["at"]) for request in receiver.requests)
    assert second - first >= 1.0


def test_a_slow_endpoint_never_delays_another(service: Service, make_receiver: Callable[..., LocalReceiver]) -> None:
    slow, quick = make_receiver("slow"), make_receiver("quick")
    slow.behave(delay_seconds=1.0, times=-1)
    service.tenant("acme", endpoint(slow.url, "slow"), endpoint(quick.url, "quick"))
    service.start()
    service.publish(*(call_started(number) for number in range(1500)))
    wait_until(lambda: quick.ledger.received == 1500)
    assert slow.ledger.received <= 100
    # What the slow one's queue could not hold waits outside the process, so that offsets go on.
    wait_until(lambda: len(service.bus.records(DELIVERIES_RETRY)) > 0)


@pytest.mark.parametrize("killed", [False, True], ids=["goes on", "killed"])
def test_what_an_endpoint_could_not_take_at_once_comes_through_the_overflow(
    service: Service, receiver: LocalReceiver, *, killed: bool
) -> None:
    service.queue_limit = 16
    service.tenant("acme", endpoint(receiver.url))
    service.start()
    service.publish(*(call_started(number) for number in range(200)))
    wait_until(lambda: receiver.ledger.received >= 20, seconds=60.0)
    if killed:
        service.kill()
        service.start()
    wait_until(lambda: receiver.ledger.summary()["distinct"] == 200, seconds=60.0)
    overflowed = {Delivery.FromString(record.value).delivery_id for record in service.bus.records(DELIVERIES_OVERFLOW)}
    assert overflowed <= set(receiver.ids())
    assert len(overflowed) > 50
    assert killed or len(receiver.ids()) == 200


def test_both_secrets_of_a_rotation_sign(service: Service, make_receiver: Callable[..., LocalReceiver]) -> None:
    old, new = make_receiver("old", secrets=(SECRET,)), make_receiver("new", secrets=(OTHER_SECRET,))
    service.write_secrets({"acme/main": [OTHER_SECRET, SECRET]})
    service.tenant("acme", endpoint(old.url, "old"), endpoint(new.url, "new"))
    service.start()
    service.publish(call_started(1))
    wait_until(lambda: old.ledger.received == 1 and new.ledger.received == 1)
    assert old.ledger.invalid == new.ledger.invalid == 0


def test_a_delivery_with_a_wrong_secret_is_kept_until_the_secret_is_right(
    service: Service, receiver: LocalReceiver
) -> None:
    service.write_secrets({"acme/main": [OTHER_SECRET]})
    service.tenant("acme", endpoint(receiver.url))
    service.start()
    service.publish(call_started(1))
    wait_until(lambda: receiver.ledger.invalid == 1)
    service.write_secrets({"acme/main": [SECRET], "acme/other": [SECRET]})
    service.secrets.refresh()
    wait_until(lambda: receiver.ledger.received == 1)


def test_a_private_address_is_never_connected_to(tmp_path: Path, receiver: LocalReceiver) -> None:
    service = Service(tmp_path, ladder="0", allow="")
    port = receiver.url.split(":")[2]
    hosts = ("127.0.0.1", "localhost", "2130706433", "0x7f.1", "[::ffff:127.0.0.1]", "0.0.0.0", "[::]", "127.1")
    service.tenant("acme", *(endpoint(f"http://{host}:{port}", f"e{number}") for number, host in enumerate(hosts)))
    service.start()
    service.publish(call_started(1))
    wait_until(lambda: len(dead(service)) == len(hosts))
    assert receiver.requests == []
    assert {one.last_error for one in dead(service)} <= {
        "the host has no address that may be connected to",
        "the host's name can't be resolved",
        "the URL's host is a number: write an address as four plain numbers with dots",
    }
    service.stop()


def test_what_is_not_an_event_goes_to_the_dead_letters_and_stops_nothing(
    service: Service, receiver: LocalReceiver
) -> None:
    service.tenant("acme", endpoint(receiver.url))
    service.bus.producer().send("ringmaster.calls", "acme", b"\xff\xff", timestamp_ms=1)
    service.start()
    service.publish(call_started(1))
    wait_until(lambda: receiver.ledger.received == 1)
    letters = service.bus.records(DEAD_LETTERS)
    assert [(letter.value, letter.headers["reason"]) for letter in letters] == [(b"\xff\xff", "not an event")]


def test_the_bytes_on_the_wire_are_the_bytes_in_the_log(service: Service, receiver: LocalReceiver) -> None:
    service.tenant("acme", endpoint(receiver.url))
    service.start()
    service.publish(call_ended(1))
    wait_until(lambda: receiver.ledger.received == 1)
    (record,) = service.bus.records(DELIVERIES)
    document = json.loads(Delivery.FromString(record.value).payload)
    assert document["type"] == "call.ended"
    assert document["data"]["wait_ms"] == "9100"
    assert document["data"]["event_id"] == "end-acme-1"


def test_what_is_under_way_at_a_stop_is_told_in_the_log_and_counted(service: Service, receiver: LocalReceiver) -> None:
    service.tenant("acme", endpoint(receiver.url))
    receiver.behave(delay_seconds=0.6, times=-1)
    service.start()
    service.publish(call_started(1))
    wait_until(lambda: len(receiver.requests) == 1)
    service.stop()
    assert service.log.last_states() == {"evt-acme-1.crm": "delivered"}
    assert [figures.delivered for figures in service.log.minutes.values()] == [1]


@pytest.mark.parametrize("polite", [True, False], ids=["stopped", "killed"])
def test_a_restart_in_mid_run_loses_nothing_and_repeats_only_under_the_same_id(
    service: Service, receiver: LocalReceiver, *, polite: bool
) -> None:
    service.tenant("acme", endpoint(receiver.url))
    receiver.behave(status=503, times=10)
    expected = {f"evt-acme-{number}.crm" for number in range(1200)}
    service.start()
    service.publish(*(call_started(number) for number in range(1200)))
    for goal in (100, 400, 800):
        wait_until(lambda goal=goal: receiver.ledger.received >= goal)  # type: ignore[misc]  # mypy can't see the default
        if polite:
            service.stop()
        else:
            service.kill()
        service.start()
    wait_until(lambda: receiver.ledger.summary()["distinct"] == 1200)
    assert set(receiver.ids()) == expected
    if polite:
        assert len(receiver.ids()) == 1200


@pytest.mark.parametrize(
    ("template", "reason"),
    [
        ("[" * 900 + '"{{type}}"' + "]" * 900, "the endpoint's template nests deeper than 32: make it flatter."),
        ("[" + ",".join(['"{{data}}"'] * 400) + "]", "the template's places would hold more than"),
    ],
    ids=["deep", "long"],
)
def test_a_hostile_template_costs_nobody_but_its_endpoint_anything(
    service: Service, make_receiver: Callable[..., LocalReceiver], template: str, reason: str
) -> None:
    """One of them ended the process for every company, the other one made a record that no broker takes."""
    hostile, batched, good = make_receiver("hostile"), make_receiver("batched"), make_receiver("good")
    bad = [endpoint(hostile.url, "bad", template=template), endpoint(batched.url, "many", template=template)]
    bad[1].batch_events = 10
    service.tenant("acme", *bad, endpoint(good.url, "good"))
    service.tenant("beta", endpoint(good.url))
    service.start()
    first = call_ended(1)
    first.call_ended.caller.name = "x" * 2_000
    service.publish(first, call_ended(2, "beta"))
    wait_until(lambda: good.ledger.received == 2 and len(dead(service)) == 2)
    assert {one.delivery_id for one in dead(service)} == {"end-acme-1.bad", "end-acme-1.many"}
    assert all(one.last_error.startswith(reason) for one in dead(service))
    assert hostile.requests == batched.requests == []
    wait_until(lambda: service.log.last_states().get("end-acme-1.bad") == "dead")
    # What was put right is sent from its event.
    service.tenant("acme", endpoint(hostile.url, "bad", template='{"what": "{{type}}"}'))
    service.publish(call_ended(3))
    wait_until(lambda: len(hostile.requests) == 1)
