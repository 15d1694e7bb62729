"""One suite for every connector, each against a fake made from its interface's documentation (SPEC 7.5)."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import orjson
import pytest

from services.shared.chassis.web import service_app
from services.shared.contracts.ringmaster.v1 import event_pb2 as ev
from services.shared.contracts.ringmaster.v1 import tenant_pb2 as tn
from services.shared.contracts.ringmaster.v1.delivery_pb2 import Delivery
from services.shared.contracts.ringmaster.v1.event_pb2 import Event
from services.shared.outbound.address import AddressGuard
from services.shared.outbound.dial import Limits, Outside
from services.webhooks.adapters.channel_secrets import ChannelSecrets
from services.webhooks.adapters.connection import EndpointConnection
from services.webhooks.adapters.connectors.engine import Engine, MemorySteps
from services.webhooks.adapters.connectors.library import CONNECTORS, read_connector
from services.webhooks.adapters.connectors.sign_in import MemoryTokenStore, Tokens
from services.webhooks.api.lookup import lookup_routes
from services.webhooks.connectors.cli import run
from services.webhooks.domain.connectors.description import BadConnector, connector_of
from services.webhooks.domain.endpoint import Endpoint, endpoints_of
from services.webhooks.domain.outcome import Attempt, Verdict
from services.webhooks.domain.payload import payload_of
from tests.contract.connectors.fake_bitrix24 import Bitrix24
from tests.contract.connectors.fake_hubspot import HubSpot
from tests.contract.connectors.fake_kommo import Kommo
from tests.contract.connectors.fake_leadvertex import LeadVertex
from tests.contract.connectors.fake_salesforce import Salesforce
from tests.contract.connectors.fake_zoho import Zoho

FAKES: dict[str, type[Any]] = {
    "kommo": Kommo,
    "zoho": Zoho,
    "leadvertex": LeadVertex,
    "hubspot": HubSpot,
    "bitrix24": Bitrix24,
    "salesforce": Salesforce,
}
SETTINGS = {
    "kommo": {"account": "acme"},
    "leadvertex": {"project": "acme", "lost_status": "7"},
    "bitrix24": {"portal": "acme.bitrix24.eu"},
    "salesforce": {"instance": "acme.my.salesforce.com"},
}
PATHS = {"kommo": "", "zoho": "/crm/v8", "leadvertex": "/api/admin", "hubspot": "", "bitrix24": "/rest"}
OAUTH = {"client_id": "client", "client_secret": "secret", "refresh_token": "refresh-0"}
NUMBER = "+380671112233"
KNOWN = ("acme", "crm")
OUTSIDE = Outside.with_certificates(AddressGuard.parse("127.0.0.1/32"), Limits(), None)
LINK = "https://calls.example/recordings/{recording_id}"


class Crm:
    """A tenant's connection with a CRM, over processes that come and go."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.fake: Any = FAKES[name]()
        self.store = MemoryTokenStore()
        self.steps = MemorySteps()
        self.secret = {"token": "first"} if name == "leadvertex" else dict(OAUTH)
        channel = tn.Channel(channel_id="crm", secret_ref="crm")
        channel.crm.connector = name
        for key, value in SETTINGS.get(name, {}).items():
            channel.crm.settings[key] = value
        channel.crm.users["olena"] = "42"
        document = tn.TenantDocument(tenant_id="acme", channels=[channel])
        self.endpoint: Endpoint = endpoints_of(document)[0]
        self.connection = EndpointConnection(OUTSIDE)
        self.restart()

    def restart(self, *, forgets: bool = False) -> None:
        """Begin a new process; where it `forgets`, the kill came before anything of the last steps was kept."""
        connector = read_connector(CONNECTORS / f"{self.name}.yaml")
        path = "/services/data/v60.0" if self.name == "salesforce" else PATHS[self.name]
        sign_in = connector.sign_in
        if sign_in.token_url:
            sign_in = replace(sign_in, token_url=self.fake.url + self.fake.TOKEN_PATH)
        local = replace(connector, base=self.fake.url + path, sign_in=sign_in, requests=1000)
        secrets = ChannelSecrets(None)
        secrets._secrets = {"acme/crm": self.secret}
        if forgets:
            self.steps = MemorySteps()
        self.engine = Engine({self.name: local}, secrets, Tokens(self.store), self.steps, LINK)

    def carry(self, event: Event, kind: str = "call.ended") -> Attempt:
        payload = payload_of(event, kind)
        delivery = Delivery(delivery_id=f"{event.event_id}.crm", tenant_id="acme", event_type=kind, payload=payload)
        return self.engine.carry(delivery, self.endpoint, self.connection)


@pytest.fixture(params=FAKES)
def crm(request: pytest.FixtureRequest) -> Iterator[Crm]:
    crm = Crm(request.param)
    yield crm
    crm.connection.close()
    crm.fake.stop()


def ended(number: int, exit_way: str = "ANSWERED", caller: str = NUMBER, name: str = "Олена") -> Event:
    event = Event(event_id=f"e{number}", tenant_id="acme", call_id=f"0a1b-{number}", sequence=3)
    event.time.FromMilliseconds(1_767_607_300_000)
    body = event.call_ended
    body.exit = ev.CallExit.Value(f"CALL_EXIT_{exit_way}")
    body.caller.number, body.caller.name = caller, name
    body.line, body.queue_id, body.agent_id = "+380441000001", "sales", "olena"
    body.started_at.FromMilliseconds(1_767_607_200_000)
    body.wait_ms, body.talk_ms = 9_000, 75_000 if exit_way == "ANSWERED" else 0
    if exit_way == "ANSWERED":
        body.recording_ids.append(f"r{number}")
    return event


def is_delivered(attempt: Attempt) -> bool:
    return attempt.verdict is Verdict.DELIVERED


def test_an_answered_call_of_a_new_customer_is_in_the_crm_with_its_recording(crm: Crm) -> None:
    assert crm.carry(ended(1)).error == ""
    assert crm.fake.contacts() == [NUMBER]
    [(contact, link, seconds)] = crm.fake.calls()
    assert (link, seconds) == ("https://calls.example/recordings/r1", 75)
    assert contact
    assert crm.fake.tasks() == []


def test_a_customer_who_is_known_is_found(crm: Crm) -> None:
    assert is_delivered(crm.carry(ended(1)))
    assert is_delivered(crm.carry(ended(2)))
    assert crm.fake.contacts() == [NUMBER]
    assert {contact for contact, _, _ in crm.fake.calls()} == {crm.fake.calls()[0][0]}
    assert len(crm.fake.calls()) == (1 if crm.name == "leadvertex" else 2)  # there an order holds its last call


def test_a_lost_call_leaves_somebody_a_task(crm: Crm) -> None:
    assert crm.carry(ended(1, "ABANDONED")).error == ""
    assert len(crm.fake.tasks()) == 1
    assert is_delivered(crm.carry(ended(2, "SHORT_ABANDONED", "+380671112244")))
    assert len(crm.fake.tasks()) == 1


def test_wherever_the_process_is_killed_nothing_is_there_twice(crm: Crm) -> None:
    event = ended(1, "ABANDONED")
    assert is_delivered(crm.carry(event))
    wanted = (crm.fake.contacts(), crm.fake.calls(), crm.fake.tasks())
    steps = len(crm.fake.requests)
    for lost in range(steps):
        again = Crm(crm.name)
        again.fake.lose = lost
        first = again.carry(event)
        assert not is_delivered(first), lost
        again.restart(forgets=True)
        assert is_delivered(again.carry(event)), lost
        assert is_delivered(again.carry(event)), lost
        assert (again.fake.contacts(), again.fake.calls(), again.fake.tasks()) == wanted, lost
        again.connection.close()
        again.fake.stop()


def test_a_try_goes_on_where_the_one_before_it_ended(crm: Crm) -> None:
    event = ended(1)
    assert is_delivered(crm.carry(event))
    steps = len(crm.fake.requests)
    assert is_delivered(crm.carry(event))
    assert len(crm.fake.requests) - steps < steps


def test_who_hides_the_number_is_not_made_a_contact(crm: Crm) -> None:
    assert is_delivered(crm.carry(ended(1, caller="anonymous")))
    assert crm.fake.requests == []


def test_a_hostile_name_is_a_name(crm: Crm) -> None:
    name = "x' OR 1=1 -- \"}],\r\nX-Evil: 1&status=9 {{call.id}}"
    assert crm.carry(ended(1, name=name)).error == ""
    bodies = orjson.dumps([request.body for request in crm.fake.requests]).decode()
    assert orjson.dumps(name.replace("\r\n", "  ")).decode() in bodies
    assert not any("EVIL" in header for request in crm.fake.requests for header in request.headers)
    assert crm.fake.tasks() == []


def test_what_the_crm_asks_to_wait_is_waited(crm: Crm) -> None:
    is_delivered(crm.carry(ended(1)))
    crm.fake.refuse = (429, "17")
    attempt = crm.carry(ended(2))
    assert (attempt.status, attempt.retry_after, attempt.verdict) == (429, 17.0, Verdict.RETRY)


def test_a_screen_shows_who_calls(crm: Crm) -> None:
    assert crm.engine.look_up(crm.endpoint, NUMBER, crm.connection) == {}
    assert is_delivered(crm.carry(ended(1)))
    known = crm.engine.look_up(crm.endpoint, NUMBER, crm.connection)
    assert known["contact_id"]
    if crm.name != "bitrix24":  # its search gives ids alone
        assert known["contact_name"] == "Олена"


def test_tokens_are_refreshed_and_outlive_the_process(crm: Crm) -> None:
    if crm.secret != OAUTH:
        return
    assert is_delivered(crm.carry(ended(1)))
    assert crm.fake.refreshed == 1
    crm.restart()
    assert is_delivered(crm.carry(ended(2)))
    assert crm.fake.refreshed == 1
    crm.fake.access = set()  # revoked at the far side before its time
    assert is_delivered(crm.carry(ended(3)))
    assert crm.fake.refreshed == 2
    assert b"access" not in b"".join(crm.store.kept.values())
    crm.fake.access, crm.fake.refresh = set(), "another"
    refused = crm.carry(ended(4))
    assert (refused.verdict, refused.error) == (
        Verdict.RETRY,
        "signing in was answered 400: authorise the connection anew",
    )
    crm.secret["refresh_token"] = "another"
    crm.restart()
    assert is_delivered(crm.carry(ended(4)))


def transcript(number: int) -> Event:
    event = Event(event_id=f"t{number}", tenant_id="acme", call_id=f"0a1b-{number}")
    body = event.transcript_completed
    body.recording_id, body.words, body.language = f"r{number}", 320 + number, "uk"
    return event


def test_a_transcript_is_added_where_the_call_is(crm: Crm) -> None:
    event = transcript(1)
    assert not is_delivered(crm.carry(event, "transcript.completed"))  # the call is not logged yet
    assert is_delivered(crm.carry(ended(1)))
    assert is_delivered(crm.carry(event, "transcript.completed"))
    told = len(getattr(crm.fake, "comments", ()))
    crm.restart()
    assert is_delivered(crm.carry(event, "transcript.completed"))
    assert len(getattr(crm.fake, "comments", ())) == told
    bodies = orjson.dumps([request.body for request in crm.fake.requests]).decode()
    assert "321 words: https://calls.example/recordings/r1" in bodies
    assert (crm.fake.contacts(), len(crm.fake.calls()), crm.fake.tasks()) == ([NUMBER], 1, [])


def test_a_transcripts_note_is_there_once_wherever_the_process_is_killed(crm: Crm) -> None:
    assert is_delivered(crm.carry(ended(1)))
    began = len(crm.fake.requests)
    crm.restart(forgets=True)
    assert is_delivered(crm.carry(transcript(1), "transcript.completed"))
    wanted = (list(getattr(crm.fake, "comments", ())), crm.fake.calls())
    for lost in range(len(crm.fake.requests) - began):
        again = Crm(crm.name)
        assert is_delivered(again.carry(ended(1)))
        again.fake.lose = len(again.fake.requests) + lost
        again.restart(forgets=True)
        assert not is_delivered(again.carry(transcript(1), "transcript.completed")), lost
        again.restart(forgets=True)
        assert is_delivered(again.carry(transcript(1), "transcript.completed")), lost
        assert (list(getattr(again.fake, "comments", ())), again.fake.calls()) == wanted, lost
        again.connection.close()
        again.fake.stop()


def test_an_order_of_leadvertex_never_holds_the_transcript_of_another_call_than_its_own() -> None:
    crm = Crm("leadvertex")
    assert is_delivered(crm.carry(ended(1)))
    assert is_delivered(crm.carry(ended(2)))
    assert is_delivered(crm.carry(transcript(1), "transcript.completed"))
    assert crm.fake.comments == []
    assert is_delivered(crm.carry(transcript(2), "transcript.completed"))
    assert crm.fake.comments == ["uk, 322 words: https://calls.example/recordings/r2"]
    crm.connection.close()
    crm.fake.stop()


def test_kommo_finds_a_calls_contact_though_many_were_logged_since() -> None:
    crm = Crm("kommo")
    assert is_delivered(crm.carry(ended(1)))
    crm.fake.notes += [dict(crm.fake.notes[0], params={"uniq": f"x{n}"}, entity_id=2) for n in range(300)]
    assert is_delivered(crm.carry(transcript(1), "transcript.completed"))
    assert [one["entity_id"] for one in crm.fake.comments] == [1]
    crm.connection.close()
    crm.fake.stop()


def test_a_setting_can_not_lead_anywhere_else(crm: Crm) -> None:
    if crm.name not in SETTINGS or not crm.endpoint.channel:
        return
    name = next(iter(SETTINGS[crm.name]))
    for hostile in ("evil.example/", "x@evil.example", "evil.example#", "a b", "", "ACME", "x\n"):
        crm.endpoint.channel.crm.settings[name] = hostile
        assert "is missing or wrong" in crm.carry(ended(1)).error
    assert crm.fake.requests == []


def test_a_flow_asks_who_calls_with_the_channels_own_key(crm: Crm) -> None:
    assert is_delivered(crm.carry(ended(1)))
    crm.secret["lookup_key"] = "k" * 20
    directory: Any = SimpleNamespace(find=lambda tenant, channel: crm.endpoint if (tenant, channel) == KNOWN else None)
    secrets = ChannelSecrets(None)
    secrets._secrets = {"acme/crm": crm.secret}
    app = service_app("webhooks", lambda: (True, ""))
    app.register_blueprint(lookup_routes(crm.engine, directory, secrets, lambda: EndpointConnection(OUTSIDE)))
    client = app.test_client()
    address = "/v1/lookup/acme/crm"
    answer = client.get(address, query_string={"number": NUMBER, "key": "k" * 20})
    found: Any = answer.json
    assert (answer.status_code, found["found"]) == (200, True)
    assert found["contact_id"]
    assert client.get(address, query_string={"number": "anonymous", "key": "k" * 20}).json == {"found": False}
    for path, key in ((address, "k" * 19), (address, ""), ("/v1/lookup/beta/crm", "k" * 20), ("/v1/lookup/acme/x", "")):
        assert client.get(path, query_string={"number": NUMBER, "key": key}).status_code == 403
    crm.fake.refuse = (500, "")
    assert client.get(address, query_string={"number": NUMBER, "key": "k" * 20}).status_code == 502


@pytest.mark.parametrize("garbage", [b"<html>", b'{"results": [', b"[" + b"1," * 50_000 + b"1]"])
def test_half_an_answer_does_not_pass_for_nothing_found(crm: Crm, garbage: bytes) -> None:
    assert is_delivered(crm.carry(ended(1)))
    before = len(crm.fake.requests)
    crm.fake.garbage = garbage
    assert not is_delivered(crm.carry(ended(2)))
    assert len(crm.fake.requests) == before + 1  # nothing was made
    crm.fake.garbage = None
    assert is_delivered(crm.carry(ended(2)))
    assert crm.fake.contacts() == [NUMBER]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"rate": {"requests": 0}}, "requests from 1 on"),
        ({"flows": {"call.ended": ["nothing"]}}, "there is no operation nothing"),
        ({"operations": {"a": {"DELETE": "/x"}}}, "needs one of GET"),
        ({"operations": {"a": {"GET": "/{{call.id | shell}}"}}}, "no filter and no map shell"),
        ({"operations": {"a": {"GET": "/{{call id}}"}}}, "braces that are no place"),
        ({"operations": {"a": {"GET": "/", "run": "x"}}}, "run is not known"),
        ({"sign_in": {"kind": "magic"}}, "sign_in.kind must be one of"),
        ({"settings": {"a": {}}}, "needs pattern and about"),
        ({"extra": 1}, "extra is not a part of a connector"),
    ],
)
def test_a_bad_file_is_refused_with_the_place(change: dict[str, Any], words: str) -> None:
    sound = {"connector": "x", "title": "X", "base": "https://x.example", "sign_in": {"kind": "token"}}
    assert connector_of(sound).title == "X"
    with pytest.raises(BadConnector, match=words):
        connector_of(sound | change)


def test_a_new_connector_is_sound_and_never_overwrites(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["new", "my_crm", "--into", str(tmp_path)]) == 0
    assert run(["check", str(tmp_path / "my_crm.yaml")]) == 0
    assert run(["new", "my_crm", "--into", str(tmp_path)]) == 1
    assert run(["new", "../evil", "--into", str(tmp_path)]) == 1
    assert "nothing was written" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["my_crm.yaml"]
