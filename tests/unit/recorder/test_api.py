"""A tenant hears its own recordings, and nobody without a token hears any."""

import json
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from services.recorder.adapters.mongo import RecordingDocument
from services.recorder.api.recordings import recordings_api
from services.recorder.errors import DocumentsFailed
from services.shared.chassis.tokens import TokensFile
from services.shared.chassis.web import service_app

ONE = RecordingDocument(
    recording_id="rec-1",
    tenant_id="acme",
    call_id="call-1",
    node="fs-1",
    bucket="recordings",
    key="acme/2026-11-23/call-1/rec-1.wav",
    size_bytes=444,
    sha256="0" * 64,
    duration_ms=12,
    channels=2,
    sample_rate=8000,
    media_type="audio/wav",
    silent=False,
    repaired=False,
    recorded_us=1_795_392_000_000_000,
    stored_us=1_795_392_060_000_000,
)
ROWS = [ONE, replace(ONE, recording_id="rec-2", tenant_id="rival")]


class Shelf:
    """Documents and links of two tenants that share a call's id."""

    is_away = False

    def find_for(self, tenant_id: str, recording_id: str) -> RecordingDocument | None:
        return next((row for row in self.of_call(tenant_id, "call-1") if row.recording_id == recording_id), None)

    def of_call(self, tenant_id: str, call_id: str) -> list[RecordingDocument]:
        if self.is_away:
            raise DocumentsFailed("the document store is away")
        return [row for row in ROWS if (row.tenant_id, row.call_id) == (tenant_id, call_id)]

    def link(self, key: str, file_name: str) -> str:
        return f"http://store/{key}?name={file_name}"


def write_tokens(path: Path, entries: dict[str, tuple[str, str]]) -> None:
    document = {
        sha256(token.encode()).hexdigest(): {"tenant": tenant, "role": role, "actor": "someone"}
        for token, (tenant, role) in entries.items()
    }
    path.write_text(json.dumps(document))


@pytest.fixture
def shelf() -> Shelf:
    return Shelf()


@pytest.fixture
def client(tmp_path: Path, shelf: Shelf) -> FlaskClient:
    tokens = tmp_path / "tokens.json"
    write_tokens(tokens, {"boss": ("acme", "supervisor"), "phone": ("acme", "agent"), "root": ("*", "admin")})
    app = service_app("recorder", lambda: (True, ""))
    app.register_blueprint(recordings_api(shelf, shelf, TokensFile(tokens)))
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
    assert client.get("/v1/recordings/rec-2?tenant=rival", headers=bearer("boss")).status_code == 404


def test_the_platforms_own_people_name_the_tenant(client: FlaskClient) -> None:
    assert client.get("/v1/recordings/rec-2", headers=bearer("root")).status_code == 400
    assert client.get("/v1/recordings/rec-2?tenant=rival", headers=bearer("root")).status_code == 200


@pytest.mark.parametrize("headers", [{}, bearer("wrong"), bearer(""), {"Authorization": "Basic boss"}])
def test_nobody_without_a_token_gets_anything(client: FlaskClient, headers: dict[str, str]) -> None:
    for path in ("/v1/recordings?call_id=call-1", "/v1/recordings/rec-1"):
        answer = client.get(path, headers=headers)
        assert answer.status_code == 401
        assert answer.mimetype == "application/problem+json"


def test_an_agent_may_not_listen(client: FlaskClient) -> None:
    assert client.get("/v1/recordings/rec-1", headers=bearer("phone")).status_code == 403


def test_a_list_needs_a_call(client: FlaskClient) -> None:
    assert client.get("/v1/recordings", headers=bearer("boss")).status_code == 400


def test_a_store_that_is_away_is_said(client: FlaskClient, shelf: Shelf) -> None:
    shelf.is_away = True
    assert client.get("/v1/recordings/rec-1", headers=bearer("boss")).status_code == 503
