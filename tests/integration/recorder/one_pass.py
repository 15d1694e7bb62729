"""A recorder process that goes once through its folder with real stores, and may end itself by SIGKILL.

Its arguments are one JSON object. Announcements go to a file, one line each, so that they outlive the process.
"""

from gevent import monkey

monkey.patch_all()

# ruff: noqa: E402 - the sockets must be gevent's before anything imports them
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from services.recorder.adapters.folder import list_folder
from services.recorder.adapters.mongo import RecordingDocument, RecordingDocuments
from services.recorder.adapters.s3 import Kind, ObjectStore, Part
from services.recorder.domain.backoff import Stillness
from services.recorder.domain.digest import Digest, StoredObject
from services.recorder.domain.form import Form
from services.recorder.domain.location import Location
from services.recorder.domain.policy import Policy
from services.recorder.domain.progress import Step
from services.recorder.errors import TryAgain
from services.recorder.ports import World
from services.recorder.storing import Limits, Storing
from services.shared.chassis.clock import Clock


def die() -> None:
    """End as the kernel's out-of-memory killer ends a process."""
    os.kill(os.getpid(), signal.SIGKILL)


class DyingStore(ObjectStore):
    """Ends the process before the part with this number is sent; 0 never."""

    dies_at_part = 0

    def put(self, key: str, parts: Iterator[Part], digest: Digest, kind: Kind) -> StoredObject | None:
        """Store an object, perhaps not to its end."""
        return super().put(key, self._until_death(parts), digest, kind)

    def _until_death(self, parts: Iterator[Part]) -> Iterator[Part]:
        for number, part in enumerate(parts, 1):
            if number == self.dies_at_part:
                die()
            yield part


class KeyPolicies:
    """One form for all, and each company's own key of the key service."""

    def __init__(self, form: Form, keys: dict[str, str]) -> None:
        self._form = form
        self._keys = keys

    def of(self, tenant_id: str, line: str, queue_id: str) -> Policy:
        """Return a company's policy."""
        del line, queue_id
        return Policy(form=self._form, kms_key_id=self._keys.get(tenant_id, ""))


class WrittenAnnouncements:
    """Appends what is said to a file."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def stored(self, document: RecordingDocument) -> None:
        """Say that a recording is safe."""
        self._write(f"stored {document.recording_id} {document.sha256} {document.stored_us}")

    def failed(self, location: Location, reason: str, at_us: int) -> None:
        """Say that a recording can't be kept."""
        del at_us
        self._write(f"failed {location.recording_id} {reason}")

    def deleted(self, document: RecordingDocument, actor: str) -> None:
        """Say that a recording was deleted."""
        self._write(f"deleted {document.recording_id} {actor}")

    def _write(self, line: str) -> None:
        with self._path.open("a", encoding="utf-8") as file:
            file.write(line + "\n")


def main(given: dict[str, Any]) -> None:
    """Store everything in the folder once and print how each try ended; or print what is documented."""
    if "print_documents_of" in given:
        rows = RecordingDocuments(given["mongodb_uri"]).of_call("acme", given["print_documents_of"])
        sys.stdout.writelines(f"{row.recording_id}={row.sha256}\n" for row in rows)
        return

    def after(step: Step, _seconds: float) -> None:
        if step.value == given.get("die_after"):
            die()

    root = Path(given["root"])
    store = DyingStore(given["endpoint"], given["bucket"], given["access_key"], given["secret_key"], "us-east-1")
    store.dies_at_part = given.get("die_at_part", 0)
    storing = Storing(
        root,
        World(
            store,
            RecordingDocuments(given["mongodb_uri"]),
            WrittenAnnouncements(Path(given["announcements"])),
            KeyPolicies(Form(given.get("form", "wav")), given.get("keys", {})),
        ),
        Clock(),
        Limits(0.0, 1024**3, "fs-1", given.get("encryption", ""), part_bytes=given["part_bytes"]),
        Stillness(),
        after,
    )
    for waiting in list_folder(root, 1000).waiting:
        try:
            outcome = storing.store(waiting.location).value
        except TryAgain as error:
            outcome = error.outcome
        sys.stdout.write(f"{outcome}\n")
    storing.forget_finished()  # what the scanner does at each look
