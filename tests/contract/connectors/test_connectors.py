"""One suite for every connector, each against a fake made from its interface's documentation (SPEC 7.5)."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import orjson
import pytest

from services.shared.chassis.web import service_app
from services.webhooks.adapters.channel_secrets import ChannelSecrets
from services.webhooks.adapters.connection import EndpointConnection
from services.webhooks.api.lookup import lookup_routes
from services.webhooks.connectors.cli import run
from services.webhooks.domain.connectors.description import BadConnector, connector_of
from services.webhooks.domain.outcome import Verdict
from tests.contract.connectors.tenant import (
    KNOWN,
    NUMBER,
    OAUTH,
    OUTSIDE,
    SETTINGS,
    Crm,
    ended,
    is_delivered,
    transcript,
)


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


def test_a_call_that_was_answered_leaves_no_task_whatever_befell_it_afterwards(crm: Crm) -> None:
    """Also where an event is from before routers said so themselves."""
    for number, exit_way in enumerate(("FALLBACK", "ERROR", "ANSWERED")):
        event = ended(number, exit_way)
        event.call_ended.answered_at.FromMilliseconds(1_767_607_209_000)
        event.call_ended.fell_back = exit_way == "ANSWERED"
        assert crm.carry(event).error == ""
    assert crm.fake.tasks() == []
    assert is_delivered(crm.carry(ended(3, "FALLBACK")))
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
    attempt = crm.carry(ended(1, caller="anonymous"))
    assert (attempt.verdict, attempt.error) == (
        Verdict.DELIVERED,
        "nothing was done: the event has no customer's number",
    )
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
        ({"limits": [{"status": 403}]}, "each has status and wait"),
        ({"limits": [{"status": 403, "wait": 0}]}, "a wait above 0"),
        ({"limits": [{"status": 403, "wait": 1, "at": "a"}]}, "at and values together"),
        ({"limits": ["daily"]}, "each has status and wait"),
        ({"links": {"contact_url": "https://x/{{known.contact_id | shell}}"}}, "no filter and no map shell"),
        ({"operations": {"a": {"GET": "/{{call.custumer}}"}}}, "operations.a: there is no call.custumer"),
        ({"operations": {"a": {"GET": "/{{settings.account}}"}}}, "operations.a: there is no settings.account"),
        ({"operations": {"a": {"GET": "/", "needs": ["contact"]}}}, "operations.a: nothing keeps contact"),
        ({"operations": {"a": {"GET": "/", "unless": "contact"}}}, "operations.a: nothing keeps contact"),
        ({"operations": {"a": {"GET": "/", "only_if": "call.lost"}}}, "operations.a: there is no call.lost"),
        ({"operations": {"a": {"POST": "/", "form": {"{{settings.x}}": "1"}}}}, "there is no settings.x"),
        ({"links": {"contact_url": "https://x/{{known.contact_id}}"}}, "links: there is no known.contact_id"),
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
    assert run(["new", "other", "--into", str(tmp_path / "none")]) == 1
    assert "nothing was written" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["my_crm.yaml"]
