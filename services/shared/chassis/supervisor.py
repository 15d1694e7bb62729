import os
import signal
import sys
from collections.abc import Callable
from typing import Any, NoReturn

import gevent
import structlog
from gevent.event import Event

from services.shared.chassis.heap import Heap

EXIT_STOPPED = 0
EXIT_DIED = 1
STOP_SECONDS = 10.0
LEAD_SECONDS = 2.0
LAST_SECONDS = 2.0

log = structlog.get_logger()


class Supervisor:
    """Runs a service's greenlets. They have names; when one dies the process ends: half a service is worse than none.

    `asked` is set on SIGTERM, on SIGINT or by `stop`. Then what was given to `before_stop` is called, while everything
    works on as ever. `stopping` is set after it; each greenlet watches it and returns by itself. When all have, `ended`
    is set, which those watch that were spawned to be last: who asks meanwhile hears that it stops. What
    still runs STOP_SECONDS after the stop is killed, LAST_SECONDS later also the last ones.
    """

    def __init__(self) -> None:
        self.asked = Event()
        self.stopping = Event()
        self.ended = Event()
        self._last: set[Any] = set()
        self._leads: list[Callable[[], object]] = []
        self._done = Event()
        self._greenlets: dict[Any, str] = {}
        self._exit_code = EXIT_STOPPED

    def spawn(self, name: str, function: Callable[..., object], *args: object) -> Any:
        """Start `function` under a name. Its return before `stop` counts as a death, as does an exception."""
        greenlet = gevent.spawn(function, *args)
        greenlet.name = name
        self._greenlets[greenlet] = name
        greenlet.link(self._ended)
        return greenlet

    def spawn_last(self, name: str, function: Callable[..., object], *args: object) -> Any:
        """Start `function` as `spawn` does, to go on while the others end: it watches `ended`, not `stopping`."""
        greenlet = self.spawn(name, function, *args)
        self._last.add(greenlet)
        return greenlet

    def spawn_task(self, name: str, function: Callable[..., object], *args: object) -> Any:
        """Start something that ends by itself: its return is no death, an exception is."""
        greenlet = gevent.spawn(function, *args)
        greenlet.name = name
        self._greenlets[greenlet] = name
        greenlet.link_exception(self._ended)
        greenlet.link_value(lambda ended: self._greenlets.pop(ended, None))
        return greenlet

    def before_stop(self, function: Callable[[], object]) -> None:
        """Have `function` called when the process is asked to stop, before its greenlets are; LEAD_SECONDS at most."""
        self._leads.append(function)

    def stop(self) -> None:
        """Ask every greenlet to end."""
        self.asked.set()
        if not self._leads:
            self.stopping.set()
        self._done.set()

    def run(self) -> int:
        """Wait until stopped or until a greenlet dies; return the process's exit code."""
        for number in (signal.SIGTERM, signal.SIGINT):
            gevent.signal_handler(number, self.stop)
        self.spawn("heap", Heap().run, self.stopping)
        self._done.wait()
        self._lead()
        self.end()
        return self._exit_code

    def end(self) -> None:
        """End every greenlet, those that are last behind the others; `run` does it."""
        self.stopping.set()
        gevent.joinall([one for one in self._greenlets if one not in self._last], timeout=STOP_SECONDS)
        self.ended.set()
        gevent.joinall(list(self._last), timeout=LAST_SECONDS)
        gevent.killall(list(self._greenlets), timeout=1.0)

    def _lead(self) -> None:
        if not self.asked.is_set():
            return  # a part has died: the others are in no state to prepare anything
        leads = [gevent.spawn(function) for function in self._leads]
        gevent.joinall(leads, timeout=LEAD_SECONDS)
        gevent.killall(leads, block=False)

    def _ended(self, greenlet: Any) -> None:
        name = self._greenlets.pop(greenlet, "?")
        if self.stopping.is_set():
            return
        reason = repr(greenlet.exception) if greenlet.exception else "returned"
        log.error("greenlet_died", greenlet=name, reason=reason)
        self._exit_code = EXIT_DIED
        self._done.set()


def leave(exit_code: int) -> NoReturn:
    """End the process now: everything has been told to stop, and what still runs has been killed.

    An ordinary exit would finalise kafka-python's half-run coroutines after gevent's hub is gone, and each of them
    writes a traceback that looks like a fault to whoever reads the log.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(exit_code)
