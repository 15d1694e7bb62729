import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from services.shared.chassis.documents import open_database
from tests.integration.webhooks.harness import LocalReceiver, Service, free_port

START_SECONDS = 20.0


@pytest.fixture(scope="module")
def store_uri(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Give a document store: the one of MONGODB_URI, or a process of our own."""
    if os.environ.get("MONGODB_URI"):
        yield os.environ["MONGODB_URI"]
        return
    port = free_port()
    program = str(Path(sys.executable).parent / "secantusd-py")
    folder = tmp_path_factory.mktemp("store")
    command = [program, "--host", "127.0.0.1", "--port", str(port), "--storage-path", str(folder), "--sync-on-commit"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:  # noqa: S603 - our own command
        _wait_for(port, process)
        yield f"mongodb://127.0.0.1:{port}"
        process.terminate()


def _wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=1):
                return
        except OSError:
            assert process.poll() is None, "the document store ended"
            assert time.monotonic() < deadline, "the document store did not come up"
            time.sleep(0.05)


@pytest.fixture
def make_receiver(tmp_path: Path) -> Iterator[Callable[..., LocalReceiver]]:
    """Give a maker of receivers."""
    receivers: list[LocalReceiver] = []

    def make(name: str = "receiver", **options: tuple[str, ...]) -> LocalReceiver:
        receivers.append(LocalReceiver(tmp_path, name, **options))
        return receivers[-1]

    yield make
    for receiver in receivers:
        receiver.stop()


@pytest.fixture
def receiver(make_receiver: Callable[..., LocalReceiver]) -> LocalReceiver:
    """Give a receiver."""
    return make_receiver()


@pytest.fixture
def service(tmp_path: Path, make_receiver: Callable[..., LocalReceiver]) -> Iterator[Service]:
    """Give a service that is not started yet; it ends before its receivers do."""
    del make_receiver
    service = Service(tmp_path)
    yield service
    service.stop()


@pytest.fixture
def database(store_uri: str) -> Iterator[Any]:
    """Give an empty database."""
    database = open_database(store_uri.rstrip("/") + f"/webhooks_{uuid4().hex[:8]}", "test")
    yield database
    database.client.close()
