"""Asks the console, over the log, for what a page of rules and endpoints shows, and for changes of it (ADR 29)."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import orjson
from google.protobuf.message import DecodeError

from services.shared.access import Principal
from services.shared.bus.asking import Asking
from services.shared.bus.ports import Reader, Sender
from services.shared.bus.record import Record
from services.shared.bus.topics import DOCUMENT_REPLIES, DOCUMENT_REQUESTS
from services.shared.chassis.clock import Clock
from services.shared.contracts.ringmaster.v1 import document_pb2 as doc
from services.webhooks import metrics

# How long a person waits for the console, real seconds. Nothing is changed on behalf of who has stopped waiting.
REPLY_SECONDS: Final = 10.0


@dataclass(frozen=True, slots=True)
class Change:
    """What somebody wants one part of a document to be; without `words` it is taken out."""

    part: "doc.DocumentPart.ValueType"
    part_id: str
    words: dict[str, Any] | None
    seen_version: int
    is_preview: bool = False


class DocumentChanges:
    """The only way from here to a tenant's document. The document itself is the console's."""

    def __init__(
        self,
        sender: Sender,
        replies: Reader,
        clock: Clock,
        reply_seconds: float = REPLY_SECONDS,
        unix_time: Callable[[], float] = time.time,
    ) -> None:
        self._asking = Asking(sender, replies, _read)
        self._clock = clock
        self._reply_seconds = reply_seconds
        self._unix_time = unix_time
        self.listen = self._asking.listen

    def shown(self, tenant_id: str, principal: Principal, request_id: str) -> doc.DocumentReply | None:
        """Return the parts as they are in force, None when no answer came. Raises BusUnavailable, TooManyWaiting."""
        return self._ask(_request(tenant_id, principal, request_id, show=doc.ShowDocument()))

    def change(self, tenant_id: str, principal: Principal, request_id: str, change: Change) -> doc.DocumentReply | None:
        """Change a part or say what that would change; the same request twice has one effect. None: no answer came.

        Raises BusUnavailable, TooManyWaiting.
        """
        wish = doc.ChangeDocument(
            part=change.part,
            part_id=change.part_id,
            words=b"" if change.words is None else orjson.dumps(change.words),
            seen_version=change.seen_version,
            is_preview=change.is_preview,
        )
        return self._ask(_request(tenant_id, principal, request_id, change=wish))

    def _ask(self, request: doc.DocumentRequest) -> doc.DocumentReply | None:
        request.until_ms = int((self._unix_time() + self._reply_seconds) * 1000)
        return self._asking.ask(
            DOCUMENT_REQUESTS,
            request.tenant_id,
            request.request_id,
            request.SerializeToString(),
            timestamp_ms=self._clock.now_ms(),
            seconds=self._reply_seconds,
        ).answer


def _request(tenant_id: str, principal: Principal, request_id: str, **asked: Any) -> doc.DocumentRequest:
    return doc.DocumentRequest(
        request_id=request_id, tenant_id=tenant_id, actor=principal.actor, role=principal.role.value, **asked
    )


def _read(record: Record) -> tuple[str, doc.DocumentReply] | None:
    try:
        reply = doc.DocumentReply.FromString(record.value)
    except DecodeError:
        metrics.INVALID.labels(DOCUMENT_REPLIES).inc()
        return None
    return reply.request_id, reply
