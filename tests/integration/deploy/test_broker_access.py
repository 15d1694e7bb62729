"""A broker that takes nobody in the clear, and nobody without a password: Kafka itself, SASL_SSL with SCRAM-SHA-512."""

import gc
import socket
import subprocess
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from local.broker import kafka
from services.cli.topics import definitions
from services.shared.bus.admin import ensure_topics, found_topics
from services.shared.bus.consumer import Consumer
from services.shared.bus.errors import BusUnavailable
from services.shared.bus.producer import Producer
from services.shared.bus.topics import CALLS
from services.shared.chassis.watch import Away, ask_broker
from services.shared.testing.waiting import wait_until
from tests.certificates import own_certificate

USER, PASSWORD = "voice-router", "one-of-these-tests"
pytestmark = pytest.mark.kafka


@dataclass(frozen=True)
class Guarded:
    """The broker's address and the authority that its certificate is from."""

    bootstrap: str
    ca_file: Path


def certificate(folder: Path) -> tuple[Path, Path]:
    """Write an authority's certificate, and a key store (key and chain in PEM) for 127.0.0.1."""
    chain, secret = own_certificate()
    ca_file, store = folder / "ca.crt", folder / "store.pem"
    ca_file.write_bytes(chain)
    store.write_bytes(secret + chain)
    return ca_file, store


def free_ports(count: int) -> list[int]:
    probes = [socket.socket() for _ in range(count)]
    for probe in probes:
        probe.bind(("127.0.0.1", 0))
    ports = [int(probe.getsockname()[1]) for probe in probes]
    for probe in probes:
        probe.close()
    return ports


def guarded_properties(plain: str, port: int, store: Path) -> str:
    """Turn a node's properties into those of one that asks who comes; within itself the node goes on in the clear."""
    inner, *_ = free_ports(1)
    changed = {
        "listeners": f"GUARDED://127.0.0.1:{port},PLAINTEXT://127.0.0.1:{inner},CONTROLLER://127.0.0.1:{free_ports(1)[0]}",
        "advertised.listeners": f"GUARDED://127.0.0.1:{port},PLAINTEXT://127.0.0.1:{inner}",
        "listener.security.protocol.map": "GUARDED:SASL_SSL,PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "inter.broker.listener.name": "PLAINTEXT",
        "sasl.enabled.mechanisms": "SCRAM-SHA-512",
        "listener.name.guarded.scram-sha-512.sasl.jaas.config": (
            "org.apache.kafka.common.security.scram.ScramLoginModule required;"
        ),
        "ssl.keystore.type": "PEM",
        "ssl.keystore.location": str(store),
    }
    controller = changed["listeners"].rpartition("CONTROLLER://")[2]
    changed["controller.quorum.voters"] = f"1@{controller}"
    kept = [line for line in plain.splitlines() if line.partition("=")[0].strip() not in changed]
    return "\n".join([*kept, *(f"{name}={value}" for name, value in changed.items())]) + "\n"


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    try:
        kafka.ensure_jars()
    except kafka.BrokerMissing as missing:
        pytest.skip(str(missing))
    folder = tmp_path_factory.mktemp("guarded")
    ca_file, store = certificate(folder)
    port, controller = free_ports(2)
    run = kafka.prepare(folder / "plain", port, controller)
    properties = folder / "server.properties"
    plain = (folder / "plain" / "server.properties").read_text(encoding="utf-8")
    properties.write_text(
        guarded_properties(plain.replace(str(folder / "plain" / "data"), str(folder / "data")), port, store),
        encoding="utf-8",
    )
    java = run[: run.index("kafka.Kafka")]
    scram = f"SCRAM-SHA-512=[name={USER},password={PASSWORD}]"
    words = ["kafka.tools.StorageTool", "format", "-t", kafka.CLUSTER_ID, "-c", str(properties), "--add-scram", scram]
    subprocess.run([*java, *words], check=True, capture_output=True, timeout=60)
    with (folder / "log").open("wb") as log:
        broker = subprocess.Popen([*java, "kafka.Kafka", str(properties)], stdout=log, stderr=subprocess.STDOUT)
    try:
        wait_until(lambda: _listens(port, broker, folder / "log"), "the broker listens")
        yield Guarded(f"127.0.0.1:{port}", ca_file)
    finally:
        broker.terminate()
        broker.wait(20)
        # kafka-python 3.0.12 leaves the socket of a handshake that failed to the garbage collector (net/manager.py).
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ResourceWarning)
            gc.collect()


def _listens(port: int, broker: "subprocess.Popen[bytes]", log: Path) -> bool:
    assert broker.poll() is None, log.read_text()[-2000:]
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def prove(monkeypatch: pytest.MonkeyPatch, guarded: Guarded, password: str = PASSWORD) -> None:
    monkeypatch.setenv("RINGMASTER_KAFKA_CA_FILE", str(guarded.ca_file))
    monkeypatch.setenv("RINGMASTER_KAFKA_USER", USER)
    monkeypatch.setenv("RINGMASTER_KAFKA_PASSWORD", password)


def test_who_proves_himself_makes_topics_sends_and_reads(guarded: Guarded, monkeypatch: pytest.MonkeyPatch) -> None:
    prove(monkeypatch, guarded)
    ask_broker(guarded.bootstrap)
    wanted = definitions()
    assert len(ensure_topics(guarded.bootstrap, wanted)) == len(wanted)
    assert found_topics(guarded.bootstrap, [CALLS])[CALLS] == next(one for one in wanted if one.topic == CALLS)
    producer = Producer(guarded.bootstrap, "test")
    producer.send(CALLS, "oak", b"told in secret", timestamp_ms=1).wait(10)
    producer.close()
    reader = Consumer(guarded.bootstrap, None, [CALLS], "test")
    (record,) = wait_until(lambda: reader.poll(1.0), "the record comes back")
    reader.close()
    assert record.value == b"told in secret"


def test_a_wrong_password_is_told_in_one_sentence(guarded: Guarded, monkeypatch: pytest.MonkeyPatch) -> None:
    prove(monkeypatch, guarded, "another-password")
    with pytest.raises(BusUnavailable, match="no broker answers at") as refused:
        Producer(guarded.bootstrap, "test")
    assert "another-password" not in str(refused.value)


def test_a_certificate_of_somebody_else_is_not_believed(
    guarded: Guarded, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    other, _ = certificate(tmp_path)
    prove(monkeypatch, Guarded(guarded.bootstrap, other))
    with pytest.raises(Away, match="certificate verify failed"):
        ask_broker(guarded.bootstrap)
    with pytest.raises(BusUnavailable):
        Producer(guarded.bootstrap, "test")


def test_a_password_is_never_sent_in_the_clear(guarded: Guarded, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RINGMASTER_KAFKA_USER", USER)
    monkeypatch.setenv("RINGMASTER_KAFKA_PASSWORD", PASSWORD)
    with pytest.raises(BusUnavailable, match="needs RINGMASTER_KAFKA_CA_FILE"):
        Producer(guarded.bootstrap, "test")
