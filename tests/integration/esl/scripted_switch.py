"""A few lines of FreeSWITCH on a real loopback socket, doing exactly what a test tells it to."""

import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gevent
from gevent.server import StreamServer

PASSWORD = "ClueCon"
GOODBYE = (
    b"Content-Type: text/disconnect-notice\nContent-Length: 67\n\n"
    b"Disconnected, goodbye.\nSee you at ClueCon! http://www.cluecon.com/\n"
)
Answer = Callable[["Guest", bytes], bytes | None]


def command_reply(text: str) -> bytes:
    return f"Content-Type: command/reply\nReply-Text: {text}\n\n".encode()


def api_response(text: str) -> bytes:
    return f"Content-Type: api/response\nContent-Length: {len(text.encode())}\n\n{text}".encode()


def plain_event(name: str, body: str = "", **headers: str) -> bytes:
    lines = "".join(f"{key.replace('_', '-')}: {value}\n" for key, value in headers.items())
    length = f"Content-Length: {len(body)}\n" if body else ""
    event = f"Event-Name: {name}\n{lines}{length}\n{body}"
    return f"Content-Length: {len(event)}\nContent-Type: text/event-plain\n\n{event}".encode()


class Guest:
    """One connection to the scripted switch."""

    def __init__(self, sock: Any) -> None:
        self.sock = sock
        self.commands: list[bytes] = []
        self.is_gone = False

    @property
    def is_subscribed(self) -> bool:
        return any(command.startswith(b"event ") for command in self.commands)


class ScriptedSwitch:
    """Answers like FreeSWITCH unless `answers` (by the beginning of the command) says otherwise."""

    def __init__(self, host: str = "127.0.0.1", password: str = PASSWORD) -> None:
        self.password = password
        self.core_uuid = "core-1"
        self.greeting: bytes | None = b"Content-Type: auth/request\n\n"
        self.answers: dict[bytes, Answer] = {}
        self.guests: list[Guest] = []
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self.server = StreamServer(_listener(host, family), self._serve)
        self.server.start()
        self.host, self.port = host, self.server.server_port

    def _serve(self, sock: Any, _address: object) -> None:
        guest = Guest(sock)
        self.guests.append(guest)
        heard = b""
        try:
            if self.greeting is not None:
                sock.sendall(self.greeting)
            while data := sock.recv(65536):
                *whole, heard = (heard + data).split(b"\n\n")
                for command in whole:
                    guest.commands.append(command)
                    answer = self._answer(guest, command)
                    if answer:
                        sock.sendall(answer)
        except OSError:
            pass
        finally:
            guest.is_gone = True
            sock.close()

    def _answer(self, guest: Guest, command: bytes) -> bytes | None:
        for beginning, answer in self.answers.items():
            if command.startswith(beginning):
                return answer(guest, command)
        if command.startswith(b"auth "):
            right = command == b"auth " + self.password.encode()
            return command_reply("+OK accepted") if right else command_reply("-ERR invalid") + GOODBYE
        if command.startswith(b"api global_getvar core_uuid"):
            return api_response(self.core_uuid)
        if command.startswith(b"api "):
            return api_response(command[4:].decode())
        return command_reply("+OK " + command.split(b"\n")[0].decode())

    @property
    def subscriber(self) -> Guest:
        """The living connection that gets events."""
        return next(guest for guest in self.guests if guest.is_subscribed and not guest.is_gone)

    @property
    def commander(self) -> Guest:
        """The living connection that gives commands."""
        return next(guest for guest in self.guests if not guest.is_subscribed and not guest.is_gone)

    def emit(self, data: bytes) -> None:
        self.subscriber.sock.sendall(data)

    def drop_everybody(self) -> None:
        """Close every connection, as a killed FreeSWITCH does."""
        for guest in self.guests:
            if not guest.is_gone:
                guest.sock.shutdown(socket.SHUT_RDWR)
        eventually(lambda: all(guest.is_gone for guest in self.guests))

    def close(self) -> None:
        self.server.stop(timeout=1)


def _listener(host: str, family: int) -> Any:
    listener = gevent.socket.socket(family, socket.SOCK_STREAM)
    listener.bind((host, 0))
    listener.listen(16)
    return listener


def eventually(condition: Callable[[], object], seconds: float = 60.0) -> None:
    """Wait for a condition, letting others run; fail when it does not come."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come true"
        gevent.sleep(0.002)


def open_sockets() -> int:
    """How many sockets this process holds."""
    count = 0
    for descriptor in Path("/proc/self/fd").iterdir():
        try:
            count += str(descriptor.readlink()).startswith("socket:")
        except FileNotFoundError:
            continue
    return count
