"""A tenant hears its own recordings, and nobody without a token hears any."""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from hypothesis import given
from hypothesis import strategies as st
from werkzeug.test import TestResponse

from services.recorder.adapters.measure import Waveform
from services.recorder.adapters.mongo import RecordingDocument
from services.recorder.api.admission import COOKIE, admission
from services.recorder.api.keeping import keeping_api
from services.recorder.api.page import read_pages
from services.recorder.api.recordings import Shelf, recordings_api
from services.recorder.api.shared import shared_api
from services.recorder.api.sound import asked_range
from services.recorder.domain.finding import Search
from services.recorder.errors import DocumentsFailed
from services.shared.chassis.admission import answer_refusals
from services.shared.chassis.page_routes import page_routes
from services.shared.chassis.tokens import TokensFile
from services.shared.chassis.web import service_app
from tests.unit.chassis.foreign_pages import SELF_OPENED, assert_foreign_pages_change_nothing
from tests.unit.recorder.fakes import MemoryJournal
from tests.unit.recorder.sounds import frames_of, sound, wav

DATA = sound(800)
SOUND = wav(DATA)
NOW_US = 1_795_400_000_000_000
ONE = RecordingDocument(
    recording_id="rec-1",
    tenant_id="acme",
    call_id="call-1",
    node="fs-1",
    bucket="recordings",
    key="acme/2026-11-23/call-1/rec-1.wav",
    size_bytes=len(SOUND),
    sha256="0" * 64,
    duration_ms=100,
    channels=2,
    sample_rate=8000,
    media_type="audio/wav",
    silent=False,
    repaired=False,
    recorded_us=1_795_392_000_000_000,
    stored_us=1_795_392_060_000_000,
)
ROWS = [ONE, replace(ONE, recording_id="rec-2", tenant_id="rival")]


class Library:
    """Documents, sounds and pictures of two tenants that share a call's id."""

    is_away = False

    def __init__(self) -> None:
        self.rows = {row.recording_id: row for row in ROWS}
        self.asked: list[Search] = []

    def find_for(self, tenant_id: str, recording_id: str) -> RecordingDocument | None:
        if self.is_away:
            raise DocumentsFailed("the document store is away")
        row = self.rows.get(recording_id)
        return row if row and row.tenant_id == tenant_id else None

    def companies(self) -> list[str]:
        return sorted({row.tenant_id for row in self.rows.values()})

    def search(self, tenant_id: str, search: Search) -> list[RecordingDocument]:
        self.asked.append(search)
        return [row for row in self.rows.values() if row.tenant_id == tenant_id][: search.limit]

    def waveform(self, recording_id: str) -> Waveform | None:
        return Waveform(20, 2, bytes(range(100))) if recording_id == "rec-1" else None

    def transcript(self, tenant_id: str, recording_id: str) -> dict[str, Any] | None:
        return {"language": "uk", "turns": [], "terms": ["secret"]} if recording_id == "rec-1" else None

    def hold(self, tenant_id: str, recording_id: str, *, held: bool) -> bool:
        self.rows[recording_id] = replace(self.rows[recording_id], legal_hold=held)
        return True

    def link(self, key: str, file_name: str, media_type: str) -> str:
        return f"http://store/{key}?name={file_name}"

    def read_range(self, key: str, first: int, last: int) -> Iterator[bytes]:
        yield SOUND[first : last + 1]

    def fetch(self, key: str) -> Iterator[bytes]:
        yield SOUND


def write_tokens(path: Path, entries: dict[str, tuple[str, str]]) -> None:
    document = {
        sha256(token.encode()).hexdigest(): {"tenant": tenant, "role": role, "actor": "someone"}
        for token, (tenant, role) in entries.items()
    }
    path.write_text(json.dumps(document))


@pytest.fixture
def library() -> Library:
    return Library()


@pytest.fixture
def journal() -> MemoryJournal:
    return MemoryJournal()


@pytest.fixture
def clock() -> list[int]:
    return [NOW_US]


@pytest.fixture
def client(tmp_path: Path, library: Library, journal: MemoryJournal, clock: list[int]) -> FlaskClient:
    tokens = tmp_path / "tokens.json"
    people = {"boss": ("acme", "supervisor"), "phone": ("acme", "agent"), "root": ("*", "admin")}
    write_tokens(tokens, {**people, "eyes": ("acme", "analyst")})
    app, holders, pages = service_app("recorder", lambda: (True, "")), TokensFile(tokens), read_pages()
    shelf = Shelf(library, library, journal, lambda: clock[0], lambda _tenant_id: ("+380441000001",))
    answer_refusals(app)
    app.register_blueprint(recordings_api(shelf, holders))
    app.register_blueprint(shared_api(shelf, pages))
    app.register_blueprint(page_routes(admission(holders), pages))
    return app.test_client()


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def test_a_supervisor_gets_the_calls_recordings_and_a_link(client: FlaskClient) -> None:
    rows = client.get("/v1/recordings?call_id=call-1", headers=bearer("boss")).get_json()["recordings"]
    assert [row["recording_id"] for row in rows] == ["rec-1"]
    assert rows[0]["recorded_at"] == "2026-11-23T00:00:00.000+00:00"
    answer = client.get("/v1/recordings/rec-1", headers=bearer("boss"))
    assert answer.get_json()["link"] == f"http://store/{ONE.key}?name=rec-1.wav"
    assert answer.headers["Cache-Control"] == "no-store"


def test_another_tenants_recording_does_not_exist(client: FlaskClient) -> None:
    assert client.get("/v1/recordings/rec-2", headers=bearer("boss")).status_code == 404
    assert client.get("/v1/recordings/rec-2?tenant=rival", headers=bearer("boss")).status_code == 403


def test_the_platforms_own_people_name_the_tenant(client: FlaskClient) -> None:
    assert client.get("/v1/recordings/rec-2", headers=bearer("root")).status_code == 400
    assert client.get("/v1/recordings/rec-2?tenant=rival", headers=bearer("root")).status_code == 200


def test_one_is_told_of_the_companies_that_one_may_listen_to(client: FlaskClient) -> None:
    told = {who: client.get("/v1/recordings/companies", headers=bearer(who)) for who in ("root", "boss", "phone", "x")}
    assert told["root"].get_json() == {"companies": ["acme", "rival"]}
    assert told["boss"].get_json() == {"companies": ["acme"]}
    assert (told["phone"].status_code, told["x"].status_code) == (403, 401)


@pytest.mark.parametrize("headers", [{}, bearer("wrong"), bearer(""), {"Authorization": "Basic boss"}])
def test_nobody_without_a_token_gets_anything(client: FlaskClient, headers: dict[str, str]) -> None:
    for path in ("/v1/recordings?call_id=call-1", "/v1/recordings/rec-1"):
        answer = client.get(path, headers=headers)
        assert answer.status_code == 401
        assert answer.mimetype == "application/problem+json"


def test_an_agent_may_not_listen(client: FlaskClient) -> None:
    assert client.get("/v1/recordings/rec-1", headers=bearer("phone")).status_code == 403


@pytest.mark.parametrize(
    "query",
    [
        "caller=abc",
        "caller=12",
        "from=yesterday",
        "limit=0",
        "limit=x",
        "limit=201",
        "before=x",
        "queue_id=" + "q" * 81,
        "said=...",
        "feeling=odd",
    ],
)
def test_a_search_that_can_not_be_read_is_refused(client: FlaskClient, query: str) -> None:
    answer = client.get(f"/v1/recordings?{query}", headers=bearer("boss"))
    assert answer.status_code == 400
    assert answer.get_json()["detail"]


def test_a_search_is_read_and_pages_on(client: FlaskClient, library: Library) -> None:
    query = "caller=067 123-45&queue_id=sales&from=2026-11-23T02:00:00%2B02:00&silent=no&limit=1"
    body = client.get(f"/v1/recordings?{query}", headers=bearer("boss")).get_json()
    assert body["next"] == f"{ONE.recorded_us}.rec-1"
    client.get(f"/v1/recordings?before={body['next']}", headers=bearer("boss"))
    first, second = library.asked
    assert (first.number, first.exact, first.from_us) == ("06712345", (("queue_id", "sales"),), ONE.recorded_us)
    assert not first.with_silent
    assert second.before == (ONE.recorded_us, "rec-1")
    assert first.query("acme")["caller"] == {"$regex": "06712345$"}


def test_a_search_by_what_was_said_and_how_asks_the_transcripts(client: FlaskClient, library: Library) -> None:
    client.get("/v1/recordings", query_string={"said": "замовленням", "feeling": "bad_at_end"}, headers=bearer("boss"))
    client.get("/v1/recordings", headers=bearer("boss"))
    first, second = library.asked
    query = first.transcript_query("acme")
    assert query["tenant_id"] == "acme"
    assert "замовлення" in query["$and"][0]["terms"]["$in"]
    assert query["analysis.sentiment.customer.thirds.2"] == {"$lte": -0.25}
    assert (first.needs_transcript, second.needs_transcript) == (True, False)


@pytest.mark.parametrize("asked", ["+380671234567", "067 123-45-67", "00380671234567", "+38 (067) 123 45 67"])
def test_a_whole_number_is_found_in_each_way_in_which_it_was_written(
    client: FlaskClient, library: Library, asked: str
) -> None:
    client.get("/v1/recordings", query_string={"caller": asked}, headers=bearer("boss"))
    (search,) = library.asked
    written = ["+380671234567", "380671234567", "00380671234567", "0671234567", "671234567"]
    assert search.query("acme")["caller"] == {"$in": written}


def test_the_end_of_a_number_is_found_behind_any_beginning(client: FlaskClient, library: Library) -> None:
    client.get("/v1/recordings?caller=671234567", headers=bearer("boss"))
    assert library.asked[0].query("acme")["caller"] == {"$regex": "671234567$"}


def test_a_store_that_is_away_is_said(client: FlaskClient, library: Library) -> None:
    library.is_away = True
    assert client.get("/v1/recordings/rec-1", headers=bearer("boss")).status_code == 503


def test_sound_comes_whole_or_in_the_pieces_that_are_asked_for(client: FlaskClient) -> None:
    whole = client.get("/v1/recordings/rec-1/audio", headers=bearer("eyes"))
    assert (whole.status_code, whole.data, whole.mimetype) == (200, SOUND, "audio/wav")
    for asked, first, last in (("0-9", 0, 9), ("40-", 40, len(SOUND) - 1), ("-5", len(SOUND) - 5, len(SOUND) - 1)):
        part = client.get("/v1/recordings/rec-1/audio", headers={**bearer("eyes"), "Range": f"bytes={asked}"})
        assert (part.status_code, part.data) == (206, SOUND[first : last + 1])
        assert part.headers["Content-Range"] == f"bytes {first}-{last}/{len(SOUND)}"
    beyond = client.get("/v1/recordings/rec-1/audio", headers={**bearer("eyes"), "Range": "bytes=99999-"})
    assert beyond.status_code == 416


@given(st.text(max_size=30), st.integers(1, 10**9))
def test_a_range_never_leaves_the_sound(header: str, size: int) -> None:
    for asked in (header, f"bytes={header}"):
        found = asked_range(asked, size)
        assert found is None or 0 <= found[0] <= found[1] < size


def test_nothing_is_heard_that_can_not_be_noted(client: FlaskClient, journal: MemoryJournal) -> None:
    journal.is_away = True
    for path in ("", "/audio", "/transcript"):
        assert client.get(f"/v1/recordings/rec-1{path}", headers=bearer("boss")).status_code == 503


def test_who_did_what_is_seen_by_those_who_lead(client: FlaskClient) -> None:
    client.get("/v1/recordings/rec-1/audio", headers=bearer("eyes"))
    client.get("/v1/recordings/rec-1/audio?download=1", headers=bearer("boss"))
    client.get("/v1/recordings/rec-1/transcript", headers=bearer("boss"))
    client.get("/v1/recordings/rec-1", headers=bearer("boss"))
    rows = client.get("/v1/recordings/rec-1/access", headers=bearer("boss")).get_json()["access"]
    assert [(row["role"], row["what"]) for row in rows] == [
        ("supervisor", "linked"),
        ("supervisor", "read"),
        ("supervisor", "downloaded"),
        ("analyst", "listened"),
    ]
    for path in ("access", "hold", "shares"):
        method = client.get if path == "access" else client.post if path == "shares" else client.put
        assert method(f"/v1/recordings/rec-1/{path}", headers=bearer("eyes")).status_code == 403


def test_a_transcript_shows_its_turns_and_not_its_index(client: FlaskClient) -> None:
    body = client.get("/v1/recordings/rec-1/transcript", headers=bearer("boss")).get_json()
    assert body["turns"] == []
    assert "terms" not in body
    assert client.get("/v1/recordings/rec-2/transcript?tenant=rival", headers=bearer("root")).status_code == 204


def test_a_hold_is_put_and_ended(client: FlaskClient, library: Library) -> None:
    assert client.put("/v1/recordings/rec-1/hold", headers=bearer("boss")).get_json()["legal_hold"]
    assert library.rows["rec-1"].legal_hold
    client.delete("/v1/recordings/rec-1/hold", headers=bearer("boss"))
    assert not library.rows["rec-1"].legal_hold


def share(client: FlaskClient, **body: object) -> TestResponse:
    return client.post("/v1/recordings/rec-1/shares", headers=bearer("boss"), json=body)


class Reports:
    """What retention did for each company."""

    def reports(self, tenant_id: str) -> list[dict[str, Any]]:
        done = {"deleted_count": 2, "deleted": ["old-1", "old-2"], "held_count": 1, "held": ["held"], "failed_count": 0}
        times = {"started_us": NOW_US, "ended_us": NOW_US + 1_000_000}
        return (
            [{"_id": "r1", "kind": "retention", "tenant_id": tenant_id, **done, **times}] if tenant_id == "acme" else []
        )


def test_what_retention_deleted_and_what_a_hold_kept_is_reported_to_those_who_lead(
    client: FlaskClient, tmp_path: Path
) -> None:
    app = client.application
    app.register_blueprint(keeping_api(Reports(), TokensFile(tmp_path / "tokens.json")))
    (report,) = json.loads(client.get("/v1/recordings/reports", headers=bearer("boss")).data)["reports"]
    assert (report["kind"], report["deleted"], report["held"]) == ("retention", ["old-1", "old-2"], ["held"])
    assert datetime.fromisoformat(report["ended_at"]) - datetime.fromisoformat(report["started_at"]) == timedelta(0, 1)
    assert client.get("/v1/recordings/reports?tenant=rival", headers=bearer("root")).json == {"reports": []}
    assert client.get("/v1/recordings/reports", headers=bearer("phone")).status_code == 403
    assert client.get("/v1/recordings/reports").status_code == 401


def test_a_shared_part_is_that_part_and_nothing_else_until_it_expires(
    client: FlaskClient, clock: list[int], journal: MemoryJournal
) -> None:
    made = share(client, from_ms=20, to_ms=60, hours=2).get_json()
    heard = client.get(f"{made['path']}/audio")
    assert frames_of(heard.data) == (2, 8000, DATA[20 * 32 : 60 * 32])
    assert journal.done[-1].role == "shared"
    shown = client.get(f"{made['path']}/part").get_json()
    assert shown["duration_ms"] == 40
    assert shown["waveform"]["peaks"] == [2, 3, 4, 5]
    assert "caller" not in shown
    assert client.get(made["path"]).status_code == 200
    clock[0] += 2 * 3_600 * 1_000_000
    for path in ("", "/part", "/audio"):
        assert client.get(made["path"] + path).status_code == 404


def test_a_share_is_ended_before_its_time_by_its_company_alone(client: FlaskClient, journal: MemoryJournal) -> None:
    made = share(client).get_json()
    place = f"/v1/recordings/rec-1/shares/{made['share_id']}"
    assert client.delete(f"{place}?tenant=rival", headers=bearer("root")).status_code == 404
    assert client.delete(place, headers=bearer("boss")).status_code == 204
    assert client.get(f"{made['path']}/audio").status_code == 404
    assert client.delete(place, headers=bearer("boss")).status_code == 404
    assert [done.what for done in journal.done] == ["shared", "unshared"]


def test_what_is_shared_now_is_told_to_those_who_lead_without_its_address(
    client: FlaskClient, clock: list[int]
) -> None:
    short, long = share(client, hours=1).get_json(), share(client, from_ms=20, to_ms=60, hours=9).get_json()
    place = "/v1/recordings/rec-1/shares"
    told = client.get(place, headers=bearer("boss"))
    assert [each["share_id"] for each in told.get_json()["shares"]] == [long["share_id"], short["share_id"]]
    assert told.get_json()["shares"][0] == {
        **{name: long[name] for name in ("share_id", "from_ms", "to_ms", "expires_at")},
        "actor": "someone",
    }
    assert long["path"].rpartition("/")[2] not in told.text
    assert client.get("/v1/recordings/rec-2/shares?tenant=rival", headers=bearer("root")).get_json() == {"shares": []}
    assert client.get(place, headers=bearer("eyes")).status_code == 403
    clock[0] += 2 * 3_600 * 1_000_000
    assert [each["share_id"] for each in client.get(place, headers=bearer("boss")).get_json()["shares"]] == [
        long["share_id"]
    ]


@pytest.mark.parametrize(
    "body",
    [
        {"from_ms": -1},
        {"from_ms": 50, "to_ms": 50},
        {"to_ms": 101},
        {"from_ms": True},
        {"hours": 0},
        {"hours": 721},
        {"to_ms": "9"},
        {"other": 1},
    ],
)
def test_a_share_outside_of_the_recording_is_refused(client: FlaskClient, body: dict[str, object]) -> None:
    assert share(client, **body).status_code == 400


def test_a_page_of_another_origin_changes_nothing_and_signs_nobody_in(client: FlaskClient) -> None:
    assert_foreign_pages_change_nothing(client.application, (COOKIE, "boss"))


def test_the_page_is_for_who_has_a_token_and_the_cookie_opens_the_api(client: FlaskClient) -> None:
    assert client.get("/").headers["Location"] == "/login"
    assert client.get("/login?token=wrong", headers=SELF_OPENED).status_code == 401
    answer = client.get("/login?token=boss&lang=uk&tenant=acme", headers=SELF_OPENED)
    assert answer.headers["Location"] == "/?lang=uk&tenant=acme"
    assert "HttpOnly" in answer.headers["Set-Cookie"]
    assert "SameSite=Strict" in answer.headers["Set-Cookie"]
    assert b'lang="uk"' in client.get("/?lang=uk").data
    assert client.get("/v1/recordings/rec-1").status_code == 200
    assert client.get("/page/player.js").status_code == 200
    assert client.get("/page/nothing.js").status_code == 404
