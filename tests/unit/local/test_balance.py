from typing import Any

from local.stack.balance import balance


def _call(*, talks: int = 0, hungup: float | None = 9.0) -> dict[str, Any]:
    return {"talks": [{}] * talks, "hungup": hungup}


def _offer(agent: str, rang: float, ended: float) -> dict[str, Any]:
    return {"agent": agent, "rang": rang, "ended": ended}


SUMMARY = {
    "calls_in": 2,
    "calls_ended": 2,
    "answered": 1,
    "recordings_stored": 1,
    "by_exit": {"answered": 1, "abandoned": 1},
}
RECEIVED = {"distinct": 5, "invalid": 0}


def test_a_true_account_balances() -> None:
    truth = {"calls": [_call(talks=1), _call()], "offers": [_offer("a", 1, 2), _offer("a", 2, 3)]}
    assert all(row.balances for row in balance(truth, SUMMARY, RECEIVED, stored=1, sent=5))


def test_a_call_that_the_platform_never_saw_is_found() -> None:
    truth = {"calls": [_call(talks=1), _call(), _call()], "offers": []}
    wrong = [row.what for row in balance(truth, SUMMARY, RECEIVED, stored=1, sent=5) if not row.balances]
    assert wrong == ["calls in"]


def test_a_phone_that_rings_while_it_rings_is_found() -> None:
    truth = {"calls": [_call(talks=1), _call()], "offers": [_offer("a", 1, 5), _offer("a", 2, 3)]}
    wrong = [row.what for row in balance(truth, SUMMARY, RECEIVED, stored=1, sent=5) if not row.balances]
    assert wrong == ["agents rung twice at once"]
