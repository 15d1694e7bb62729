"""Opening a connection to a host that a tenant named: every address is judged at the moment it is connected to.

The socket modules are gevent's own, so that this behaves the same with and without monkey patching.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gevent import get_hub, socket, ssl
from gevent.resolver.ares import Resolver

from services.shared.outbound.address import AddressGuard
from services.shared.outbound.answer import NoAnswer
from services.shared.outbound.target import Target

# How many addresses of one name are tried in one attempt.
MAX_ADDRESSES = 4
Found = list[tuple[int, Any]]
"""Family and socket address, as getaddrinfo tells them."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How long things may take, seconds."""

    connect_seconds: float = 5.0
    total_seconds: float = 15.0


class Names:
    """Resolves names without threads: the system's resolver works in a few, and as many dead name servers stop all."""

    def __init__(self, **options: Any) -> None:
        """Take c-ares' options; without any it reads the system's hosts and resolv.conf."""
        self._options = options
        self._resolver: Any = None

    def __call__(self, host: str, port: int) -> Found:
        """Return a host's addresses. Raises OSError or UnicodeError."""
        if self._resolver is None:
            self._resolver = Resolver(get_hub(), use_environ=False, **self._options)
        found = self._resolver.getaddrinfo(host, port, 0, socket.SOCK_STREAM)
        return [(family, address) for family, _, _, _, address in found]


@dataclass(frozen=True, slots=True)
class Outside:
    """How the world is reached: which addresses, which certificates, how long, who knows the names."""

    guard: AddressGuard
    limits: Limits = field(default_factory=Limits)
    tls: Any = None
    resolve: Callable[[str, int], Found] = field(default_factory=Names)

    @classmethod
    def with_certificates(cls, guard: AddressGuard, limits: Limits, ca_file: Path | None) -> "Outside":
        """Trust the system's certificates, or those of a file. Raises OSError when the file can't be read."""
        return cls(guard, limits, ssl.create_default_context(cafile=str(ca_file) if ca_file else None))


def dial(target: Target, outside: Outside, tls: Any = None) -> Any:
    """Return a connected socket, TLS done and verified where the target asks for it; raise NoAnswer.

    The name is resolved once; only addresses that the guard permits are connected to, and exactly those: a name server
    that says something else a moment later changes nothing. `tls` replaces the context for one with a certificate of
    ours.
    """
    permitted = [found for found in _addresses(target, outside) if outside.guard.permits(found[1][0])]
    if not permitted:
        raise NoAnswer("the host has no address that may be connected to")
    reason = ""
    for family, address in permitted[:MAX_ADDRESSES]:
        try:
            return _open(family, address, target, outside, tls or outside.tls)
        except ssl.SSLError:
            reason = "the certificate or the TLS handshake was refused"
        except OSError as error:
            reason = f"the host can't be connected to: {type(error).__name__}"
    raise NoAnswer(reason)


def _addresses(target: Target, outside: Outside) -> Found:
    try:
        return outside.resolve(target.host, target.port)
    except (OSError, UnicodeError) as error:
        raise NoAnswer("the host's name can't be resolved") from error


def _open(family: int, address: Any, target: Target, outside: Outside, tls: Any) -> Any:
    """Connect to exactly this address: what was checked is what is used. The name goes only into SNI and Host."""
    connection = socket.socket(family, socket.SOCK_STREAM)
    try:
        connection.settimeout(outside.limits.connect_seconds)
        connection.connect(address)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if target.is_tls:
            connection = tls.wrap_socket(connection, server_hostname=target.host)
        connection.settimeout(outside.limits.total_seconds)
    except BaseException:
        connection.close()
        raise
    return connection
