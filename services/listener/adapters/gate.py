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
            if self.stopping.is_set():
                raise gevent.GreenletExit
            if deadline_ms and self.clock.now_ms() > deadline_ms:
                return False
            self.ready.wait(CHECK_SECONDS)
        return True

    def pause(self) -> None:
        """Wait a moment before another try; end the greenlet when the listener stops, as `wait` does.

        The session may be gone before the pump says so: whoever tries again without a wait then lets nobody else run.
        """
        if self.stopping.wait(CHECK_SECONDS):
            raise gevent.GreenletExit
