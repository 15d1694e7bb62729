import contextlib
import copy
from collections.abc import Collection, Mapping
from typing import Any

import pytest

from services.console.adapters.memory import MemoryTenantStore
from services.console.claiming import LEASE_MS
from services.console.domain.validation import BadDocument
from services.console.publishing import Publisher
from services.console.store import Version
from services.console.tenancy import NoSuchVersion, Tenancy
from services.shared.bus.errors import BusUnavailable
from services.shared.bus.topics import INPUTS, TENANTS
from services.shared.chassis.clock import Clock
from services.shared.contracts.ringmaster.v1.input_pb2 import Input
from services.shared.contracts.ringmaster.v1.tenant_pb2 import TenantDocument
from services.shared.testing.memory_bus import MemoryBus, MemoryReceipt

Document = dict[str, Any]


class Killed(BaseException):
    """The process ends here, as by SIGKILL: no handler of ours sees it."""


class Fuse:
    """Kills at the n-th write of a process."""

    def __init__(self) -> None:
        self.writes = 0
        self.last: int | None = None

    def burn(self) -> None:
        self.writes += 1
        if self.last is not None and self.writes > self.last:
            raise Killed


class FragileStore(MemoryTenantStore):
    def __init__(self, fuse: Fuse) -> None:
        super().__init__()
        self._fuse = fuse

    def append(self, version: Version) -> None:
        self._fuse.burn()
        super().append(version)

    def mark_published(self, tenant_id: str, numbers: Collection[int]) -> None:
        self._fuse.burn()
        super().mark_published(tenant_id, numbers)

    def take_claim(self, key: str, former: Any, holder: Any) -> bool:
        self._fuse.burn()
        return super().take_claim(key, former, holder)


class FragileSender:
    def __init__(self, bus: MemoryBus, fuse: Fuse) -> None:
        self._producer = bus.producer()
        self._fuse = fuse
        self.is_away = False

    def send(
        self, topic: str, key: str, value: bytes, *, timestamp_ms: int, headers: Mapping[str, str] | None = None
    ) -> MemoryReceipt:
        self._fuse.burn()
        if self.is_away:
            raise BusUnavailable("away")
        return self._producer.send(topic, key, value, timestamp_ms=timestamp_ms, headers=headers)

    def flush(self, timeout_seconds: float) -> None:
        del timeout_seconds


class House:
    """A store and a bus that live on while processes die."""

    def __init__(self) -> None:
        self.fuse = Fuse()
        self.store = FragileStore(self.fuse)
        self.bus = MemoryBus()
        self.sender = FragileSender(self.bus, self.fuse)
        self.now = 1_000_000.0

    def process(self) -> tuple[Tenancy, Publisher]:
        clock = Clock(wall=lambda: self.now)
        publisher = Publisher(self.store, self.sender, clock)
        return Tenancy(self.store, publisher, clock), publisher

    def last_on(self, topic: str, tenant_id: str) -> TenantDocument | None:
        values = [record.value for record in self.bus.records(topic) if record.key == tenant_id]
        if not values:
            return None
        return TenantDocument.FromString(values[-1]) if topic == TENANTS else Input.FromString(values[-1]).document


@pytest.fixture
def house() -> House:
    return House()


def test_the_first_document_is_version_1_and_reaches_both_topics(house: House, acme: Document) -> None:
    applied = house.process()[0].apply(acme, "anna")
    assert (applied.version.number, applied.is_new, applied.is_published) == (1, True, True)
    for topic in (TENANTS, INPUTS):
        document = house.last_on(topic, "acme")
        assert document is not None
        assert (document.version, document.name) == (1, "Acme Goods")
    assert house.store.unpublished() == []


def test_an_unchanged_document_makes_no_version_even_when_written_otherwise(house: House, acme: Document) -> None:
    tenancy = house.process()[0]
    tenancy.apply(acme, "anna")
    otherwise = dict(reversed(copy.deepcopy(acme).items()))
    otherwise["queues"][0]["priority"] = 0  # the default, written out
    records = len(house.bus.records(INPUTS))
    applied = tenancy.apply(otherwise, "boris")
    assert (applied.version.number, applied.is_new) == (1, False)
    assert len(house.bus.records(INPUTS)) == records


def test_each_change_is_the_next_version_and_a_rollback_is_one_too(house: House, acme: Document) -> None:
    tenancy = house.process()[0]
    tenancy.apply(acme, "anna")
    changed = copy.deepcopy(acme) | {"name": "Acme and Daughters"}
    assert tenancy.apply(changed, "anna").version.number == 2
    assert tenancy.rollback("acme", 1, "boris").version.number == 3
    assert [(one.number, one.actor) for one in tenancy.history("acme", 10)] == [(3, "boris"), (2, "anna"), (1, "anna")]
    document = house.last_on(TENANTS, "acme")
    assert document is not None
    assert (document.version, document.name) == (3, "Acme Goods")
    with pytest.raises(NoSuchVersion):
        tenancy.rollback("acme", 9, "boris")


@pytest.mark.parametrize("writes", range(9))
def test_killed_after_any_write_the_next_process_ends_what_was_begun(house: House, acme: Document, writes: int) -> None:
    changed = copy.deepcopy(acme) | {"name": "Acme and Daughters"}
    house.process()[0].apply(acme, "anna")
    house.fuse.writes, house.fuse.last = 0, writes
    with contextlib.suppress(Killed):
        house.process()[0].apply(changed, "anna")
    house.fuse.last = None
    tenancy, publisher = house.process()
    publisher.repair()
    head = tenancy.version("acme")
    for topic in (TENANTS, INPUTS):
        document = house.last_on(topic, "acme")
        assert document is not None
        assert document.version == head.number
    assert tenancy.apply(changed, "anna").version.number == 2
    assert house.store.unpublished() == []
    assert all(house.last_on(topic, "acme").name == "Acme and Daughters" for topic in (TENANTS, INPUTS))  # type: ignore[union-attr]


def test_the_fuse_of_the_kill_test_reaches_every_write(house: House, acme: Document) -> None:
    house.process()[0].apply(acme, "anna")
    house.fuse.writes = 0
    house.process()[0].apply(copy.deepcopy(acme) | {"name": "Other"}, "anna")
    # Two lines and a domain, the version, two records, the mark.
    assert house.fuse.writes == 7


def test_with_the_broker_away_the_document_is_kept_and_published_later(house: House, acme: Document) -> None:
    house.sender.is_away = True
    tenancy, publisher = house.process()
    assert not tenancy.apply(acme, "anna").is_published
    assert house.store.unpublished() == [("acme", 1)]
    house.sender.is_away = False
    assert publisher.repair() == 1
    assert house.last_on(INPUTS, "acme") is not None
    assert house.store.unpublished() == []


def test_a_slower_publisher_of_an_older_version_leaves_the_newest_last(house: House, acme: Document) -> None:
    tenancy, publisher = house.process()
    tenancy.apply(acme, "anna")
    newer = copy.deepcopy(acme) | {"name": "Newer"}
    send = house.sender.send

    def send_and_be_overtaken(*args: Any, **kwargs: Any) -> MemoryReceipt:
        house.sender.send = send  # type: ignore[method-assign]
        tenancy.apply(newer, "boris")
        return send(*args, **kwargs)

    house.sender.send = send_and_be_overtaken  # type: ignore[method-assign]
    publisher.publish("acme", [1])
    document = house.last_on(TENANTS, "acme")
    assert document is not None
    assert document.version == 2


def test_a_line_or_a_domain_belongs_to_one_tenant(house: House, acme: Document, borealis: Document) -> None:
    tenancy = house.process()[0]
    tenancy.apply(acme, "anna")
    borealis["lines"][0]["number"] = "+380441000002"
    borealis["domain"] = "acme.example"
    for attempt in (lambda: tenancy.diff(borealis), lambda: tenancy.apply(borealis, "bella")):
        with pytest.raises(BadDocument) as raised:
            attempt()
        assert [fault.path for fault in raised.value.faults] == ["domain", "lines[0].number"]
        assert "acme " not in str(raised.value)
    assert tenancy.history("borealis", 1) == []


def test_a_line_that_was_given_up_can_be_taken_by_another_tenant(
    house: House, acme: Document, borealis: Document
) -> None:
    tenancy = house.process()[0]
    tenancy.apply(acme, "anna")
    given_up = copy.deepcopy(acme)
    del given_up["lines"][1], given_up["campaigns"]  # which dials from that line
    house.now += LEASE_MS / 1000 + 1
    tenancy.apply(given_up, "anna")
    borealis["lines"].append({"number": "+380441000002", "flow": "desk"})
    house.now += LEASE_MS / 1000 + 1
    assert tenancy.apply(borealis, "bella").is_new
    with pytest.raises(BadDocument):
        tenancy.apply(acme, "anna")


def test_a_line_that_is_just_being_taken_is_nobody_elses_until_its_writer_is_given_up(
    house: House, acme: Document, borealis: Document
) -> None:
    """Killed between the claims and the version: for a while nobody can say whether it still comes."""
    house.fuse.last = 3  # two lines and a domain
    with contextlib.suppress(Killed):
        house.process()[0].apply(acme, "anna")
    house.fuse.last = None
    tenancy = house.process()[0]
    borealis["lines"][0]["number"] = "+380441000002"
    with pytest.raises(BadDocument):
        tenancy.apply(borealis, "bella")
    house.now += LEASE_MS / 1000 + 1
    assert tenancy.apply(borealis, "bella").is_new
    with pytest.raises(BadDocument):
        tenancy.apply(acme, "anna")
    assert tenancy.history("acme", 1) == []


def test_a_refused_document_changes_nothing(house: House, acme: Document) -> None:
    tenancy = house.process()[0]
    tenancy.apply(acme, "anna")
    records = len(house.bus.records(INPUTS))
    with pytest.raises(BadDocument):
        tenancy.apply(acme | {"time_zone": "Mars/Olympus"}, "anna")
    assert tenancy.version("acme").number == 1
    assert len(house.bus.records(INPUTS)) == records
