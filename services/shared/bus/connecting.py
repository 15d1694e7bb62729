"""Makes kafka-python's clients, and leaves nothing behind when they can't be made.

A KafkaProducer or KafkaConsumer whose broker is away raises from its constructor and keeps its selector, its sockets
and its thread for ever: about five descriptors a try. One that is there already keeps the socket of each connection
that was refused. Either way an hour without a broker would end the process.
"""

import os
import socket
import ssl
from collections.abc import Callable
from contextlib import suppress
from time import monotonic
from typing import Any, TypeVar

from kafka.errors import KafkaError
from kafka.net import KafkaNetSocket
from kafka.net.compat import KafkaNetClient

from services.shared.bus.errors import BusUnavailable
from services.shared.bus.network_loop import NetworkLoop, fits_here
from services.shared.chassis.broker_access import BrokerAccess
from services.shared.chassis.settings import SettingsError

Client = TypeVar("Client")
# After this a broker that takes the connection and does not answer is said to be away; its user tries again.
BOOTSTRAP_MS = 5_000
# A broker that was away for long is found again within this; kafka-python's own is half a minute.
RECONNECT_MS = 2_000
PROBE_SECONDS = 2.0
HANDSHAKE_SECONDS = 10.0
"""A broker that takes the connection and then says nothing for so long is away: kafka-python waits without end."""
_DIRECT = "direct"


class ClosingSocket(KafkaNetSocket):  # type: ignore[misc]  # kafka-python ships no types
    """Connects like kafka-python's own, and closes the socket of a connection that can't be made.

    It is chosen by the scheme of `proxy_url`, the library's way of bringing one's own.
    """

    SCHEMES = (_DIRECT,)

    async def sock_connect(self, net: Any, sock: Any, sockaddr: Any, timeout_at: float | None = None) -> Any:
        """Return the connected socket; raise KafkaError without."""
        try:
            return await super().sock_connect(net, sock, sockaddr, timeout_at=timeout_at)
        except BaseException:  # also when the attempt is cancelled
            sock.close()
            raise


class ClosingTls(ssl.SSLSocket):
    """Closes itself when nothing comes of a handshake: kafka-python leaves that to the garbage collector.

    `handshake_ends` is when one that is under way has taken too long, monotonic seconds; NetworkLoop sees to it.
    """

    handshake_ends: float | None = None

    def do_handshake(self, *args: Any, **kwargs: Any) -> None:
        """Go on with the handshake. Raises SSLWantReadError and SSLWantWriteError while it is under way."""
        if self.handshake_ends is None:
            self.handshake_ends = monotonic() + HANDSHAKE_SECONDS
        try:
            super().do_handshake(*args, **kwargs)  # gevent's takes nothing, Python's a bool
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            raise
        except BaseException:
            self.close()
            raise
        self.handshake_ends = None

    def __del__(self) -> None:
        """Close: whoever gave up in the middle of a handshake has only let go of it."""
        with suppress(AttributeError, OSError):  # one that was never made whole
            self.close()


def connected(make: Callable[..., Client], bootstrap: str, **settings: Any) -> Client:
    """Return a client of the brokers at `host:port[,host:port…]`; raise BusUnavailable, one sentence, without.

    Who the process is to the brokers (BrokerAccess) is read from its environment here: nobody else handles the secret.
    """
    identity = identity_of_process()
    must_listen(bootstrap)
    begun: list[Any] = []

    def client(**configs: Any) -> Any:
        begun.append(KafkaNetClient(net=NetworkLoop(**configs) if fits_here() else None, **configs))
        return begun[-1]

    try:
        return make(
            bootstrap_servers=bootstrap,
            kafka_client=client,
            bootstrap_timeout_ms=BOOTSTRAP_MS,
            reconnect_backoff_max_ms=RECONNECT_MS,
            proxy_url=f"{_DIRECT}://",
            metrics_enabled=False,
            allow_auto_create_topics=False,
            **identity,
            **settings,
        )
    except KafkaError as error:
        for each in begun:
            with suppress(KafkaError, OSError):
                each.close()
        raise BusUnavailable(f"no broker answers at {bootstrap}: {error}") from error


def identity_of_process() -> dict[str, Any]:
    """Return kafka-python's words for how this process proves itself. Raises BusUnavailable."""
    try:
        access = BrokerAccess.from_environment(os.environ)
        context = access.context()
    except (SettingsError, OSError) as error:
        raise BusUnavailable(f"the broker can't be asked: {error}") from error
    if context is None:
        return {}
    context.sslsocket_class = ClosingTls
    if not access.kafka_user:
        return {"security_protocol": "SSL", "ssl_context": context}
    return {
        "security_protocol": "SASL_SSL",
        "ssl_context": context,
        "sasl_mechanism": "SCRAM-SHA-512",
        "sasl_plain_username": access.kafka_user,
        "sasl_plain_password": access.kafka_password,
    }


def named_user() -> str:
    """Return who this process is to the brokers, in words for whoever gives rights."""
    try:
        name = BrokerAccess.from_environment(os.environ).kafka_user
    except SettingsError:
        name = ""
    return f"the user {name}" if name else "this service's user"


def must_listen(bootstrap: str) -> None:
    """Look whether anybody listens before a client is made: the common outage, told within moments."""
    reasons = []
    for address in bootstrap.split(","):
        host, _, port = address.strip().rpartition(":")
        if not port.isdigit():
            raise BusUnavailable(f"{address!r} is not the host:port of a broker")
        try:
            socket.create_connection((host.strip("[]"), int(port)), PROBE_SECONDS).close()
        except OSError as error:
            reasons.append(error.strerror or str(error))
        else:
            return
    raise BusUnavailable(f"no broker answers at {bootstrap}: {', '.join(dict.fromkeys(reasons))}")
