"""The event socket's listening side: connections, delivery, and the loop that moves simulated time."""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING, Any

import gevent
from gevent.event import Event as Signal
from gevent.server import StreamServer

from local.switch import protocol
from local.switch.session import EVENT_QUEUE, Session

if TYPE_CHECKING:
    from local.switch.core import Switch

# A connection that says nothing is closed after this long.
AUTH_SECONDS = 25.0
# mod_event_socket looks at its queue every 20 ms while it waits for commands.
DELIVERY_SECONDS = 0.02
# The loop lets other greenlets run after this many appointments.
_TURN = 64
_LONGEST_SLEEP = 1.0


class Engine:
    """Moves the switch's time: keeps appointments when they are due, and can be frozen as a whole."""

    def __init__(self, switch: Switch) -> None:
        self._switch = switch
        self._woken = Signal()
        self.moving = Signal()
        self.moving.set()
        self.is_stopped = False
        switch.scheduler.on_earlier(self._woken.set)

    def run(self) -> None:
        """Keep appointments until stopped."""
        scheduler = self._switch.scheduler
        while not self.is_stopped:
            self.wait_until_moving()
            self._woken.clear()
            if scheduler.run_due(_TURN) == _TURN:
                gevent.idle()
                continue
            due_us = scheduler.next_due_us()
            wait = _LONGEST_SLEEP if due_us is None else scheduler.clock.wall_seconds_until(due_us)
            if wait > 0:
                self._woken.wait(min(wait, _LONGEST_SLEEP))

    def wait_until_moving(self) -> None:
        """Return when the switch is not frozen, or is being stopped."""
        while not self.moving.wait(_LONGEST_SLEEP) and not self.is_stopped:
            continue

    def freeze(self) -> None:
        """Stop time and every connection, as a slow reader does to the whole switch."""
        self.moving.clear()

    def thaw(self) -> None:
        """Let everything move again."""
        self.moving.set()


class EventSocketServer:
    """Accepts connections and gives each one a reader and a writer."""

    def __init__(
        self,
        switch: Switch,
        engine: Engine,
        password: str,
        *,
        speed: float = 1.0,
        event_queue: int = EVENT_QUEUE,
        delivery_seconds: float = DELIVERY_SECONDS,
        freezes: bool = True,
    ) -> None:
        self._switch = switch
        self._engine = engine
        self._password = password
        self._event_queue = event_queue
        self._usual_delivery = self._delivery_seconds = delivery_seconds / max(1.0, speed)
        self._freezes = freezes
        self._connections: set[Connection] = set()
        self.rejects_rudely = False
        self._listener: socket.socket | None = None
        self._server: StreamServer | None = None
        self.address: tuple[str, int] = ("127.0.0.1", 0)

    def listen(self, host: str, port: int) -> None:
        """Begin to accept connections; port 0 takes a free one."""
        server = StreamServer((host, port), self._serve, spawn=100_000)
        server.start()
        self._server = server
        self.address = (host, int(server.server_port))

    def stop_listening(self) -> None:
        """Refuse new connections, as a dead switch does."""
        if self._server is not None:
            self._server.stop(timeout=0)
            self._server = None

    def listen_again(self) -> None:
        """Accept connections again on the same port."""
        self.listen(*self.address)

    def connections(self) -> list[Connection]:
        """Return the open connections."""
        return list(self._connections)

    def set_delivery(self, seconds: float | None) -> None:
        """Deliver events less often on connections from now on; None is the usual rate."""
        self._delivery_seconds = self._usual_delivery if seconds is None else seconds
        for connection in self._connections:
            connection.delivery_seconds = self._delivery_seconds

    def drop_all(self, *, politely: bool = False) -> None:
        """Close every connection: with the notice, or as a dead process does."""
        for connection in self.connections():
            if politely:
                connection.session.say_goodbye(protocol.SHUTDOWN_NOTICE)
            else:
                connection.abort()

    def _serve(self, sock: Any, _address: tuple[str, int]) -> None:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self.rejects_rudely:
            sock.sendall(protocol.RUDE_REJECTION + protocol.DISCONNECT_NOTICE)
            sock.close()
            return
        connection = Connection(
            sock, self._switch, self._engine, self._password, self._event_queue, self._delivery_seconds, self._freezes
        )
        self._connections.add(connection)
        try:
            connection.serve()
        finally:
            self._connections.discard(connection)


class Connection:
    """A socket and its session."""

    def __init__(
        self,
        sock: Any,
        switch: Switch,
        engine: Engine,
        password: str,
        event_queue: int,
        delivery_seconds: float,
        freezes: bool,  # noqa: FBT001 - built in one place
    ) -> None:
        self._socket = sock
        self._switch = switch
        self._engine = engine
        self.delivery_seconds = delivery_seconds
        self._freezes = freezes
        self._something = Signal()
        self._urgent = Signal()
        self._writer: Any = None
        self._killer: Any = None
        self.session = Session(switch, password, self._notice, event_queue)

    def _notice(self, urgent: bool) -> None:  # noqa: FBT001 - the session's callback
        self._something.set()
        if urgent:
            self._urgent.set()
        if self.session.was_killed and self._killer is None:
            self._killer = gevent.spawn(self._kill)

    def _kill(self) -> None:
        """Kill a reader that is too slow: the real switch writes to the full socket while it holds its global lock.

        So everything stands still until that socket gives way: the reader closes it, or reads on.
        """
        if not self._freezes:
            self.abort()
            return
        self._engine.freeze()
        try:
            while self._writer is not None and not self._writer.ready():
                self._writer.join(timeout=_LONGEST_SLEEP)
        finally:
            self._engine.thaw()
            self.abort()

    def serve(self) -> None:
        """Read commands until the end; the writer runs beside."""
        self._switch.bus.attach(self.session)
        # The session begins with its request to authenticate.
        self._notice(urgent=True)
        writer = self._writer = gevent.spawn(self._write)
        deadline = gevent.spawn_later(AUTH_SECONDS, self._expire)
        try:
            self._read()
        finally:
            deadline.kill(block=False)
            self._switch.bus.detach(self.session)
            self.session.is_closing = True
            self._notice(urgent=True)
            writer.join(timeout=2.0)
            writer.kill(block=False)
            self._socket.close()

    def abort(self) -> None:
        """Close at once, without a word."""
        self.session.is_closing = True
        try:
            self._socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            # It is closed already.
            return

    def _expire(self) -> None:
        if not self.session.is_authenticated:
            self.session.say_goodbye()

    def _read(self) -> None:
        # An authenticated connection may be silent for days: this wait has no time-out on the real switch either.
        reader = protocol.CommandReader()
        while not self.session.is_closing:
            try:
                data = self._socket.recv(65_536)
            except OSError:
                return
            if not data:
                return
            for command in reader.feed(data):
                self._engine.wait_until_moving()
                while self.session.is_blocked and not self.session.is_closing:
                    self._something.wait(_LONGEST_SLEEP)
                self.session.execute(command)
                if self.session.is_closing:
                    break

    def _write(self) -> None:
        """Send what there is: replies at once, events with the next delivery."""
        while True:
            if not self._something.wait(_LONGEST_SLEEP):
                continue
            if self.delivery_seconds and not self._urgent.is_set():
                self._urgent.wait(self.delivery_seconds)
            self._engine.wait_until_moving()
            self._something.clear()
            self._urgent.clear()
            output = self.session.take_output()
            try:
                self._socket.sendall(output)
            except OSError:
                return
            if self.session.was_killed or self.session.is_closing:
                self._hang_up()
                return

    def _hang_up(self) -> None:
        try:
            self._socket.shutdown(socket.SHUT_WR)
        except OSError:
            return


def exit_like_kill() -> None:
    """Die at once with status 0, as `fsctl shutdown now` does (wire truth 24)."""
    os._exit(0)
