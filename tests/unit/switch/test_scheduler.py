"""Simulated time: appointments in order, strands that are woken at media steps."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local.switch.clock import TICK_US, ManualClock, SimulatedClock, floor_tick, next_tick
from local.switch.scheduler import Scheduler, Steps, Strand


def test_simulated_time_runs_faster_from_its_epoch() -> None:
    wall = [1000.0]
    clock = SimulatedClock(epoch=5000.0, speed=60.0, wall0=1000.0, wall=lambda: wall[0])
    assert clock.now_us() == 5_000_000_000
    wall[0] = 1001.0
    assert clock.now_us() == 5_060_000_000
    assert clock.wall_seconds_until(5_120_000_000) == pytest.approx(1.0)
    assert clock.wall_seconds_until(0) == 0.0
    with pytest.raises(ValueError, match="above zero"):
        SimulatedClock(speed=0)


@given(st.integers(min_value=0, max_value=10**16))
def test_steps_are_20_ms_and_the_next_one_is_always_later(now_us: int) -> None:
    assert floor_tick(now_us) <= now_us < next_tick(now_us)
    assert next_tick(now_us) - floor_tick(now_us) == TICK_US


@given(st.lists(st.integers(min_value=0, max_value=1000), max_size=30))
def test_appointments_are_kept_in_order_of_time_and_of_asking(delays: list[int]) -> None:
    scheduler = Scheduler(ManualClock())
    kept: list[tuple[int, int]] = []
    for number, delay in enumerate(delays):
        scheduler.at(scheduler.clock.now_us() + delay, lambda d=delay, n=number: kept.append((d, n)))  # type: ignore[misc] # a lambda with defaults
    scheduler.advance(0.002)
    assert kept == sorted(kept)
    assert len(kept) == len(delays)


def test_a_cancelled_appointment_is_not_kept() -> None:
    scheduler = Scheduler(ManualClock())
    timer = scheduler.after(1.0, lambda: pytest.fail("it was cancelled"))
    timer.cancel()
    assert scheduler.next_due_us() is None
    scheduler.advance(2.0)


def test_whoever_waits_for_the_next_appointment_hears_of_an_earlier_one() -> None:
    scheduler = Scheduler(ManualClock())
    calls: list[str] = []
    scheduler.on_earlier(lambda: calls.append("earlier"))
    for seconds in (5.0, 6.0, 1.0):
        scheduler.after(seconds, calls.clear)
    assert calls == ["earlier", "earlier"]


def test_a_strand_sleeps_and_is_woken_at_the_next_step() -> None:
    scheduler = Scheduler(ManualClock(start_us=1_000_000))
    seen: list[int] = []

    def steps() -> Steps:
        for _ in range(3):
            seen.append(scheduler.clock.now_us())
            yield None

    strand = Strand(scheduler, steps())
    strand.start()
    scheduler.advance(0.005)
    strand.wake()
    strand.wake()
    scheduler.advance(1.0)
    assert seen == [1_000_000, 1_020_000]
    strand.wake(ticks=2)
    scheduler.advance(1.0)
    assert seen[2] == 2_005_000 - 5_000 + 2 * TICK_US
    strand.wake()
    scheduler.advance(1.0)
    assert strand.is_done


def test_a_strand_that_wakes_itself_goes_on() -> None:
    scheduler = Scheduler(ManualClock())
    rounds: list[int] = []

    def steps() -> Steps:
        while len(rounds) < 3:
            rounds.append(1)
            strand.wake()
            yield None

    strand = Strand(scheduler, steps())
    strand.start()
    scheduler.advance(0.1)
    assert strand.is_done
    assert len(rounds) == 3


def test_an_ended_strand_runs_no_more() -> None:
    scheduler = Scheduler(ManualClock())

    def steps() -> Steps:
        yield 0.1
        pytest.fail("it was ended")

    strand = Strand(scheduler, steps())
    strand.start()
    strand.end()
    strand.wake()
    scheduler.advance(1.0)
