"""One try of one recording: from the node's disk into the object store, and off the disk last (DESIGN rule 8)."""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from enum import Enum
from pathlib import Path

import gevent
from gevent.lock import BoundedSemaphore

from services.recorder import metrics
from services.recorder.adapters.disk import ClaimedFile, claim, in_thread
from services.recorder.adapters.folder import Quarantine, Stray
from services.recorder.adapters.measure import PART_BYTES
from services.recorder.adapters.mongo import RecordingDocument
from services.recorder.adapters.own_files import Notes, Plan, Plans
from services.recorder.adapters.payload import Encoder, Payload
from services.recorder.adapters.s3 import Kind
from services.recorder.domain.backoff import Stillness
from services.recorder.domain.bandwidth import Bandwidth
from services.recorder.domain.digest import StoredObject
from services.recorder.domain.form import Form
from services.recorder.domain.location import Location
from services.recorder.domain.naming import CallNote, object_key
from services.recorder.domain.policy import Policy
from services.recorder.domain.progress import Need, Progress, Step, need_of
from services.recorder.errors import Claimed, Gone, Hostile, NoteCame, StoreLied, Unfinished
from services.recorder.inspection import Inspection, Seen
from services.recorder.ports import World
from services.recorder.removal import SILENT, Removal
from services.shared.chassis.clock import Clock


class Outcome(Enum):
    """How a try ended when nothing outside failed."""

    STORED = "stored"
    QUARANTINED = "quarantined"
    UNFINISHED = "unfinished"
    CLAIMED = "claimed"
    GONE = "gone"


@dataclass(frozen=True, slots=True)
class Limits:
    """What a file may be, and how it is sent. `settle_seconds` is wall time: FreeSWITCH writes in it."""

    settle_seconds: float
    max_bytes: int
    node: str
    encryption: str = ""
    """How the store encrypts: "", "AES256" (SSE-S3) or "aws:kms" (SSE-KMS)."""
    kms_key_id: str = ""
    """For companies that name no key of their own."""
    part_bytes: int = PART_BYTES
    uploads_at_once: int = 4
    """More recordings may be in hand: while these are sent, the others are read, encoded and documented."""


@dataclass(frozen=True, slots=True)
class _Inspected:
    seen: Seen
    policy: Policy
    known: RecordingDocument | None
    """The document of an earlier try, or of a recording that claims the same id."""


@dataclass(frozen=True, slots=True)
class _Planned:
    plan: Plan
    payload: Payload
    is_first_try: bool


def ignore_step(_step: Step, _seconds: float) -> None:
    """Watch nothing."""


class Storing:
    """Runs the steps of SPEC 6.2. A kill between any two of them is made good by the next try."""

    def __init__(
        self,
        root: Path,
        world: World,
        clock: Clock,
        limits: Limits,
        stillness: Stillness,
        on_step: Callable[[Step, float], None] = ignore_step,
        bandwidth: Bandwidth | None = None,
    ) -> None:
        self._root = root
        self._store = world.store
        self._documents = world.documents
        self._announcements = world.announcements
        self._policies = world.policies
        self._clock = clock
        self._limits = limits
        self._on_step = on_step
        self._bandwidth = bandwidth or Bandwidth(0)
        self._slots = BoundedSemaphore(limits.uploads_at_once)
        self._plans = Plans(root)
        self._notes = Notes(root)
        self._inspection = Inspection(
            self._plans, self._notes, stillness, limits.settle_seconds, limits.max_bytes, limits.part_bytes
        )
        self._encoder = Encoder(root, limits.part_bytes)
        self._quarantine = Quarantine(root)
        self._removal = Removal(world.store, world.documents, world.announcements, clock.now_us)

    def store(self, location: Location) -> Outcome:
        """Take one recording as far as it goes. Raises TryAgain when something outside fails."""
        try:
            with claim(self._root, location) as file:
                try:
                    self._run(location, file)
                except Hostile as error:
                    return self._put_aside(location, str(error))
        except Hostile as error:
            return self._put_aside(location, str(error))
        except Unfinished:
            return Outcome.UNFINISHED
        except Claimed:
            return Outcome.CLAIMED
        except Gone:
            return Outcome.GONE
        return Outcome.STORED

    def put_stray_aside(self, stray: Stray) -> None:
        """Quarantine what lies at an impossible place. No event: its path does not say whose it is."""
        in_thread(self._quarantine.put, stray.path, stray.reason)

    def note_missing(self, location: Location) -> Outcome:
        """Say that a recording is lost when the switch finished it, but there is neither file nor document."""
        if self._documents.find(location.recording_id) is not None:
            return Outcome.GONE
        if (self._root / location.path).exists():
            return Outcome.UNFINISHED
        self._announcements.failed(location, "the file is not on the node's disk", self._clock.now_us())
        metrics.MISSING.inc()
        return Outcome.QUARANTINED

    def forget_finished(self) -> None:
        """Drop own files of recordings that are gone: a kill between their deletion and ours left them."""
        for kind in (self._plans, self._notes, self._encoder.files):
            kind.forget_finished()

    def _put_aside(self, location: Location, reason: str) -> Outcome:
        # The event first: after a kill in between, the file is found again and the same event is sent again.
        self._announcements.failed(location, reason, self._clock.now_us())
        metrics.PUT_ASIDE.inc()
        in_thread(self._quarantine.put, location.path, reason)
        in_thread(self._forget, location)
        in_thread(self._encoder.files.forget, location)
        return Outcome.QUARANTINED

    def _finish(self, location: Location, file: ClaimedFile, noted: CallNote, payload: Payload) -> None:
        """Take the file off the disk, unless it is known by now whose call it is, and the document says nothing of it.

        Who notes it later finds the document.
        """
        if (self._notes.find(location) or noted) != noted:
            raise NoteCame("whose call it is became known while it was stored")
        self._delete(location, file, payload)

    def _delete(self, location: Location, file: ClaimedFile, payload: Payload | None = None) -> None:
        file.delete()
        self._forget(location, payload)

    def _forget(self, location: Location, payload: Payload | None = None) -> None:
        self._plans.forget(location)
        self._notes.forget(location)
        if payload is not None:
            payload.forget()

    def _run(self, location: Location, file: ClaimedFile) -> None:
        progress = Progress()
        with ExitStack() as held:
            with self._step(progress, Step.INSPECT):
                found = self._inspect(held, location, file)
            if found.known is not None and found.known.deleted_us:
                former = found.seen.former
                self._finish_removal(found.known, former.key if former else "")
                in_thread(self._delete, location, file)
            else:
                with self._step(progress, Step.ENCODE):
                    planned = self._plan(held, location, file, found)
                document = self._send(progress, location, file, found, planned)
                with self._step(progress, Step.ANNOUNCE):
                    self._tell(document, found.policy, planned.plan)
                with self._step(progress, Step.DELETE):
                    in_thread(self._finish, location, file, found.seen.note, planned.payload)

    def _send(
        self, progress: Progress, location: Location, file: ClaimedFile, found: _Inspected, planned: _Planned
    ) -> RecordingDocument:
        with self._step(progress, Step.UPLOAD):
            answer = self._upload(planned, found.policy)
        with self._step(progress, Step.VERIFY):
            encryption = self._verify(planned, found.policy, answer)
            file.check_unchanged()
            self._drop_former(found.known, planned.plan.key)
        with self._step(progress, Step.DOCUMENT):
            document = self._document(location, found, planned, encryption)
            return self._documents.write(document, found.seen.measured.waveform)

    def _drop_former(self, known: RecordingDocument | None, key: str) -> None:
        """Delete what an earlier try has documented under another name: soon no document would know of it."""
        if known is not None and known.key and known.key != key:
            self._store.delete(known.key)

    def _tell(self, document: RecordingDocument, policy: Policy, plan: Plan) -> None:
        """Say that it is stored; one that was deleted while it was sent follows its document instead."""
        if document.deleted_us:
            self._finish_removal(document, plan.key)
            return
        self._announcements.stored(document)
        if document.silent and policy.remove_silent:
            self._removal.remove(document, SILENT)

    def _finish_removal(self, document: RecordingDocument, key: str) -> None:
        """Delete what was sent of a recording that was deleted meanwhile: its document may know no key any more."""
        if key:
            self._store.delete(key)
        self._removal.remove(document, document.delete_reason)

    @contextmanager
    def _step(self, progress: Progress, step: Step) -> Iterator[None]:
        started = time.monotonic()
        yield
        progress.finish(step)
        self._on_step(step, time.monotonic() - started)

    def _inspect(self, held: ExitStack, location: Location, file: ClaimedFile) -> _Inspected:
        seen = self._inspection.see(held, location, file)
        policy = self._policies.of(location.tenant_id, seen.note.line, seen.note.queue_id)
        known = self._documents.find(location.recording_id)
        if known and (known.tenant_id, known.call_id) != (location.tenant_id, location.call_id):
            raise Hostile("the recording's id belongs to another call")
        if known and (known.source_sha256 or known.sha256) != seen.measured.digest.sha256:
            raise Hostile("another recording is stored under this id")
        return _Inspected(seen, policy, known)

    def _platform_us(self, wall_seconds: float) -> int:
        return replace(self._clock, wall=lambda: wall_seconds).now_us()

    def _plan(self, held: ExitStack, location: Location, file: ClaimedFile, found: _Inspected) -> _Planned:
        """Settle name and form: those of the first try, or what the policy says now."""
        seen, former = found.seen, found.seen.former
        if former is None and found.known is not None:
            former = _plan_of(found.known)
        wanted = former.form if former else found.policy.form
        payload = held.enter_context(
            self._encoder.payload(location, seen.sound, seen.shape, seen.measured, wanted),
        )
        if former is not None and former.form is payload.form:
            return _Planned(former, payload, is_first_try=False)
        recorded_us = former.recorded_us if former else self._platform_us(file.modified_seconds)
        policy = found.policy
        plan = Plan(
            recorded_us,
            object_key(location, policy.name_template, seen.note, recorded_us, policy.time_zone, payload.form),
            payload.form,
        )
        if former is not None and found.known is None:
            self._store.delete(former.key)  # the disk became full since: the former try's object is nobody's
        is_kept = in_thread(self._plans.keep, location, plan)
        return _Planned(plan, payload, is_first_try=former is None and is_kept)

    def _upload(self, planned: _Planned, policy: Policy) -> StoredObject | None:
        """Send it unless it is there. Returns what the store's own answer proves that it holds."""
        # Nothing can be in the store before the first try: one question less for nearly every recording.
        stored = None if planned.is_first_try else self._store.describe(planned.plan.key)
        if stored is not None and not self._is_encrypted(stored, policy):
            stored = None  # it was wanted otherwise when it was sent
        if need_of(planned.payload.digest, stored) is Need.UPLOAD:
            kms_key_id = policy.kms_key_id or self._limits.kms_key_id
            kind = Kind(planned.plan.form.media_type, self._encryption(policy), kms_key_id)
            with self._slots:
                parts = planned.payload.parts(self._limits.part_bytes, self._paced)
                stored = self._store.put(planned.plan.key, parts, planned.payload.digest, kind)
            metrics.UPLOADED_BYTES.inc(planned.payload.digest.size_bytes)
        return stored

    def _paced(self, piece_bytes: int) -> None:
        wait = self._bandwidth.reserve(piece_bytes, time.monotonic())
        if wait:
            gevent.sleep(wait)

    def _encryption(self, policy: Policy) -> str:
        """Return how a recording is to be encrypted: with its company's key, whatever the platform does for others."""
        return "aws:kms" if policy.kms_key_id else self._limits.encryption

    def _is_encrypted(self, stored: StoredObject, policy: Policy) -> bool:
        return self._encryption(policy) in ("", stored.encryption)

    def _verify(self, planned: _Planned, policy: Policy, answer: StoredObject | None) -> str:
        """Return how the store encrypted it. Raises StoreLied."""
        key, digest = planned.plan.key, planned.payload.digest
        stored = answer or self._store.describe(key)
        if stored is None or not stored.can_be(digest):
            raise StoreLied("the store does not hold what was sent")
        if not self._is_encrypted(stored, policy):
            raise StoreLied("the store did not encrypt what was sent")
        if not stored.proves_its_bytes and self._store.read_back(key) != digest.sha256:
            raise StoreLied("the store gives back other bytes than were sent")
        return stored.encryption

    def _document(self, location: Location, found: _Inspected, planned: _Planned, encryption: str) -> RecordingDocument:
        seen = found.seen
        return RecordingDocument(
            recording_id=location.recording_id,
            tenant_id=location.tenant_id,
            call_id=location.call_id,
            node=self._limits.node,
            bucket=self._store.bucket,
            key=planned.plan.key,
            size_bytes=planned.payload.digest.size_bytes,
            sha256=planned.payload.digest.sha256,
            duration_ms=seen.shape.duration_ms,
            channels=seen.shape.format.channels,
            sample_rate=seen.shape.format.sample_rate,
            media_type=planned.plan.form.media_type,
            silent=seen.measured.is_silent,
            repaired=seen.shape.is_repaired,
            recorded_us=planned.plan.recorded_us,
            stored_us=self._clock.now_us(),
            queue_id=seen.note.queue_id,
            agent_id=seen.note.agent_id,
            caller=seen.note.caller,
            line=seen.note.line,
            source_sha256=seen.measured.digest.sha256,
            source_bytes=seen.measured.digest.size_bytes,
            encryption=encryption,
            copies=() if seen.measured.is_silent and found.policy.remove_silent else found.policy.copies,
        )


def _plan_of(document: RecordingDocument) -> Plan:
    """Return the plan by which a recording was stored, for a try that finds no plan on a disk that was full."""
    form = next(form for form in Form if form.media_type == document.media_type)
    return Plan(document.recorded_us, document.key, form)
