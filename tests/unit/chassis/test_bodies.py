"""What is sent to a service as JSON is read within bounds: nobody makes it fail, whatever he sends."""

import json

import pytest
from flask import request
from flask.testing import FlaskClient
from hypothesis import given
from hypothesis import strategies as st

from services.shared.chassis.web import service_app

ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=10,
)


def client() -> FlaskClient:
    app = service_app("a-service", lambda: (True, ""))

    @app.post("/strict")
    def strict() -> dict[str, object]:
        return {"read": request.get_json()}

    @app.post("/lenient")
    def lenient() -> dict[str, object]:
        return {"read": request.get_json(silent=True, force=True)}

    return app.test_client()


CLIENT = client()


def sent(path: str, body: bytes) -> tuple[int, object]:
    answer = CLIENT.post(path, data=body, content_type="application/json")
    return answer.status_code, answer.get_json()


@given(st.binary(max_size=60))
def test_any_bytes_are_read_or_a_bad_request(body: bytes) -> None:
    status, _ = sent("/strict", body)
    assert status in (200, 400)


@given(ANY_JSON)
def test_what_is_json_is_read_as_it_is(value: object) -> None:
    assert sent("/lenient", json.dumps(value).encode()) == (200, {"read": value})


@pytest.mark.parametrize(
    "body", [b"[" * 100_000, b'{"a":' * 100_000, b"[NaN]", b"[Infinity]", b"[1e999999]", b"\xff\xfe[]"]
)
def test_a_body_that_is_built_to_hurt_is_a_bad_request(body: bytes) -> None:
    assert sent("/strict", body)[0] == 400
    assert sent("/lenient", body) == (200, {"read": None})
