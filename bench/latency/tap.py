import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import gevent
from gevent import socket
from gevent.server import StreamServer

CHUNK_BYTES = 262_144
# What may be cut by the end of a chunk: longer than any header that is looked for, shorter than an event.
KEPT_BYTES = 20_000
_EVENT = re.compile(
    rb"Event-Name: (CHANNEL_PARK|CHANNEL_ANSWER|CHANNEL_EXECUTE_COMPLETE|CHANNEL_HANGUP_COMPLETE)\n"
    rb"(?:[^\n]+\n)*?Unique-ID: ([0-9a-f-]{36})\n"
)
_ORIGINATE = re.compile(rb"originate [^\n]*?origination_uuid=([0-9a-f-]{36})[^\n]*?user/([^ ]+) ")
_CALL = re.compile(rb"ringmaster_call=([0-9a-f-]{36})")


@dataclass(slots=True)
class Tap:
    """Stands on the wire between listener and switch and notes when what passes; it changes nothing.

    `waits` are the seconds from the moment that made an offer possible (the caller's last event, or the end of the
    agent's former leg, whichever is later) to `originate` on FreeSWITCH's wire: (seconds, who waited for whom).
    """

    upstream: tuple[str, int]
    counts_from: float = 0.0
    """Offers before this moment (time.perf_counter) are not noted."""
    waits: list[tuple[float, str]] = field(default_factory=list)
    _last_of_leg: dict[bytes, float] = field(default_factory=dict)
    _phone_of_leg: dict[bytes, bytes] = field(default_factory=dict)
    _phone_free: dict[bytes, float] = field(default_factory=dict)

    def serve(self, port: int) -> StreamServer:
        """Listen on a loopback port and pass everything on."""
        server = StreamServer(("127.0.0.1", port), self._connected)
        server.start()
        return server

    def _connected(self, client: Any, _address: object) -> None:
        try:
            switch = socket.create_connection(self.upstream)
        except ConnectionRefusedError:
            return  # the stack's parts start together; the listener comes again when the switch listens
        for end in (client, switch):
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        gevent.joinall(
            [gevent.spawn(_pump, switch, client, self._told), gevent.spawn(_pump, client, switch, self._commanded)]
        )

    def _told(self, seen: bytes) -> None:
        now = time.perf_counter()
        for kind, leg in _EVENT.findall(seen):
            phone = self._phone_of_leg.get(leg)
            if phone is None:
                self._last_of_leg[leg] = now
            elif kind == b"CHANNEL_HANGUP_COMPLETE":
                self._phone_free[phone] = now

    def _commanded(self, seen: bytes) -> None:
        now = time.perf_counter()
        for match in _ORIGINATE.finditer(seen):
            leg, phone = match.groups()
            call = _CALL.search(match.group(0))
            if leg in self._phone_of_leg or call is None:
                continue
            self._phone_of_leg[leg] = phone
            joined = self._last_of_leg.get(call.group(1))
            if joined is None or now < self.counts_from:
                continue
            free = self._phone_free.get(phone, 0.0)
            self.waits.append((now - max(joined, free), "agent free" if free > joined else "caller joins"))


def _pump(source: Any, target: Any, look: Callable[[bytes], None]) -> None:
    """Pass bytes on, and show them in pieces that never cut what is looked for."""
    rest = b""
    try:
        while data := source.recv(CHUNK_BYTES):
            target.sendall(data)
            seen = rest + data
            cut = seen.rfind(b"\n\n") + 2
            look(seen[:cut])
            rest = seen[cut:][-KEPT_BYTES:]
    except OSError:
        pass  # one end is gone; the other one learns it below
    finally:
        target.close()
