"""Ports for servers that a test starts: none that somebody else may get in the meantime.

A port that the kernel has named and that was let go again may be anybody's before the server binds it: another test
run's, or that of a connection out (ip(7), ip_local_port_range; on Linux 32768 to 60999). These lie below that range,
and each is claimed for as long as this process lives: a Unix socket of its name tells every other process so.
"""

import os
import socket
from contextlib import suppress

FIRST, COUNT = 10_000, 8_000
"""Above what servers of the machine use, below the ports of local stacks."""
FIRST_OF_STACKS, STACKS, OF_A_STACK = 19_000, 60, 100
"""Above the ports of `make up`; a whole stack takes fewer."""
_claims: list[int] = []
"""Descriptors of the sockets that claim. They are closed when the process ends, and no child gets them."""
_tried = 0


def free_port() -> int:
    """Return a port of the loopback that nobody listens on, and that nobody else is given. Raises OSError."""
    global _tried  # noqa: PLW0603 - what this process has claimed is the process's
    while _tried < COUNT:
        port = FIRST + (os.getpid() * 61 + _tried) % COUNT
        _tried += 1
        with suppress(OSError):
            _claim(port)
            return port
    raise OSError("all ports for tests have been given out")


def free_range() -> int:
    """Return the first of a hundred such ports, for a whole stack: its base port. Raises OSError."""
    for number in range(STACKS):
        base = FIRST_OF_STACKS + number * OF_A_STACK
        with suppress(OSError):
            _claim(base, OF_A_STACK)
            return base
    raise OSError("all ranges of ports for tests' stacks have been given out")


def _claim(first: int, count: int = 1) -> None:
    """Claim ports by the first; raise OSError when another process has it, or something is still bound to one."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as claim:
        claim.bind(f"\0ringmaster-port-{first}")
        for port in range(first, first + count):
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", port))
        _claims.append(claim.detach())
