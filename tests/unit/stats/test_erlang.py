"""The staffing formulas against the simulation's, which were written for another purpose from the same papers."""

import pytest

from services.stats.domain import erlang
from tests.simulation import erlang as theory

CASES = [(1, 0.5), (5, 4.0), (12, 10.0), (50, 45.0), (200, 190.0), (1000, 980.0)]


@pytest.mark.parametrize(("agents", "load"), CASES)
def test_erlang_c_agrees(agents: int, load: float) -> None:
    handle = 180.0
    wanted = theory.erlang_c(agents, load / handle, 1 / handle, 20.0)
    found = erlang.erlang_c(agents, load, handle, 20.0)
    assert found.in_time == pytest.approx(wanted.within, rel=1e-9)
    assert found.mean_wait == pytest.approx(wanted.mean_wait, rel=1e-9)


@pytest.mark.parametrize(("agents", "load"), [*CASES, (3, 9.0), (80, 120.0)])
@pytest.mark.parametrize("patience", [30.0, 120.0, 600.0])
def test_erlang_a_agrees(agents: int, load: float, patience: float) -> None:
    handle = 180.0
    wanted = theory.erlang_a(agents, load / handle, 1 / handle, 1 / patience, 20.0)
    found = erlang.erlang_a(agents, load, handle, patience, 20.0)
    assert found.in_time == pytest.approx(wanted.within, rel=1e-6)
    assert found.mean_wait == pytest.approx(wanted.mean_wait, rel=1e-6)
    assert found.abandoned == pytest.approx(wanted.abandon, rel=1e-6)


def test_the_textbook_case_needs_its_agents() -> None:
    """100 calls in half an hour of 180 s each: 10 erlangs, 14 agents for 80 % in 20 s."""
    assert erlang.agents_needed(10.0, 180.0, 20.0, 0.8) == 14


@pytest.mark.parametrize("agents", [0, 1, 10])
def test_too_few_agents_never_answer_in_time_where_everybody_waits(agents: int) -> None:
    found = erlang.erlang_c(agents, 10.0, 180.0, 20.0)
    assert (found.in_time, found.mean_wait) == (0.0, float("inf"))
    assert 0 <= erlang.erlang_a(agents, 10.0, 180.0, 60.0, 20.0).in_time < 1
