"""A person is erased: what waits for a receiver goes, what stands in Kafka is sent no more, and rules count anew."""

import json
from pathlib import Path
from typing import Any

import pytest

from services.shared.bus.errors import BusUnavailable
from services.shared.bus.topics import CALLS, DELIVERIES_DEAD
from services.shared.contracts.ringmaster.v1.event_pb2 import CallEnded, Event, Party
from services.shared.contracts.ringmaster.v1.tenant_pb2 import WebhookEndpoint
from services.shared.person import PersonSeal
from services.webhooks.domain.erased import Erased, ErasedPersons, naming
from services.webhooks.erasing import MemoryErasureRows
from services.webhooks.redelivery import NotKept
from tests.integration.webhooks.harness import LocalReceiver, Service, wait_until

SEAL = PersonSeal("an erasure secret for the webhooks' tests")
PERSON, OTHER = "+380501112233", "+380509999999"
NUMBERS = (PERSON, "380501112233", "00380501112233", "0501112233", "501112233")
AT_MS = 1_000_000


def _call(number: str, name: str, at_ms: int = AT_MS) -> Event:
    event = Event(event_id=name, tenant_id="acme", call_id=name, sequence=1, subject=name)
    event.time.FromMilliseconds(at_ms)
    event.call_ended.CopyFrom(CallEnded(caller=Party(number=number, name="Maria"), line="+380441000001"))
    return event


def _asked(seal: PersonSeal = SEAL) -> Event:
    event = Event(event_id="asked", tenant_id="acme", subject="erasure:er-1", sequence=1)
    event.time.FromMilliseconds(AT_MS + 500)
    body = event.person_erasure_requested
    body.erasure_id, body.sealed_numbers = "er-1", seal.seal("acme", "er-1", NUMBERS)
    return event


def _answers(service: Service) -> list[Event]:
    events = [Event.FromString(record.value) for record in service.bus.records(CALLS)]
    return [event for event in events if event.HasField("person_erased")]


def _endpoint(receiver: LocalReceiver) -> WebhookEndpoint:
    return WebhookEndpoint(endpoint_id="crm", url=receiver.url, events=["call.ended"], secret_ref="main")


@pytest.fixture
def service(tmp_path: Path) -> Any:
    service = Service(tmp_path, ladder="0,3600")
    yield service
    service.stop()


def test_what_waits_goes_what_comes_back_is_not_sent_and_others_get_theirs(service: Service, tmp_path: Path) -> None:
    receiver = LocalReceiver(tmp_path, "crm")
    receiver.behave(status=500, times=-1)
    service.tenant("acme", _endpoint(receiver))
    service.start()
    service.publish(_call(PERSON, "theirs"), _call("0501112233", "theirs-too"), _call(OTHER, "of-another"))
    wait_until(lambda: service.room.size() == 3)
    service.publish(_asked())
    wait_until(lambda: _answers(service) != [])
    (answer,) = [event.person_erased for event in _answers(service)]
    assert (answer.service, dict(answer.removed), answer.fault) == ("webhooks", {"waiting_deliveries": 2}, "")
    (left,) = service.room.of_tenant("acme")
    assert left.call_id == "of-another"
    receiver.behave(times=0)
    service.publish(_call(PERSON, "told-late"), _call(PERSON, "new-call", AT_MS + 600))
    wait_until(lambda: receiver.ids() == ["new-call.crm"])
    wait_until(lambda: service.log.last_states().get("told-late.crm") == "dead")
    assert not service.bus.records(DELIVERIES_DEAD), "what is given up for an erasure is kept nowhere"
    assert service.webhooks is not None
    entry = next(one for one in service.log.entries if one.delivery_id == "theirs.crm" and one.position)
    with pytest.raises(NotKept, match="erased"):
        service.webhooks.redelivery.sent("acme", "crm", "theirs.crm", entry.position)
    receiver.stop()


@pytest.mark.parametrize("step", ["count", "remove", "answer"])
def test_a_kill_at_any_step_is_made_good_with_the_same_answer(
    service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    receiver = LocalReceiver(tmp_path, "crm")
    receiver.behave(status=500, times=-1)
    service.tenant("acme", _endpoint(receiver))
    service.erasures = MemoryErasureRows()
    service.start()
    service.publish(_call(PERSON, "one"), _call(PERSON, "two"))
    wait_until(lambda: service.room.size() == 2)
    killed: list[str] = []

    def die(*_args: Any, **_more: Any) -> Any:
        killed.append(step)
        raise BusUnavailable("gone")  # held up there until the process is killed

    place = {
        "count": "services.webhooks.erasing.MemoryErasureRows.counted",
        "remove": "services.webhooks.waiting.MemoryWaitingRoom.call_next",
        "answer": "services.webhooks.erasing.publish_event",
    }[step]
    with monkeypatch.context() as patch:
        patch.setattr(place, die)
        service.publish(_asked())
        wait_until(lambda: killed != [])
        service.kill()
    assert not _answers(service)
    service.start()
    wait_until(lambda: _answers(service) != [])
    assert {event.person_erased.removed["waiting_deliveries"] for event in _answers(service)} == {2}
    assert service.room.size() == 0
    receiver.stop()


def test_a_service_with_another_secret_says_so(service: Service) -> None:
    service.tenant("acme")
    service.start()
    service.publish(_asked(PersonSeal("another secret of another platform, long")))
    wait_until(lambda: _answers(service) != [])
    assert "RINGMASTER_ERASURE_SECRET" in _answers(service)[0].person_erased.fault


def test_a_number_is_found_where_it_stands_alone_and_only_of_what_was_told_before() -> None:
    pattern = naming(NUMBERS)
    for text in ('"+380501112233"', '"0501112233"', "tel:+380501112233;x", "<00380501112233>", '{"n":501112233}'):
        assert pattern.search(text.encode()), text
    for text in ("1501112233", "5011122334", "a501112233", "501112233f", "+3805011122330"):
        assert not pattern.search(text.encode()), text
    persons = ErasedPersons()
    persons.add([Erased("acme", "er-1", NUMBERS, 500)])
    payload = json.dumps({"caller": {"number": PERSON}}).encode()
    assert persons.names("acme", payload, 500)
    assert not persons.names("acme", payload, 501)
    assert not persons.names("borealis", payload, 1)
