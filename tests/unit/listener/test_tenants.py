"""The directory of a node that was away: what its disk says, and what the log says by then."""

from pathlib import Path

import gevent
import orjson
import pytest
from gevent.event import Event as Flag

from services.listener.adapters.tenants import TenantReader
from services.listener.domain.directory import Directory
from services.shared.bus import follower
from services.shared.bus.topics import TENANTS
from services.shared.contracts.ringmaster.v1.tenant_pb2 import TenantDocument
from services.shared.testing.memory_bus import MemoryBus
from services.shared.testing.waiting import wait_until

ACME, OAK = "+380441000001", "+442071000001"


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(follower, "POLL_SECONDS", 0.01)


def tell(bus: MemoryBus, tenant_id: str, version: int, *lines: str) -> None:
    document = TenantDocument(tenant_id=tenant_id, version=version, domain=f"{tenant_id}.example")
    for line in lines:
        document.lines.add(number=line)
    bus.producer().send(TENANTS, tenant_id, document.SerializeToString(), timestamp_ms=1)


def lived(bus: MemoryBus, path: Path, until: dict[str, str]) -> Directory:
    """Live until lines belong to tenants as said, end, and return the directory."""
    directory, stopping = Directory(), Flag()
    reader = TenantReader(bus, directory, path)
    reader.load()
    following = gevent.spawn(reader.run, stopping)
    wait_until(lambda: all(directory.tenant_of_line(line) == tenant for line, tenant in until.items()), f"{until}")
    stopping.set()
    following.get(timeout=60)
    return directory


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Give the directory's file, as a life with acme and oak has left it."""
    bus = MemoryBus()
    tell(bus, "acme", 7, ACME)
    tell(bus, "oak", 1, OAK)
    lived(bus, tmp_path / "directory.json", {ACME: "acme", OAK: "oak"})
    return tmp_path / "directory.json"


def test_without_the_log_the_disk_is_believed(path: Path) -> None:
    directory = Directory()
    reader = TenantReader(MemoryBus(), directory, path)
    reader.load()
    assert reader.loaded.is_set()
    assert directory.tenant_of_line(ACME) == "acme"


def test_a_tenant_whose_end_was_compacted_away_is_forgotten_for_good(path: Path) -> None:
    log = MemoryBus()
    tell(log, "oak", 1, OAK)
    directory = lived(log, path, {ACME: ""})
    assert directory.tenants == ["oak"]
    assert [row["tenant_id"] for row in orjson.loads(path.read_bytes())] == ["oak"]


def test_the_last_tenant_can_be_given_up_too(path: Path) -> None:
    assert lived(MemoryBus(), path, {ACME: "", OAK: ""}).tenants == []
    assert orjson.loads(path.read_bytes()) == []


def test_the_line_of_a_tenant_that_is_gone_is_its_new_owners(path: Path) -> None:
    log = MemoryBus()
    tell(log, "oak", 2, OAK, ACME)
    assert lived(log, path, {ACME: "oak"}).tenants == ["oak"]


def test_a_tenant_that_went_and_came_back_begins_with_an_older_version(path: Path) -> None:
    log = MemoryBus()
    tell(log, "oak", 1, OAK)
    tell(log, "acme", 1, "+380441000009")
    directory = lived(log, path, {"+380441000009": "acme"})
    assert directory.tenant_of_line(ACME) == ""
