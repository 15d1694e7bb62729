"""Notices that something we depend on is away, and says so: clients that reconnect by themselves do it in silence."""

import os
import socket
import struct
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

import structlog
from gevent.event import Event

from services.shared.chassis.broker_access import BrokerAccess

ASK_EVERY_SECONDS = 3.0
ANSWER_SECONDS = 3.0
# One missed answer is a hiccup, so many in a row are an outage.
MISSES = 2
# ApiVersions, version 0: the one request that every broker answers, whoever asks (Kafka protocol guide, KIP-511).
_API_VERSIONS, _VERSION, _CORRELATION, _NO_CLIENT_ID = 18, 0, 1, -1
_LENGTH_AND_CORRELATION_BYTES = 8

log = structlog.get_logger()


class Away(Exception):
    """A dependency does not answer; the message is one sentence. Raised by what a Watch asks with."""


@dataclass(slots=True)
class Watch:
    """Asks a dependency again and again whether it answers; tells when it goes away and when it is back.

    `trouble` is one sentence for /readyz while it is away, else empty. `ask` returns, or raises Away.
    """

    dependency: str
    ask: Callable[[], None]
    trouble: str = ""
    _misses: int = field(default=0, init=False)
    _answered_at: float = field(default_factory=time.monotonic, init=False)

    def run(self, stopping: Event) -> None:
        """Ask until stopped."""
        while not stopping.is_set():
            self.look()
            stopping.wait(ASK_EVERY_SECONDS)

    def look(self) -> None:
        """Ask once."""
        try:
            self.ask()
        except Away as away:
            self._missed(str(away))
        else:
            self._answered()

    def _missed(self, reason: str) -> None:
        self._misses += 1
        if self._misses < MISSES:
            return
        if not self.trouble:
            log.error("dependency_away", dependency=self.dependency, reason=reason, advice="it is asked again")
        self.trouble = reason

    def _answered(self) -> None:
        now = time.monotonic()
        if self.trouble:
            log.info("dependency_back", dependency=self.dependency, away_seconds=round(now - self._answered_at, 1))
        self.trouble, self._misses, self._answered_at = "", 0, now


def ask_broker(bootstrap: str, answer_seconds: float = ANSWER_SECONDS) -> None:
    """Return when one of the brokers `host:port,host:port` answers; raise Away when none does."""
    reasons = []
    for address in bootstrap.split(","):
        try:
            _exchange(address.strip(), answer_seconds)
        except (OSError, ValueError) as error:
            why = "no answer in time" if isinstance(error, TimeoutError) else getattr(error, "strerror", "") or error
            reasons.append(f"{address.strip()}: {why}")
        else:
            return
    raise Away(f"no broker answers (RINGMASTER_KAFKA_BOOTSTRAP): {', '.join(reasons)}")


def watch_broker(bootstrap: str) -> Watch:
    """Return a watch of the broker."""
    return Watch("broker", lambda: ask_broker(bootstrap))


def watch_documents(database: Any) -> Watch:
    """Return a watch of the document store that `documents.open_database` has opened."""
    # Imported here: the listener has no document store and is installed without its driver.
    from pymongo.errors import PyMongoError  # noqa: PLC0415

    from services.shared.chassis.documents import sentence_of  # noqa: PLC0415

    def ask() -> None:
        try:
            database.command("ping")
        except PyMongoError as error:
            raise Away(sentence_of(error)) from error

    return Watch("document store", ask)


def trouble_of(*watches: Watch) -> str:
    """Return the sentences of those that are away, one after the other; empty when all answer."""
    return "; ".join(watch.trouble for watch in watches if watch.trouble)


def _exchange(address: str, answer_seconds: float) -> None:
    host, _, port = address.rpartition(":")
    context = BrokerAccess.from_environment(os.environ).context()
    with ExitStack() as opened:
        connection = opened.enter_context(socket.create_connection((host.strip("[]"), int(port)), answer_seconds))
        if context is not None:
            connection = opened.enter_context(context.wrap_socket(connection, server_hostname=host.strip("[]")))
        request = struct.pack(">hhih", _API_VERSIONS, _VERSION, _CORRELATION, _NO_CLIENT_ID)
        connection.sendall(struct.pack(">i", len(request)) + request)
        answer = b""
        while len(answer) < _LENGTH_AND_CORRELATION_BYTES:
            piece = connection.recv(_LENGTH_AND_CORRELATION_BYTES - len(answer))
            if not piece:
                raise ConnectionResetError(0, "it hangs up")
            answer += piece
    if struct.unpack(">ii", answer)[1] != _CORRELATION:
        raise ValueError("it is no broker")
