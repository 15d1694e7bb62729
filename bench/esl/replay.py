"""A switch that only replays: logs in whoever comes, and sends a burst or a steady stream to who subscribes.

Runs as its own process. In a stream, one event of fifty is a ping; the time until its answer is on our wire is kept.
"""

import argparse
import json
import select
import socket
import sys
import time
from itertools import cycle, islice

from bench.esl.corpus import frames
from bench.esl.measure import PING

STREAM_EVENTS_PER_SECOND = 5_000
STREAM_SECONDS = 6
WARM_UP_PINGS = 50
PING_EVERY = 50
TICK_SECONDS = 0.001
PATIENCE_SECONDS = 60.0
BURST_PIECE_BYTES = 1 << 20


class Guest:
    """One connection: what it said and has not finished, and what it has not taken yet."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.heard = b""
        self.owed = bytearray(b"Content-Type: auth/request\n\n")
        self.subscribed = False

    def commands(self) -> list[bytes] | None:
        """Read; return the whole commands, None at the end."""
        data = self.sock.recv(65536)
        if not data:
            return None
        *whole, self.heard = (self.heard + data).split(b"\n\n")
        return whole

    def pay(self) -> None:
        """Send as much as the socket takes."""
        while self.owed:
            try:
                with memoryview(self.owed)[:BURST_PIECE_BYTES] as piece:
                    sent = self.sock.send(piece)
            except BlockingIOError:
                return
            del self.owed[:sent]


class Replay:
    """The server's one loop over all guests."""

    def __init__(self, form: str, count: int, mode: str) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.guests: dict[socket.socket, Guest] = {}
        self.mode, self.count = mode, count
        self.source = islice(cycle(frames(form)), count)
        self.pinged: dict[bytes, float] = {}
        self.latencies: list[float] = []
        self.left = count
        self.next_tick = 0.0

    def serve(self) -> None:
        """Serve until every guest has left."""
        had_guest = False
        last_sign = time.monotonic()
        while not (had_guest and not self.guests):
            self.emit()
            readable = [self.listener, *self.guests]
            writable = [guest.sock for guest in self.guests.values() if guest.owed]
            ready, free, _ = select.select(readable, writable, [], TICK_SECONDS)
            for sock in ready:
                self.accept() if sock is self.listener else self.hear(self.guests[sock])
            for sock in free:
                if sock in self.guests:
                    self.guests[sock].pay()
            had_guest = had_guest or bool(self.guests)
            last_sign = time.monotonic() if ready or free else last_sign
            if time.monotonic() - last_sign > PATIENCE_SECONDS:
                sys.exit("nobody came, or nobody left")

    def accept(self) -> None:
        """Take a new guest in."""
        sock, _ = self.listener.accept()
        sock.settimeout(0)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.guests[sock] = Guest(sock)

    def hear(self, guest: Guest) -> None:
        """Answer what a guest says, or see it off."""
        try:
            commands = guest.commands()
        except ConnectionError:
            commands = None
        if commands is None:
            del self.guests[guest.sock]
            guest.sock.close()
            return
        for command in commands:
            self.answer(guest, command.lstrip(b"\n"))

    def answer(self, guest: Guest, command: bytes) -> None:
        """Answer one command; the answer to a ping is timed."""
        if command.startswith(b"api ping "):
            if (sent := self.pinged.pop(command[9:], None)) is not None:
                self.latencies.append(time.perf_counter() - sent)
            guest.owed += b"Content-Type: api/response\nContent-Length: 3\n\n+OK"
        elif command.startswith(b"api "):
            guest.owed += b"Content-Type: api/response\nContent-Length: 5\n\nbench"
        elif command.startswith(b"auth"):
            guest.owed += b"Content-Type: command/reply\nReply-Text: +OK accepted\n\n"
        else:
            guest.owed += b"Content-Type: command/reply\nReply-Text: +OK\n\n"
            guest.subscribed = guest.subscribed or command.startswith(b"event ")
        guest.pay()

    def emit(self) -> None:
        """Give the subscriber what is due."""
        guest = next((guest for guest in self.guests.values() if guest.subscribed), None)
        if guest is None or not self.left:
            return
        if self.mode == "burst":
            while self.left and len(guest.owed) < BURST_PIECE_BYTES:
                guest.owed += next(self.source)
                self.left -= 1
        else:
            self.stream(guest)
        guest.pay()

    def stream(self, guest: Guest) -> None:
        """Send the events that are due by now."""
        now = time.perf_counter()
        self.next_tick = self.next_tick or now
        while self.left and self.next_tick <= now:
            self.next_tick += 1 / STREAM_EVENTS_PER_SECOND
            self.left -= 1
            frame = next(self.source)
            if self.left % PING_EVERY == 0:
                key = b"%d" % self.left
                frame = _with_ping(frame, key)
                self.pinged[key] = time.perf_counter()
            guest.owed += frame


def _with_ping(frame: bytes, key: bytes) -> bytes:
    body = frame.partition(b"\n\n")[2]
    line = b"%s: %s\n" % (PING.encode(), key)
    first_line_end = body.index(b"\n") + 1
    body = body[:first_line_end] + line + body[first_line_end:]
    return b"Content-Length: %d\nContent-Type: text/event-plain\n\n%s" % (len(body), body)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("mode", choices=["burst", "stream"])
    parser.add_argument("form", choices=["plain", "json"])
    parser.add_argument("count", type=int)
    options = parser.parse_args()
    replay = Replay(options.form, options.count, options.mode)
    print(replay.listener.getsockname()[1], flush=True)
    replay.serve()
    print(json.dumps({"latencies_ms": [1e3 * seconds for seconds in replay.latencies[WARM_UP_PINGS:]]}), flush=True)


if __name__ == "__main__":
    main()
