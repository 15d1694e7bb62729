from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.integration.webhooks.harness import LocalReceiver, Service


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
