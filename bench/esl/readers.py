"""Our reader, the peer that ours is built on, and the limits: each is run in a process of its own.

`python -m bench.esl.readers <who> <port> <events> <form>` prints the figures of one burst (or stream) as JSON.
"""

import re
import socket as plain_socket
import sys
from collections.abc import Callable
from typing import Any

import gevent
import gevent.socket
import greenswitch

from bench.esl.measure import HEADERS, PING, TICK_SECONDS, Run
from services.shared.esl import commands
from services.shared.esl.client import EslClient, Event, Subscription, Target
from services.shared.esl.connection import RECEIVE_BYTES

WANTED = (*HEADERS, PING)
_HEAD = re.compile(rb"Content-Length: (\d+)\nContent-Type: text/event-plain\n\n").match


def ours(port: int, run: Run, form: str) -> None:
    """Read by `EslClient.events()` and `Event.select`."""
    client = EslClient(Target("127.0.0.1", port, "bench"), Subscription(("ALL",), form=form))
    gevent.socket.getaddrinfo("127.0.0.1", port)  # its first call imports for 25 ms; not a part of the burst
    gevent.spawn(_tick, run)
    run.begin()
    client.start()
    for batch in client.events():
        for item in batch:
            if isinstance(item, Event):
                *values, ping = item.select(WANTED)
                run.event(values)
                if ping:
                    client.submit(commands.api("ping", ping))
        if run.is_over:
            gevent.sleep(0.2)
            client.stop()
            return


def stock(port: int, run: Run, form: str) -> None:
    """Read by greenswitch's InboundESL with a handler for every event."""
    switch = greenswitch.InboundESL("127.0.0.1", port, "bench")

    def handle(event: Any) -> None:
        headers = event.headers
        run.event([headers.get(name, "") for name in HEADERS])
        if ping := headers.get(PING):
            gevent.spawn(switch.send, f"api ping {ping}")

    switch.connect()
    switch.register_handle("*", handle)
    gevent.spawn(_tick, run)
    run.begin()
    switch.send(f"event {form} ALL")
    while not run.is_over:
        gevent.sleep(0.05)
    gevent.sleep(0.2)
    switch.sock.close()


def receive_only(port: int, run: Run, _form: str) -> None:
    """Take the bytes from the socket and count nothing but their end: no reader can cost less."""
    sock = _subscribed(port)
    tail = b""
    run.begin()
    while data := sock.recv(RECEIVE_BYTES):
        tail = (tail + data)[-64:]
        if _is_last(sock):
            break
    run.events = run.expected
    run.end()


def split_only(port: int, run: Run, _form: str) -> None:
    """Cut the bytes into frames and look at nothing in them."""
    sock = _subscribed(port)
    rest = b""
    run.begin()
    while run.events < run.expected:
        data = rest + sock.recv(RECEIVE_BYTES)
        position = 0
        while (head := _HEAD(data, position)) and head.end() + int(head[1]) <= len(data):
            position = head.end() + int(head[1])
            run.events += 1
        rest = data[position:]
    run.end()


def _is_last(sock: plain_socket.socket) -> bool:
    """Whether nothing more comes for a while; costs no CPU worth counting."""
    sock.settimeout(0.5)
    try:
        return not sock.recv(1, plain_socket.MSG_PEEK)
    except TimeoutError:
        return True


def _subscribed(port: int) -> plain_socket.socket:
    sock = plain_socket.create_connection(("127.0.0.1", port))
    for command in (b"auth bench\n\n", b"event plain ALL\n\n"):
        sock.recv(256)
        sock.sendall(command)
    reply = b""
    while not reply.endswith(b"\n\n"):
        reply += sock.recv(1)
    return sock


def _tick(run: Run) -> None:
    while True:
        gevent.sleep(TICK_SECONDS)
        run.tick()


READERS: dict[str, Callable[[int, Run, str], None]] = {
    "ours": ours,
    "greenswitch": stock,
    "receive": receive_only,
    "split": split_only,
}


def main() -> None:
    who, port, events, form = sys.argv[1:]
    run = Run(int(events))
    READERS[who](int(port), run, form)
    run.report()


if __name__ == "__main__":
    main()
