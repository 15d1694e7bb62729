"""When commands may be sent: while a session with FreeSWITCH is up and reconciled."""

from dataclasses import dataclass

import gevent
from gevent.event import Event as Flag

from services.shared.chassis.clock import Clock

CHECK_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class Gate:
    """Opened and closed by the pump, waited for by commands."""

    ready: Flag
    stopping: Flag
    clock: Clock

    def wait(self, deadline_ms: int) -> bool:
        """Wait until it is open; False when the deadline passes first (0 = none).

        Ends the greenlet when the listener stops: a command that was not begun comes again in the next life.
        """
        while not self.ready.is_set():
            self.must_be_needed()
            if self.is_late(deadline_ms):
                return False
            self.ready.wait(CHECK_SECONDS)
        return True

    def is_late(self, deadline_ms: int) -> bool:
        """Whether a deadline has passed; 0 is none."""
        return bool(deadline_ms) and self.clock.now_ms() > deadline_ms

    def pause(self) -> None:
        """Wait a moment before another try.

        A stopping listener's session may be gone before the pump says so: whoever tried again at once would let nobody
        else run.
        """
        self.stopping.wait(CHECK_SECONDS)
        self.must_be_needed()

    def must_be_needed(self) -> None:
        """End the greenlet when the listener stops."""
        if self.stopping.is_set():
            raise gevent.GreenletExit
