"""The core serves as queueing theory says, and theory's formulas agree with each other."""

import math
import random

import pytest

from services.shared.contracts.ringmaster.v1 import tenant_pb2 as tn
from tests.simulation import queueing
from tests.simulation.confidence import interval, most_outside, t_cdf, t_quantile
from tests.simulation.erlang import Expected, erlang_a, erlang_b, erlang_c
from tests.simulation.world import Load

CALLERS = 4_500


def test_the_core_shows_the_waits_of_erlang_c_and_erlang_a() -> None:
    results = [(case, queueing.run(case, CALLERS)) for case in queueing.short_cases()]
    assert queueing.faults(queueing.compare(results)) == []


def test_the_table_has_every_strategy_and_at_least_thirty_cases() -> None:
    strategies = {case.load.strategy for case in queueing.cases()}
    assert len(queueing.cases()) >= 30
    assert strategies == set(tn.Strategy.values()) - {tn.STRATEGY_UNSPECIFIED}


def test_a_hall_with_a_wrong_load_is_found_out() -> None:
    case = queueing.short_cases()[2]
    means = queueing.run(case, 1_500)
    slower = Load(case.load.agents, case.load.arrivals * 1.25, case.load.service_seconds)
    compared = queueing.compare([(queueing.Case("another load", slower), means)])
    assert queueing.faults(compared)


def test_a_single_server_waits_as_the_textbook_says() -> None:
    found = erlang_c(1, arrivals=0.8, service=1.0, threshold=2.0)
    assert math.isclose(found.waits, 0.8)
    assert math.isclose(found.mean_wait, 4.0)
    assert math.isclose(found.within, 1 - 0.8 * math.exp(-0.4))


def test_the_chain_and_the_closed_form_of_erlang_c_agree() -> None:
    for agents, usage in ((2, 0.5), (10, 0.9), (100, 0.95), (1_000, 0.99)):
        found = erlang_c(agents, usage * agents, 1.0, 1.0)
        waiting = sum((number - agents) * share for number, share in enumerate(found.states) if number > agents)
        assert math.isclose(sum(found.states[agents:]), found.waits, rel_tol=1e-9)
        assert math.isclose(waiting / (usage * agents), found.mean_wait, rel_tol=1e-9)


def test_callers_of_endless_patience_make_erlang_a_erlang_c() -> None:
    patient, endless = erlang_a(10, 9.0, 1.0, 1e-9, 0.3), erlang_c(10, 9.0, 1.0, 0.3)
    for measure in queueing.MEASURES:
        assert math.isclose(getattr(patient, measure), getattr(endless, measure), rel_tol=1e-5, abs_tol=1e-6)


def test_callers_without_any_patience_make_erlang_a_erlang_b() -> None:
    found = erlang_a(10, 9.0, 1.0, 1e7, 0.3)
    assert math.isclose(found.abandon, erlang_b(10, 9.0), rel_tol=1e-4)


@pytest.mark.parametrize(("agents", "arrivals", "leaving"), [(3, 4.0, 0.5), (8, 7.0, 2.0)])
def test_the_service_level_of_erlang_a_is_what_a_plain_lottery_shows(
    agents: int, arrivals: float, leaving: float
) -> None:
    found = erlang_a(agents, arrivals, 1.0, leaving, 0.2)
    lot = random.Random(f"{agents}")
    shares = [_share_answered(found, agents, leaving, 0.2, lot) for _ in range(20)]
    assert interval(shares, 0.999).holds(found.within)


def _share_answered(found: Expected, agents: int, leaving: float, threshold: float, lot: random.Random) -> float:
    """Draw callers who find a stationary number before them, and let those go one by one."""
    answered = 0
    standing = lot.choices(range(len(found.states)), found.states, k=1_000)
    for others in standing:
        wait = sum(lot.expovariate(agents + ahead * leaving) for ahead in range(others - agents + 1))
        answered += wait <= min(threshold, lot.expovariate(leaving))
    return answered / len(standing)


def test_a_queue_that_would_grow_for_ever_has_no_answer() -> None:
    with pytest.raises(ValueError, match="grow for ever"):
        erlang_c(5, 5.0, 1.0, 1.0)


@pytest.mark.parametrize(
    ("share", "freedom", "value"), [(0.975, 1, 12.7062), (0.995, 10, 3.1693), (0.995, 29, 2.7564), (0.9995, 4, 8.6103)]
)
def test_students_quantiles_are_those_of_the_tables(share: float, freedom: int, value: float) -> None:
    assert math.isclose(t_quantile(share, freedom), value, rel_tol=1e-4)
    assert math.isclose(t_cdf(value, freedom), share, abs_tol=1e-5)


def test_one_miss_in_a_hundred_comparisons_is_no_surprise_but_five_are() -> None:
    assert most_outside(100, 0.01, 0.01) == 4
