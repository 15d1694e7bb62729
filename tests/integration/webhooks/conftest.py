import os
import signal
import socket
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from services.shared.chassis.documents import open_database
from services.shared.testing.document_store import store_command
from services.shared.testing.ports import free_port
from services.shared.testing.waiting import wait_until
from tests.integration.webhooks.harness import LocalReceiver, Service


@dataclass(frozen=True, slots=True)
class OwnStore:
    """A document store of ours. While it stands still it takes connections and requests, and answers nothing."""

    uri: str
    process: "subprocess.Popen[bytes]"

    def stand_still(self) -> None:
        self.process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        self.process.send_signal(signal.SIGCONT)


@pytest.fixture(scope="module")
def store_uri(request: pytest.FixtureRequest) -> str:
    """Give a document store: the one of MONGODB_URI, or a process of our own."""
    given = os.environ.get("MONGODB_URI")
    return given or str(request.getfixturevalue("own_store").uri)


@pytest.fixture(scope="module")
def own_store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OwnStore]:
    """Give a document store whose process is ours."""
    port = free_port()
    command = store_command(port, tmp_path_factory.mktemp("store"))
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:  # noqa: S603 - our own command
        try:
            wait_until(lambda: _listens(port, process), "the document store listens")
            yield OwnStore(f"mongodb://127.0.0.1:{port}", process)
        finally:
            process.send_signal(signal.SIGCONT)
            process.terminate()


def _listens(port: int, process: subprocess.Popen[bytes]) -> bool:
    assert process.poll() is None, "the document store ended"
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


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
