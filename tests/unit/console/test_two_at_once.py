"""Two people change one document at once: whatever the moment, neither loses a change, and nobody is told nonsense."""

import copy
import json
from collections.abc import Callable
from typing import Any

import pytest

from services.console.adapters.memory import MemoryTenantStore
from services.console.changing import DocumentDesk
from services.console.domain.merging import parts_of
from services.console.domain.parts import entry_of, with_entry
from services.console.domain.validation import BadDocument
from services.console.publishing import Publisher
from services.console.store import VersionTaken
from services.console.tenancy import ERASER, MOST_CONTRACT_BYTES, READ_AT_ONCE, Tenancy
from services.shared.bus.errors import BusUnavailable
from services.shared.bus.topics import DOCUMENT_REQUESTS
from services.shared.chassis.clock import Clock
from services.shared.contracts.ringmaster.v1 import document_pb2 as doc
from services.shared.testing.memory_bus import MemoryBus

Document = dict[str, Any]
NOW = 1_790_000_000.0
PERSON = "+380671112233"
MOMENTS = range(12)
"""Before which call of the store the other one acts; the last lie after everything."""


class Racing:
    """A store before whose n-th call somebody else acts."""

    def __init__(self) -> None:
        self.own = MemoryTenantStore()
        self.left = 0
        self.act: Callable[[], object] | None = None

    def __getattr__(self, name: str) -> Any:
        if self.act is not None:
            self.left -= 1
            if self.left < 0:
                act, self.act = self.act, None
                act()
        return getattr(self.own, name)


class House:
    def __init__(self, document: Document) -> None:
        self.store, self.bus, clock = Racing(), MemoryBus(), Clock(wall=lambda: NOW)
        self.publisher = Publisher(self.store, self.bus.producer(), clock)
        self.tenancy = Tenancy(self.store, self.publisher, clock)
        self.desk = DocumentDesk(self.bus.consumer(None, [DOCUMENT_REQUESTS]), self.bus.producer(), self.tenancy, clock)
        self.tenancy.apply(document, "anna")

    def head(self) -> Document:
        return self.tenancy.version("acme").document

    def disturbed(self, moment: int, **changed: Any) -> None:
        """Let somebody else change the document in force before the moment-th look at the store."""
        self.store.left = moment
        self.store.act = lambda: self.tenancy.apply(self.head() | changed, "boris")

    def rule(self, rule_id: str) -> Document:
        endpoint = self.head()["webhooks"][0]["endpoint_id"]
        return {"rule_id": rule_id, "events": ["call.lost"], "actions": [{"to": endpoint}]}

    def settle(self) -> None:
        """Let the other one act now where he has not."""
        self.store.left = 0
        self.tenancy.tenants()


@pytest.fixture
def house(acme: Document) -> House:
    friends = {"list_id": "friends", "numbers": [PERSON, "+380441112233"]}
    return House(acme | {"rules": [], "lists": [*acme["lists"], friends]})


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_flow_and_the_rest_changed_at_once_are_both_in_force(house: House, moment: int) -> None:
    night = {"flow_id": "night", "start": "bye", "steps": [{"step_id": "bye", "hangup": {}}]}
    house.disturbed(moment, name="Acme and Daughters")
    house.tenancy.change("acme", lambda document: document | {"flows": [*document["flows"], night]}, "anna")
    house.settle()
    assert (house.head()["name"], house.head()["flows"][-1]) == ("Acme and Daughters", night)


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_rule_and_the_rest_changed_at_once_are_both_in_force(house: House, moment: int) -> None:
    change = doc.ChangeDocument(
        part=doc.DOCUMENT_PART_RULE, part_id="lost", words=json.dumps(house.rule("lost")).encode(), seen_version=1
    )
    asked = doc.DocumentRequest(
        request_id="one", tenant_id="acme", actor="anna", role="admin", until_ms=int(NOW * 1000) + 1, change=change
    )
    house.disturbed(moment, name="Acme and Daughters")
    assert house.desk.answer(asked).accepted
    house.settle()
    assert house.head()["name"] == "Acme and Daughters"
    assert entry_of(house.head(), "rules", "lost") == house.rule("lost")


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_person_is_struck_off_what_another_applies_at_the_same_moment(house: House, moment: int) -> None:
    house.disturbed(moment, name="Acme and Daughters")
    for _ in range(2):
        try:
            house.tenancy.forget("acme", [PERSON])
        except VersionTaken:
            continue  # whoever asked for it tries again
        break
    house.settle()
    assert house.head()["name"] == "Acme and Daughters"
    assert ERASER in {version.actor for version in house.tenancy.history("acme", 9)}
    assert not any(PERSON in json.dumps(version.document) for version in house.tenancy.history("acme", 9))


def test_a_file_is_not_put_upon_what_it_has_not_seen(house: House) -> None:
    file = house.head() | {"time_zone": "Europe/Warsaw"}
    found = house.tenancy.upon_the_page(file, "file")
    house.tenancy.apply(with_entry(house.head(), "rules", "lost", house.rule("lost")), "sofia")
    with pytest.raises(VersionTaken):
        house.tenancy.apply(found.document, "file", filed=parts_of(file), upon=found.upon)
    assert entry_of(house.head(), "rules", "lost") == house.rule("lost")


@pytest.mark.parametrize("moment", MOMENTS)
def test_who_applies_at_the_same_moment_is_not_told_that_the_lines_are_another_companys(
    house: House, moment: int
) -> None:
    house.disturbed(moment, name="Acme and Daughters")
    try:
        house.tenancy.apply(house.head() | {"name": "Acme"}, "anna")
    except VersionTaken:
        house.tenancy.apply(house.head() | {"name": "Acme"}, "anna")
    except BadDocument as error:
        pytest.fail(str(error))


def test_who_never_stops_applying_is_said_not_waited_for(house: House) -> None:
    names = iter(range(99))

    def make(document: Document) -> Document:
        house.tenancy.apply(document | {"name": f"Acme {next(names)}"}, "boris")
        return document | {"time_zone": "Europe/Warsaw"}

    with pytest.raises(VersionTaken):
        house.tenancy.change("acme", make, "anna")


def test_every_old_version_is_looked_at_for_a_person(house: House) -> None:
    for number in range(READ_AT_ONCE + 2):
        house.tenancy.apply(house.head() | {"name": f"Acme {number}"}, "anna")
    house.tenancy.apply(house.head() | {"lists": house.head()["lists"][:-1]}, "anna")
    assert house.tenancy.forget("acme", [PERSON]).entries == 0
    kept = house.tenancy.history("acme", 99)
    assert len(kept) == READ_AT_ONCE + 4
    assert not any(PERSON in json.dumps(version.document) for version in kept)


def test_what_aliases_make_longer_than_a_record_is_refused(house: House) -> None:
    steps = [{"step_id": f"s{n}", "say": {"text": "x" * 1_000}, "exits": {"next": f"s{n + 1}"}} for n in range(100)]
    steps.append({"step_id": "s100", "hangup": {}})
    flows = [{"flow_id": f"f{n}", "start": "s0", "steps": steps} for n in range(1 + MOST_CONTRACT_BYTES // 100_000)]
    long = house.head() | {"flows": [*house.head()["flows"], *flows]}
    for refused in (lambda: house.tenancy.diff(long), lambda: house.tenancy.apply(long, "anna")):
        with pytest.raises(BadDocument, match="aliases"):
            refused()
    assert house.tenancy.version("acme").number == 1


def test_what_no_broker_takes_holds_up_nobody_else(house: House, borealis: Document) -> None:
    sender = house.bus.producer()

    class Choosy:
        is_away = True

        def send(self, topic: str, key: str, value: bytes, **more: Any) -> Any:
            if self.is_away or key == "acme":
                raise BusUnavailable("too large")
            return sender.send(topic, key, value, **more)

    choosy = Choosy()
    publisher = Publisher(house.store, choosy, Clock())  # type: ignore[arg-type]  # what is used of a sender
    tenancy = Tenancy(house.store, publisher, Clock())
    tenancy.apply(copy.deepcopy(house.head()) | {"name": "Acme and Daughters"}, "anna")
    tenancy.apply(borealis, "bella")
    choosy.is_away = False
    for _ in range(3):
        with pytest.raises(BusUnavailable):
            publisher.repair()
    assert house.store.unpublished() == [("acme", 2)]
