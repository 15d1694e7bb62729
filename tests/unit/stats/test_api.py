"""Who sees what: tenants, roles, the browser's cookie, and a page that nothing can be smuggled into."""

import json
from collections.abc import Iterator
from hashlib import sha256
from typing import Any

import pytest
from flask.testing import FlaskClient
from gevent.event import Event as Flag

from services.shared.access import tokens_of
from services.shared.chassis.clock import Clock
from services.stats.adapters.memory import MemoryStore
from services.stats.api.admission import COOKIE
from services.stats.bootstrap import Parts, application, build
from services.stats.domain.call_log import fields_of
from services.stats.domain.profile import Profile
from services.stats.feed import MOST_STREAMS_OF_TENANT
from services.stats.store import StoreUnavailable
from tests.unit.chassis.foreign_pages import SELF_OPENED, assert_foreign_pages_change_nothing
from tests.unit.stats.events import answered_call, columns_here

NOW_MS = 1_795_435_200_000
HOLDERS = {
    "boss": ("acme", "supervisor"),
    "analyst": ("acme", "analyst"),
    "phone": ("acme", "agent"),
    "rival": ("borealis", "supervisor"),
    "root": ("*", "admin"),
}


class Store(MemoryStore):
    is_away = False

    def summary(self, tenant_id: str | None) -> dict[str, Any]:
        if self.is_away:
            raise StoreUnavailable("the document store does not answer")
        return super().summary(tenant_id)


class House:
    def __init__(self) -> None:
        self.store = Store()
        self.store.write({("acme", "c1"): {"started": True}, ("borealis", "c2"): {"started": True}})
        self.parts: Parts = build(self.store, Clock(wall=lambda: NOW_MS / 1000), 3600.0, columns_here())
        self.parts.board.put_profile("acme", Profile("acme", "Acme Goods", "Europe/Kyiv"))
        self.parts.board.put_profile("borealis", Profile("borealis"))
        for event in answered_call("c1", NOW_MS - 60_000, 3_000, 10_000):
            self.parts.board.fold(event, NOW_MS)
        document = {
            sha256(token.encode()).hexdigest(): {"tenant": tenant, "role": role, "actor": token}
            for token, (tenant, role) in HOLDERS.items()
        }
        self.stopping = Flag()
        self.app = application(self.parts, self.store, tokens_of(document), self.stopping)

    def browser(self) -> FlaskClient:
        return self.app.test_client()


@pytest.fixture
def house() -> House:
    return House()


@pytest.fixture
def client(house: House) -> Iterator[FlaskClient]:
    with house.app.test_client() as client:
        yield client


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


@pytest.mark.parametrize("path", ["/v1/live", "/v1/live/stream", "/v1/live/tenants", "/v1/calls", "/v1/summary"])
@pytest.mark.parametrize("headers", [{}, bearer("wrong"), bearer(""), {"Authorization": "Basic boss"}])
def test_nobody_without_a_token_sees_a_number(client: FlaskClient, path: str, headers: dict[str, str]) -> None:
    answer = client.get(path, headers=headers)
    assert answer.status_code == 401
    assert answer.mimetype == "application/problem+json"


@pytest.mark.parametrize("path", ["/v1/live", "/v1/live/stream", "/v1/calls", "/v1/summary"])
def test_an_agent_does_not_see_the_floor(client: FlaskClient, path: str) -> None:
    assert client.get(path, headers=bearer("phone")).status_code == 403


@pytest.mark.parametrize("path", ["/v1/live", "/v1/live/stream", "/v1/calls", "/v1/summary"])
@pytest.mark.parametrize("other", ["borealis", "*", "no-such"])
def test_a_tenant_never_sees_another_nor_whether_there_is_one(client: FlaskClient, path: str, other: str) -> None:
    answer = client.get(path, query_string={"tenant": other}, headers=bearer("boss"))
    assert answer.status_code == 403
    assert other not in answer.get_data(as_text=True)


def test_a_supervisor_sees_the_numbers_of_the_own_tenant(client: FlaskClient) -> None:
    shown = client.get("/v1/live", headers=bearer("boss")).get_json()
    assert shown["tenant"] == {"id": "acme", "name": "Acme Goods", "time_zone": "Europe/Kyiv"}
    assert shown["today"]["calls"]["answered"] == 1
    assert shown["queues"][0]["id"] == "sales"
    assert client.get("/v1/live", headers=bearer("rival")).get_json()["queues"] == []


def test_the_platforms_own_people_name_a_tenant_or_are_told_to(client: FlaskClient) -> None:
    assert client.get("/v1/live", headers=bearer("root")).status_code == 400
    assert client.get("/v1/live?tenant=acme", headers=bearer("root")).get_json()["tenant"]["id"] == "acme"
    tenants = client.get("/v1/live/tenants", headers=bearer("root")).get_json()["tenants"]
    assert tenants == [{"id": "acme", "name": "Acme Goods"}, {"id": "borealis", "name": "borealis"}]
    own = client.get("/v1/live/tenants", headers=bearer("boss")).get_json()["tenants"]
    assert own == [{"id": "acme", "name": "Acme Goods"}]


def test_the_call_log_is_the_own_tenants_and_of_all_for_the_platforms_people(client: FlaskClient) -> None:
    assert client.get("/v1/summary", headers=bearer("analyst")).get_json()["calls_in"] == 1
    assert client.get("/v1/summary", headers=bearer("root")).get_json()["calls_in"] == 2
    assert client.get("/v1/summary?tenant=borealis", headers=bearer("root")).get_json()["calls_in"] == 1
    rows = client.get("/v1/calls", headers=bearer("boss")).get_json()["calls"]
    assert [row["call_id"] for row in rows] == ["c1"]


@pytest.mark.parametrize("limit", ["0", "501", "-1", "", "ten", "5.0", "%D9%A1", "9" * 5_000])
def test_an_absurd_limit_is_refused(client: FlaskClient, limit: str) -> None:
    assert client.get(f"/v1/calls?limit={limit}", headers=bearer("boss")).status_code == 400


def test_a_store_that_is_away_is_said(client: FlaskClient, house: House) -> None:
    house.store.is_away = True
    answer = client.get("/v1/summary", headers=bearer("boss"))
    assert (answer.status_code, answer.mimetype) == (503, "application/problem+json")
    assert client.get("/v1/live", headers=bearer("boss")).status_code == 200


def test_the_stream_begins_with_the_numbers_and_ends_with_the_service(client: FlaskClient, house: House) -> None:
    answer = client.get("/v1/live/stream", headers=bearer("boss"), buffered=False)
    frame = next(iter(answer.response))
    assert answer.mimetype == "text/event-stream"
    text = bytes(frame).decode()  # type: ignore[arg-type]  # a stream of ours is of bytes
    assert text.startswith("event: live\ndata: {")
    assert text.endswith("\n\n")
    assert json.loads(text.split("data: ", 1)[1])["calls"]["in_progress"] == 0
    house.stopping.set()
    assert list(answer.response) == []
    answer.close()


def test_no_more_streams_than_allowed_are_open_and_one_that_ends_makes_room(house: House) -> None:
    feed = house.parts.feed
    streams = [feed.streams.open("acme", feed.frames("acme", house.stopping)) for _ in range(MOST_STREAMS_OF_TENANT)]
    refused = house.browser().get("/v1/live/stream", headers=bearer("boss"))
    assert refused.status_code == 503
    assert int(refused.headers["Retry-After"]) > 0
    assert _is_let_in(house, "rival")
    streams[0].close()  # what the web server calls
    streams[0].close()  # a second time changes nothing
    assert _is_let_in(house, "boss")


def _is_let_in(house: House, who: str) -> bool:
    answer = house.browser().get("/v1/live/stream", headers=bearer(who), buffered=False)
    answer.close()
    return answer.status_code == 200


def test_a_browser_signs_in_once_and_the_token_is_nowhere_in_the_address_after_it(client: FlaskClient) -> None:
    assert client.get("/").headers["Location"] == "/login"
    answer = client.get("/login?token=boss&lang=uk&wall", headers=SELF_OPENED)
    assert (answer.status_code, answer.headers["Location"]) == (303, "/?lang=uk&wall=")
    cookie = answer.headers["Set-Cookie"]
    assert all(word in cookie for word in ("HttpOnly", "SameSite=Strict", "Path=/"))
    assert client.get("/").status_code == 200
    assert client.get("/v1/live").get_json()["tenant"]["id"] == "acme"
    client.post("/logout")
    assert client.get("/v1/live").status_code == 401


def test_the_form_signs_in_too_and_says_when_the_token_is_unknown(client: FlaskClient) -> None:
    refused = client.post("/login", data={"token": "wrong"})
    assert refused.status_code == 401
    assert "Set-Cookie" not in refused.headers
    assert "This token is not known here." in refused.get_data(as_text=True)
    assert client.post("/login", data={"token": "boss"}).status_code == 303


def test_a_cookie_is_sent_only_encrypted_where_the_page_was_fetched_so(client: FlaskClient) -> None:
    assert "Secure" not in client.get("/login?token=boss", headers=SELF_OPENED).headers["Set-Cookie"]
    behind = client.get("/login?token=boss", headers={**SELF_OPENED, "X-Forwarded-Proto": "https"})
    assert "Secure" in behind.headers["Set-Cookie"]


def test_a_page_of_another_origin_changes_nothing_and_signs_nobody_in(house: House) -> None:
    assert_foreign_pages_change_nothing(house.app, (COOKIE, "boss"))


def test_a_header_counts_before_the_cookie(client: FlaskClient) -> None:
    client.get("/login?token=boss", headers=SELF_OPENED)
    assert client.get("/v1/live", headers=bearer("wrong")).status_code == 401


@pytest.mark.parametrize("path", ["/", "/login", "/page/live.js", "/page/live.css"])
def test_every_part_of_the_page_forbids_foreign_and_inline_code(client: FlaskClient, path: str) -> None:
    client.get("/login?token=boss", headers=SELF_OPENED)
    answer = client.get(path)
    policy = answer.headers["Content-Security-Policy"]
    assert answer.status_code == 200
    assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self';")
    assert "unsafe" not in policy
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize("path", ["/page/..%2fsettings.py", "/page/live.html", "/page/nothing.js"])
def test_only_the_files_of_the_page_are_served(client: FlaskClient, path: str) -> None:
    assert client.get(path).status_code == 404


@pytest.mark.parametrize(
    ("asked", "header", "found"),
    [
        ("", "uk-UA,uk;q=0.9,en;q=0.8", "uk"),
        ("", "de,en;q=0.5", "en"),
        ("", "", "en"),
        ("uk", "en", "uk"),
        ("en", "uk", "en"),
        ("xx", "uk", "uk"),
        ('"><script>', "", "en"),
    ],
)
def test_the_page_speaks_the_language_asked_for(client: FlaskClient, asked: str, header: str, found: str) -> None:
    headers = {"Accept-Language": header} if header else {}
    page = client.get("/login", query_string={"lang": asked} if asked else {}, headers=headers).get_data(as_text=True)
    assert f'<html lang="{found}">' in page
    assert "<script>" not in page


def test_why_a_call_went_where_it_went_is_told_to_its_tenant_only(house: House, client: FlaskClient) -> None:
    for event in answered_call("c1", NOW_MS - 60_000, 3_000, 10_000):
        house.store.write({("acme", "c1"): fields_of(event) or {}})
    shown = client.get("/v1/calls/c1/why", headers=bearer("boss")).get_json()
    assert next(record["what"] for record in shown["why"]) == "call.started"
    assert shown["why"][-1]["after_ms"] == 13_000
    assert client.get("/v1/calls/c1/why", headers=bearer("rival")).status_code == 404
    assert client.get("/v1/calls/c1/why", headers=bearer("phone")).status_code == 403
    assert client.get("/v1/calls/c1/why?tenant=acme", headers=bearer("rival")).status_code == 403
    assert "trace" not in client.get("/v1/calls", headers=bearer("boss")).get_json()["calls"][0]
