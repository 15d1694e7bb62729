"""The pair of connections to one FreeSWITCH: events drained into a bounded queue, commands pipelined.

Two connections because FreeSWITCH sends all queued events before a command's reply, and a slow command holds up the
events of its own connection (wire truth 8). They are made, used and ended together: one session.
"""

import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeAlias

import gevent
from gevent.event import Event as Flag

from services.shared.esl import commands
from services.shared.esl.backlog import Backlog, BacklogLimits
from services.shared.esl.commands import Command
from services.shared.esl.connection import SLICE_SECONDS, YIELD_SECONDS, Deadlines, PendingReply, Reply
from services.shared.esl.decoder import Event
from services.shared.esl.errors import ConnectionEnded, NotSent, Overloaded, Stopped
from services.shared.esl.session import Connected, Session, Target

__all__ = [
    "BacklogLimits",
    "Backoff",
    "ClientStats",
    "Connected",
    "Deadlines",
    "Disconnected",
    "EslClient",
    "Event",
    "Item",
    "PendingReply",
    "Reply",
    "Spawn",
    "Subscription",
    "Target",
]

Spawn: TypeAlias = Callable[[str, Callable[[], None]], object]
"""How the client starts its greenlet: (name, function). Pass the supervisor's; the default is gevent.spawn."""

_ALWAYS = ("HEARTBEAT", "BACKGROUND_JOB")
_OVERLOAD_CHECK_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class Subscription:
    """Which events to ask for. HEARTBEAT and BACKGROUND_JOB are added; subclasses are those of CUSTOM events."""

    events: tuple[str, ...]
    subclasses: tuple[str, ...] = ()
    form: str = "plain"

    def command(self) -> Command:
        """Build the `event` command. Raises UnsafeValue for a name that is not one."""
        return commands.subscribe(tuple(dict.fromkeys((*self.events, *_ALWAYS))), self.subclasses, form=self.form)


@dataclass(frozen=True, slots=True)
class Backoff:
    """Pauses between attempts: doubling from first to longest, each shortened by up to half at random."""

    first_seconds: float = 0.25
    longest_seconds: float = 10.0

    def pause(self, attempt: int, dice: random.Random) -> float:
        """Seconds to wait after the attempt-th failure in a row (from 0)."""
        whole = min(self.longest_seconds, self.first_seconds * 2.0 ** min(attempt, 32))
        return whole * dice.uniform(0.5, 1.0)


@dataclass(frozen=True, slots=True)
class Disconnected:
    """A session ended (`was_connected`) or an attempt to make one failed; the next try comes by itself."""

    error: ConnectionEnded
    was_connected: bool
    retry_in_seconds: float
    """0 after `stop`: there is no next try."""
    at: float
    """Unix time, seconds."""


Item: TypeAlias = Event | Connected | Disconnected


@dataclass(frozen=True, slots=True)
class ClientStats:
    """Figures for metrics; counters grow for the life of the client."""

    connected: bool
    events_received: int
    bytes_received: int
    sessions: int
    overloads: int
    queued_events: int
    queued_bytes: int
    oldest_queued_seconds: float


class EslClient:
    """See the package docstring for the contract. One consumer of `events()`; any greenlet may send commands."""

    def __init__(
        self,
        target: Target,
        subscription: Subscription,
        *,
        spawn: Spawn | None = None,
        deadlines: Deadlines | None = None,
        limits: BacklogLimits | None = None,
        backoff: Backoff | None = None,
        dice: random.Random | None = None,
    ) -> None:
        self._target = target
        self._subscribe = subscription.command()
        self._spawn = spawn or (lambda _name, function: gevent.spawn(function))
        self._deadlines = deadlines or Deadlines()
        self._backoff = backoff or Backoff()
        self._dice = dice or random.Random()  # noqa: S311  jitter, not a secret
        self._backlog: Backlog[Item] = Backlog(limits or BacklogLimits())
        self._session: Session | None = None
        self._stopping = Flag()
        self._finished = Flag()
        self._finished.set()
        self._events_received = self._bytes_received = self._sessions = self._overloads = 0

    def start(self) -> None:
        """Begin to connect in the background, once; never blocks, never raises for an absent switch."""
        self._finished.clear()
        self._spawn("esl-session", self._run)

    def stop(self, timeout: float = 5.0) -> None:
        """Close both connections; `events()` ends once what is queued has been taken."""
        self._stopping.set()
        if self._session is not None:
            self._session.end(Stopped("the client was stopped"))
        if self._finished.is_set():  # never started
            self._backlog.close()
        self._finished.wait(timeout)

    def events(self) -> Iterator[list[Item]]:
        """Batches of at most 64 items in wire order. One consumer. Lets other greenlets run about every 4 ms."""
        slice_end = time.monotonic() + SLICE_SECONDS
        while batch := self._backlog.take():
            yield batch
            if time.monotonic() > slice_end:
                gevent.sleep(YIELD_SECONDS)
                slice_end = time.monotonic() + SLICE_SECONDS

    def execute(self, command: Command, timeout: float) -> Reply:
        """Send and wait for the reply. Raises NotSent, ReplyTimeout, OutcomeUnknown."""
        return self.submit(command).get(timeout)

    def submit(self, command: Command) -> PendingReply:
        """Send without waiting; replies keep the order of the submits. Raises NotSent while disconnected."""
        return self._connected_session().submit(command)

    def bgapi(self, command: Command, timeout: float) -> Reply:
        """Send a `commands.bgapi`/`originate` and wait for its BACKGROUND_JOB. Raises like `execute`.

        A refusal of the command itself is returned as the reply. The job of a call that timed out comes by `events()`.
        """
        return self._connected_session().run_job(command, timeout)

    @property
    def stats(self) -> ClientStats:
        """A snapshot of the figures."""
        session = self._session
        return ClientStats(
            connected=session is not None and session.is_connected,
            events_received=self._events_received,
            bytes_received=self._bytes_received + (session.bytes_received if session else 0),
            sessions=self._sessions,
            overloads=self._overloads,
            queued_events=self._backlog.items,
            queued_bytes=self._backlog.bytes,
            oldest_queued_seconds=self._backlog.oldest_seconds,
        )

    def _connected_session(self) -> Session:
        session = self._session
        if session is None or not session.is_connected:
            raise NotSent(f"no session with FreeSWITCH at {self._target.host}:{self._target.port}")
        return session

    def _run(self) -> None:
        """One session after another until stopped: the client's greenlet. It raises only what is a bug of ours."""
        try:
            self._keep_a_session()
        finally:
            self._backlog.close()
            self._finished.set()

    def _keep_a_session(self) -> None:
        failures = 0
        while not self._stopping.is_set():
            began, before = time.monotonic(), self._sessions
            reason = self._live()
            was_connected = self._sessions > before
            if was_connected and time.monotonic() - began > self._backoff.longest_seconds:
                failures = 0  # it had been good; one that ends at once counts as one more failure
            self._announce_end(reason, was_connected=was_connected, failures=failures)
            failures += 1

    def _live(self) -> ConnectionEnded:
        """Make a session and wait for its end; return why it ended. Anything but a ConnectionEnded is our bug."""
        session = self._session = Session(self._target, self._deadlines, self._receive)
        try:
            connected = session.connect(self._subscribe)
            early = session.release()
            self._sessions += 1
            self._events_received += len(early)
            self._backlog.put([connected, *early], sum(event.size for event in early))
            return session.wait()
        except ConnectionEnded as reason:
            return reason
        finally:
            session.end(Stopped("the session ended"))
            self._session = None
            self._bytes_received += session.bytes_received

    def _announce_end(self, reason: ConnectionEnded, *, was_connected: bool, failures: int) -> None:
        self._overloads += isinstance(reason, Overloaded)
        pause = 0.0 if self._stopping.is_set() else self._backoff.pause(failures, self._dice)
        self._backlog.put([Disconnected(reason, was_connected, pause, time.time())], 0)
        self._stopping.wait(pause)
        while not self._stopping.is_set() and not self._backlog.has_recovered:
            self._stopping.wait(_OVERLOAD_CHECK_SECONDS)

    def _receive(self, events: list[Event]) -> bool:
        self._events_received += len(events)
        self._backlog.put(events, sum([len(event.raw) for event in events]))
        self._backlog.check()
        return self._backlog.is_behind
