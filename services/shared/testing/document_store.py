"""A document store of a test run's own: the true program, which keeps what it acknowledged, on a free port."""

import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from services.shared.testing.ports import free_port
from services.shared.testing.waiting import wait_until

STOP_SECONDS = 20.0
_UNSWEPT = Path(__file__).with_name("unswept")


def store_command(port: int, folder: Path, *, syncs: bool = True, sweeps: bool = False) -> list[str]:
    """Return the command that serves a folder's documents on a port of loopback.

    With `syncs` nothing that it acknowledged is lost where it is killed. Only with `sweeps` it deletes what has
    expired: whoever runs for days wants that, and pays for it with standstills under load (unswept/).
    """
    program = str(Path(sys.executable).with_name("secantusd-py"))
    command = [program, "--host", "127.0.0.1", "--port", str(port), "--storage-path", str(folder)]
    if syncs:
        command.append("--sync-on-commit")
    return command if sweeps else ["env", f"PYTHONPATH={_UNSWEPT}", *command]


@contextmanager
def document_store(folder: Path, *, syncs: bool = True) -> Iterator[str]:
    """Run one in a folder and give the address of its server, without a database."""
    port = free_port()
    command = store_command(port, folder, syncs=syncs)
    with (folder.parent / "documents.log").open("wb") as output:
        server = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)  # noqa: S603 - our own
    try:
        wait_until(lambda: _listens(port), "the document store's start")
        yield f"mongodb://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait(STOP_SECONDS)


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
