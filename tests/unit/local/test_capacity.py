import ast
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as some

from deploy import capacity
from deploy.capacity import LEGS_A_SWITCH, Load, plan

BENCHES = Path(__file__).parents[3] / "bench"
MEASURED = [
    ("router.py", f"{capacity.ROUTER_INPUTS_A_CORE:,.0f}"),
    ("listener.py", f"{capacity.LISTENER_FACTS_A_CORE:,.0f}"),
    ("webhooks/__main__.py", f"{capacity.WEBHOOKS_A_CORE:,.0f}"),
    ("stats/saturation.py", f"{capacity.STATS_EVENTS_A_CORE:,.0f}"),
    ("latency/__main__.py", f"{capacity.OFFER_P50_MS} ms    {capacity.OFFER_P99_MS} ms"),
    ("transcribe/__main__.py", f"{capacity.TRANSCRIBE_REAL_TIME_FACTOR} s"),
]


@pytest.mark.parametrize(("bench", "figure"), MEASURED)
def test_what_a_plan_takes_for_measured_stands_in_the_table_of_its_bench(bench: str, figure: str) -> None:
    table = ast.get_docstring(ast.parse((BENCHES / bench).read_text(encoding="utf-8"))) or ""
    assert figure in table


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
