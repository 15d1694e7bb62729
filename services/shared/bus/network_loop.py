"""kafka-python's event loop without a detour through a selector: tasks are woken by gevent's hub itself.

The library's loop looks at its sockets before every step of a task, asks whether a socket may be written before each
write, and tells its own greenlets of work by a byte through a pair of sockets. Under gevent each of these is a turn of
the hub: a request took six of them, a third of the processor time of listener and router at 50 calls/s (py-spy), and
others' work came between. Here what is ready runs at once, a socket is only waited for when it is full or empty, and
waking somebody is a callback. Everything that makes a client safe stays the library's: connections, time-outs, tasks.

What is private to kafka-python 3.0.12 and used here is guarded by tests/contract/test_network_loop.py, which holds this
loop and the library's own to one suite.
"""

import selectors
from select import POLLOUT
from time import monotonic
from typing import Any
from weakref import WeakKeyDictionary

import structlog
from gevent import get_hub, getcurrent
from gevent.event import Event
from gevent.hub import Waiter
from gevent.monkey import get_original, is_module_patched
from kafka.future import Future
from kafka.net.selector import KernelEvent, NetworkSelector, TaskState

log = structlog.get_logger()

_READ, _WRITE = 1, 2
"""libev's bits for a watcher."""
MOST_ROUNDS = 8
"""So many steps of ready tasks without a look at anybody else's work; a request needs three."""
_ENDED = (TaskState.DONE, TaskState.CANCELLED)
_poll = get_original("select", "poll")


def fits_here() -> bool:
    """Whether threads are greenlets of one hub here; elsewhere the library's own loop has to do."""
    return bool(is_module_patched("threading"))


class NetworkLoop(NetworkSelector):  # type: ignore[misc]  # kafka-python ships no types
    """One per client. All its threads must be greenlets of the hub that made it."""

    def __init__(self, **configs: Any) -> None:
        super().__init__(**configs)
        self._hub = get_hub()
        self._poll_owner: Any = None
        self._readers: WeakKeyDictionary[Any, Any] = WeakKeyDictionary()
        self._writers: dict[Any, Any] = {}
        self._resting: Any = None
        self._is_woken = False
        self._rounds = 0

    # -- waking ------------------------------------------------------------------------------------------------------

    def wakeup(self) -> None:
        """End the rest, or the next one before it begins."""
        waiter, self._resting = self._resting, None
        if waiter is None:
            self._is_woken = True
        else:
            self._hub.loop.run_callback(waiter.switch, None)

    def run(self, coro: Any, *args: Any) -> Any:
        """Let the loop's greenlet run a coroutine, and wait for what it returns or raises."""
        if self._closed or self._exception or self._io_thread is None or self._is_in_loop():
            return super().run(coro, *args)  # says what is wrong, or drives the loop here
        done, ended = Event(), {"exception": None}
        self._pending_waiters[done] = ended  # the end of the loop ends this wait too, and says why
        future = self.call_soon_with_future(coro, *args)
        future.add_both(lambda _: done.set())
        try:
            done.wait()
        finally:
            self._pending_waiters.pop(done, None)
        error = ended["exception"] or future.exception
        if error is not None:
            raise error
        return future.value

    def _is_in_loop(self) -> bool:
        return self._poll_owner is getcurrent()

    # -- waiting for sockets -----------------------------------------------------------------------------------------

    def _wait_read(self, fileobj: Any, timeout_at: float | None = None) -> None:
        super()._wait_read(fileobj, timeout_at or getattr(fileobj, "handshake_ends", None))

    def _wait_write(self, fileobj: Any, timeout_at: float | None = None) -> None:
        if _is_writable(fileobj):
            self._add_ready_task(self._current)
        else:
            super()._wait_write(fileobj, timeout_at)

    def register_event(self, fileobj: Any, event: int, task: Any) -> None:
        """Let a task run once when a socket can be read (or written)."""
        if event & selectors.EVENT_READ:
            watcher = self._readers.get(fileobj)
            if watcher is not None and watcher.active:
                raise RuntimeError(f"two tasks read {fileobj}")
            if watcher is None:
                watcher = self._readers[fileobj] = self._hub.loop.io(fileobj.fileno(), _READ)
        else:
            watcher = self._writers[fileobj] = self._hub.loop.io(fileobj.fileno(), _WRITE)
        watcher.start(self._became_ready, watcher, task)

    def unregister_event(self, fileobj: Any, event: int) -> None:
        """Wait for a socket no more. With both events it is about to be closed, and nothing of it is kept."""
        if event & selectors.EVENT_WRITE:
            _let_go(self._writers.pop(fileobj, None))
            if event & selectors.EVENT_READ:
                _let_go(self._readers.pop(fileobj, None))
        elif fileobj in self._readers:
            self._readers[fileobj].stop()

    def _became_ready(self, watcher: Any, task: Any) -> None:
        """Run in the hub: a watcher fires as long as nobody reads, so it is stopped until it is wanted again."""
        watcher.stop()
        self._add_ready_task(task)
        if self._resting is not None:
            self._resting.switch(None)

    # -- running -----------------------------------------------------------------------------------------------------

    def _poll_once(self, timeout: float | None = None) -> None:
        """Run what is ready, or wait until something is: at most `timeout` seconds, without end for None."""
        if self._poll_owner is not None:
            raise RuntimeError("kafka-python's loop runs in another greenlet already")
        self._poll_owner = getcurrent()
        try:
            if not self._ready:
                self._rest(self._patience(timeout))
            elif self._rounds >= MOST_ROUNDS:
                self._rest(0.0)
            self._schedule_tasks()
            while self._ready and self._rounds < MOST_ROUNDS:
                self._rounds += 1
                self._run_ready()
        finally:
            self._poll_owner = None

    def _patience(self, timeout: float | None) -> float | None:
        if not self._scheduled:
            return timeout
        until_next: float = max(0.0, self._scheduled[0][0] - monotonic())
        return until_next if timeout is None else min(timeout, until_next)

    def _rest(self, seconds: float | None) -> None:
        """Let others work until a task is ready, somebody wakes us, or the time is over."""
        was_woken, self._is_woken = self._is_woken, False
        if was_woken and self._rounds < MOST_ROUNDS:
            self._rounds += 1
            return
        self._rounds = 0
        waiter = self._resting = Waiter(self._hub)
        timer = None if seconds is None else self._hub.loop.timer(max(0.0, seconds))
        if timer is not None:
            timer.start(waiter.switch, None)
        try:
            waiter.get()
        finally:
            self._resting = None
            if timer is not None:
                timer.stop()
                timer.close()

    def _run_ready(self) -> None:
        """Let each task that is ready take one step."""
        for _ in range(len(self._ready)):
            task = self._current = self._ready.popleft()
            if task.state in _ENDED:
                continue
            task.state = TaskState.RUNNING
            try:
                wanted = task()
            except StopIteration:
                self._task_done(task)
            except Exception:
                log.exception("kafka_task_failed", task=str(task))
                self._task_done(task)
            else:
                self._park(task, wanted)
        self._current = None

    def _park(self, task: Any, wanted: Any) -> None:
        """Put a task where what it waits for will find it."""
        if task.state is TaskState.CANCELLED:  # it cancelled itself
            self._pending_tasks.discard(task)
            task.close()
        elif isinstance(wanted, KernelEvent):
            try:
                getattr(self, wanted.method)(*wanted.args)
            except Exception as error:  # noqa: BLE001 - the task that asked gets it
                task.inject_exc(error)
                self._add_ready_task(task)
        elif isinstance(wanted, Future):
            task.state = TaskState.WAIT_FUTURE
            wanted.add_both(lambda _: self.call_soon(task))
        else:
            raise TypeError(f"a task of kafka-python waits for {wanted!r}")

    def close(self) -> None:
        """End the loop's greenlet and everything that waits."""
        super().close()
        for watchers in (self._readers, self._writers):
            for watcher in list(watchers.values()):
                _let_go(watcher)
            watchers.clear()


def _let_go(watcher: Any) -> None:
    if watcher is not None:
        watcher.stop()
        watcher.close()


def _is_writable(fileobj: Any) -> bool:
    """Whether a socket takes bytes at once; so it is nearly always. Costs one system call."""
    poll = _poll()
    poll.register(fileobj, POLLOUT)
    return bool(poll.poll(0))
