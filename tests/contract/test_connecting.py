"""A broker that is away: one sentence, soon, and nothing left behind however often it is tried."""

import gc
import socket
from pathlib import Path

import pytest

from services.shared.bus import connecting
from services.shared.bus.consumer import Consumer
from services.shared.bus.errors import BusUnavailable
from services.shared.bus.producer import Producer
from services.shared.bus.topics import INPUTS
from tests.certificates import own_certificate


def _descriptors() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def _try_both(address: str) -> list[str]:
    said = []
    with pytest.raises(BusUnavailable) as found:
        Producer(address, "test")
    said.append(str(found.value))
    with pytest.raises(BusUnavailable) as found:
        Consumer(address, None, [INPUTS], "test")
    return [*said, str(found.value)]


def test_nobody_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
    assert _try_both(address) == [f"no broker answers at {address}: Connection refused"] * 2


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="counts the descriptors that Linux shows")
def test_who_listens_and_is_no_broker_costs_no_descriptors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connecting, "BOOTSTRAP_MS", 200)
    with socket.create_server(("127.0.0.1", 0)) as mute:
        address = f"127.0.0.1:{mute.getsockname()[1]}"
        assert all(address in sentence for sentence in _try_both(address))
        before = _descriptors()
        for _ in range(5):
            _try_both(address)
        assert _descriptors() <= before


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="counts the descriptors that Linux shows")
def test_a_refused_connection_keeps_no_socket(monkeypatch: pytest.MonkeyPatch) -> None:
    """As a client that is there already sees it: the look for a listener is left out."""
    monkeypatch.setattr(connecting, "BOOTSTRAP_MS", 400)
    monkeypatch.setattr(connecting, "must_listen", lambda _: None)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
    _try_both(address)
    before = _descriptors()
    for _ in range(5):
        _try_both(address)
    assert _descriptors() <= before


def test_a_handshake_that_nobody_answers_ends_and_leaves_no_socket_to_the_garbage_collector(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "ca.crt").write_bytes(own_certificate()[0])
    monkeypatch.setenv("RINGMASTER_KAFKA_CA_FILE", str(tmp_path / "ca.crt"))
    monkeypatch.setattr(connecting, "BOOTSTRAP_MS", 200)
    monkeypatch.setattr(connecting, "HANDSHAKE_SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as mute:
        address = f"127.0.0.1:{mute.getsockname()[1]}"
        assert all(address in sentence for sentence in _try_both(address))
    gc.collect()  # what was left to it warns, and that fails this test


def test_an_address_without_a_port_is_named() -> None:
    with pytest.raises(BusUnavailable, match="'broker' is not the host:port"):
        Producer("broker", "test")


@pytest.mark.kafka
@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="counts the descriptors that Linux shows")
def test_topics_that_are_not_there_yet_cost_no_descriptors(kafka_bootstrap: str) -> None:
    def ask() -> None:
        with pytest.raises(BusUnavailable, match=r"the broker shows no topic test\.nothing: make it"):
            Consumer(kafka_bootstrap, None, ["test.nothing"], "test")

    ask()
    before = _descriptors()
    for _ in range(5):
        ask()
    assert _descriptors() <= before
