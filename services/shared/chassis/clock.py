import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from services.shared.chassis.settings import SettingsError, read_settings

MICROSECONDS = 1_000_000


@dataclass(frozen=True, slots=True)
class _ClockSettings:
    clock_speed: float = 1.0
    clock_epoch: float = 0.0
    clock_wall0: float = 0.0


@dataclass(frozen=True, slots=True)
class Clock:
    """The platform's time: the wall clock, or one that runs `speed` times faster in a simulation.

    A simulated hour then passes in minutes, and every service agrees on it without talking: platform time is
    `epoch + (wall - wall0) * speed`, all in seconds since 1970 UTC.
    """

    speed: float = 1.0
    epoch: float = 0.0
    wall0: float = 0.0
    wall: Callable[[], float] = time.time

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> "Clock":
        """Read RINGMASTER_CLOCK_SPEED, _EPOCH and _WALL0; without them it is the wall clock. Raises SettingsError."""
        given = read_settings(_ClockSettings, environ)
        if given.clock_speed <= 0:
            raise SettingsError(["RINGMASTER_CLOCK_SPEED must be above 0"])
        return cls(given.clock_speed, given.clock_epoch, given.clock_wall0)

    def now_us(self) -> int:
        """Platform time, microseconds since 1970 UTC."""
        return int((self.epoch + (self.wall() - self.wall0) * self.speed) * MICROSECONDS)

    def now_ms(self) -> int:
        """Platform time, milliseconds since 1970 UTC."""
        return self.now_us() // 1000

    def wall_seconds(self, simulated_seconds: float) -> float:
        """Return how long to really wait for a duration of platform time."""
        return simulated_seconds / self.speed
