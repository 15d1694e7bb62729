from gevent import monkey

monkey.patch_all()

import os  # noqa: E402 - the patch comes first
import socket  # noqa: E402
import subprocess  # noqa: E402
from collections.abc import Iterator  # noqa: E402
from pathlib import Path  # noqa: E402
from typing import TYPE_CHECKING  # noqa: E402

import pytest  # noqa: E402
import pytest_socket  # noqa: E402
from hypothesis import HealthCheck, settings  # noqa: E402

from local.broker import kafka  # noqa: E402
from services.shared.chassis.watch import Away, ask_broker  # noqa: E402
from services.shared.testing.ports import free_port  # noqa: E402
from services.shared.testing.waiting import wait_until  # noqa: E402

if TYPE_CHECKING:
    from tests.browser.eye import Eye

# It was loaded before the patch, and puts back after each test what it found: sockets that stop every greenlet.
pytest_socket._true_socket = socket.socket
pytest_socket._true_connect = socket.socket.connect
pytest_socket._true_getaddrinfo = socket.getaddrinfo
pytest_socket._true_gethostbyname = socket.gethostbyname

# How long an example takes is the machine's: one that others kept from the processor for 0.2 s is no finding.
settings.register_profile("any machine", settings.default, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")


@pytest.fixture(scope="session")
def kafka_bootstrap(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of a true broker with the platform's topics: KAFKA_BOOTSTRAP, or one that is started for this run."""
    from local.topics import definitions  # noqa: PLC0415 - kafka-python only where a broker is wanted
    from services.shared.bus.admin import ensure_topics  # noqa: PLC0415 - the same

    given = os.environ.get("KAFKA_BOOTSTRAP")
    if given:
        ensure_topics(given, definitions())
        yield given
        return
    try:
        kafka.ensure_jars()
    except kafka.BrokerMissing as missing:
        pytest.skip(str(missing))
    folder: Path = tmp_path_factory.mktemp("broker")
    port = free_port()
    address = f"127.0.0.1:{port}"
    with (folder / "broker.log").open("wb") as log:
        broker = subprocess.Popen(  # noqa: S603 - the command is our own
            kafka.prepare(folder, port, free_port(), forgets=False), stdout=log, stderr=subprocess.STDOUT
        )
    try:
        wait_until(lambda: _answers(address, broker), f"the broker answers ({folder / 'broker.log'})")
        ensure_topics(address, definitions())
        yield address
    finally:
        broker.terminate()
        broker.wait(20)


@pytest.fixture(scope="session")
def browser() -> "Iterator[Eye]":
    """Give the one browser of this run; who looks at a page takes `eye`."""
    from tests.browser.eye import Eye  # noqa: PLC0415 - only where a page is looked at

    eye = Eye()
    yield eye
    eye.close()


def _answers(address: str, broker: "subprocess.Popen[bytes]") -> bool:
    """Whether the broker not only listens: its first answers take a busy machine seconds."""
    assert broker.poll() is None, "the broker ended"
    try:
        ask_broker(address)
    except Away:
        return False
    return True
