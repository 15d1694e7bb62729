"""Reads a recording: whether it is finished, what it is, how it sounds and looks, and what is known beside it.

All of it is one errand of a thread: each further one costs a hand-over between threads, and the interpreter's lock.
"""

import time
from contextlib import ExitStack
from dataclasses import dataclass

from services.recorder.adapters.disk import ClaimedFile, in_thread
from services.recorder.adapters.measure import BLOCKS, PIECE_BYTES, KeptSound, Measured, measure
from services.recorder.adapters.own_files import Notes, Plan, Plans
from services.recorder.domain.backoff import Stillness
from services.recorder.domain.location import Location
from services.recorder.domain.naming import CallNote
from services.recorder.domain.wav import HEAD_BYTES, NotWav, Shape, read_shape
from services.recorder.errors import Hostile, Unfinished

_PADDING_BYTES = 1
"""What is kept of a cut file is longer than that by so much; never longer than a piece, whose size is even."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What the disk tells of a finished recording."""

    sound: KeptSound
    shape: Shape
    measured: Measured
    note: CallNote
    former: Plan | None
    """What an earlier try has planned."""


class Inspection:
    """Looks at claimed files."""

    def __init__(
        self, plans: Plans, notes: Notes, stillness: Stillness, settle_seconds: float, max_bytes: int, part_bytes: int
    ) -> None:
        """`settle_seconds` is wall time: FreeSWITCH writes in it."""
        self._plans = plans
        self._notes = notes
        self._stillness = stillness
        self._settle_seconds = settle_seconds
        self._max_bytes = max_bytes
        self._part_bytes = part_bytes

    def see(self, held: ExitStack, location: Location, file: ClaimedFile) -> Seen:
        """Return what a recording is; a short one's sound lies in memory until `held` ends.

        Raises Unfinished, Hostile, FileChanged, FolderFailed.
        """
        has_settled = self._has_settled(location, file)
        place = None
        if file.size_bytes <= PIECE_BYTES:
            place = held.enter_context(BLOCKS.block(min(file.size_bytes + _PADDING_BYTES, PIECE_BYTES)))
        return in_thread(self._see, location, file, has_settled, place)

    def _see(self, location: Location, file: ClaimedFile, has_settled: bool, place: memoryview | None) -> Seen:  # noqa: FBT001 - a thread is given its arguments by place
        shape = self._finished_shape(file, has_settled=has_settled)
        note = self._notes.find(location)
        if note is None and not has_settled:
            raise Unfinished("nothing was told of its call yet")  # its event may still be on its way to us
        sound = KeptSound(file, shape)
        if place is not None:
            sound.hold_in(place)
        measured = measure(sound, shape, self._part_bytes)
        return Seen(sound, shape, measured, note or CallNote(), self._plans.find(location))

    def _has_settled(self, location: Location, file: ClaimedFile) -> bool:
        still = self._stillness.observe(location, file.look, time.monotonic())
        return max(still, time.time() - file.modified_seconds) >= self._settle_seconds

    def _finished_shape(self, file: ClaimedFile, *, has_settled: bool) -> Shape:
        """Return the file's shape once nobody writes to it. Raises Unfinished, Hostile."""
        if file.is_open_for_writing():
            raise Unfinished("it is being written")
        if file.size_bytes > self._max_bytes:
            raise Hostile("the file is larger than a recording may be")
        try:
            shape = read_shape(file.read(0, min(HEAD_BYTES, file.size_bytes)), file.size_bytes)
        except NotWav as error:
            if not has_settled:
                raise Unfinished("its header is not written yet") from error
            raise Hostile(str(error)) from error
        if not shape.is_complete and not has_settled:
            raise Unfinished("its header says that it is being written")
        if not shape.data_bytes:
            raise Hostile("the switch died before any sound was written")
        return shape
