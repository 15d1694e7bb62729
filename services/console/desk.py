from dataclasses import dataclass
from typing import Final

import structlog
from gevent import Timeout
from gevent.event import AsyncResult, Event
from google.protobuf.message import DecodeError

from services.console import metrics
from services.shared.bus.errors import BusUnavailable
from services.shared.bus.ports import Reader, ReceiptPort, Sender
from services.shared.bus.topics import INPUTS
from services.shared.chassis.clock import Clock
from services.shared.contracts.ringmaster.v1.input_pb2 import Input
from services.shared.contracts.ringmaster.v1.request_pb2 import Reply, Request

# How long somebody waits for the router's answer before the request is only "accepted", wall time.
REPLY_SECONDS: Final = 2.0
POLL_SECONDS: Final = 0.25
PAUSE_SECONDS: Final = 1.0
MAX_WAITING: Final = 2_000

log = structlog.get_logger()


class TooManyWaiting(Exception):
    """More requests wait for their replies than this process will hold. The API answers 503; try again."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A request on its way: the router's reply, or none yet; whether the broker has the request for certain."""

    request_id: str
    reply: Reply | None
    is_logged: bool


class Desk:
    """Hands requests to the router over the tenant's log and waits for its replies."""

    def __init__(self, sender: Sender, replies: Reader, clock: Clock, reply_seconds: float = REPLY_SECONDS) -> None:
        self._sender = sender
        self._replies = replies
        self._clock = clock
        self._reply_seconds = reply_seconds
        self._waiting: dict[tuple[str, str], list[AsyncResult]] = {}
        self.is_listening = False

    def ask(self, tenant_id: str, request: Request) -> Asked:
        """Write a request to the tenant's log and wait for its reply. Raises BusUnavailable, TooManyWaiting."""
        if len(self._waiting) >= MAX_WAITING:
            raise TooManyWaiting(f"{len(self._waiting)} requests wait already")
        key, answer = (tenant_id, request.request_id), AsyncResult()
        self._waiting.setdefault(key, []).append(answer)
        try:
            entry = Input(tenant_id=tenant_id, request=request)
            receipt = self._sender.send(INPUTS, tenant_id, entry.SerializeToString(), timestamp_ms=self._clock.now_ms())
            return self._outcome(request, answer, receipt)
        finally:
            self._forget(key, answer)

    def listen(self, stopping: Event) -> None:
        """Take replies until stopped and nobody waits for one. Old ones are nobody's: it begins with the next."""
        while not self._is_over(stopping):
            try:
                self._start_at_the_end()
                while not self._is_over(stopping):
                    for record in self._replies.poll(POLL_SECONDS):
                        self._take(record.key, record.value)
            except BusUnavailable as error:
                log.warning("replies_unreadable", reason=str(error))
                stopping.wait(PAUSE_SECONDS)

    def _is_over(self, stopping: Event) -> bool:
        """Who has asked before the stop waits for REPLY_SECONDS at most, so this ends."""
        return stopping.is_set() and not self._waiting

    def _start_at_the_end(self) -> None:
        if not self.is_listening:
            for place in self._replies.assignment():
                self._replies.seek(*place, self._replies.end_offset(*place))
            self.is_listening = True

    def _take(self, tenant_id: str, value: bytes) -> None:
        try:
            reply = Reply.FromString(value)
        except DecodeError:
            metrics.INVALID.labels("ringmaster.replies").inc()
            return
        for answer in self._waiting.get((tenant_id, reply.request_id), ()):
            answer.set(reply)

    def _outcome(self, request: Request, answer: AsyncResult, receipt: ReceiptPort) -> Asked:
        kind = request.WhichOneof("request") or ""
        try:
            with metrics.REPLY_SECONDS.labels(kind).time():
                reply: Reply = answer.get(timeout=self._reply_seconds)
        except Timeout:
            metrics.REQUESTS.labels(kind, "late").inc()
            return Asked(request.request_id, None, is_logged=receipt.acknowledged)
        metrics.REQUESTS.labels(kind, "accepted" if reply.accepted else "refused").inc()
        return Asked(request.request_id, reply, is_logged=True)

    def _forget(self, key: tuple[str, str], answer: AsyncResult) -> None:
        self._waiting[key].remove(answer)
        if not self._waiting[key]:
            del self._waiting[key]
