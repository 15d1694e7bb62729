"""The broker is killed while calls come, stays away, and comes back: nothing is lost, each leg's order is whole.

RINGMASTER_OUTAGE_SECONDS makes it longer; 300 is the length that the platform promises to bear.
"""

import logging
import os
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gevent
import pytest

from local.broker import kafka
from local.topics import definitions
from services.listener.adapters.bus import KafkaBus
from services.listener.bootstrap import Listener, build
from services.listener.settings import Settings
from services.shared.bus.admin import ensure_topics
from services.shared.bus.consumer import Consumer
from services.shared.bus.producer import Producer
from services.shared.bus.topics import INPUTS, TENANTS
from services.shared.chassis.clock import Clock
from services.shared.chassis.supervisor import Supervisor
from services.shared.contracts.ringmaster.v1.input_pb2 import Input
from services.shared.contracts.ringmaster.v1.switch_pb2 import SwitchFact
from services.shared.contracts.ringmaster.v1.tenant_pb2 import Line, TenantDocument
from services.shared.testing.ports import free_port
from services.shared.testing.waiting import wait_until
from tests.integration.listener.conftest import DOMAIN, LINE, NODE, PASSWORD, SwitchProcess

log = logging.getLogger(__name__)
OUTAGE_SECONDS = float(os.environ.get("RINGMASTER_OUTAGE_SECONDS", "15"))
CALL_EVERY_SECONDS = 0.1
BROKER_SECONDS = 60.0
DRAIN_SECONDS = 60.0
SPOOL_BYTES = 16 * 1024 * 1024
MORE_DESCRIPTORS = 10
MEMORY_BYTES = 32 * 1024 * 1024


class Broker:
    """A true Kafka on one port and one folder over its deaths."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.port, self.controller_port = folder, free_port(), free_port()
        self.address = f"127.0.0.1:{self.port}"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with (self.folder / "broker.log").open("ab") as log:
            self.process = subprocess.Popen(  # noqa: S603 - the command is our own
                kafka.prepare(self.folder, self.port, self.controller_port), stdout=log, stderr=subprocess.STDOUT
            )
        wait_until(self._listens, "the broker listens", BROKER_SECONDS)

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def _listens(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    try:
        kafka.ensure_jars()
    except kafka.BrokerMissing as missing:
        pytest.skip(str(missing))
    folder = tmp_path / "broker"
    folder.mkdir()
    broker = Broker(folder)
    broker.start()
    ensure_topics(broker.address, definitions())
    document = TenantDocument(tenant_id="acme", version=1, domain=DOMAIN, languages=["en"], lines=[Line(number=LINE)])
    producer = Producer(broker.address, "test")
    producer.send(TENANTS, "acme", document.SerializeToString(), timestamp_ms=1).wait(60)
    producer.close()
    yield broker
    broker.kill()


@pytest.fixture
def listener(tmp_path: Path, switch: SwitchProcess, broker: Broker) -> Iterator[Listener]:
    settings = Settings(
        node=NODE,
        esl_password=PASSWORD,
        kafka_bootstrap=broker.address,
        spool_dir=tmp_path / "spool",
        recordings_dir=str(tmp_path / "rec"),
        esl_port=switch.port,
        spool_max_bytes=SPOOL_BYTES,
    )
    supervisor = Supervisor()
    listener = build(settings, KafkaBus(broker.address, "test-listener"), supervisor, Clock())
    listener.start()
    wait_until(lambda: listener.ready()[0], "the listener is ready", BROKER_SECONDS)
    yield listener
    supervisor.end()


def _call_for(switch: SwitchProcess, seconds: float) -> list[str]:
    """Let somebody call every moment and give up soon; return the legs."""
    legs, until = [], time.monotonic() + seconds
    while time.monotonic() < until:
        legs.append(switch.call(patience=0.5))
        gevent.sleep(CALL_EVERY_SECONDS)
    return legs


def _facts(address: str) -> list[SwitchFact]:
    reader: Any = Consumer(address, None, [INPUTS], "test-reader")
    places = {place: reader.end_offset(*place) for place in reader.assignment()}
    found: list[SwitchFact] = []
    seen = dict.fromkeys(places, 0)
    with gevent.Timeout(DRAIN_SECONDS):
        while any(seen[place] < end for place, end in places.items()):
            for record in reader.poll(0.5):
                seen[record.topic, record.partition] = record.offset + 1
                told = Input.FromString(record.value)
                if told.HasField("fact"):
                    found.append(told.fact)
    reader.close()
    return found


def _resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")


def _descriptors() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


@pytest.mark.kafka
@pytest.mark.stack
@pytest.mark.timeout(OUTAGE_SECONDS + 200)
def test_a_broker_that_is_away_costs_nothing_but_time(
    listener: Listener,
    switch: SwitchProcess,
    broker: Broker,
    tmp_path: Path,
) -> None:
    legs = _call_for(switch, 3)
    memory, descriptors = _resident_bytes(), _descriptors()
    broker.kill()
    legs += _call_for(switch, OUTAGE_SECONDS)
    spooled = sum(path.stat().st_size for path in (tmp_path / "spool" / "inputs").glob("*.spool"))
    assert 0 < spooled <= SPOOL_BYTES
    assert _resident_bytes() - memory < MEMORY_BYTES
    assert _descriptors() < descriptors + MORE_DESCRIPTORS
    assert listener.publisher.has_room
    assert "Kafka" in listener.ready()[1]
    broker.start()
    back_at = time.monotonic()
    legs += _call_for(switch, 3)
    wait_until(lambda: switch.status()["legs"] == 0, "the last caller has left")
    wait_until(lambda: listener.ready()[0] and listener.publisher.is_settled, "all is told", DRAIN_SECONDS)
    wait_until(lambda: listener.publisher._spool.is_empty, "the spool is drained", DRAIN_SECONDS)
    drained_seconds = time.monotonic() - back_at
    told: dict[str, dict[int, str]] = {}
    for fact in _facts(broker.address):
        of_leg = told.setdefault(fact.leg_id, {})
        if fact.leg_id and fact.leg_sequence not in of_leg:  # told twice is allowed, late is not
            assert fact.leg_sequence == len(of_leg) + 1
            of_leg[fact.leg_sequence] = fact.WhichOneof("fact") or ""
    log.info("%d calls, %d bytes spooled, all told %.1f s after the return", len(legs), spooled, drained_seconds)
    for leg in legs:
        assert list(told[leg].values()) == ["leg_created", "leg_parked", "leg_hung_up"]
