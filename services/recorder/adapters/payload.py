"""What is sent of a recording: the sound as it was written, or encoded, as its company's policy wants it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import structlog
from gevent.lock import BoundedSemaphore

from services.recorder.adapters.disk import in_thread
from services.recorder.adapters.encoding import EncodedFile, encode
from services.recorder.adapters.measure import BLOCKS, PIECE_BYTES, Content, KeptSound, Measured, digest_of, ranges
from services.recorder.adapters.own_files import Encoded, is_full
from services.recorder.adapters.s3 import Part
from services.recorder.domain.digest import Digest
from services.recorder.domain.form import Form, possible_form
from services.recorder.domain.location import Location
from services.recorder.domain.wav import Shape
from services.recorder.errors import EncodingFailed, FolderFailed

ENCODED_AT_ONCE = 4
"""An hour of a call keeps a thread for seconds, and the hub has ten: the others stay for looks, reads and names."""

log = structlog.get_logger()


class _Part:
    """A part that is read piece by piece while it is sent, each time from its beginning."""

    def __init__(self, content: Content, at: int, size: int, before_each: Callable[[int], None]) -> None:
        self._content = content
        self._at = at
        self._size = size
        self._before_each = before_each

    def __len__(self) -> int:
        return self._size

    def __iter__(self) -> Iterator[memoryview]:
        if self._content.in_memory is not None:
            self._before_each(self._size)
            yield self._content.in_memory[self._at : self._at + self._size]
            return
        with BLOCKS.block(self._size) as block:
            for at, size in ranges(self._size, PIECE_BYTES):
                self._before_each(size)
                in_thread(self._content.read_into, block[:size], self._at + at)
                yield block[:size]


class Payload:
    """The bytes of the object, their fingerprint and their form."""

    def __init__(self, content: Content, digest: Digest, form: Form, path: Path | None = None) -> None:
        self.content = content
        self.digest = digest
        self.form = form
        self._path = path

    def parts(self, part_bytes: int, before_each: Callable[[int], None]) -> Iterator[Part]:
        """Yield what is sent; `before_each` is told how many bytes go next, and may wait."""
        for at, size in ranges(self.content.size_bytes, part_bytes):
            yield _Part(self.content, at, size, before_each)

    def forget(self) -> None:
        """Drop what was encoded; what stays behind goes with `forget_finished`. Blocks."""
        if self._path is not None:
            with suppress(OSError):
                self._path.unlink()


class Encoder:
    """Encodes beside the recordings; what a killed or failed try has finished is used by the next one."""

    def __init__(self, root: Path, part_bytes: int) -> None:
        self.files = Encoded(root)
        self._part_bytes = part_bytes
        self._turns = BoundedSemaphore(ENCODED_AT_ONCE)

    @contextmanager
    def payload(
        self, location: Location, sound: KeptSound, shape: Shape, measured: Measured, wanted: Form
    ) -> Iterator[Payload]:
        """Give what is sent.

        It is the sound as it was written where it can't be encoded or the disk is full: a recording that is larger than
        wanted is better than none.
        """
        form = possible_form(wanted, shape.format)
        path = None
        if form is not Form.WAV:
            with self._turns:
                path = in_thread(self._encoded, location, sound, shape, measured, form)
        if path is None:
            yield Payload(sound, measured.digest, Form.WAV)
            return
        file = EncodedFile(path)
        try:
            yield Payload(file, in_thread(digest_of, file, self._part_bytes), form, path)
        finally:
            file.close()

    def _encoded(
        self, location: Location, sound: KeptSound, shape: Shape, measured: Measured, form: Form
    ) -> Path | None:
        try:
            target = self.files.target(location, measured.digest.sha256, form)
            if not target.exists():
                encode(sound, shape, form, target)
        except EncodingFailed as error:
            log.warning("recording_kept_as_written", recording_id=location.recording_id, reason=str(error))
            return None
        except OSError as error:
            if not is_full(error):
                raise FolderFailed(f"the sound can't be encoded here: {error.strerror}") from error
            log.warning("recording_kept_as_written", recording_id=location.recording_id, reason="the disk is full")
            return None
        return target
