"""The recorder's own files beside the recordings: plans, notes, encoded sound. A kill leaves all or nothing."""

import errno
import os
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import orjson

from services.recorder.domain.form import Form
from services.recorder.domain.location import CallId, Location, RecordingId, TenantId
from services.recorder.domain.naming import CallNote
from services.recorder.errors import FolderFailed

OWN_FOLDER = ".recorder"
PLANS, NOTES, ENCODED = "plans", "notes", "encoded"
_PLACE_PARTS = 3
_NOTE_KEPT_SECONDS = 86_400
"""A call's note may be there before its file; one whose file never came goes after a day."""


@dataclass(frozen=True, slots=True)
class Plan:
    """Under which name and in which form a recording is stored.

    Not with which key of the key service: one that is refused may be put right in the policy, and is used at once.
    """

    recorded_us: int
    key: str
    form: Form


class _Folder:
    """One folder with a file for each recording, named by its place."""

    def __init__(self, root: Path, name: str, suffix: str) -> None:
        self._root = root
        self._folder = root / OWN_FOLDER / name
        self._suffix = suffix

    def path(self, location: Location) -> Path:
        """Return where a recording's file lies."""
        return self._folder / f"{location.tenant_id}~{location.call_id}~{location.recording_id}{self._suffix}"

    def forget(self, location: Location) -> None:
        """Drop the file of a recording that is done with; one that stays behind goes with `forget_finished`."""
        with suppress(OSError):
            self.path(location).unlink()

    def forget_finished(self, older_than_seconds: float = 0.0) -> None:
        """Drop the files whose recording is gone: a kill after the delete left them."""
        if not self._folder.is_dir():
            return
        for entry in list(self._folder.iterdir()):
            place = _place(entry.name)
            if place is None or (self._root / place.path).exists():
                continue
            with suppress(FileNotFoundError):
                if time.time() - entry.stat().st_mtime >= older_than_seconds:
                    entry.unlink()

    def _write(self, location: Location, document: dict[str, Any], *, outlives_power: bool) -> None:
        try:
            write_whole(self.path(location), document, outlives_power=outlives_power)
        except FileNotFoundError:  # the first of all
            self._folder.mkdir(parents=True, exist_ok=True)
            write_whole(self.path(location), document, outlives_power=outlives_power)


class Plans(_Folder):
    """Keeps how each recording that is being stored is stored.

    Written before the first byte is sent, so that a later try, under a changed clock or policy too, makes the same
    object. Where the disk is full it is done without: to store and delete is what makes room again.
    """

    def __init__(self, root: Path) -> None:
        super().__init__(root, PLANS, ".json")

    def find(self, location: Location) -> Plan | None:
        """Return the plan of an earlier try. Raises FolderFailed."""
        try:
            row = orjson.loads(self.path(location).read_bytes())
            return Plan(row["recorded_us"], row["key"], Form(row["form"]))
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            return None  # never written, or cut by a full disk: no byte was sent under it
        except OSError as error:
            raise FolderFailed(f"the plan can't be read: {error.strerror}") from error

    def keep(self, location: Location, plan: Plan) -> bool:
        """Write a plan; False where the disk is full. Raises FolderFailed."""
        try:
            # A power cut that takes it costs nothing: the next try plans the same, unless the policy changed meanwhile.
            self._write(location, {**asdict(plan), "form": plan.form.value}, outlives_power=False)
        except OSError as error:
            if is_full(error):
                return False
            raise FolderFailed(f"the plan can't be written: {error.strerror}") from error
        return True


class Notes(_Folder):
    """Keeps what the events told of a recording's call until the recording is stored."""

    def __init__(self, root: Path) -> None:
        super().__init__(root, NOTES, ".json")

    def find(self, location: Location) -> CallNote | None:
        """Return what is known of a recording's call."""
        try:
            row = orjson.loads(self.path(location).read_bytes())
            return CallNote(**{name: str(row[name]) for name in CallNote.__dataclass_fields__})
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def keep(self, location: Location, note: CallNote) -> None:
        """Write a note. Raises OSError: a full disk costs a recording its beautiful name, not more."""
        self._write(location, asdict(note), outlives_power=True)  # its event will not come again

    def forget_finished(self, older_than_seconds: float = _NOTE_KEPT_SECONDS) -> None:
        """Drop old notes whose recording is not there."""
        super().forget_finished(older_than_seconds)


class Encoded(_Folder):
    """Encoded sound that waits to be sent. Its name ends in the source's hash: another source is encoded anew."""

    def __init__(self, root: Path) -> None:
        super().__init__(root, ENCODED, "")

    def target(self, location: Location, source_sha256: str, form: Form) -> Path:
        """Return where the finished file lies, or will. Raises OSError."""
        self._folder.mkdir(parents=True, exist_ok=True)
        return self.path(location).with_name(f"{self.path(location).name}~{source_sha256[:32]}{form.suffix}")

    def forget(self, location: Location) -> None:
        """Drop all that was encoded of a recording, drafts of killed tries too."""
        if not self._folder.is_dir():
            return
        begin = f"{self.path(location).name}~"
        for entry in list(self._folder.iterdir()):
            if entry.name.startswith(begin):
                with suppress(OSError):
                    entry.unlink()


def is_full(error: OSError) -> bool:
    """Whether the disk, or the user's part of it, is full."""
    return error.errno in (errno.ENOSPC, errno.EDQUOT)


def write_whole(path: Path, document: dict[str, Any], *, outlives_power: bool = True) -> None:
    """Write a small file so that a kill leaves all of it or none of it, and so does a power cut if it shall."""
    draft = path.with_name(f"{path.name}.{os.getpid()}.draft")
    try:
        with draft.open("wb") as file:
            file.write(orjson.dumps(document))
            if outlives_power:
                file.flush()
                os.fsync(file.fileno())
        draft.rename(path)
    except OSError:
        with suppress(OSError):
            draft.unlink()
        raise


def _place(name: str) -> Location | None:
    parts = name.split("~")
    if len(parts) < _PLACE_PARTS:
        return None
    recording = parts[2].split(".json", 1)[0]
    return Location(TenantId(parts[0]), CallId(parts[1]), RecordingId(recording))
