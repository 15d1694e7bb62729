from dataclasses import dataclass
from typing import Final

from gevent.event import Event
from google.protobuf.message import DecodeError

from services.console import metrics
from services.shared.bus.asking import Asking
from services.shared.bus.ports import Reader, Sender
from services.shared.bus.record import Record
from services.shared.bus.topics import INPUTS
from services.shared.chassis.clock import Clock
from services.shared.contracts.ringmaster.v1.input_pb2 import Input
from services.shared.contracts.ringmaster.v1.request_pb2 import Reply, Request

# How long somebody waits for the router's answer before the request is only "accepted", wall time.
REPLY_SECONDS: Final = 2.0


@dataclass(frozen=True, slots=True)
class Asked:
    """A request on its way: the router's reply, or none yet; whether the broker has the request for certain."""

    request_id: str
    reply: Reply | None
    is_logged: bool


class Desk:
    """Hands requests to the router over the tenant's log and waits for its replies."""

    def __init__(self, sender: Sender, replies: Reader, clock: Clock, reply_seconds: float = REPLY_SECONDS) -> None:
        self._asking = Asking(sender, replies, _read)
        self._clock = clock
        self._reply_seconds = reply_seconds

    @property
    def is_listening(self) -> bool:
        """Whether replies are read."""
        return self._asking.is_listening

    def ask(self, tenant_id: str, request: Request) -> Asked:
        """Write a request to the tenant's log and wait for its reply. Raises BusUnavailable, TooManyWaiting."""
        kind = request.WhichOneof("request") or ""
        entry = Input(tenant_id=tenant_id, request=request).SerializeToString()
        now_ms = self._clock.now_ms()
        with metrics.REPLY_SECONDS.labels(kind).time():
            answered = self._asking.ask(
                INPUTS, tenant_id, request.request_id, entry, timestamp_ms=now_ms, seconds=self._reply_seconds
            )
        reply = answered.answer
        outcome = "late" if reply is None else "accepted" if reply.accepted else "refused"
        metrics.REQUESTS.labels(kind, outcome).inc()
        return Asked(request.request_id, reply, answered.is_logged)

    def listen(self, stopping: Event) -> None:
        """Take replies until stopped and nobody waits for one."""
        self._asking.listen(stopping)


def _read(record: Record) -> tuple[str, Reply] | None:
    try:
        reply = Reply.FromString(record.value)
    except DecodeError:
        metrics.INVALID.labels("ringmaster.replies").inc()
        return None
    return reply.request_id, reply
