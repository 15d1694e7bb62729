"""Recorders that are killed at each thing that they do to the world, one after another, until one lives to the end.

One process that forks: imports take longer than a pass. Its argument is one JSON object; it writes a line a kill.
"""

from gevent import monkey

monkey.patch_all()

# ruff: noqa: E402 - the sockets must be gevent's before anything imports them
import json
import os
import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pymongo import monitoring

from services.recorder.adapters.folder import list_folder
from services.recorder.adapters.mongo import RecordingDocuments
from services.recorder.adapters.s3 import ObjectStore
from services.recorder.domain.backoff import Stillness
from services.recorder.domain.form import Form
from services.recorder.domain.policy import Policy
from services.recorder.ports import World
from services.recorder.storing import Limits, Storing
from services.shared.chassis.clock import Clock
from tests.integration.recorder.one_pass import WrittenAnnouncements
from tests.unit.recorder.fakes import OnePolicy

MOST_KILLS = 200
POLICY = Policy(form=Form.FLAC, remove_silent=True)


class Fate:
    """Counts what is done to the world and ends the process at the chosen one, as the kernel does."""

    def __init__(self, dies_at: int, told: Path) -> None:
        self._left = dies_at
        self._told = told

    def meet(self, deed: str) -> None:
        """Count one deed."""
        self._left -= 1
        if not self._left:
            self._told.write_text(deed, encoding="utf-8")
            os.kill(os.getpid(), signal.SIGKILL)


class CommandsOfDocuments(monitoring.CommandListener):
    """Meets fate before each command to the document store, and after its answer."""

    def __init__(self, fate: Fate) -> None:
        self._fate = fate

    def started(self, event: monitoring.CommandStartedEvent) -> None:
        """Before the command."""
        if event.command_name in ("find", "insert", "update", "delete", "findAndModify"):
            self._fate.meet(f"before {event.command_name}")

    def succeeded(self, event: monitoring.CommandSucceededEvent) -> None:
        """After the answer."""
        if event.command_name in ("find", "insert", "update", "delete", "findAndModify"):
            self._fate.meet(f"after {event.command_name}")

    def failed(self, event: monitoring.CommandFailedEvent) -> None:
        """Nothing new."""


def watch_disk(fate: Fate) -> None:
    """Meet fate before and after whatever changes a folder."""
    for name in ("rename", "unlink", "fsync"):
        setattr(os, name, _watched(name, getattr(os, name), fate))


def _watched(name: str, deed: Callable[..., Any], fate: Fate) -> Callable[..., Any]:
    def do(*args: Any, **more: Any) -> Any:
        fate.meet(f"before {name}")
        done = deed(*args, **more)
        fate.meet(f"after {name}")
        return done

    return do


class DyingAnnouncements(WrittenAnnouncements):
    """Meets fate before and after each word."""

    fate: Fate

    def _write(self, line: str) -> None:
        self.fate.meet("before a word")
        super()._write(line)
        self.fate.meet("after a word")


def one_pass(given: dict[str, Any], root: Path, store: ObjectStore, fate: Fate) -> None:
    """Go once through the folder."""
    monitoring.register(CommandsOfDocuments(fate))
    watch_disk(fate)
    events = store._client.meta.events
    events.register("before-send.s3", lambda **_: fate.meet("before a request to the store"))
    events.register("response-received.s3", lambda **_: fate.meet("after an answer of the store"))
    announcements = DyingAnnouncements(Path(given["announcements"]))
    announcements.fate = fate
    world = World(store, RecordingDocuments(given["mongodb_uri"]), announcements, OnePolicy(POLICY))
    storing = Storing(root, world, Clock(), Limits(0.0, 1024**3, "fs-1"), Stillness())
    for waiting in sorted(list_folder(root, 1000).waiting, key=lambda each: each.location):
        storing.store(waiting.location)
    storing.forget_finished()


def forked(given: dict[str, Any], root: Path, store: ObjectStore, fate: Fate) -> int:
    """Let a process of its own make a pass; return its wait status."""
    child = os.fork()
    if not child:
        try:
            one_pass(given, root, store, fate)
        except BaseException as error:  # noqa: BLE001 - the parent hears of it by the status
            sys.stderr.write(f"{error!r}\n")
            os._exit(1)
        os._exit(0)
    return os.waitpid(child, 0)[1]


def prepare(template: Path, root: Path, number: int) -> None:
    """Make a folder in which no recording has an id of another run's."""
    call = root / "acme" / f"call-{number}"
    call.mkdir(parents=True)
    for file in template.iterdir():
        shutil.copy(file, call / f"{file.stem}-{number}.wav")


def main(given: dict[str, Any]) -> None:
    """Kill at the first deed, the second, and so on, and let another process make it good each time."""
    store = ObjectStore(given["endpoint"], given["bucket"], given["access_key"], given["secret_key"], "us-east-1")
    told = Path(given["folder"]) / "deed"
    for number in range(1, MOST_KILLS + 1):
        root = Path(given["folder"]) / f"node-{number}"
        prepare(Path(given["template"]), root, number)
        told.write_text("", encoding="utf-8")
        status = forked(given, root, store, Fate(number, told))
        left = sorted(path.stem for path in root.glob("*/*/*.wav"))
        row: dict[str, Any] = {"number": number, "deed": told.read_text(encoding="utf-8"), "left": left}
        row["killed"] = os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
        row["recovered"] = forked(given, root, store, Fate(0, told)) == 0
        row["files"] = sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())
        sys.stdout.write(json.dumps(row) + "\n")
        if not row["killed"]:
            return


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
