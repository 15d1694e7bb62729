from dataclasses import replace
from typing import Any

import pytest

from local.stack.balance import balance
from local.stack.expected import Due


def _call(*, talks: int = 0, hungup: float | None = 9.0, size: int = 70_000, by: str = "caller") -> dict[str, Any]:
    recordings = [{"path": "x.wav", "size": size}] * talks
    return {"talks": [{}] * talks, "hungup": hungup, "recordings": recordings, "hung_up_by": by}


def _offer(agent: str, rang: float, ended: float) -> dict[str, Any]:
    return {"agent": agent, "rang": rang, "ended": ended}


DUE = Due(deliveries=5, fed=7, found_in_feeds=7)
SUMMARY = {
    "calls_in": 2,
    "calls_ended": 2,
    "answered": 1,
    "recordings_stored": 1,
    "by_exit": {"answered": 1, "abandoned": 1},
    "called_back": {"dialled": 0, "answered": 0, "not_ended": 0},
}
RECEIVED = {"distinct": 5, "invalid": 0}


def test_a_true_account_balances() -> None:
    truth = {"calls": [_call(talks=1), _call()], "offers": [_offer("a", 1, 2), _offer("a", 2, 3)], "dials": []}
    assert all(row.balances for row in balance(truth, SUMMARY, RECEIVED, stored=1, due=DUE))


def test_a_call_that_was_served_and_is_told_as_something_else_is_found() -> None:
    truth = {"calls": [_call(talks=1), _call()], "offers": [], "dials": []}
    summary = SUMMARY | {"by_exit": {"fallback": 1, "abandoned": 1}}
    wrong = [row.what for row in balance(truth, summary, RECEIVED, stored=1, due=DUE) if not row.balances]
    assert wrong == ["ended as answered"]


def test_customers_who_were_called_back_are_counted_for_themselves() -> None:
    reached = {"uuid": "d-1", "talked_with": ["a"], "ended": 9.0, "recordings": [{"size": 70_000}], "hung_up_by": ""}
    truth = {
        "calls": [_call(talks=1), _call()],
        "offers": [],
        "dials": [reached, reached | {"talked_with": []}],
    }
    summary = SUMMARY | {
        "called_back": {"dialled": 2, "answered": 1, "not_ended": 0},
        "recordings_stored": 2,
    }
    assert all(row.balances for row in balance(truth, summary, RECEIVED, stored=2, due=DUE))
    truth["dials"].append(reached | {"ended": None})
    wrong = [row.what for row in balance(truth, summary, RECEIVED, stored=3, due=DUE) if not row.balances]
    assert wrong == ["customers dialled", "customers called back", "recordings in the call log", "customers stuck"]


def test_an_attempt_that_met_no_switch_is_told_and_not_dialled() -> None:
    truth = {"calls": [_call(talks=1), _call()], "offers": [], "dials": []}
    summary = SUMMARY | {"called_back": {"dialled": 1, "answered": 0, "not_ended": 0}}
    due = replace(DUE, unreached=frozenset({"d-1"}))
    assert all(row.balances for row in balance(truth, summary, RECEIVED, stored=1, due=due))
    seen = {"uuid": "d-1", "talked_with": [], "ended": 9.0, "recordings": [], "hung_up_by": ""}
    for dials, told in (([seen], DUE), ([seen], due)):
        assert all(row.balances for row in balance(truth | {"dials": dials}, summary, RECEIVED, stored=1, due=told))
    wrong = [row.what for row in balance(truth, summary, RECEIVED, stored=1, due=DUE) if not row.balances]
    assert wrong == ["customers dialled"]


def test_a_call_that_the_platform_never_saw_is_found() -> None:
    truth = {"calls": [_call(talks=1), _call(), _call()], "offers": [], "dials": []}
    wrong = [row.what for row in balance(truth, SUMMARY, RECEIVED, stored=1, due=DUE) if not row.balances]
    assert wrong == ["calls in"]


def test_a_phone_that_rings_while_it_rings_is_found() -> None:
    truth = {"calls": [_call(talks=1), _call()], "offers": [_offer("a", 1, 5), _offer("a", 2, 3)], "dials": []}
    wrong = [row.what for row in balance(truth, SUMMARY, RECEIVED, stored=1, due=DUE) if not row.balances]
    assert wrong == ["agents rung twice at once"]


@pytest.mark.parametrize(
    ("size", "by", "balances"), [(44, "crash", True), (70_000, "crash", False), (44, "caller", False)]
)
def test_only_a_talk_that_died_in_the_switchs_memory_needs_no_recording(size: int, by: str, *, balances: bool) -> None:
    truth = {"calls": [_call(talks=1, size=size, by=by), _call()], "offers": [], "dials": []}
    summary = SUMMARY | {"recordings_stored": 0}
    assert all(row.balances for row in balance(truth, summary, RECEIVED, stored=0, due=DUE)) is balances
