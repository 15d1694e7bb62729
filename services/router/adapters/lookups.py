"""Asks tenants' CRMs over HTTP for flows' lookups and brings the answers back through the log.

A URL is a tenant's word: it reaches public addresses only, checked when it is connected to, without redirects, bounded
in time and size. Whatever happens, an answer is sent; should even that fail, the core's own deadline passes.
"""

from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any, Final, Protocol

import orjson
import structlog
from gevent.event import Event as Flag
from gevent.queue import Empty, Full, Queue

from services.router import metrics
from services.router.domain.turn import Lookup
from services.shared.bus.errors import BusError
from services.shared.bus.ports import Sender
from services.shared.bus.topics import INPUTS
from services.shared.chassis.clock import Clock
from services.shared.contracts.ringmaster.v1.input_pb2 import Input
from services.shared.contracts.ringmaster.v1.request_pb2 import Request, TakeLookup
from services.shared.outbound.answer import MAX_ANSWER_BYTES
from services.shared.outbound.connection import Answer, OutboundConnection
from services.shared.outbound.dial import Outside
from services.shared.outbound.target import BadUrl, target_of

WORKERS: Final = 32
MOST_OF_A_TENANT: Final = 16
"""Lookups of one tenant that run or wait: a slow CRM keeps half of the workers at most."""
MOST_WAITING: Final = 512
WAIT_SECONDS: Final = 0.5
LONGEST_VALUE: Final = 500
ACTOR: Final = "system"
_GOOD = range(200, 300)

log = structlog.get_logger()


class Asker(Protocol):
    """Who takes lookups when the outputs before them are safe in the log."""

    def ask(self, lookups: Iterable[Lookup]) -> None:
        """Take lookups; returns at once, one that is being asked already is left alone."""


class Nobody:
    """Asks nobody: each lookup ends by the core's deadline."""

    def ask(self, lookups: Iterable[Lookup]) -> None:
        """Take lookups and forget them."""


class Lookups:
    """The true asker: `run` is one worker, spawned WORKERS times."""

    def __init__(self, outside: Outside, connect: Callable[[], Sender], clock: Clock) -> None:
        self._outside = outside
        self._connect = connect
        self._clock = clock
        self._sender: Sender | None = None
        self._waiting: Any = Queue(MOST_WAITING)
        self._open: set[str] = set()
        self._of_tenant: Counter[str] = Counter()

    def ask(self, lookups: Iterable[Lookup]) -> None:
        """Take lookups; those beyond the bounds are answered at once with why."""
        for lookup in lookups:
            if lookup.lookup_id in self._open:
                continue
            if self._of_tenant[lookup.tenant_id] >= MOST_OF_A_TENANT:
                self._tell(lookup, _fault("too many lookups at once"))
                continue
            try:
                self._waiting.put_nowait(lookup)
            except Full:
                self._tell(lookup, _fault("too many lookups at once"))
                continue
            self._open.add(lookup.lookup_id)
            self._of_tenant[lookup.tenant_id] += 1

    def run(self, stopping: Flag) -> None:
        """Ask one after the other until stopped."""
        connection = OutboundConnection(self._outside)
        while not stopping.is_set():
            try:
                lookup = self._waiting.get(timeout=WAIT_SECONDS)
            except Empty:
                connection.close()  # a kept connection is for a busy minute
                continue
            try:
                found = self._found(connection, lookup)
            finally:
                self._open.discard(lookup.lookup_id)
                self._of_tenant[lookup.tenant_id] -= 1
            self._tell(lookup, found)
        connection.close()

    def _found(self, connection: OutboundConnection, lookup: Lookup) -> TakeLookup:
        try:
            target = target_of(lookup.url)
        except BadUrl as error:
            return _fault(str(error))
        headers = "Accept: application/json\r\nUser-Agent: Ringmaster\r\n" + f"Idempotency-Key: {lookup.lookup_id}\r\n"
        if lookup.body:
            headers += f"Content-Type: application/json\r\nContent-Length: {len(lookup.body)}\r\n"
        method = "POST" if lookup.body else "GET"
        seconds = lookup.timeout_ms / 1000
        answer = connection.request(
            method, target, headers, lookup.body, keep_bytes=MAX_ANSWER_BYTES, total_seconds=seconds
        )
        return read_answer(answer, lookup.results)

    def _tell(self, lookup: Lookup, found: TakeLookup) -> None:
        metrics.LOOKUPS.labels("failed" if found.fault else "answered").inc()
        found.call_id, found.lookup_id = lookup.call_id, lookup.lookup_id
        request = Request(actor=ACTOR, role=ACTOR, take_lookup=found)
        value = Input(tenant_id=lookup.tenant_id, request=request).SerializeToString()
        try:
            self._sender = self._sender or self._connect()
            self._sender.send(INPUTS, lookup.tenant_id, value, timestamp_ms=self._clock.now_ms())
        except BusError as error:
            log.warning("lookup_not_told", tenant_id=lookup.tenant_id, call_id=lookup.call_id, reason=str(error))


def read_answer(answer: Answer, results: Iterable[tuple[str, str]]) -> TakeLookup:
    """Return what an answer brings: the values asked for, or one sentence why there are none."""
    found = TakeLookup(status=answer.status, duration_ms=answer.milliseconds, fault=_fault_of(answer))
    if found.fault:
        return found
    wanted = list(results)
    if not wanted:
        return found
    try:
        document = orjson.loads(answer.body)
    except orjson.JSONDecodeError:
        found.fault = "the answer is not JSON"
        return found
    for path, variable in wanted:
        value = _value_at(document, path)
        if value is not None:
            found.values[variable] = value
    return found


def _fault_of(answer: Answer) -> str:
    if answer.error:
        return answer.error
    if answer.status not in _GOOD:
        return f"it answered {answer.status}"
    return "" if answer.is_complete else "the answer is too long, or was cut"


def _value_at(document: Any, path: str) -> str | None:
    place = document
    for part in path.split("."):
        if isinstance(place, dict):
            place = place.get(part)
        elif isinstance(place, list) and part.isascii() and part.isdigit() and int(part[:9]) < len(place):
            place = place[int(part[:9])]
        else:
            return None
    if isinstance(place, bool):
        return "true" if place else "false"
    return str(place)[:LONGEST_VALUE] if isinstance(place, str | int | float) else None


def _fault(sentence: str) -> TakeLookup:
    return TakeLookup(fault=sentence)
