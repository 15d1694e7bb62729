"""Receivers of webhooks in one process: an epoll loop that answers at once, and counts.

`python -m bench.webhooks.sink`. It prints its ports as JSON, {"good": …, "hung": …}; `GET /figures` on the good one
tells what came since the last time it was asked: the milliseconds from each event to its arrival, and how many notices
of endpoints' troubles. An event's id says when it happened: `e<nanoseconds>-…`.
"""

import json
import re
import select
import socket
import time
from contextlib import suppress

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
_AT_ONCE = False
_LENGTH = re.compile(rb"\r\nContent-Length: (\d+)\r\n", re.IGNORECASE)
_MOMENT = re.compile(rb"\r\nwebhook-id: e(\d+)-", re.IGNORECASE)


class Sink:
    """Takes whatever is posted."""

    def __init__(self) -> None:
        self.good = socket.create_server(("127.0.0.1", 0), backlog=4096)
        self.hung = socket.create_server(("127.0.0.1", 0), backlog=4096)
        self.poll = select.epoll()
        self.open: dict[int, socket.socket] = {}
        self.unread: dict[int, bytes] = {}
        self.silent: set[int] = set()
        self.lags: list[float] = []
        self.notices = 0
        for server in (self.good, self.hung):
            server.setblocking(_AT_ONCE)
            self.poll.register(server, select.EPOLLIN)

    def serve(self) -> None:
        """Serve for ever."""
        servers = {self.good.fileno(): self.good, self.hung.fileno(): self.hung}
        while True:
            for number, _ in self.poll.poll():
                if number in servers:
                    self._accept(servers[number])
                else:
                    self._read(number)

    def _accept(self, server: socket.socket) -> None:
        with suppress(BlockingIOError):
            while True:
                connection, _ = server.accept()
                connection.setblocking(_AT_ONCE)
                number = connection.fileno()
                self.open[number], self.unread[number] = connection, b""
                if server is self.hung:
                    self.silent.add(number)
                self.poll.register(number, select.EPOLLIN)

    def _read(self, number: int) -> None:
        try:
            data = self.open[number].recv(262_144)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._close(number)
        elif number not in self.silent:
            self.unread[number] = self._answer(number, self.unread[number] + data)

    def _close(self, number: int) -> None:
        self.poll.unregister(number)
        self.open.pop(number).close()
        del self.unread[number]
        self.silent.discard(number)

    def _answer(self, number: int, data: bytes) -> bytes:
        """Answer each whole request; return what is left."""
        while (end := data.find(b"\r\n\r\n")) >= 0:
            length = _LENGTH.search(data, 0, end + 2)
            whole = end + 4 + (int(length[1]) if length else 0)
            if len(data) < whole:
                break
            if data.startswith(b"GET /figures"):
                self._tell(number)
            else:
                moment = _MOMENT.search(data, 0, end + 2)
                if moment:
                    self.lags.append((time.time_ns() - int(moment[1])) / 1e6)
                else:
                    self.notices += 1
                self.open[number].send(OK)
            data = data[whole:]
        return data

    def _tell(self, number: int) -> None:
        body = json.dumps({"lags": self.lags, "notices": self.notices}).encode()
        self.lags, self.notices = [], 0
        connection = self.open[number]
        connection.setblocking(not _AT_ONCE)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))
        connection.setblocking(_AT_ONCE)


if __name__ == "__main__":
    sink = Sink()
    print(json.dumps({"good": sink.good.getsockname()[1], "hung": sink.hung.getsockname()[1]}), flush=True)
    sink.serve()
