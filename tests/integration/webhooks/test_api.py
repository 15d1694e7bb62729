"""What people and programs may ask of the webhooks service, and what they may not."""

import json
from collections.abc import Callable
from hashlib import sha256
from typing import Any

import pytest
from flask import Flask
from standardwebhooks import Webhook

from services.shared.access import tokens_of
from services.shared.bus.topics import DELIVERIES
from services.shared.chassis.web import service_app
from services.shared.contracts.ringmaster.v1.tenant_pb2 import Channel, TelegramChannel, TenantDocument
from services.webhooks.adapters.mongo_log import MongoLogStore
from services.webhooks.adapters.mongo_replays import MongoReplays
from services.webhooks.adapters.mongo_secrets import MongoSecrets
from services.webhooks.application import COOKIE, add_routes
from services.webhooks.replays import MemoryReplays, Replay, ReplayStore
from services.webhooks.secret_book import SecretBook
from tests.integration.webhooks.console import Console
from tests.integration.webhooks.harness import LocalReceiver, Service, call_ended, call_started, endpoint, wait_until
from tests.unit.chassis.foreign_pages import assert_foreign_pages_change_nothing

HOLDERS = {
    "boss": ("acme", "supervisor"),
    "admin": ("acme", "admin"),
    "analyst": ("acme", "analyst"),
    "agent": ("acme", "agent"),
    "rival": ("beta", "admin"),
    "root": ("*", "admin"),
}
KEY = b"k" * 32
Make = Callable[..., LocalReceiver]


class House:
    """The service with its log in a true document store, and somebody who asks."""

    def __init__(self, service: Service, database: Any) -> None:
        self.service = service
        self.database = database
        service.log = MongoLogStore(database, 30)
        service.replays = MongoReplays(database)
        service.made_secrets = MongoSecrets(database, KEY)
        service.start()
        self.console = Console(service)
        self.console.start(service)
        holders = {
            sha256(token.encode()).hexdigest(): {"tenant": tenant, "role": role, "actor": token}
            for token, (tenant, role) in HOLDERS.items()
        }
        assert service.webhooks is not None
        self.app: Flask = service_app("webhooks", service.webhooks.ready)
        add_routes(self.app, service.webhooks.desk(), tokens_of(holders), service.supervisor.stopping)

    def ask(self, path: str, who: str = "boss", **options: Any) -> Any:
        headers = {"Authorization": f"Bearer {who}"}
        return self.app.test_client().open(path, method=options.pop("method", "GET"), headers=headers, **options)

    def get(self, path: str, who: str = "boss") -> Any:
        answer = self.ask(path, who)
        assert answer.status_code == 200, answer.json
        return answer.json

    def post(self, path: str, body: Any = None, who: str = "boss") -> Any:
        return self.ask(path, who, method="POST", **({} if body is None else {"json": body}))

    def deliveries(self, query: str = "", who: str = "boss") -> list[str]:
        return [one["delivery_id"] for one in self.get(f"/v1/deliveries?{query}", who)["deliveries"]]


@pytest.fixture
def house(service: Service, receiver: LocalReceiver, database: Any) -> House:
    service.tenant("acme", endpoint(receiver.url), endpoint(receiver.url, "ends", ("call.ended",)))
    service.tenant("beta", endpoint(receiver.url))
    house = House(service, database)
    wait_until(lambda: house.get("/v1/endpoints")["endpoints"])  # the companies' documents were read
    return house


def test_the_log_is_searched_and_paged_and_shows_a_tenant_its_own_alone(house: House) -> None:
    house.service.publish(*(call_started(number) for number in range(5)), call_ended(1), call_started(1, "beta"))
    wait_until(lambda: len(house.deliveries()) == 7 and house.deliveries(who="rival") == ["evt-beta-1.crm"])
    assert house.deliveries("endpoint=ends") == ["end-acme-1.ends"]
    assert set(house.deliveries("call=call-1")) == {"evt-acme-1.crm", "end-acme-1.crm", "end-acme-1.ends"}
    assert len(house.deliveries("type=call.*")) == 7
    assert len(house.deliveries("type=call.started&state=delivered")) == 5
    assert house.deliveries("state=dead") == []
    assert house.deliveries("tenant=beta", "root") == ["evt-beta-1.crm"]
    found, cursor = [], ""
    while True:
        page = house.get(f"/v1/deliveries?limit=3{cursor}")
        found += [one["delivery_id"] for one in page["deliveries"]]
        if "cursor" not in page:
            break
        cursor = f"&cursor={page['cursor']}"
    assert found == house.deliveries()
    wait_until(lambda: house.get("/v1/endpoints")["totals"]["delivered"] == 7)
    endpoints = house.get("/v1/endpoints")
    assert {one["endpoint_id"]: (one["state"], one["delivered"]) for one in endpoints["endpoints"]} == {
        "crm": ("open", 6),
        "ends": ("open", 1),
    }
    assert endpoints["totals"]["success"] == 1.0
    assert sum(point["delivered"] for point in endpoints["points"]) == 7


@pytest.mark.parametrize(
    ("path", "token", "status"),
    [
        ("/v1/deliveries", "nobody", 401),
        ("/v1/deliveries", "agent", 403),
        ("/v1/deliveries?tenant=beta", "boss", 403),
        ("/v1/deliveries", "root", 400),
        ("/v1/deliveries?state=lost", "boss", 400),
        ("/v1/deliveries?limit=0", "boss", 400),
        ("/v1/deliveries?limit=9999999999999999999999", "boss", 400),
        ("/v1/deliveries?cursor=x", "boss", 400),
        ("/v1/deliveries/evt-none.crm", "boss", 404),
        ("/v1/endpoints?minutes=x", "boss", 400),
    ],
)
def test_what_may_not_be_asked_is_a_problem(house: House, path: str, token: str, status: int) -> None:
    answer = house.ask(path, token)
    assert (answer.status_code, answer.mimetype) == (status, "application/problem+json")
    assert answer.json["detail"]


@pytest.mark.parametrize("token", ["analyst", "agent", "rival", "nobody"])
def test_who_may_only_look_changes_nothing(house: House, receiver: LocalReceiver, token: str) -> None:
    house.service.publish(call_started(1))
    wait_until(lambda: house.deliveries() == ["evt-acme-1.crm"])
    asked = [
        house.post("/v1/deliveries/evt-acme-1.crm/redeliver", who=token),
        house.post("/v1/endpoints/crm/ping?tenant=acme", who=token),
        house.post("/v1/endpoints/crm/open?tenant=acme", who=token),
        house.post("/v1/endpoints/crm/secret?tenant=acme", who=token),
        house.post("/v1/replays?tenant=acme", {"endpoint_id": "crm", "since_ms": 0}, who=token),
    ]
    assert all(answer.status_code in (401, 403, 404) for answer in asked)
    assert len(house.service.bus.records(DELIVERIES)) == 1
    assert house.post("/v1/endpoints/crm/secret").status_code == 403  # a supervisor makes no secrets


def test_a_delivery_is_sent_again_under_its_id_with_the_same_bytes(house: House, receiver: LocalReceiver) -> None:
    house.service.publish(*(call_started(number) for number in range(4)))
    wait_until(lambda: len(house.deliveries()) == 4)
    assert house.post("/v1/deliveries/evt-acme-2.crm/redeliver").status_code == 202
    wait_until(lambda: receiver.ids().count("evt-acme-2.crm") == 2)
    assert sorted(receiver.ids()) == ["evt-acme-0.crm", "evt-acme-1.crm", *["evt-acme-2.crm"] * 2, "evt-acme-3.crm"]
    assert receiver.application._ledger.invalid == 0
    wait_until(lambda: len(house.get("/v1/deliveries/evt-acme-2.crm")["attempts"]) == 2)


def test_the_log_shows_bodies_and_answers_without_personal_data(house: House, receiver: LocalReceiver) -> None:
    receiver.behave(status=400, times=1)
    event = call_started(1)
    event.call_started.caller.number, event.call_started.caller.name = "+380671234567", "Оксана Петренко"
    house.service.publish(event)
    wait_until(lambda: receiver.ledger.received == 1)
    wait_until(lambda: house.deliveries("state=delivered") == ["evt-acme-1.crm"])
    first, second = house.get("/v1/deliveries/evt-acme-1.crm")["attempts"]
    assert (first["status"], json.loads(first["answer"]), second["status"]) == (400, {"error": "on demand"}, 200)
    assert first["trouble"] == {
        "code": "answered",
        "en": "it answered 400; only 2xx counts as taken",
        "uk": "відповів 400; прийнятим вважається лише 2xx",
    }
    assert "trouble" not in second
    shown = house.get("/v1/deliveries/evt-acme-1.crm/body")
    assert shown["body"]["data"]["caller"] == {"number": "•••67", "name": "•••"}
    assert shown["body"]["data"]["event_id"] == "evt-acme-1"
    kept = json.dumps([str(one) for one in house.database["deliveries"].find()])
    assert "380671234567" not in kept
    assert "Оксана" not in kept


def test_a_replay_sends_the_past_again_by_type_and_call_and_outlives_a_kill(
    house: House, receiver: LocalReceiver
) -> None:
    house.service.publish(
        *(call_started(number) for number in range(300)), *(call_ended(number) for number in range(3))
    )
    wait_until(lambda: receiver.ledger.received == 306)
    by_call = house.post("/v1/replays", {"endpoint_id": "crm", "since_ms": 0, "call_id": "call-2"})
    assert by_call.status_code == 202
    wait_until(lambda: receiver.ledger.received == 308)
    assert sorted(receiver.ids()[306:]) == ["end-acme-2.crm", "evt-acme-2.crm"]
    house.post("/v1/replays", {"endpoint_id": "crm", "since_ms": 0, "event_types": ["call.started"]})
    house.service.kill()
    # The lease of the killed one ends at once, as after half a minute.
    house.database["webhook_replays"].update_many({}, {"$set": {"lease_ms": 0}})
    house.service.start()
    # What the kill let be sent twice comes beside it.
    wait_until(lambda: set(receiver.ids()[308:]) >= {f"evt-acme-{number}.crm" for number in range(300)})
    wait_until(lambda: [one["state"] for one in house.get("/v1/replays")["replays"]] == ["done", "done"])
    assert house.get("/v1/replays", "rival")["replays"] == []


def test_only_what_was_given_up_is_sent_again_where_that_is_asked_for(house: House, receiver: LocalReceiver) -> None:
    receiver.behave(status=500, times=-1)
    house.service.publish(*(call_started(number) for number in range(3)))
    wait_until(lambda: len(house.deliveries("state=dead")) == 3)
    receiver.behave()
    house.service.publish(*(call_started(number) for number in range(3, 9)))
    wait_until(lambda: receiver.ledger.received == 6)
    wait_until(lambda: len(house.deliveries("state=delivered")) == 6)
    house.post("/v1/replays", {"endpoint_id": "crm", "since_ms": 0, "failed_only": True})
    wait_until(lambda: receiver.ledger.received == 9)
    assert sorted(receiver.ids()[6:]) == [f"evt-acme-{number}.crm" for number in range(3)]
    wait_until(lambda: house.get("/v1/replays")["replays"][0]["state"] == "done")
    assert (house.get("/v1/replays")["replays"][0]["sent"], receiver.ledger.received) == (3, 9)


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"endpoint_id": "crm"},
        {"endpoint_id": "crm", "since_ms": "0"},
        {"endpoint_id": "crm", "since_ms": True},
        {"endpoint_id": "crm", "since_ms": 5, "until_ms": 4},
        {"endpoint_id": "crm", "since_ms": 9_999_999_999_998},
        {"endpoint_id": "crm", "since_ms": 0, "event_types": [1]},
        {"endpoint_id": "crm", "since_ms": 0, "what": 1},
        [],
    ],
)
def test_a_replay_that_makes_no_sense_is_refused(house: House, body: Any) -> None:
    assert house.post("/v1/replays", body).status_code == 400


def test_a_page_of_another_origin_changes_nothing_and_signs_nobody_in(house: House) -> None:
    assert_foreign_pages_change_nothing(house.app, (COOKIE, "boss"))


def test_a_form_of_another_page_can_ask_for_nothing(house: House) -> None:
    client = house.app.test_client()
    client.set_cookie(COOKIE, "boss")
    answer = client.post("/v1/replays", data={"endpoint_id": "crm", "since_ms": "0"})
    assert answer.status_code == 415


def test_a_closed_endpoint_is_pinged_only_after_it_was_opened_again(house: House, receiver: LocalReceiver) -> None:
    receiver.behave(status=410, times=1)
    house.service.publish(call_started(1))
    wait_until(lambda: house.get("/v1/endpoints")["endpoints"][0]["state"] == "closed")
    assert house.post("/v1/endpoints/crm/ping").status_code == 409
    assert house.post("/v1/deliveries/evt-acme-1.crm/redeliver").status_code in (404, 409)
    assert house.post("/v1/endpoints/crm/open").json["state"] == "open"
    pinged = house.post("/v1/endpoints/crm/ping")
    wait_until(lambda: pinged.json["delivery_id"] in receiver.ids())
    assert house.post("/v1/endpoints/none/ping").status_code == 404


def test_an_example_of_any_event_is_signed_logged_and_known_for_one(house: House, receiver: LocalReceiver) -> None:
    shown = {one["event_type"]: one["body"] for one in house.get("/v1/examples", "analyst")["examples"]}
    assert {"call.ended", "transcript.completed", "config.changed"} <= set(shown)
    answer = house.post("/v1/endpoints/ends/example", {"event_type": "transcript.completed"})
    assert answer.status_code == 202
    sent = answer.json["delivery_id"]
    wait_until(lambda: receiver.ids() == [sent])
    [request] = receiver.requests
    assert (request["HTTP_WEBHOOK_EXAMPLE"], request["HTTP_WEBHOOK_ID"][:8]) == ("true", "example-")
    assert receiver.ledger.invalid == 0
    wait_until(lambda: house.deliveries("state=delivered") == [sent])
    body = house.get(f"/v1/deliveries/{sent}/body")["body"]
    assert (body["example"], body["type"]) == (True, "transcript.completed")
    assert set(body["data"]) == set(shown["transcript.completed"]["data"])
    house.service.publish(call_started(1))
    wait_until(lambda: len(receiver.requests) == 2)
    assert "HTTP_WEBHOOK_EXAMPLE" not in receiver.requests[1]


def test_an_example_that_can_not_be_sent_is_refused_and_says_why(house: House) -> None:
    wished = {"event_type": "call.ended"}
    assert house.post("/v1/endpoints/crm/example", wished, "analyst").status_code == 403
    assert house.post("/v1/endpoints/none/example", wished).status_code == 404
    assert house.post("/v1/endpoints/crm/example", {"event_type": "call.began"}).status_code == 404
    assert house.post("/v1/endpoints/crm/example", {}).status_code == 400
    shift = Channel(channel_id="shift", secret_ref="bot", telegram=TelegramChannel(chat_id="-100"))
    hook = endpoint("https://crm.example/", disabled=True)
    house.service.apply(TenantDocument(tenant_id="acme", webhooks=[hook], channels=[shift]))
    wait_until(lambda: len(house.get("/v1/endpoints")["endpoints"]) == 2)
    wait_until(lambda: house.get("/v1/endpoints")["endpoints"][0]["state"] == "disabled")
    refused = [house.post(f"/v1/endpoints/{one}/example", wished) for one in ("shift", "crm")]
    assert [one.status_code for one in refused] == [409, 409]
    assert [one.json["type"].split(":")[-1] for one in refused] == ["not-a-webhook", "endpoint-closed"]
    assert house.service.bus.records(DELIVERIES) == []


def test_a_new_secret_is_shown_once_and_signs_beside_the_former_one(
    house: House, receiver: LocalReceiver, make_receiver: Make
) -> None:
    made = house.post("/v1/endpoints/crm/secret", {"overlap_seconds": 60}, "admin")
    assert made.status_code == 201
    secret = made.json["secret"]
    newer = make_receiver("newer", secrets=(secret,))
    house.service.tenant("acme", endpoint(receiver.url, "old"), endpoint(newer.url, "new"))
    assert house.service.webhooks is not None
    house.service.webhooks.directory.catch_up(5)
    house.service.publish(call_started(1))
    wait_until(lambda: newer.ids() == ["evt-acme-1.new"] and receiver.ids() == ["evt-acme-1.old"])
    Webhook(secret)
    kept = str(list(house.database["webhook_secrets"].find()))
    assert secret not in kept
    assert secret.removeprefix("whsec_") not in kept
    pair = house.post("/v1/endpoints/new/secret", {"scheme": "v1a"}, "admin").json
    assert pair["public_key"].startswith("whpk_")
    assert "secret" not in pair
    again = SecretBook(house.service.secrets.file, MongoSecrets(house.database, KEY))
    again.refresh()
    assert len(again.secrets_of("acme", "main")) == 3


@pytest.fixture(params=["memory", "mongo"])
def replays(request: pytest.FixtureRequest) -> ReplayStore:
    return MemoryReplays() if request.param == "memory" else MongoReplays(request.getfixturevalue("database"))


def test_a_replay_is_run_by_one_at_a_time_and_taken_up_when_its_runner_is_silent(replays: ReplayStore) -> None:
    replays.add(Replay("r1", "acme", "crm", 0, 9, ("call.*",), asked_ms=1))
    replays.add(Replay("r2", "acme", "crm", 0, 9, asked_ms=2))
    first = replays.take(100, 200)
    assert first is not None
    assert (first.replay_id, first.state, first.event_types) == ("r1", "running", ("call.*",))
    second = replays.take(100, 200)
    assert second is not None
    assert second.replay_id == "r2"
    assert replays.take(199, 300) is None
    replays.save(Replay("r2", "acme", "crm", 0, 9, state="done", asked_ms=2), 0)
    again = replays.take(200, 300)
    assert again is not None
    assert again.replay_id == "r1"
    assert [one.replay_id for one in replays.newest("acme", 5)] == ["r2", "r1"]
    assert replays.newest("beta", 5) == []


def test_rules_are_rehearsed_by_who_may_see_calls_with_the_tenants_own_events(house: House) -> None:
    house.service.publish(*(call_started(number) for number in range(3)), call_started(9, "beta"))
    wait_until(lambda: len(house.deliveries()) == 3)
    draft = {"rule": {"events": ["call.started"], "actions": [{"to": "crm", "text": "{line}"}]}}
    answer = house.post("/v1/rules/dry-run", draft, "analyst").json
    assert (answer["fired"], answer["firings"][0]["messages"][0]["text"]) == (3, "+380441000001")
    assert house.post("/v1/rules/dry-run", draft, "rival").json["fired"] == 1
    assert house.post("/v1/rules/dry-run", draft, "agent").status_code == 403
    assert house.post("/v1/rules/dry-run?tenant=beta", draft).status_code == 403
    assert house.get("/v1/rules") == {"rules": []}
    assert len(house.deliveries()) == 3
