"""Timers and threads of simulated time, without real threads: deterministic and cheap enough for 10,000 legs.

A `Strand` is a generator that stands for one of the switch's session threads. It yields the seconds that it would
sleep, or None to sleep until somebody wakes it, and always checks again what it waited for when it goes on.
"""

import heapq
import itertools
from collections.abc import Callable, Generator

from local.switch.clock import MICROSECONDS, Clock, ManualClock, next_tick

Steps = Generator[float | None, None, None]


class Timer:
    """One appointment; cancelling it is enough, the heap forgets it when its time comes."""

    __slots__ = ("action", "due_us")

    def __init__(self, due_us: int, action: Callable[[], None] | None) -> None:
        self.due_us = due_us
        self.action = action

    def cancel(self) -> None:
        """Make the appointment do nothing; harmless after it has been kept."""
        self.action = None


class Scheduler:
    """All appointments of the simulated switch, kept in order of time and of asking."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self._heap: list[tuple[int, int, Timer]] = []
        self._order = itertools.count()
        self._on_earlier: Callable[[], None] | None = None

    def on_earlier(self, notify: Callable[[], None]) -> None:
        """Have `notify` called whenever a new appointment is the next one."""
        self._on_earlier = notify

    def at(self, due_us: int, action: Callable[[], None]) -> Timer:
        """Keep an appointment at a simulated instant; a past one is kept at the next turn."""
        timer = Timer(due_us, action)
        heapq.heappush(self._heap, (due_us, next(self._order), timer))
        if self._on_earlier is not None and self._heap[0][2] is timer:
            self._on_earlier()
        return timer

    def after(self, seconds: float, action: Callable[[], None]) -> Timer:
        """Keep an appointment some simulated seconds from now."""
        return self.at(self.clock.now_us() + int(seconds * MICROSECONDS), action)

    def next_due_us(self) -> int | None:
        """Return when the next appointment is, or None when there is none."""
        while self._heap and self._heap[0][2].action is None:
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else None

    def run_due(self, limit: int = 1_000_000) -> int:
        """Keep the appointments that are due, at most `limit` of them; return how many."""
        done = 0
        now_us = self.clock.now_us()
        while done < limit and self._heap and self._heap[0][0] <= now_us:
            action = heapq.heappop(self._heap)[2].action
            if action is not None:
                action()
                done += 1
        return done

    def advance(self, seconds: float) -> None:
        """Move a manual clock forward, keeping every appointment on the way at its own instant."""
        clock = self.clock
        if not isinstance(clock, ManualClock):
            raise TypeError("only a manual clock can be moved")
        end_us = clock.now_us() + int(seconds * MICROSECONDS)
        while (due_us := self.next_due_us()) is not None and due_us <= end_us:
            clock.move_to(due_us)
            self.run_due(limit=1)
        clock.move_to(end_us)


class Strand:
    """A session thread of the switch, as a generator of sleeps."""

    __slots__ = ("_generator", "_scheduler", "_timer")

    def __init__(self, scheduler: Scheduler, generator: Steps) -> None:
        self._scheduler = scheduler
        self._generator: Steps | None = generator
        self._timer: Timer | None = None

    @property
    def is_done(self) -> bool:
        """Say whether the thread has run to its end."""
        return self._generator is None

    def start(self) -> None:
        """Run at once until the first sleep."""
        self._step()

    def wake(self, ticks: int = 1) -> None:
        """Interrupt the sleep at a coming 20 ms step, as a media thread notices things; later wakings add nothing."""
        if self._generator is None:
            return
        now_us = self._scheduler.clock.now_us()
        due_us = next_tick(now_us) + (ticks - 1) * 20_000
        timer = self._timer
        if timer is not None and timer.action is not None:
            if timer.due_us <= due_us:
                return
            timer.cancel()
        self._timer = self._scheduler.at(due_us, self._step)

    def end(self) -> None:
        """Drop the thread where it stands: a crash, not a hang-up."""
        if self._timer is not None:
            self._timer.cancel()
        generator, self._generator = self._generator, None
        if generator is not None:
            generator.close()

    def _step(self) -> None:
        generator = self._generator
        if generator is None:
            return
        self._timer = None
        try:
            seconds = next(generator)
        except StopIteration:
            self._generator = None
            if self._timer is not None:
                self._timer.cancel()
            return
        if seconds is None:
            return
        due_us = self._scheduler.clock.now_us() + int(seconds * MICROSECONDS)
        # Somebody may have called wake() while the thread was running: the earlier of the two counts.
        if self._timer is None or self._timer.due_us > due_us:
            if self._timer is not None:
                self._timer.cancel()
            self._timer = self._scheduler.at(due_us, self._step)
