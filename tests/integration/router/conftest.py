import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from services.shared.testing.waiting import wait_until

START_SECONDS = 60.0


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture(scope="session")
def mongodb_uri(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of a document store of this run's own."""
    folder: Path = tmp_path_factory.mktemp("documents")
    port = free_port()
    program = str(Path(sys.executable).with_name("secantusd-py"))
    command = [program, "--host", "127.0.0.1", "--port", str(port), "--storage-path", str(folder), "--sync-on-commit"]
    with (folder.parent / "documents.log").open("wb") as output:
        server = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)  # noqa: S603 - our own command
    try:
        wait_until(lambda: listens(port), "the document store's start", START_SECONDS)
        yield f"mongodb://127.0.0.1:{port}/router-tests"
    finally:
        server.terminate()
        server.wait(20)
