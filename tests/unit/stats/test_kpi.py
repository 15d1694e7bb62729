"""Norms: told once when broken and once when kept again, whatever dies between the lines."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.shared.bus.errors import BusUnavailable
from services.shared.chassis.clock import Clock
from services.shared.contracts.ringmaster.v1.event_pb2 import Event
from services.stats.domain.kpi import Norm, Standing, judge
from services.stats.domain.profile import Profile
from services.stats.norms import Norms
from tests.unit.stats.events import abandoned_call, answered_call
from tests.unit.stats.report_house import House

NOW_MS = 1_795_435_200_000
LEVEL = Norm("level", "service_level", "queue:sales", 15, is_at_least=True, norm=0.8, margin=0.1, least_count=5)


def test_a_value_that_dances_around_the_norm_is_told_once() -> None:
    standing = Standing()
    turns = []
    for value in (0.9, 0.79, 0.81, 0.78, 0.85, 0.89, 0.91, 0.81, 0.79):
        found = judge(LEVEL, standing, value, 10, NOW_MS)
        if found is not standing:
            turns.append((value, found.is_violated))
        standing = found
    assert turns == [(0.79, True), (0.91, False), (0.79, True)]


def test_few_callers_or_none_change_nothing() -> None:
    assert judge(LEVEL, Standing(), 0.0, 4, NOW_MS) == Standing()
    assert judge(LEVEL, Standing(), None, 100, NOW_MS) == Standing()


@given(st.lists(st.floats(0, 1)), st.booleans(), st.floats(0, 0.3))
def test_violations_and_recoveries_alternate(values: list[float], is_at_least: bool, margin: float) -> None:  # noqa: FBT001
    norm = Norm("k", "service_level", "tenant", 15, is_at_least=is_at_least, norm=0.5, margin=margin, least_count=0)
    standing, told = Standing(), []
    for value in values:
        found = judge(norm, standing, value, 1, NOW_MS)
        if found.turn != standing.turn:
            assert found.turn == standing.turn + 1
            told.append(found.is_violated)
            assert norm.breaks(value) if found.is_violated else norm.keeps_well(value)
        standing = found
    assert told == [number % 2 == 0 for number in range(len(told))]


class Floor:
    def __init__(self) -> None:
        self.house = House(NOW_MS, Profile("acme", "Acme", norms=(LEVEL,)))
        self.published: list[Event] = []
        self.is_away = False
        self.norms = Norms(
            self.house.parts.board,
            self.house.parts.reports,
            self.house.store,
            Clock(wall=lambda: self.house.now_ms / 1000),
            self._publish,
        )

    def _publish(self, event: Event) -> None:
        if self.is_away:
            raise BusUnavailable("away")
        self.published.append(event)

    def told(self) -> list[tuple[str, str]]:
        return [(event.WhichOneof("body") or "", event.event_id) for event in self.published]

    def judge(self) -> None:
        self.norms.judge_tenant("acme")


@pytest.fixture
def floor() -> Any:
    floor = Floor()
    yield floor
    floor.house.columns.close()


def test_a_norm_is_broken_and_kept_again_by_the_calls_of_its_window(floor: Floor) -> None:
    floor.house.tell([event for n in range(6) for event in abandoned_call(f"a{n}", NOW_MS - 60_000 - n, 40_000)])
    floor.judge()
    floor.judge()
    assert floor.told() == [("kpi_violated", "kpi-acme-level-queue-sales-1")]
    body = floor.published[0].kpi_violated
    assert (body.kpi_id, body.subject, body.value, body.norm) == ("level", "queue:sales", 0.0, 0.8)
    floor.house.now_ms += 16 * 60_000
    floor.judge()
    assert len(floor.published) == 1  # nobody called since: nothing to judge by
    later = floor.house.now_ms - 60_000
    floor.house.tell([event for n in range(6) for event in answered_call(f"b{n}", later - n, 3_000, 10_000)])
    floor.judge()
    assert floor.told()[1:] == [("kpi_recovered", "kpi-acme-level-queue-sales-2")]


def test_what_could_not_be_told_is_told_later_as_the_same_event(floor: Floor) -> None:
    floor.house.tell([event for n in range(6) for event in abandoned_call(f"a{n}", NOW_MS - 60_000 - n, 40_000)])
    floor.is_away = True
    floor.judge()
    assert floor.published == []
    floor.is_away = False
    floor.house.now_ms += 60_000
    floor.judge()
    assert floor.told() == [("kpi_violated", "kpi-acme-level-queue-sales-1")]
    assert floor.published[0].time.ToMilliseconds() == NOW_MS


def test_a_norm_of_a_metric_that_is_not_there_hurts_no_other(floor: Floor) -> None:
    wrong = Norm("wrong", "profit", "tenant", 15, is_at_least=True, norm=1, margin=0, least_count=0)
    floor.house.parts.board.put_profile("acme", Profile("acme", norms=(wrong, LEVEL)))
    floor.house.tell([event for n in range(6) for event in abandoned_call(f"a{n}", NOW_MS - 60_000 - n, 40_000)])
    floor.judge()
    assert [event.kpi_violated.kpi_id for event in floor.published] == ["level"]
