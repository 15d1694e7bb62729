"""Days of split tenants, the short form; and what would double or lose a call is found out."""

from collections.abc import Callable
from typing import Any

import pytest

from services.router.domain import agents
from services.router.domain.splitting import arriving, moving, passing
from tests.simulation import splitting
from tests.simulation.chaos import Told
from tests.simulation.invariants import Broken

DAYS = 10
CALLS = 60


def test_every_invariant_holds_over_the_logs_of_split_tenants() -> None:
    told = [splitting.play(seed, CALLS) for seed in range(1, DAYS + 1)]
    counts = sum((one.counts for one in told), start=told[0].counts.__class__())
    assert sum(one.calls for one in told) >= DAYS * CALLS
    assert counts["hops"] >= 50
    assert counts["lent"] >= 10
    for seen in ("call_answered", "call_transferred", "callback_requested", "config_changed", "exit abandoned"):
        assert counts[seen], seen


def _found(seeds: range = range(1, 30)) -> str:
    """Return the invariant that is broken on the first of some days on which one is."""
    for seed in seeds:
        try:
            splitting.play(seed, CALLS)
        except Broken as broken:
            return broken.invariant
        except Exception as bug:  # noqa: BLE001 - what a fault leads to may also be an error of the core
            return type(bug).__name__
    return ""


def _never(*_arguments: Any) -> bool:
    return False


def _always(*_arguments: Any) -> bool:
    return True


@pytest.mark.parametrize(
    ("part", "name", "spoilt"),
    [
        (arriving, "_is_known", _never),
        (passing, "is_news", _always),
        (moving, "send", lambda _turn: None),
        (agents, "went", lambda turn, agent: turn.state.idle.discard(agent.agent_id)),
    ],
)
def test_a_rule_of_the_hand_over_that_is_left_out_is_found_out(
    monkeypatch: pytest.MonkeyPatch, part: Any, name: str, spoilt: Callable[..., Any]
) -> None:
    monkeypatch.setattr(part, name, spoilt)
    assert _found() != ""


def test_the_same_seed_is_the_same_day() -> None:
    first, second = splitting.play(4, CALLS), splitting.play(4, CALLS)
    assert isinstance(first, Told)
    assert (first.calls, first.inputs, first.counts) == (second.calls, second.inputs, second.counts)


def test_what_a_campaign_left_behind_when_it_went_to_another_log_keeps_to_its_lines_limit() -> None:
    """Found by 135,000 calls: two customers were dialled under a line that may dial one."""
    assert splitting.play(1016, 400).calls
