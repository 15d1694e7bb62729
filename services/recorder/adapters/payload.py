"""What is sent of a recording: the sound as it was written, or encoded, as its company's policy wants it."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import structlog

from services.recorder.adapters.encoding import EncodedFile, encode
from services.recorder.adapters.measure import Content, KeptSound, Measured, digest_of
from services.recorder.adapters.own_files import Encoded, is_full
from services.recorder.domain.digest import Digest
from services.recorder.domain.form import Form, possible_form
from services.recorder.domain.location import Location
from services.recorder.domain.wav import Shape
from services.recorder.errors import EncodingFailed, FolderFailed

log = structlog.get_logger()


class Payload:
    """The bytes of the object, their fingerprint and their form."""

    def __init__(self, content: Content, digest: Digest, form: Form) -> None:
        self.content = content
        self.digest = digest
        self.form = form


class Encoder:
    """Encodes beside the recordings; what a killed or failed try has finished is used by the next one."""

    def __init__(self, root: Path) -> None:
        self.files = Encoded(root)

    @contextmanager
    def payload(
        self, location: Location, sound: KeptSound, shape: Shape, measured: Measured, wanted: Form
    ) -> Iterator[Payload]:
        """Give what is sent.

        It is the sound as it was written where it can't be encoded or the disk is full: a recording that is larger than
        wanted is better than none.
        """
        form = possible_form(wanted, shape.format)
        path = None if form is Form.WAV else self._encoded(location, sound, shape, measured, form)
        if path is None:
            yield Payload(sound, measured.digest, Form.WAV)
            return
        file = EncodedFile(path)
        try:
            yield Payload(file, digest_of(file), form)
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
