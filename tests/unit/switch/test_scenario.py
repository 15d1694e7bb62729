"""Scenarios are read whole or refused with the place that is wrong; times are drawn as they are described."""

import contextlib
import random
import statistics
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local.switch.callers import Pool
from local.switch.distributions import (
    DistributionError,
    Exponential,
    Fixed,
    LogNormal,
    Uniform,
    parse_distribution,
)
from local.switch.scenario import HOSTILE_NAMES, CallerPool, ScenarioError, parse_phone_changes, parse_scenario


def test_a_full_scenario_is_read() -> None:
    scenario = parse_scenario(
        {
            "seed": 4,
            "minutes": 10,
            "domain": "acme.example",
            "callers": {"patience": "exponential(40)", "talk": 30},
            "lines": [{"number": "+4930100001", "calls_per_hour": 60, "digits": ["1", {"2": 3, "3": 1}]}],
            "calls": [{"at": 5, "line": "+4930100001", "caller": "+49151", "patience": 3, "headers": {"X-A": 1}}],
            "agents": [{"id": "anna", "answer": "uniform(1, 2)", "talk": "never"}, {"id": "desk", "count": 3}],
            "extensions": {"1200": ["answer", "playback local_stream://moh"]},
            "pool": {"count": 10, "hostile": 0},
            "prompts": {"x/": 1.5},
        }
    )
    assert scenario.lines[0].callers.patience == Exponential(40.0)
    assert scenario.lines[0].callers.digits == ({"1": 1.0}, {"2": 3.0, "3": 1.0})
    assert scenario.calls[0].callers.patience == Fixed(3.0)
    assert scenario.calls[0].headers == {"X-A": "1"}
    assert [agent.name for agent in scenario.agents] == ["anna", "desk1", "desk2", "desk3"]
    assert scenario.agents[0].behaviour.talk_seconds is None
    assert {agent.domain for agent in scenario.agents} == {"acme.example"}
    assert scenario.extensions["1200"] == (("answer", ""), ("playback", "local_stream://moh"))


@pytest.mark.parametrize(
    ("document", "sentence"),
    [
        ([], "scenario: expected fields, found"),
        ({"minutes": -1}, "scenario.minutes: -1 is out of range"),
        ({"lines": [{"calls_per_hour": 1}]}, "scenario.lines[0]: number is missing"),
        (
            {"lines": [{"number": "1", "patience": "soon"}]},
            "scenario.lines[0].patience: 'soon' is not a length of time",
        ),
        ({"lines": [{"number": "1", "digits": [{"1": 0}]}]}, "scenario.lines[0].digits[0]: weights must be positive"),
        ({"agents": [{"id": "a", "does": "sing"}]}, "scenario.agents[0].does: 'sing' is not one of"),
        ({"agents": [{"id": "a", "miss": 2}]}, "scenario.agents[0].miss: 2 is out of range"),
        ({"agents": [{"id": "a", "colour": "red"}]}, "scenario.agents[0]: unknown colour"),
        ({"extensions": {"1": "park"}}, "scenario.extensions.1: expected a list of applications"),
        ({"pool": {"count": 0}}, "pool: at least one caller and one name are needed"),
        ({"seed": True}, "scenario.seed: True is not what belongs here"),
    ],
)
def test_a_bad_scenario_is_refused_with_its_place(document: Any, sentence: str) -> None:
    with pytest.raises(ScenarioError) as refused:
        parse_scenario(document)
    assert sentence in str(refused.value)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
FIELDS = st.sampled_from(["lines", "calls", "agents", "pool", "callers", "minutes", "seed", "extensions", "outside"])


@given(st.dictionaries(FIELDS, JSON, max_size=4))
def test_any_document_is_read_or_refused_and_nothing_else(document: dict[str, Any]) -> None:
    with contextlib.suppress(ScenarioError):
        parse_scenario(document)


@pytest.mark.parametrize(
    ("text", "distribution"),
    [
        (3, Fixed(3.0)),
        ("3.5", Fixed(3.5)),
        ("fixed(2)", Fixed(2.0)),
        ("uniform(1, 4)", Uniform(1.0, 4.0)),
        ("exponential(20)", Exponential(20.0)),
        ("lognormal(30, 0.5)", LogNormal(30.0, 0.5)),
    ],
)
def test_a_length_of_time_is_read(text: object, distribution: object) -> None:
    assert parse_distribution(text) == distribution


@pytest.mark.parametrize(
    "text", ["", "gauss(1)", "uniform(1)", "fixed(-1)", "exponential(0)", "inf", True, "lognormal(0, 1)"]
)
def test_what_is_no_length_of_time_is_refused(text: object) -> None:
    with pytest.raises(DistributionError):
        parse_distribution(text)


@pytest.mark.parametrize(
    ("text", "mean"), [("uniform(1, 4)", 2.5), ("exponential(20)", 20.0), ("lognormal(30, 0.5)", 30.0 * 1.1331)]
)
def test_drawn_lengths_have_their_mean(text: str, mean: float) -> None:
    dice = random.Random(1)
    distribution = parse_distribution(text)
    drawn = [distribution.draw(dice) for _ in range(20_000)]
    assert min(drawn) >= 0
    assert statistics.fmean(drawn) == pytest.approx(mean, rel=0.03)


def test_callers_come_again_with_the_same_name() -> None:
    pool = Pool(CallerPool(count=20, hostile=0.5, anonymous=0.1), random.Random(3))
    names: dict[str, set[str]] = {}
    for _ in range(2_000):
        number, name = pool.draw()
        names.setdefault(number, set()).add(name)
    assert all(len(of_one) == 1 for of_one in names.values())
    assert len(names) == 21
    assert {name for of_one in names.values() for name in of_one} & set(HOSTILE_NAMES)


def test_only_what_is_said_of_a_phone_changes() -> None:
    assert parse_phone_changes({"does": "busy", "answer": 3}) == {"does": "busy", "answer_seconds": Fixed(3.0)}
    with pytest.raises(ScenarioError):
        parse_phone_changes({"does": "dance"})
