"""How long recordings stay: retention by queue, legal hold, erasure of a person, removals cut off by a kill."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import Any

import pytest

from services.recorder.adapters.mongo import RecordingDocument
from services.recorder.domain.policy import Policies, Policy
from services.recorder.errors import StoreFailed
from services.recorder.keeping import DAY_US, Housekeeper, Persons
from services.recorder.removal import Removal
from services.shared.contracts.ringmaster.v1 import tenant_pb2 as tn
from services.shared.contracts.ringmaster.v1.event_pb2 import Event
from services.shared.person import PersonSeal
from tests.unit.recorder.fakes import Killed, MemoryAnnouncements, MemoryDocuments, MemoryStore
from tests.unit.recorder.test_api import ONE

NOW_US = 2_000 * DAY_US
NUMBER = "+380501112233"
SEAL = PersonSeal("an erasure secret for the recorder's tests")


@dataclass
class MemoryKeeping:
    """Looks into documents in memory; the lease is ours or another's."""

    documents: MemoryDocuments
    is_mine: bool = True
    erasures: dict[str, dict[str, Any]] = field(default_factory=dict)
    reports: list[dict[str, Any]] = field(default_factory=list)

    def _rows(self) -> list[RecordingDocument]:
        return sorted(self.documents.rows.values(), key=lambda row: row.recorded_us)

    def older_than(self, tenant_id: str, before_us: int) -> Iterator[RecordingDocument]:
        yield from (
            row
            for row in self._rows()
            if row.tenant_id == tenant_id and row.recorded_us < before_us and not row.deleted_us
        )

    def open_removals(self) -> Iterator[RecordingDocument]:
        yield from (row for row in self._rows() if row.deleted_us and row.key)

    def of_person(self, tenant_id: str, numbers: Sequence[str], before_us: int) -> Iterator[RecordingDocument]:
        yield from (
            row
            for row in self._rows()
            if row.tenant_id == tenant_id
            and row.caller in numbers
            and row.recorded_us < before_us
            and (not row.deleted_us or row.key)
        )

    def ask_erasure(self, erasure: dict[str, Any]) -> None:
        self.erasures.setdefault(erasure["_id"], erasure)

    def watched_erasures(self, since_us: int) -> list[dict[str, Any]]:
        return [
            row
            for row in self.erasures.values()
            if row["asked_us"] >= since_us or row.get("told", {}).get("fault", "?") or row["told"].get("held")
        ]

    def note_found(self, erasure_id: str, recording_ids: Sequence[str]) -> dict[str, Any]:
        row = self.erasures[erasure_id]
        row["found"] = sorted({*row.get("found", ()), *recording_ids})
        return row

    def note_told(self, erasure_id: str, told: dict[str, Any]) -> None:
        self.erasures[erasure_id]["told"] = told

    def keep_report(self, report: dict[str, Any]) -> None:
        self.reports.append(report)

    def lease(self, holder: str, now_us: int, seconds: int) -> bool:
        return self.is_mine


class Companies:
    """The policies of one company: 30 days, its queue "sales" 10, its queue "claims" for ever."""

    def __init__(self) -> None:
        document = tn.TenantDocument(tenant_id="acme", recording=tn.RecordingPolicy(retention_days=30))
        for name, days in (("sales", 10), ("claims", 0)):
            document.queues.add(queue_id=name, recording=tn.RecordingPolicy(retention_days=days))
        self._acme = Policies(document)

    def of(self, tenant_id: str, line: str, queue_id: str) -> Policy:
        return self._acme.of(line, queue_id) if tenant_id == "acme" else Policy()

    def companies(self) -> list[str]:
        return ["acme", "rival"]

    def least_retention_days(self, tenant_id: str) -> int:
        return 10 if tenant_id == "acme" else 0


@dataclass
class House:
    """A house to keep, with everything in memory."""

    store: MemoryStore = field(default_factory=MemoryStore)
    documents: MemoryDocuments = field(default_factory=MemoryDocuments)
    announcements: MemoryAnnouncements = field(default_factory=MemoryAnnouncements)
    now_us: int = NOW_US

    def __post_init__(self) -> None:
        self.keeping = MemoryKeeping(self.documents)
        removal = Removal(self.store, self.documents, self.announcements, lambda: NOW_US)
        persons = Persons(SEAL, self.announcements)
        self.copied = 0
        self.keeper = Housekeeper(
            *(self.keeping, removal, Companies(), lambda: self.now_us, 0.001, "fs-1", self.copy), persons=persons
        )

    def copy(self) -> None:
        self.copied += 1

    def add(self, name: str, days: float, queue: str = "", tenant: str = "acme", *, held: bool = False) -> None:
        made = replace(ONE, recording_id=name, tenant_id=tenant, key=f"{tenant}/{name}.wav", queue_id=queue)
        made = replace(made, recorded_us=NOW_US - int(days * DAY_US), legal_hold=held, caller=NUMBER)
        self.documents.rows[name] = made
        self.store.objects[made.key] = b"sound"

    def erase(self, seal: PersonSeal = SEAL) -> None:
        event = Event(tenant_id="acme")
        event.time.FromMicroseconds(NOW_US)
        body = event.person_erasure_requested
        body.erasure_id, body.actor = "e1", "dpo"
        body.sealed_numbers = seal.seal("acme", "e1", (NUMBER, "0501112233"))
        self.keeper.person_to_erase(event)

    @property
    def answers(self) -> list[tuple[int, int, str]]:
        """Removed, held back, fault."""
        told = [answer.person_erased for answer in self.announcements.answers]
        return [(one.removed["recordings"], sum(held.count for held in one.held_back), one.fault) for one in told]

    @property
    def left(self) -> set[str]:
        return {key.rsplit("/", 1)[1].removesuffix(".wav") for key in self.store.objects}


@pytest.fixture
def house() -> House:
    return House()


def test_each_queue_keeps_its_recordings_as_long_as_its_policy_says(house: House) -> None:
    for queue in ("", "sales", "claims"):
        for days in (9.9, 10.1, 29.9, 30.1, 1_000):
            house.add(f"{queue or 'other'}-{days}", days, queue)
    house.add("rival-1000", 1_000, tenant="rival")
    house.keeper.keep_house()
    gone = {"sales-10.1", "sales-29.9", "sales-30.1", "sales-1000", "other-30.1", "other-1000"}
    assert house.left == {name for name in house.documents.rows if name not in gone}
    assert {document.recording_id for document, _ in house.announcements.deletions} == gone
    assert {document.delete_reason for document, _ in house.announcements.deletions} == {"retention"}
    (report,) = house.keeping.reports
    assert (report["deleted_count"], report["held_count"], report["failed_count"]) == (6, 0, 0)
    house.keeper.keep_house()
    assert len(house.keeping.reports) == 1


def test_a_legal_hold_goes_before_retention_and_erasure_and_is_reported(house: House) -> None:
    house.add("held", 1_000, held=True)
    house.add("free", 1_000)
    house.keeper.keep_house()
    assert house.left == {"held"}
    assert house.keeping.reports[0]["held"] == ["held"]
    house.erase()
    assert house.left == {"held"}
    assert house.answers == [(0, 1, "")]
    house.keeper.keep_house()
    assert house.answers == [(0, 1, "")], "what has not changed is not told again"
    house.documents.rows["held"] = replace(house.documents.rows["held"], legal_hold=False)
    house.now_us += 90 * DAY_US
    house.keeper.keep_house()
    assert (house.left, house.answers) == (set(), [(0, 1, ""), (1, 0, "")])


def test_an_erasure_reaches_every_recording_of_the_number_and_proves_it(house: House) -> None:
    house.add("one", 1)
    house.add("two", 2, "claims")
    house.add("other", 1)
    house.documents.rows["other"] = replace(house.documents.rows["other"], caller="+380670000000")
    house.add("rivals", 1, tenant="rival")
    house.erase()
    assert house.left == {"other", "rivals"}
    assert [actor for _, actor in house.announcements.deletions] == ["dpo", "dpo"]
    assert house.answers == [(2, 0, "")]
    assert house.keeping.erasures["e1"]["found"] == ["one", "two"]
    assert NUMBER not in str(house.keeping.erasures)
    assert not house.documents.rows["one"].caller


def test_a_recording_that_comes_to_be_stored_late_goes_too_and_one_of_a_later_call_stays(house: House) -> None:
    house.erase()
    house.add("late", 2)
    house.add("again", -1)
    house.now_us += 2 * DAY_US
    house.keeper.keep_house()
    assert (house.left, house.answers) == ({"again"}, [(0, 0, ""), (1, 0, "")])


@pytest.mark.parametrize("at", ["delete", "strip", "erased", "noted"])
def test_an_erasure_cut_off_anywhere_is_ended_by_the_next_pass_with_the_same_answer(
    house: House, monkeypatch: pytest.MonkeyPatch, at: str
) -> None:
    house.add("one", 1)
    house.add("two", 2)

    def die(*_args: object) -> None:
        raise Killed

    place = {
        "delete": (house.store, "delete"),
        "strip": (house.documents, "strip"),
        "erased": (house.announcements, "erased"),
        "noted": (house.keeping, "note_told"),
    }[at]
    with monkeypatch.context() as patch:
        patch.setattr(*place, die)
        with pytest.raises(Killed):
            house.erase()
    house.erase()
    house.keeper.keep_house()
    assert (house.left, set(house.answers)) == (set(), {(2, 0, "")})
    assert len({answer.event_id for answer in house.announcements.answers}) == 1


def test_a_recorder_without_the_right_secret_says_so(house: House) -> None:
    house.add("one", 1)
    house.erase(PersonSeal("another secret of another platform, long"))
    ((removed, held, fault),) = house.answers
    assert (removed, held, "RINGMASTER_ERASURE_SECRET" in fault, house.left) == (0, 0, True, {"one"})


def test_an_erasure_that_fails_anywhere_stays_open_until_it_is_whole(house: House) -> None:
    house.add("one", 1)
    house.store.is_away = True
    house.erase()
    assert house.answers == []
    house.store.is_away = False
    house.keeper.keep_house()
    assert not house.left
    assert house.answers == [(1, 0, "")]


def test_an_erasure_is_not_proved_while_any_sound_is_left_however_often_it_was_tried(house: House) -> None:
    house.add("one", 1)
    house.add("retained", 100)
    house.store.is_away = True
    house.keeper.keep_house()  # retention marks one and can't delete it
    house.erase()
    for _ in range(3):
        house.keeper.keep_house()
        house.erase()
    assert (house.left, house.answers) == ({"one", "retained"}, [])
    house.store.is_away = False
    house.keeper.keep_house()
    assert (house.left, house.answers) == (set(), [(2, 0, "")])
    assert {actor for _, actor in house.announcements.deletions} == {"dpo"}


def test_who_does_not_hold_the_lease_keeps_no_house(house: House) -> None:
    house.add("old", 100)
    house.keeping.is_mine = False
    house.erase()
    once = iter([False, True])
    house.keeper.run(SimpleNamespace(wait=lambda _seconds: next(once)))
    assert (house.left, house.answers, house.copied) == ({"old"}, [], 0)
    house.keeping.is_mine = True
    once = iter([False, True])
    house.keeper.run(SimpleNamespace(wait=lambda _seconds: next(once)))
    assert (house.left, house.answers, house.copied) == (set(), [(1, 0, "")], 1)


def test_a_report_counts_all_and_names_some(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.recorder.keeping._MOST_NAMED", 2)
    for number in range(5):
        house.add(f"old-{number}", 100 + number)
    house.keeper.keep_house()
    (report,) = house.keeping.reports
    assert (report["deleted_count"], len(report["deleted"])) == (5, 2)


def test_one_recording_that_can_not_be_deleted_stops_no_other(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("a", "bad", "z"):
        house.add(name, 100)
    delete = house.store.delete

    def stubborn(key: str) -> None:
        if "bad" in key:
            raise StoreFailed("no")
        delete(key)

    monkeypatch.setattr(house.store, "delete", stubborn)
    house.keeper.keep_house()
    assert house.left == {"bad"}
    assert house.keeping.reports[0]["failed"] == ["bad"]


@pytest.mark.parametrize("at", ["delete", "told", "strip"])
def test_a_removal_cut_off_anywhere_is_ended_by_the_next_pass(
    house: House, monkeypatch: pytest.MonkeyPatch, at: str
) -> None:
    house.add("one", 100)

    def die(*_args: object) -> None:
        raise Killed

    place = {"delete": (house.store, "delete"), "told": (house.announcements, "deleted")}.get(
        at, (house.documents, "strip")
    )
    with monkeypatch.context() as patch:
        patch.setattr(*place, die)
        with pytest.raises(Killed):
            house.keeper.keep_house()
    house.keeper.keep_house()
    assert not house.left
    assert {document.recording_id for document, _ in house.announcements.deletions} == {"one"}
    assert not house.documents.rows["one"].caller
