"""`ringmaster replay`: what it asks of the webhooks' API, and what a person reads of the answers."""

import json
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pytest
from gevent.pywsgi import WSGIServer
from jsonschema import Draft202012Validator

from services.cli import replay, table
from services.webhooks.api.models import REPLAY, WANTED_REPLAY

Answer = tuple[str, dict[str, Any]]
ONE: dict[str, Any] = {
    "replay_id": "r1",
    "tenant_id": "oak",
    "endpoint_id": "orders",
    "since_ms": 0,
    "until_ms": 1,
    "event_types": [],
    "call_id": "",
    "state": "waiting",
    "sent": 0,
    "reached_ms": 0,
    "error": "",
    "asked_ms": 1,
    "failed_only": False,
}


class Service:
    """The webhooks' API as far as this command goes: it notes what is asked, and answers in turn."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, dict[str, Any]]] = []
        self.answers: list[Answer] = []

    def __call__(self, request: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        body = request["wsgi.input"].read()
        path = f"{request['PATH_INFO']}?{request['QUERY_STRING']}"
        self.asked.append((request["REQUEST_METHOD"], path, json.loads(body) if body else {}))
        status, answer = self.answers.pop(0)
        start(status, [("Content-Type", "application/json")])
        return [json.dumps(answer).encode()]


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Iterator[Service]:
    service = Service()
    server = WSGIServer(("127.0.0.1", 0), service, log=None)
    server.start()
    monkeypatch.setenv("RINGMASTER_WEBHOOKS_URL", f"http://127.0.0.1:{server.server_port}/")
    monkeypatch.setenv("RINGMASTER_TOKEN", "x")
    monkeypatch.setattr(replay, "LOOK_SECONDS", 0.001)
    yield service
    server.stop()


def test_it_asks_what_the_api_takes_and_tells_how_far_it_is(
    service: Service, capsys: pytest.CaptureFixture[str]
) -> None:
    assert not list(Draft202012Validator(REPLAY.schema).iter_errors(ONE))
    done = [ONE | {"state": "running", "sent": 2}, ONE | {"state": "done", "sent": 5}]
    service.answers = [("202 Accepted", ONE), *(("200 OK", {"replays": [one]}) for one in done)]
    words = ["orders", "--since", "2h", "--until", "2026-11-29T10:00+02:00", "--event", "call.ended", "--failed"]
    began = time.time()
    assert table.run(["replay", *words, "--tenant", "oak"]) == 0
    (method, path, body), *_ = service.asked
    assert (method, path) == ("POST", "/v1/replays?tenant=oak")
    assert not list(Draft202012Validator(WANTED_REPLAY.schema).iter_errors(body))
    assert began - 7200.001 <= body.pop("since_ms") / 1000 <= time.time() - 7199.999
    assert body == {
        "endpoint_id": "orders",
        "until_ms": 1_795_939_200_000,
        "event_types": ["call.ended"],
        "failed_only": True,
    }
    told = capsys.readouterr()
    assert told.err.splitlines() == ["replay r1: waiting, 0 sent", "replay r1: running, 2 sent"]
    assert told.out == "replay r1: done, 5 sent\n"


def test_what_goes_wrong_is_one_sentence(service: Service, capsys: pytest.CaptureFixture[str]) -> None:
    problem = {"type": "urn:ringmaster:problem:not-found", "detail": "The tenant's document has no such endpoint."}
    service.answers = [("404 Not Found", problem), ("202 Accepted", ONE | {"state": "failed", "error": "the\nlog"})]
    assert table.run(["replay", "orders", "--since", "1d"]) == table.EXIT_REFUSED
    assert table.run(["replay", "orders", "--since", "1d"]) == table.EXIT_REFUSED
    told = capsys.readouterr()
    assert told.err == "The tenant's document has no such endpoint.\n"
    assert told.out == "replay r1: failed, 0 sent; the·log\n"


@pytest.mark.parametrize("text", ["yesterday", "2026-11-29T10:00", "2w", ""])
def test_a_moment_that_is_none_is_refused_before_anything_is_asked(service: Service, text: str) -> None:
    with pytest.raises(SystemExit):
        table.run(["replay", "orders", "--since", text])
    assert service.asked == []


def test_a_service_that_is_away_is_named_with_the_variable(
    service: Service, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("RINGMASTER_WEBHOOKS_URL", "http://127.0.0.1:9")
    assert table.run(["replay", "orders", "--since", "1d"]) == table.EXIT_DEPENDENCY
    assert "(RINGMASTER_WEBHOOKS_URL)" in capsys.readouterr().err
    assert service.asked == []
