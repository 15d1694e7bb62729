import hashlib
import json
from dataclasses import dataclass, field
from typing import Any

import pytest
from flask.testing import FlaskClient

from services.recorder.adapters.listeners import Listening
from services.recorder.adapters.mongo import RecordingDocument
from services.recorder.api.transcripts import Shelf, transcripts_api
from services.recorder.domain.analytics.analysis import Analyst
from services.recorder.domain.transcript.transcript import to_document
from services.shared.access import tokens_of
from services.shared.chassis.admission import answer_refusals
from services.shared.chassis.web import service_app
from services.shared.contracts.ringmaster.v1.tenant_pb2 import TenantDocument
from tests.unit.recorder.fakes import MemoryJournal
from tests.unit.recorder.transcripts import play

Document = dict[str, Any]
TALK = play(("agent", 0, "good morning"), ("customer", 2_000, "where is my order & <b>please</b>"))


def holder(tenant: str, role: str) -> dict[str, str]:
    return {"tenant": tenant, "role": role, "actor": f"{tenant}-{role}"}


TOKENS = {
    "acme-boss": holder("acme", "supervisor"),
    "acme-agent": holder("acme", "agent"),
    "other-boss": holder("other", "supervisor"),
    "platform": holder("*", "admin"),
}


@dataclass
class Memory:
    """Transcripts, recordings and jobs by id."""

    documents: dict[str, Document] = field(default_factory=dict)
    states: dict[str, Document] = field(default_factory=dict)
    recordings: list[RecordingDocument] = field(default_factory=list)
    feelings: list[str] = field(default_factory=list)

    def find_for(self, tenant_id: str, recording_id: str) -> Document | None:
        found = self.documents.get(recording_id)
        return found if found and found["tenant_id"] == tenant_id else None

    def of_call(self, tenant_id: str, call_id: str) -> list[Any]:
        return [one for one in self.documents.values() if (one["tenant_id"], one["call_id"]) == (tenant_id, call_id)]

    def search(self, tenant_id: str, asked: Any, before: Any, limit: int, feeling: str = "") -> list[Document]:
        self.feelings.append(feeling)
        groups = [set(group) for group in asked]
        return [
            one
            for one in self.documents.values()
            if one["tenant_id"] == tenant_id and all(group & set(one["terms"]) for group in groups)
        ][:limit]

    def state(self, tenant_id: str, recording_id: str) -> Document | None:
        return self.states.get(recording_id) if tenant_id == "acme" else None

    def revive(self, tenant_id: str, recording_id: str) -> bool:
        return self.state(tenant_id, recording_id) is not None


@dataclass
class Sounds:
    """The recordings of one call."""

    known: list[RecordingDocument]

    def of_call(self, tenant_id: str, call_id: str) -> list[RecordingDocument]:
        return [one for one in self.known if (one.tenant_id, one.call_id) == (tenant_id, call_id)]


def recording() -> RecordingDocument:
    given: dict[str, Any] = dict.fromkeys(RecordingDocument.__dataclass_fields__, 0)
    known = {
        "recording_id": "rec-1",
        "tenant_id": "acme",
        "call_id": "call-1",
        "media_type": "audio/ogg",
        "channels": 2,
    }
    return RecordingDocument(**given | known | {"recorded_us": 1_795_399_051_000_000, "duration_ms": 60_000})


@pytest.fixture
def journal() -> MemoryJournal:
    return MemoryJournal()


@pytest.fixture
def memory() -> Memory:
    analyst, tenant = Analyst(), TenantDocument()
    document = to_document(TALK) | {"terms": analyst.terms(TALK), "made_us": 1_795_399_099_000_000}
    document["analysis"] = analyst.analyse(TALK, tenant)
    return Memory({"rec-1": document}, {"rec-2": {"state": "running", "done_ms": 5, "speech_ms": 9}})


@pytest.fixture
def client(journal: MemoryJournal, memory: Memory) -> FlaskClient:
    app = service_app("recorder", lambda: (True, ""))
    tokens = tokens_of({hashlib.sha256(name.encode()).hexdigest(): entry for name, entry in TOKENS.items()})
    shelf = Shelf(memory, Sounds([recording()]), memory, journal, lambda: 7)
    answer_refusals(app)
    app.register_blueprint(transcripts_api(shelf, tokens))
    return app.test_client()


def ask(client: FlaskClient, path: str, token: str = "acme-boss", method: str = "GET") -> Any:  # noqa: S107 - an example
    return client.open(f"/v1/transcripts{path}", method=method, headers={"Authorization": f"Bearer {token}"})


def test_a_supervisor_reads_what_was_said(client: FlaskClient) -> None:
    answer = ask(client, "/rec-1")
    assert (answer.status_code, answer.headers["Cache-Control"]) == (200, "no-store")
    assert [turn["text"] for turn in answer.json["turns"]] == ["good morning", "where is my order & <b>please</b>"]
    assert "terms" not in answer.json
    assert "tenant_id" not in answer.json
    assert len(ask(client, "?call_id=call-1").json["transcripts"]) == 1


def test_what_is_not_written_down_yet_says_how_far_it_is(client: FlaskClient) -> None:
    answer = ask(client, "/rec-2")
    assert (answer.status_code, answer.json["progress"]["done_ms"]) == (202, 5)
    assert ask(client, "/rec-3").status_code == 404


@pytest.mark.parametrize(
    "path", ["/rec-1", "/rec-1.vtt", "/rec-1.srt", "?call_id=call-1", "/search?q=order", "/calls/call-1/vcon"]
)
def test_another_tenant_an_agent_and_a_stranger_see_nothing(client: FlaskClient, path: str) -> None:
    other = ask(client, path, "other-boss")
    assert "order" not in other.text
    assert other.status_code == 404 or other.json in ({"transcripts": []}, {"results": [], "next": None})
    assert ask(client, path, "acme-agent").status_code == 403
    assert ask(client, path, "nobody").status_code == 401


def test_the_platforms_own_people_name_the_tenant(client: FlaskClient) -> None:
    assert ask(client, "/rec-1", "platform").status_code == 400
    assert ask(client, "/rec-1?tenant=acme", "platform").status_code == 200


def test_subtitles_hold_no_tag_that_a_speaker_made_up(client: FlaskClient) -> None:
    answer = ask(client, "/rec-1.vtt")
    assert answer.content_type == "text/vtt; charset=utf-8"
    assert "<v Customer>where is my order &amp; &lt;b&gt;please&lt;/b&gt;" in answer.text
    assert "Customer: where is my order" in ask(client, "/rec-1.srt").text
    assert ask(client, "/rec-9.vtt").status_code == 404


def test_a_talk_is_found_with_the_place_to_play(client: FlaskClient) -> None:
    (result,) = ask(client, "/search?q=orders").json["results"]
    assert (result["recording_id"], result["places"][0]["at_ms"]) == ("rec-1", 2_900)
    assert ask(client, "/search?q=refund").json["results"] == []


def test_talks_are_found_by_how_the_customer_sounded_with_words_or_without(client: FlaskClient, memory: Memory) -> None:
    (result,) = ask(client, "/search?feeling=bad").json["results"]
    assert (result["recording_id"], result["places"], result["customer_sentiment"]) == ("rec-1", [], None)
    assert len(ask(client, "/search?q=orders&feeling=worse").json["results"]) == 1
    assert ask(client, "/search?q=refund&feeling=worse").json["results"] == []
    assert memory.feelings == ["bad", "worse", "worse"]


@pytest.mark.parametrize(
    ("path", "what"),
    [
        ("/rec-1", "read"),
        ("?call_id=call-1", "read"),
        ("/search?q=order", "found"),
        ("/rec-1.vtt", "downloaded"),
        ("/calls/call-1/vcon", "exported"),
    ],
)
def test_who_is_given_what_was_said_is_noted_first(
    client: FlaskClient, journal: MemoryJournal, path: str, what: str
) -> None:
    assert ask(client, path).status_code == 200
    assert journal.done == [Listening("acme", "rec-1", "acme-supervisor", "supervisor", what, 7)]
    journal.is_away = True
    answer = ask(client, path)
    assert answer.status_code == 503
    assert "order" not in answer.text


def test_who_is_given_nothing_is_not_noted(client: FlaskClient, journal: MemoryJournal) -> None:
    for path in ("/rec-2", "/rec-3", "/rec-9.vtt", "/search?q=refund", "?call_id=call-9"):
        ask(client, path)
    ask(client, "/rec-1", "other-boss")
    ask(client, "/rec-1", "acme-agent")
    assert journal.done == []


@pytest.mark.parametrize(
    "query",
    [
        "",
        "?q=",
        "?q=a&limit=0",
        "?q=a&limit=99",
        "?q=a&limit=00000000199",
        "?q=a&before=x",
        f"?q=a&before={10**30}.rec-1",
        "?q=" + "a" * 300,
        "?feeling=odd",
    ],
)
def test_a_search_that_asks_for_nothing_is_refused(client: FlaskClient, query: str) -> None:
    assert ask(client, "/search" + query).status_code == 400


def test_a_transcription_that_was_given_up_is_tried_again_on_request(client: FlaskClient) -> None:
    assert ask(client, "/rec-2/retry", method="POST").status_code == 202
    assert ask(client, "/rec-3/retry", method="POST").status_code == 404


def test_a_call_is_told_as_a_vcon(client: FlaskClient) -> None:
    answer = ask(client, "/calls/call-1/vcon")
    vcon = json.loads(answer.data)
    assert answer.content_type == "application/vcon+json"
    assert vcon["uuid"] == json.loads(ask(client, "/calls/call-1/vcon").data)["uuid"]
    (dialog,) = vcon["dialog"]
    assert (dialog["parties"], dialog["duration"], dialog["start"][:4]) == ([0, 1], 60.0, "2026")
    assert "url" not in dialog
    assert [party["role"] for party in vcon["parties"]] == ["customer", "agent"]
    transcript, report = vcon["analysis"]
    assert all(isinstance(one["body"], str) and one["vendor"] for one in vcon["analysis"])
    assert json.loads(transcript["body"])["turns"][0]["text"] == "good morning"
    assert "measures" in json.loads(report["body"])
