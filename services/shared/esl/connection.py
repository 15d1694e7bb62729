"""One authenticated connection to FreeSWITCH's event socket.

greenswitch's InboundESL stays the base (its constructor, its fields, its names); its read loop, dispatch and waits are
replaced. Every wait here has a deadline, replies keep the order of their commands, and the end comes exactly once.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic

import gevent
from gevent import socket
from gevent.event import AsyncResult
from greenswitch import InboundESL

from services.shared.esl import commands
from services.shared.esl.commands import Command
from services.shared.esl.decoder import Decoder, Event, Frame, Kind
from services.shared.esl.errors import (
    AccessDenied,
    ConnectFailed,
    ConnectionEnded,
    ConnectionLost,
    ConnectionSilent,
    NotSent,
    OutcomeUnknown,
    ProtocolError,
    ReplyTimeout,
    Stopped,
    SwitchShutDown,
    WrongPassword,
)

RECEIVE_BYTES = 128 * 1024
SLICE_SECONDS = 0.004
"""How long the reader keeps the hub to itself while data is there; measured pauses of others stay under 15 ms."""

YIELD_SECONDS = 1e-6
"""A timer of one turn of the hub. Not `gevent.idle()`, which waits until nobody else wants to run: beside one greenlet
that spins on `sleep(0)` it never returns, and a reader that stops reading freezes the switch."""

MAX_PENDING = 10_000
"""Commands written and not answered; FreeSWITCH answers some 14,000 a second, so this many means it answers none."""

_PROBE = commands.api("global_getvar", "core_uuid")
_REFUSALS = ("-ERR", "-USAGE")


@dataclass(frozen=True, slots=True)
class Deadlines:
    """The longest of every wait on a connection, in seconds."""

    connect: float = 5.0
    """Name look-up and TCP together, and again for FreeSWITCH's auth/request."""
    reply: float = 5.0
    """A reply during the hand-shake, and the answer to a probe."""
    send: float = 5.0
    """Writing one batch of commands into the socket."""
    silence: float = 20.0
    """Without a byte for so long the connection is probed; HEARTBEAT comes every 20 s by FreeSWITCH's default."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What FreeSWITCH answered: the Reply-Text of a command, or the body of an api or background job."""

    text: str

    @property
    def ok(self) -> bool:
        """False when FreeSWITCH says -ERR or -USAGE. `+OK` to sendmsg means queued only."""
        return not self.text.startswith(_REFUSALS)


class PendingReply:
    """A command on its way. Its outcome is set once: by the reply, or by the end of the connection."""

    __slots__ = ("_outcome", "_withdraw", "sent")

    def __init__(self, withdraw: Callable[["PendingReply"], None]) -> None:
        self._outcome: AsyncResult = AsyncResult()
        self._withdraw = withdraw
        self.sent = False
        """Whether a byte of it may have reached the wire."""

    def get(self, timeout: float) -> Reply:
        """Wait for the reply. Raises NotSent, ReplyTimeout or OutcomeUnknown."""
        try:
            with gevent.Timeout(timeout, ReplyTimeout(f"no reply within {timeout:g} s")):
                frame: Frame = self._outcome.get()
        except ReplyTimeout:
            if self.sent:
                raise
            self._withdraw(self)
            error = NotSent(f"not written within {timeout:g} s; withdrawn")
            self._outcome.set_exception(error)
            raise error from None
        return Reply(frame.text)

    def settle(self, frame: Frame) -> None:
        """Take the reply."""
        self._outcome.set(frame)

    def fail(self, reason: BaseException) -> None:
        """Take the end of the connection."""
        error = OutcomeUnknown if self.sent else NotSent
        self._outcome.set_exception(error(f"the connection ended: {reason}"))


class Connection(InboundESL):  # type: ignore[misc]  # greenswitch is untyped
    """A connection that is made once, used, and ends once.

    `on_events` is called by the reader with the events of one read, in order; it may only enqueue, and returns True
    when the reader should let others run at once. Raising a ConnectionEnded there closes the connection. `on_end` is
    called exactly once after a successful `connect`, with the reason (not a ConnectionEnded only if we have a bug).
    greenswitch's `register_handle` has no effect here.
    """

    def __init__(
        self,
        host: str,
        port: int,
        password: str,
        *,
        deadlines: Deadlines | None = None,
        on_events: Callable[[list[Event]], bool] = lambda _events: False,
        on_end: Callable[[BaseException], None] = lambda _reason: None,
    ) -> None:
        self.deadlines = deadlines or Deadlines()
        super().__init__(host, port, password, timeout=self.deadlines.connect)
        self.bytes_received = 0
        self.unknown_frames = 0
        self._on_events = on_events
        self._on_end = on_end
        self._established = False
        self._end_reason: BaseException | None = None
        self._pending: deque[PendingReply] = deque()
        self._outbox: deque[tuple[PendingReply, Command]] = deque()
        self._is_writing = False
        self._probe: PendingReply | None = None
        self.sock: socket.socket | None = None

    def connect(self) -> None:
        """Connect and log in. Raises ConnectFailed (AccessDenied, WrongPassword); nothing is left open then."""
        try:
            self._open()
            self._wait_for_auth_request()
            self.authenticate()
        except ConnectFailed as error:
            self._end(error)
            raise
        except (ConnectionEnded, NotSent, OutcomeUnknown) as error:
            reason = self._end_reason if isinstance(self._end_reason, ConnectFailed) else None
            failure = reason or ConnectFailed(f"{self._name}: {self._end_reason or error}")
            self._end(failure)
            raise failure from error
        except BaseException:
            self._end(Stopped("connecting was interrupted"))
            raise
        self._established = True

    def authenticate(self) -> None:
        """Log in; greenswitch calls it from `connect`."""
        reply = self.submit(commands.auth(self.password)).get(self.deadlines.reply)
        if not reply.text.startswith("+OK"):
            raise WrongPassword(f"{self._name} refused the event-socket password")
        if self._end_reason is not None:  # good-bye came in the same breath
            raise ConnectFailed(f"{self._name}: {self._end_reason}")

    def submit(self, command: Command) -> PendingReply:
        """Write a command without waiting for its reply. Raises NotSent when the connection is down."""
        if not self.connected:
            raise NotSent(f"{self._name} is not connected")
        if len(self._pending) >= MAX_PENDING:
            raise NotSent(f"{MAX_PENDING} commands wait for {self._name} already")
        pending = PendingReply(self._withdraw)
        self._pending.append(pending)
        self._outbox.append((pending, command))
        self._flush()
        return pending

    def send(self, data: Command) -> Reply:
        """Write a command and wait for its reply, within the reply deadline."""
        return self.submit(data).get(self.deadlines.reply)

    def stop(self, reason: ConnectionEnded | None = None) -> None:
        """Close at once; pending commands fail, `on_end` is called if it has not been."""
        self._end(reason or Stopped("stopped by us"))

    @property
    def _name(self) -> str:
        return f"FreeSWITCH at {self.host}:{self.port}"

    def _open(self) -> None:
        """Open the socket, IPv4 or IPv6 as the name resolves, and start the reader."""
        limit = self.deadlines.connect
        too_late = ConnectFailed(f"{self._name} did not accept within {limit:g} s")
        try:
            with gevent.Timeout(limit, too_late):
                self.sock = socket.create_connection((self.host, self.port))
        except OSError as error:
            raise ConnectFailed(f"{self._name}: {error.strerror or error}") from error
        if self._end_reason is not None:  # stopped while connecting
            self.sock.close()
            raise ConnectFailed(f"{self._name}: {self._end_reason}")
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock.settimeout(self.deadlines.silence)
        self.connected = True
        self.start_event_handlers()

    def start_event_handlers(self) -> None:
        """Start the reader; events are handed over by it, so there is no second greenlet as greenswitch has."""
        self._receive_events_greenlet = gevent.spawn(self.receive_events)
        self._receive_events_greenlet.link_exception(lambda reader: self._end(reader.exception))

    def _wait_for_auth_request(self) -> None:
        if not self._auth_request_event.wait(self.deadlines.connect):
            raise ConnectFailed(f"{self._name} sent no auth/request within {self.deadlines.connect:g} s")
        if not self.connected:
            raise NotSent("ended before the hand-shake")  # connect() says why

    def receive_events(self) -> None:
        """Read until the connection ends: the reader greenlet."""
        try:
            self._read()
        except ConnectionEnded as reason:
            self._end(reason)
        except OSError as error:
            self._end(ConnectionLost(f"{self._name}: {error.strerror or error}"))
        except gevent.GreenletExit:
            self._end(Stopped("the reader was stopped"))
            raise

    def _read(self) -> None:
        decoder = Decoder()
        slice_end = monotonic() + SLICE_SECONDS
        while data := self._receive():
            self.bytes_received += len(data)
            frames = decoder.feed(data)
            events = [frame for frame in frames if not isinstance(frame, Frame)]
            is_behind = bool(events) and self._on_events(events)
            if len(events) != len(frames):  # after the events: one of these may be the good-bye that ends all
                for frame in frames:
                    if isinstance(frame, Frame):
                        self.handle_event(frame)
            if is_behind or monotonic() > slice_end:
                gevent.sleep(YIELD_SECONDS)
                slice_end = monotonic() + SLICE_SECONDS
        raise ConnectionLost(f"{self._name} closed the connection")

    def _receive(self) -> bytes:
        """Return what has come, b"" at the end of the stream. Silence is probed; an unanswered probe ends it."""
        while self.sock is not None and self._end_reason is None:
            try:
                data: bytes = self.sock.recv(RECEIVE_BYTES)
            except TimeoutError:
                self._probe_silence()
                continue
            if self._probe is not None:
                self._probe = None
                self.sock.settimeout(self.deadlines.silence)
            return data
        return b""

    def _probe_silence(self) -> None:
        if self._probe is not None or not self._established or self.sock is None:
            raise ConnectionSilent(f"{self._name} has been silent for {self.deadlines.silence:g} s, and did not answer")
        self.sock.settimeout(self.deadlines.reply)
        try:
            self._probe = self.submit(_PROBE)
        except NotSent as error:
            raise ConnectionSilent(f"{self._name} is silent, and {error}") from error

    def handle_event(self, frame: Frame) -> None:
        """Act on a frame that is not an event; greenswitch's dispatch, replaced."""
        match frame.kind:
            case Kind.COMMAND_REPLY | Kind.API_RESPONSE:
                if not self._pending:
                    raise ProtocolError(f"{self._name} answered a command that was not sent")
                self._pending.popleft().settle(frame)
            case Kind.AUTH_REQUEST:
                self._auth_request_event.set()
            case Kind.RUDE_REJECTION:
                raise AccessDenied(f"{self._name} turned our address away: {frame.text.strip()}")
            case Kind.DISCONNECT_NOTICE if frame.header("Content-Disposition") != "linger":
                raise SwitchShutDown(f"{self._name} says: {frame.text.partition(chr(10))[0]}")
            case Kind.UNKNOWN:
                self.unknown_frames += 1

    def _flush(self) -> None:
        """Write what is queued. The first submitter writes for those who come meanwhile, so no lock is held."""
        if self._is_writing:
            return
        self._is_writing = True
        try:
            while self._outbox and self.connected:
                batch = list(self._outbox)
                self._outbox.clear()
                for pending, _ in batch:
                    pending.sent = True
                self._write(b"".join(command for _, command in batch))
        except OSError as error:
            self._end(ConnectionLost(f"{self._name}: could not write: {error.strerror or error}"))
        except BaseException:
            self._end(ConnectionLost("writing was interrupted, half a command may be on the wire"))
            raise
        finally:
            self._is_writing = False

    def _write(self, data: bytes) -> None:
        limit = self.deadlines.send  # by a Timeout, because gevent's `send` takes a timeout and does not use it
        rest = memoryview(data)
        with gevent.Timeout(limit, TimeoutError(f"not taken within {limit:g} s")):
            while rest and self.sock is not None:
                rest = rest[self.sock.send(rest) :]

    def _withdraw(self, pending: PendingReply) -> None:
        """Forget a command that was not written yet."""
        self._pending.remove(pending)
        self._outbox = deque(entry for entry in self._outbox if entry[0] is not pending)

    def _end(self, reason: BaseException) -> None:
        """End once: wake everybody who waits, close the socket, call back."""
        if self._end_reason is not None:
            return
        self._end_reason = reason
        self._run = self.connected = False
        if self.sock is not None:
            self.sock.close()
        while self._pending:
            self._pending.popleft().fail(reason)
        self._outbox.clear()
        self._auth_request_event.set()
        if self._established:
            self._on_end(reason)
