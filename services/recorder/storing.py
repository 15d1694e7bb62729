"""One try of one recording: from the node's disk into the object store, and off the disk last (DESIGN rule 8)."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from enum import Enum
from pathlib import Path
from typing import Protocol

from services.recorder.adapters.disk import ClaimedFile, claim, in_thread
from services.recorder.adapters.folder import Plans, Quarantine, Stray
from services.recorder.adapters.measure import measure, parts_of
from services.recorder.adapters.mongo import RecordingDocument
from services.recorder.domain.backoff import Stillness
from services.recorder.domain.digest import Digest, StoredObject
from services.recorder.domain.location import Location, object_key
from services.recorder.domain.progress import Need, Progress, Step, need_of
from services.recorder.domain.wav import HEAD_BYTES, MEDIA_TYPE, NotWav, Shape, read_shape
from services.recorder.errors import Claimed, Gone, Hostile, StoreLied, Unfinished
from services.shared.chassis.clock import Clock


class Store(Protocol):
    """What a try needs of the object store."""

    bucket: str

    def describe(self, key: str) -> StoredObject | None:
        """Return what the store says of an object."""

    def put(self, key: str, parts: Iterator[bytes], digest: Digest) -> None:
        """Store one object."""

    def read_back(self, key: str) -> str:
        """Fetch an object and return its hex SHA-256."""


class Documents(Protocol):
    """What a try needs of the document store."""

    def find(self, recording_id: str) -> RecordingDocument | None:
        """Return a recording's document."""

    def write(self, document: RecordingDocument) -> RecordingDocument:
        """Write a document and return it as it is kept."""


class Announcements(Protocol):
    """What a try needs of the bus."""

    def stored(self, document: RecordingDocument) -> None:
        """Say that a recording is safe."""

    def failed(self, location: Location, reason: str, at_us: int) -> None:
        """Say that a recording can't be kept."""


class Outcome(Enum):
    """How a try ended when nothing outside failed."""

    STORED = "stored"
    QUARANTINED = "quarantined"
    UNFINISHED = "unfinished"
    CLAIMED = "claimed"
    GONE = "gone"


@dataclass(frozen=True, slots=True)
class Limits:
    """What a file may be. `settle_seconds` is wall time: FreeSWITCH writes in it."""

    settle_seconds: float
    max_bytes: int
    node: str


@dataclass(frozen=True, slots=True)
class _Inspected:
    shape: Shape
    digest: Digest
    is_silent: bool
    recorded_us: int
    key: str
    is_first_try: bool


def ignore_step(_step: Step, _seconds: float) -> None:
    """Watch nothing."""


class Storing:
    """Runs the steps of SPEC 6.2. A kill between any two of them is made good by the next try."""

    def __init__(
        self,
        root: Path,
        store: Store,
        documents: Documents,
        announcements: Announcements,
        clock: Clock,
        limits: Limits,
        stillness: Stillness,
        on_step: Callable[[Step, float], None] = ignore_step,
    ) -> None:
        self._root = root
        self._store = store
        self._documents = documents
        self._announcements = announcements
        self._clock = clock
        self._limits = limits
        self._stillness = stillness
        self._on_step = on_step
        self._plans = Plans(root)
        self._quarantine = Quarantine(root)

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
        return Outcome.QUARANTINED

    def _put_aside(self, location: Location, reason: str) -> Outcome:
        # The event first: after a kill in between, the file is found again and the same event is sent again.
        self._announcements.failed(location, reason, self._clock.now_us())
        in_thread(self._quarantine.put, location.path, reason)
        self._plans.forget(location)
        return Outcome.QUARANTINED

    def _run(self, location: Location, file: ClaimedFile) -> None:
        progress = Progress()
        with self._step(progress, Step.INSPECT):
            found = self._inspect(location, file)
        with self._step(progress, Step.UPLOAD):
            self._upload(location, file, found)
        with self._step(progress, Step.VERIFY):
            self._verify(found)
            file.check_unchanged()
        with self._step(progress, Step.DOCUMENT):
            document = self._documents.write(self._document(location, found))
        with self._step(progress, Step.ANNOUNCE):
            self._announcements.stored(document)
        with self._step(progress, Step.DELETE):
            file.delete()
        self._plans.forget(location)

    @contextmanager
    def _step(self, progress: Progress, step: Step) -> Iterator[None]:
        started = time.monotonic()
        yield
        progress.finish(step)
        self._on_step(step, time.monotonic() - started)

    def _inspect(self, location: Location, file: ClaimedFile) -> _Inspected:
        shape = self._finished_shape(location, file)
        digest, is_silent = measure(file, shape)
        recorded_us, is_first = in_thread(self._plans.keep, location, self._platform_us(file.modified_seconds))
        return _Inspected(shape, digest, is_silent, recorded_us, object_key(location, recorded_us), is_first)

    def _finished_shape(self, location: Location, file: ClaimedFile) -> Shape:
        """Return the file's shape once nobody writes to it. Raises Unfinished, Hostile."""
        if file.is_open_for_writing():
            raise Unfinished("it is being written")
        if file.size_bytes > self._limits.max_bytes:
            raise Hostile("the file is larger than a recording may be")
        still = self._stillness.observe(location, file.look, time.monotonic())
        age = time.time() - file.modified_seconds
        has_settled = max(still, age) >= self._limits.settle_seconds
        try:
            shape = read_shape(file.read(0, HEAD_BYTES), file.size_bytes)
        except NotWav as error:
            if not has_settled:
                raise Unfinished("its header is not written yet") from error
            raise Hostile(str(error)) from error
        if not shape.is_complete and not has_settled:
            raise Unfinished("its header says that it is being written")
        if not shape.data_bytes:
            raise Hostile("the switch died before any sound was written")
        return shape

    def _platform_us(self, wall_seconds: float) -> int:
        return replace(self._clock, wall=lambda: wall_seconds).now_us()

    def _upload(self, location: Location, file: ClaimedFile, found: _Inspected) -> None:
        document = self._documents.find(location.recording_id)
        if document and (document.tenant_id, document.call_id) != (location.tenant_id, location.call_id):
            raise Hostile("the recording's id belongs to another call")
        # Nothing can be in the store before the first try: one question less for nearly every recording.
        stored = None if found.is_first_try else self._store.describe(found.key)
        need = need_of(found.digest, document.sha256 if document else None, stored)
        if need is Need.REFUSE:
            raise Hostile("another recording is stored under this id")
        if need is Need.UPLOAD:
            self._store.put(found.key, parts_of(file, found.shape), found.digest)

    def _verify(self, found: _Inspected) -> None:
        stored = self._store.describe(found.key)
        if stored is None or not stored.can_be(found.digest):
            raise StoreLied("the store does not hold what was sent")
        if not stored.proves_its_bytes and self._store.read_back(found.key) != found.digest.sha256:
            raise StoreLied("the store gives back other bytes than were sent")

    def _document(self, location: Location, found: _Inspected) -> RecordingDocument:
        return RecordingDocument(
            recording_id=location.recording_id,
            tenant_id=location.tenant_id,
            call_id=location.call_id,
            node=self._limits.node,
            bucket=self._store.bucket,
            key=found.key,
            size_bytes=found.digest.size_bytes,
            sha256=found.digest.sha256,
            duration_ms=found.shape.duration_ms,
            channels=found.shape.format.channels,
            sample_rate=found.shape.format.sample_rate,
            media_type=MEDIA_TYPE,
            silent=found.is_silent,
            repaired=found.shape.is_repaired,
            recorded_us=found.recorded_us,
            stored_us=self._clock.now_us(),
        )
