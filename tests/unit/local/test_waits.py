from typing import Any

import pytest

from local.stack.waits import Stopped, dropped, longest_waits

STOPS = [Stopped("router", 100.0), Stopped("listener", 110.0)]


def _call(arrived: float, talk: float | None, **other: Any) -> dict[str, Any]:
    talks = [] if talk is None else [{"started": talk}]
    ended = {"hungup": arrived + 6.0, "hung_up_by": "caller", "cause": "NORMAL_CLEARING", "took_fallback": False}
    return {"uuid": "c1", "line": "+380443000001", "arrived": arrived, "talks": talks} | ended | other


@pytest.mark.parametrize(
    ("arrived", "waits"),
    [(99.9, [0.0, 0.0]), (100.0, [2.5, 0.0]), (109.9, [2.5, 0.0]), (110.0, [0.0, 2.5]), (500.0, [0.0, 2.5])],
)
def test_a_wait_counts_for_the_last_stop_before_the_call(arrived: float, waits: list[float]) -> None:
    assert longest_waits([_call(arrived, arrived + 2.5)], STOPS) == waits


def test_the_longest_wait_is_told_and_who_had_no_talk_waited_until_the_end() -> None:
    calls = [_call(101.0, 103.0), _call(102.0, 102.5), _call(111.0, None), _call(112.0, None, hungup=None)]
    assert longest_waits(calls, STOPS) == [2.0, 6.0]


def test_who_was_served_is_not_dropped() -> None:
    assert dropped([_call(101.0, 103.0)], STOPS) == []


def test_who_was_dropped_is_told_with_the_stop_before_it_and_the_end() -> None:
    fell_back = {"took_fallback": True, "hung_up_by": "switch", "cause": "NORMAL_TEMPORARY_FAILURE"}
    cut = _call(99.0, 100.0, hung_up_by="switch")
    calls = [_call(112.0, None, **fell_back), cut, _call(113.0, None, hungup=None, hung_up_by="")]
    assert dropped(calls, STOPS) == [
        "c1 to +380443000001, before the first stop: had a talk, waited 1.00 s, ended by switch (NORMAL_CLEARING)",
        (
            "c1 to +380443000001, 2.00 s after listener was asked to stop: no talk, waited 6.00 s, fell back, "
            "ended by switch (NORMAL_TEMPORARY_FAILURE)"
        ),
        "c1 to +380443000001, 3.00 s after listener was asked to stop: no talk, waited 0.00 s, not ended",
    ]
