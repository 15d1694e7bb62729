"""The one address that the agents' phones are seen at, as those of an office behind its router (UDP only).

FreeSWITCH rings a phone where its registration came from, whatever address it names. SIPp registers and answers in two
processes, which can't share a port; so both are behind this.
"""

from contextlib import suppress

import gevent
from gevent import socket

_LONGEST_DATAGRAM = 65_535
Address = tuple[str, int]


class Translator:
    """Passes on what comes from outside to the phones, and what comes from inside to the switch."""

    def __init__(self, host: str, outer_port: int, switch: Address, phones: Address) -> None:
        self._outer = _bound(host, outer_port)
        self._inner = _bound(host, 0)
        self._switch = switch
        self._phones = phones
        self._passing: list[gevent.Greenlet] = []

    @property
    def inside(self) -> Address:
        """Where the phones reach the switch."""
        host, port = self._inner.getsockname()
        return str(host), int(port)

    def start(self) -> None:
        """Begin to pass on; what came before is passed on then."""
        self._passing = [
            gevent.spawn(_pass, self._outer, self._inner, self._phones),
            gevent.spawn(_pass, self._inner, self._outer, self._switch),
        ]

    def stop(self) -> None:
        """Be gone."""
        gevent.killall(self._passing)
        self._outer.close()
        self._inner.close()


def _bound(host: str, port: int) -> socket.socket:
    link = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    link.bind((host, port))
    return link


def _pass(taken: socket.socket, sent: socket.socket, to: Address) -> None:
    while True:
        # SIPp may be about to be started again: SIP repeats what nobody answers.
        with suppress(ConnectionRefusedError):
            sent.sendto(taken.recv(_LONGEST_DATAGRAM), to)
