"""Changes of one part of a document at a time, asked for over the log by the pages of other services (ADR 29)."""

from collections.abc import Iterable
from typing import Any, Final

import orjson
import structlog
from gevent.event import Event as Flag
from google.protobuf.message import DecodeError

from services.console import metrics
from services.console.domain.difference import Change
from services.console.domain.fault import Fault
from services.console.domain.parts import KEYS, entry_of, place_of, with_entry, within
from services.console.domain.rule_schema import CHANNEL_KINDS
from services.console.domain.schema import EVENT_FAMILIES, EVENT_TYPES
from services.console.domain.validation import BadDocument
from services.console.store import StoreUnavailable, Version, VersionTaken
from services.console.tenancy import TRIES, NoSuchVersion, Tenancy
from services.shared.access import Action, Principal, Role
from services.shared.bus.errors import BusError
from services.shared.bus.ports import Reader, Sender
from services.shared.bus.record import Record
from services.shared.bus.topics import DOCUMENT_REPLIES
from services.shared.chassis.clock import Clock
from services.shared.contracts.ringmaster.v1 import document_pb2 as doc
from services.shared.sentence import Sentence, sentence

Document = dict[str, Any]

POLL_SECONDS: Final = 0.25
PAUSE_SECONDS: Final = 1.0
ACKNOWLEDGED_SECONDS: Final = 10.0
MOST_BYTES: Final = 64 * 1024
"""So long the words of one part may be: more than the schema lets any be."""
_PARTS: Final = {doc.DOCUMENT_PART_RULE: "rules", doc.DOCUMENT_PART_WEBHOOK: "webhooks"}
RIGHTS: Final = {"rules": Action.CHANGE_RULES, "webhooks": Action.CHANGE_DOCUMENT}
"""Where a company's data goes is for who may change all of its document; what is done with it, for supervisors too."""

log = structlog.get_logger()


class _Refused(Exception):
    """A request ends with this reply."""

    def __init__(
        self, problem: str, detail: str, faults: Iterable[doc.DocumentFault] = (), by: Version | None = None
    ) -> None:
        super().__init__(detail)
        self.reply = doc.DocumentReply(problem=problem, detail=detail, faults=faults)
        if by is not None:
            self.reply.version, self.reply.actor = by.number, by.actor


class DocumentDesk:
    """Answers requests to see and to change parts of documents: the same `apply`, for whoever asks over the log.

    Every process of the console reads every request, from its own start on: the one that applies a change first has
    applied it for all, under the request's id. Whoever asked while none was there is told so by the silence.
    """

    def __init__(self, requests: Reader, sender: Sender, tenancy: Tenancy, clock: Clock) -> None:
        self._requests = requests
        self._sender = sender
        self._tenancy = tenancy
        self._clock = clock

    def run(self, stopping: Flag) -> None:
        """Answer until stopped."""
        while not stopping.is_set():
            try:
                for record in self._requests.poll(POLL_SECONDS):
                    self._take(record)
            except BusError as error:
                log.warning("document_requests_unreadable", reason=str(error))
                stopping.wait(PAUSE_SECONDS)

    def _take(self, record: Record) -> None:
        try:
            request = doc.DocumentRequest.FromString(record.value)
        except DecodeError:
            metrics.INVALID.labels(record.topic).inc()
            return
        reply = self.answer(request)
        reply.request_id = request.request_id
        kind = request.WhichOneof("request") or "nothing"
        metrics.DOCUMENT_REQUESTS.labels(kind, reply.problem or "accepted").inc()
        value, now_ms = reply.SerializeToString(), self._clock.now_ms()
        self._sender.send(DOCUMENT_REPLIES, request.tenant_id, value, timestamp_ms=now_ms).wait(ACKNOWLEDGED_SECONDS)

    def answer(self, request: doc.DocumentRequest) -> doc.DocumentReply:
        """Do what is asked and say what became of it; whatever is refused has changed nothing."""
        try:
            if request.HasField("show"):
                return self._show(request)
            return self._change(request)
        except _Refused as refused:
            return refused.reply
        except NoSuchVersion as error:
            return doc.DocumentReply(problem="not-found", detail=str(error))
        except StoreUnavailable:
            detail = "The document store does not answer; nothing was changed."
            return doc.DocumentReply(problem="store-unavailable", detail=detail)

    def _show(self, request: doc.DocumentRequest) -> doc.DocumentReply:
        _permit(request, Action.READ_DOCUMENT)
        version = self._tenancy.version(request.tenant_id)
        return _told(version, shown=orjson.dumps(shown_of(version.document)))

    def _change(self, request: doc.DocumentRequest) -> doc.DocumentReply:
        wish = request.change
        part = _PARTS.get(wish.part)
        if part is None:
            raise _Refused("not-a-part", "A change is one of a rule or of a webhook endpoint.")
        _permit(request, RIGHTS[part])
        if self._clock.wall() * 1000 > request.until_ms:
            raise _Refused("too-late", "Whoever asked for this change has stopped waiting; nothing was changed.")
        entry = _entry_of(wish, part)
        for _ in range(TRIES):
            try:
                return self._put(request, part, entry)
            except VersionTaken:
                log.info("document_changed_meanwhile", tenant_id=request.tenant_id)
        raise _Refused("changed-meanwhile", "Others apply changes without a pause; nothing was changed. Ask again.")

    def _put(self, request: doc.DocumentRequest, part: str, entry: Document | None) -> doc.DocumentReply:
        """Put an entry upon the version in force, or say what that would change. Raises VersionTaken, _Refused."""
        wish, tenant_id = request.change, request.tenant_id
        head = self._tenancy.version(tenant_id)
        # Asked after the head: whoever has applied this very request by now is found here, not taken for a stranger.
        former = self._tenancy.applied_by(tenant_id, request.request_id)
        if former is not None:
            return _told(former)
        self._refuse_overwriting(head, part, wish)
        if entry is None and entry_of(head.document, part, wish.part_id) is None:
            raise _Refused("not-found", f"The document has no {wish.part_id} among its {part}.")
        document = with_entry(head.document, part, wish.part_id, entry)
        try:
            changes = self._tenancy.diff(document)
            if wish.is_preview:
                return _told(head, changes)
            applied = self._tenancy.apply(document, request.actor, request.request_id, upon=head.number)
        except BadDocument as error:
            raise _faulty(error.faults, place_of(document, part, wish.part_id)) from error
        return _told(applied.version, changes, is_published=applied.is_published)

    def _refuse_overwriting(self, head: Version, part: str, wish: doc.ChangeDocument) -> None:
        """Refuse a change by somebody who has not seen the entry as it stands; other entries may have changed."""
        try:
            seen = self._tenancy.version(head.tenant_id, wish.seen_version).document
        except NoSuchVersion:
            seen = {}
        if entry_of(seen, part, wish.part_id) != entry_of(head.document, part, wish.part_id):
            detail = f"{head.actor} has applied version {head.number} meanwhile: look at {wish.part_id} again."
            raise _Refused("changed-meanwhile", detail, by=head)


def shown_of(document: Document) -> Document:
    """Return what a page of rules and endpoints shows, and what they may name."""
    channels = document.get("channels", ())
    kinds = {one["channel_id"]: next((kind for kind in CHANNEL_KINDS if kind in one), "") for one in channels}
    return {
        **{part: document.get(part, []) for part in KEYS},
        "channels": [{"channel_id": channel_id, "kind": kind} for channel_id, kind in kinds.items()],
        "schedules": [one["schedule_id"] for one in document.get("schedules", ())],
        "queues": [one["queue_id"] for one in document["queues"]],
        "events": [*EVENT_FAMILIES, *EVENT_TYPES],
    }


def _permit(request: doc.DocumentRequest, action: Action) -> None:
    """Refuse who may not. Whoever writes requests has asked already; this table is the last word all the same."""
    known = {role.value: role for role in Role}
    role = known.get(request.role)
    if role is None or not Principal(request.tenant_id, role, request.actor).may(action, request.tenant_id):
        raise _Refused("forbidden", f"The role {request.role[:40]} may not {action.value}.")


def _entry_of(wish: doc.ChangeDocument, part: str) -> Document | None:
    """Return the entry as it is wished, None where it is to be taken out. Raises _Refused."""
    if not wish.words:
        return None
    if len(wish.words) > MOST_BYTES:
        raise _faulty([Fault("", sentence("is longer than {most} bytes.", most=MOST_BYTES))], "")
    try:
        entry = orjson.loads(wish.words)
    except orjson.JSONDecodeError as error:
        raise _faulty([Fault("", sentence("is not JSON: {why}.", why=error))], "") from error
    if not isinstance(entry, dict):
        raise _faulty([Fault("", sentence("is not an object."))], "")
    if entry.get(KEYS[part]) != wish.part_id:
        fault = _fault(Fault(KEYS[part], sentence("must be {what}.", what=wish.part_id)), KEYS[part])
        raise _Refused("bad-document", "The id is that of another one.", [fault])
    return entry


def _faulty(faults: list[Fault], place: str) -> _Refused:
    listed = [_fault(one, within(one.path, place)) for one in faults]
    count = "1 fault" if len(listed) == 1 else f"{len(listed)} faults"
    return _Refused("bad-document", f"The document would have {count}; nothing was changed.", listed)


def _fault(fault: Fault, field: str) -> doc.DocumentFault:
    told = doc.DocumentFault(path=fault.path, field=field, message=fault.message)
    if isinstance(fault.message, Sentence):
        told.template = fault.message.template
        told.values.update(fault.message.values)
    return told


def _told(
    version: Version, changes: Iterable[Change] = (), *, is_published: bool | None = None, shown: bytes = b""
) -> doc.DocumentReply:
    return doc.DocumentReply(
        accepted=True,
        version=version.number,
        actor=version.actor,
        applied_ms=version.applied_ms,
        is_published=version.is_published if is_published is None else is_published,
        changes=[
            doc.DocumentChange(path=one.path, before=_json(one.before), after=_json(one.after)) for one in changes
        ],
        shown=shown,
    )


def _json(value: Any) -> str:
    return "" if value is None else orjson.dumps(value).decode()
