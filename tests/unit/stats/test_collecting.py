"""The live numbers as metrics: what they say, and that nobody but a tenant's document makes a series."""

from collections.abc import Iterator

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from services.shared.contracts.ringmaster.v1 import event_pb2 as ev
from services.stats.collecting import LiveCollector
from services.stats.domain.board import Board
from services.stats.domain.profile import Profile
from services.stats.metrics import LIVE, SERIES_LEFT_OUT
from tests.unit.stats.events import LINE, answered_call, event, state

NOW_MS = 1_795_435_200_000
AGENTS = {f"agent-{number}": "" for number in range(20)}


@pytest.fixture(autouse=True)
def _forget_what_was_left_out() -> Iterator[None]:
    yield
    SERIES_LEFT_OUT.clear()


def scrape(board: Board, **bounds: int) -> list[str]:
    registry = CollectorRegistry()
    registry.register(LiveCollector(board, lambda: NOW_MS, **bounds))
    return [line for line in generate_latest(registry).decode().splitlines() if not line.startswith("#")]


def floor(tenants: int, queues: int = 1) -> Board:
    """Return a board on which each tenant has answered a call in each queue, by the same agent."""
    board = Board()
    names = [f"queue-{number}" for number in range(queues)]
    for number in range(tenants):
        tenant = f"tenant-{number}"
        board.put_profile(
            tenant, Profile(tenant, agents=AGENTS, queues=dict.fromkeys(names, ("agent-0",)), lines={LINE: ""})
        )
        idle = state("agent-0", NOW_MS - 120_000, 1, ev.AGENT_STATE_IDLE)
        told = [idle, state("agent-0", NOW_MS - 60_000, 2, ev.AGENT_STATE_TALKING)]
        for queue in names:
            told += answered_call(f"c-{queue}", NOW_MS - 60_000, 3_000, 10_000, queue)
        for one in told:
            one.tenant_id = tenant
            if one.HasField("call_ended"):
                one.call_ended.agent_id = "agent-0"
            board.fold(one, NOW_MS)
    return board


def test_a_tenants_numbers_are_there_by_queue_line_and_agent() -> None:
    lines = scrape(floor(1))
    of_queue = 'queue="queue-0",tenant="tenant-0",window="last_15_min"'
    for expected in (
        'ringmaster_stats_calls_today{tenant="tenant-0",what="answered"} 1.0',
        f"ringmaster_stats_queue_service_level_ratio{{{of_queue}}} 1.0",
        f"ringmaster_stats_queue_mean_handle_seconds{{{of_queue}}} 10.0",
        'ringmaster_stats_queue_service_level_ratio{queue="queue-0",tenant="tenant-0",window="last_5_min"} 1.0',
        'ringmaster_stats_service_level_ratio{tenant="tenant-0",window="today"} 1.0',
        'ringmaster_stats_abandon_ratio{tenant="tenant-0",window="today"} 0.0',
        'ringmaster_stats_mean_wait_seconds{tenant="tenant-0",window="last_15_min"} 3.0',
        'ringmaster_stats_mean_handle_seconds{tenant="tenant-0",window="last_15_min"} 10.0',
        'ringmaster_stats_longest_wait_seconds{tenant="tenant-0"} 0.0',
        'ringmaster_stats_agent_mean_handle_seconds{agent="agent-0",tenant="tenant-0",window="today"} 10.0',
        f"ringmaster_stats_queue_abandon_ratio{{{of_queue}}} 0.0",
        f"ringmaster_stats_queue_occupancy_ratio{{{of_queue}}} 0.5",
        f'ringmaster_stats_line_calls_today{{line="{LINE}",tenant="tenant-0",what="started"}} 1.0',
        'ringmaster_stats_agent_state{agent="agent-0",state="talking",tenant="tenant-0"} 1.0',
        'ringmaster_stats_agents{state="offline",tenant="tenant-0"} 19.0',
        'ringmaster_stats_agents{state="talking",tenant="tenant-0"} 1.0',
        'ringmaster_stats_queue_agents{queue="queue-0",state="talking",tenant="tenant-0"} 1.0',
    ):
        assert expected in lines


def test_the_wait_of_half_the_callers_is_within_a_hundredth() -> None:
    (line,) = [each for each in scrape(floor(1)) if "wait_quantile" in each and "0.95" in each and "15_min" in each]
    assert float(line.split()[-1]) == pytest.approx(3.0, rel=0.01)


def test_every_metric_of_the_list_is_told() -> None:
    told = {line.split("{")[0].removeprefix("ringmaster_stats_") for line in scrape(floor(1))}
    assert told == LIVE.keys()


def test_the_first_of_all_who_wait_is_told_of_the_whole_company() -> None:
    board = floor(1)
    for number, ago_ms in enumerate((9_000, 42_000, 5_000)):
        for one in answered_call(f"w{number}", NOW_MS - ago_ms, 1, 1, f"queue-{number % 2}")[:2]:
            one.tenant_id = "tenant-0"
            board.fold(one, NOW_MS)
    assert 'ringmaster_stats_longest_wait_seconds{tenant="tenant-0"} 42.0' in scrape(board)


def test_names_that_only_events_know_make_no_series() -> None:
    board = floor(1)
    before = len(scrape(board))
    for number in range(50):
        for one in answered_call(f"x{number}", NOW_MS - 30_000, 1_000, 1_000, f"forged-{number}"):
            one.tenant_id = "tenant-0"
            if one.HasField("call_started"):
                one.call_started.line = f"+38044{number:07}"
            board.fold(one, NOW_MS)
        board.fold(event(NOW_MS, 1, tenant_id="tenant-0", agent_state_changed=forged(number)), NOW_MS)
    lines = scrape(board)
    assert len(lines) == before
    assert "forged" not in "".join(lines)


def forged(number: int) -> ev.AgentStateChanged:
    return ev.AgentStateChanged(agent_id=f"forged-{number}", state=ev.AGENT_STATE_TALKING)


def test_a_thousand_tenants_stay_within_the_bound_and_are_all_there() -> None:
    board = floor(1_000, queues=2)
    lines = scrape(board)
    assert len(lines) <= 90_000  # 46 of a tenant, 21 of a queue, 5 of a line, 8 of an agent who was heard of
    assert sum(line.startswith("ringmaster_stats_complete{") for line in lines) == 1_000
    assert SERIES_LEFT_OUT.labels("agent")._value.get() == 0


def test_what_is_too_much_is_left_out_for_all_and_said() -> None:
    board = floor(20, queues=3)
    whole = scrape(board)
    lines = scrape(board, most_series=len(whole) - 25)
    assert not [line for line in lines if line.startswith("ringmaster_stats_agent_")]
    assert len([line for line in lines if line.startswith("ringmaster_stats_queue_waiting")]) == 60
    assert SERIES_LEFT_OUT.labels("agent")._value.get() == 20 * 7
    assert SERIES_LEFT_OUT.labels("queue")._value.get() == 0
