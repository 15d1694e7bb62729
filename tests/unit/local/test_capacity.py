import pytest
from hypothesis import given
from hypothesis import strategies as some

from deploy.capacity import LEGS_A_SWITCH, Load, plan
from deploy.tools.measured import MEASURED, stands


@pytest.mark.parametrize(("bench", "figure"), MEASURED.items())
def test_what_a_plan_takes_for_measured_stands_in_the_table_of_its_bench(bench: str, figure: str) -> None:
    assert stands(bench, figure)
    assert not stands(bench, f"{figure}1")


def amounts(load: Load) -> dict[str, float]:
    return {line.part: line.amount for line in plan(load)}


def test_a_hundred_thousand_calls_at_once_need_many_nodes_and_have_room_on_each() -> None:
    found = amounts(Load(tenants=1_000, calls_per_second=500, talk_seconds=180))
    assert found["concurrent calls"] == 100_000
    legs = 500 * 20 + 2 * 500 * 180
    assert (found["switches"] - 1) * LEGS_A_SWITCH >= legs
    assert found["partitions"] >= 2 * found["routers"]


def test_a_small_platform_can_lose_one_of_each() -> None:
    found = amounts(Load(tenants=1, calls_per_second=0.1, talk_seconds=60))
    assert found["switches"] == found["routers"] == found["webhooks"] == 2


@given(some.floats(0.01, 600), some.floats(5, 900))
def test_twice_the_calls_never_need_less(calls: float, talk: float) -> None:
    one, two = amounts(Load(1, calls, talk)), amounts(Load(1, 2 * calls, talk))
    assert all(two[part] >= amount - 1e-6 for part, amount in one.items() if part not in PER_SWITCH)


# More switches share the whole, so that one of them may need less.
PER_SWITCH = {"switch: recordings disk", "switch: RTP ports", "companies a router"}
