"""One life of the pair of connections: made together, used together, ended together."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

import gevent
from gevent.event import AsyncResult
from gevent.event import Event as Flag

from services.shared.esl import commands
from services.shared.esl.commands import Command
from services.shared.esl.connection import Connection, Deadlines, PendingReply, Reply
from services.shared.esl.decoder import Event
from services.shared.esl.errors import ConnectFailed, ConnectionEnded, NotSent, OutcomeUnknown, ReplyTimeout

_LAST_EVENTS_SECONDS = 1.0
"""When the command connection ends first, so long the events that FreeSWITCH sent before are still read."""


@dataclass(frozen=True, slots=True)
class Target:
    """Where FreeSWITCH listens. `host` may be a name, an IPv4 or an IPv6 address."""

    host: str
    port: int
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Connected:
    """Both connections are up and subscribed; every event after this item belongs to this session."""

    core_uuid: str
    """FreeSWITCH's run: another one than before means that it restarted and every leg is gone."""
    version: str
    at: float
    """Unix time, seconds."""


class Session:
    """The connection for events, the connection for commands, and the background jobs that span both.

    `sink` gets the events in order, without the answers to our own jobs; it may raise a ConnectionEnded. It returns
    True when the reader should let others run.
    """

    def __init__(self, target: Target, deadlines: Deadlines, sink: Callable[[list[Event]], bool]) -> None:
        self._sink = sink
        self._deadlines = deadlines
        self._reason: AsyncResult = AsyncResult()
        self._events_ended = Flag()
        self._jobs: dict[str, AsyncResult] = {}
        self._early: list[Event] | None = []
        self._events = Connection(
            target.host,
            target.port,
            target.password,
            deadlines=deadlines,
            on_events=self._receive,
            on_end=self._events_end,
        )
        self._commands = Connection(
            target.host, target.port, target.password, deadlines=deadlines, on_end=self._commands_end
        )

    @property
    def is_connected(self) -> bool:
        """Whether commands can be sent and events come."""
        return self._early is None and not self._reason.ready()

    @property
    def bytes_received(self) -> int:
        """Bytes read on both connections."""
        return int(self._events.bytes_received + self._commands.bytes_received)

    def connect(self, subscribe: Command) -> Connected:
        """Connect both, learn who is there, subscribe. Events are held back until `release`. Raises ConnectionEnded."""
        self._events.connect()
        self._commands.connect()
        core_uuid = self._ask(self._commands, commands.api("global_getvar", "core_uuid"))
        version = self._ask(self._commands, commands.api("version"))
        self._ask(self._events, subscribe)
        return Connected(core_uuid, version, time.time())

    def release(self) -> list[Event]:
        """Return the events that came before anybody could know of the session; later ones go to the sink."""
        early, self._early = self._early or [], None
        return early

    def wait(self) -> ConnectionEnded:
        """Wait, for as long as the session lives, until it ends; return why. Raises what was a bug of ours."""
        reason = self._reason.get()
        if not isinstance(reason, ConnectionEnded):
            raise reason
        if not self._events_ended.is_set():
            self._events_ended.wait(_LAST_EVENTS_SECONDS)
        return reason

    def end(self, reason: ConnectionEnded) -> None:
        """Close both connections and fail what waits. Ending twice does nothing."""
        self._reason_is(reason)
        self._events.stop(reason)
        self._commands.stop(reason)
        for waiting in self._jobs.values():
            waiting.set_exception(OutcomeUnknown(f"the session ended before the job did: {reason}"))
        self._jobs.clear()

    def submit(self, command: Command) -> PendingReply:
        """Send a command without waiting for its reply."""
        return self._commands.submit(command)

    def run_job(self, command: Command, timeout: float) -> Reply:
        """Send a `bgapi` command and wait for its BACKGROUND_JOB, both within the time-out."""
        job_id = commands.job_id_of(command)
        if not job_id:
            raise ValueError("not a bgapi command")
        waiting = self._jobs[job_id] = AsyncResult()
        try:
            with gevent.Timeout(timeout, ReplyTimeout(f"no BACKGROUND_JOB within {timeout:g} s")):
                reply = self.submit(command).get(timeout)
                return Reply(waiting.get()) if reply.ok else reply
        finally:
            self._jobs.pop(job_id, None)

    def _ask(self, connection: Connection, command: Command) -> str:
        try:
            reply = connection.submit(command).get(self._deadlines.reply)
        except (NotSent, OutcomeUnknown) as error:
            raise ConnectFailed(f"the session ended while it began: {error}") from error
        if not reply.ok:
            raise ConnectFailed(f"FreeSWITCH refused {command.split()[0].decode()!r}: {reply.text.strip()}")
        return reply.text.strip()

    def _receive(self, events: list[Event]) -> bool:
        rest = [event for event in events if not self._is_answer(event)] if self._jobs else events
        if self._early is not None:
            self._early += rest
            return False
        return self._sink(rest)

    def _is_answer(self, event: Event) -> bool:
        if event.name != "BACKGROUND_JOB":
            return False
        waiting = self._jobs.pop(event.get("Job-UUID"), None)
        if waiting is not None:
            waiting.set(event.body)
        return waiting is not None

    def _events_end(self, reason: BaseException) -> None:
        self._events_ended.set()
        self._reason_is(reason)

    def _commands_end(self, reason: BaseException) -> None:
        self._reason_is(reason)

    def _reason_is(self, reason: BaseException) -> None:
        if not self._reason.ready():
            self._reason.set(reason)
