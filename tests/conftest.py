from gevent import monkey

monkey.patch_all()

import os  # noqa: E402 - the patch comes first
import socket  # noqa: E402
import subprocess  # noqa: E402
import time  # noqa: E402
from collections.abc import Iterator  # noqa: E402
from pathlib import Path  # noqa: E402

import pytest  # noqa: E402

from local.broker import kafka  # noqa: E402

START_SECONDS = 60.0


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


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
    port = _free_port()
    with (folder / "broker.log").open("wb") as log:
        broker = subprocess.Popen(  # noqa: S603 - the command is our own
            kafka.prepare(folder, port, _free_port()), stdout=log, stderr=subprocess.STDOUT
        )
    try:
        _wait_for(port)
        ensure_topics(f"127.0.0.1:{port}", definitions())
        yield f"127.0.0.1:{port}"
    finally:
        broker.terminate()
        broker.wait(20)


def _wait_for(port: int) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        if time.monotonic() > deadline:
            pytest.fail(f"the broker does not listen on {port} after {START_SECONDS:.0f} s")
        time.sleep(0.1)
