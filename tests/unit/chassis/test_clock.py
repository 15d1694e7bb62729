import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.shared.chassis.clock import Clock
from services.shared.chassis.settings import SettingsError


def test_without_settings_it_is_the_wall_clock() -> None:
    clock = Clock.from_environment({})
    assert Clock(clock.speed, clock.epoch, clock.wall0, wall=lambda: 1000.5).now_ms() == 1_000_500


@given(st.floats(min_value=0.5, max_value=1000), st.integers(min_value=0, max_value=100_000))
def test_a_simulated_second_takes_its_share_of_a_real_one(speed: float, seconds: int) -> None:
    clock = Clock(speed, epoch=0, wall0=50, wall=lambda: 50 + clock_seconds)
    clock_seconds = clock.wall_seconds(seconds)
    assert abs(clock.now_us() / 1e6 - seconds) < 0.01


@pytest.mark.parametrize("speed", ["fast", "0", "-1", "nan"])
def test_a_clock_that_could_not_go_is_a_fault_of_the_settings(speed: str) -> None:
    with pytest.raises(SettingsError, match="RINGMASTER_CLOCK_SPEED"):
        Clock.from_environment({"RINGMASTER_CLOCK_SPEED": speed})
