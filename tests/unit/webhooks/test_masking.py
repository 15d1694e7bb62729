import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.webhooks.domain.masking import BodyPolicy, masked_text, shown_answer, shown_payload

EVENT = {
    "type": "call.ended",
    "timestamp": "2026-11-29T10:00:00Z",
    "data": {
        "event_id": "evt-1234567890123456789",
        "line": "+380441000001",
        "caller": {"number": "+380671234567", "name": "Оксана"},
        "notes": "card 4111 1111 1111 1111",
        "recording_ids": ["r-12345678901"],
        "answers": ["так", {"text": "+380671234567"}],
        "wait_ms": "910000000",
        "hangup_cause": "call back +38 (067) 123-45-67 or a@b.example",
    },
}


def test_what_was_sent_is_shown_without_who_called_and_what_was_said() -> None:
    data = shown_payload(json.dumps(EVENT).encode(), BodyPolicy.MASKED)["data"]
    assert data["event_id"] == EVENT["data"]["event_id"]  # type: ignore[index]  # it is a mapping
    assert (data["line"], data["recording_ids"], data["wait_ms"]) == ("+380441000001", ["r-12345678901"], "910000000")
    assert data["caller"] == {"number": "•••67", "name": "•••"}
    assert (data["notes"], data["answers"]) == ("•••", ["•••", {"text": "•••"}])
    assert data["hangup_cause"] == "call back •••67 or •••"


def test_policy_may_show_everything_or_nothing() -> None:
    body = json.dumps(EVENT).encode()
    assert shown_payload(body, BodyPolicy.FULL) == EVENT
    assert shown_payload(body, BodyPolicy.NONE) is None
    assert shown_answer(b"x", BodyPolicy.NONE) == ""


@pytest.mark.parametrize(
    "secret",
    [
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        "Bearer abcdefgh.ijkl",
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abc",
        "d41d8cd98f00b204e9800998ecf8427e",
    ],
)
def test_an_answer_that_repeats_a_secret_is_shown_without_it(secret: str) -> None:
    assert secret not in shown_answer(f"bad signature: {secret}!".encode(), BodyPolicy.MASKED)


@given(st.text(max_size=60), st.integers(10**8, 10**14), st.text(max_size=60))
def test_no_number_of_a_person_stays_whole(before: str, number: int, after: str) -> None:
    assert str(number) not in masked_text(f"{before} {number} {after}")


@given(st.binary(max_size=300))
def test_whatever_a_receiver_answers_can_be_shown_on_one_page(answer: bytes) -> None:
    shown = shown_answer(answer, BodyPolicy.MASKED)
    assert not any(sign in shown for sign in "\x00\x1b\x7f\u202e\u2028")
    json.dumps(shown)
