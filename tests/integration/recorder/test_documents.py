"""Searches, listeners, shares, leases and erasures on a true document store."""

from collections.abc import Iterator
from dataclasses import asdict, astuple, replace

import pytest

from services.recorder.adapters.keeping_documents import KeepingDocuments
from services.recorder.adapters.listeners import Listeners, Listening, Share
from services.recorder.adapters.measure import Waveform
from services.recorder.adapters.mongo import RecordingDocuments
from services.recorder.domain.finding import read_search
from services.recorder.domain.location import location_of
from services.recorder.domain.naming import CallNote
from tests.unit.recorder.test_api import ONE


@pytest.fixture
def documents(documents_uri: str) -> Iterator[RecordingDocuments]:
    documents = RecordingDocuments(documents_uri)
    for number in range(7):
        made = replace(ONE, recording_id=f"rec-{number}", call_id=f"call-{number}", recorded_us=10**15 + number // 2)
        made = replace(made, queue_id="sales" if number % 2 else "", caller=f"+38050111223{number}", silent=number == 6)
        documents.write(made)
    documents.write(replace(ONE, recording_id="rival-1", tenant_id="rival", caller="+380501112231"))
    yield documents
    documents.database.client.close()


def found(documents: RecordingDocuments, **asked: str) -> list[str]:
    return [row.recording_id for row in documents.search("acme", read_search(asked))]


def test_a_search_finds_its_companys_own_newest_first_page_by_page(documents: RecordingDocuments) -> None:
    everything = ["rec-6", "rec-5", "rec-4", "rec-3", "rec-2", "rec-1", "rec-0"]
    assert found(documents) == everything
    paged: list[str] = []
    before = ""
    while rows := documents.search("acme", read_search({"limit": "2", "before": before})):
        paged += [row.recording_id for row in rows]
        before = f"{rows[-1].recorded_us}.{rows[-1].recording_id}"
    assert paged == everything
    assert found(documents, queue_id="sales") == ["rec-5", "rec-3", "rec-1"]
    assert found(documents, caller="+380501112231") == ["rec-1"]
    assert found(documents, caller="2231") == ["rec-1"]
    assert found(documents, silent="no") == everything[1:]
    assert found(documents, queue_id="$ne") == []


def test_what_was_deleted_is_found_no_more_and_a_hold_keeps_from_it(documents: RecordingDocuments) -> None:
    one = documents.find("rec-1")
    assert one is not None
    assert documents.write(replace(one, stored_us=99), Waveform(20, 2, b"\1\2")) == one
    assert documents.waveform("rec-1") == Waveform(20, 2, b"\1\2")
    assert documents.hold("acme", "rec-1", held=True)
    assert not documents.hold("rival", "rec-1", held=False)
    assert documents.begin_removal(one, "retention", 5) is None
    documents.hold("acme", "rec-1", held=False)
    marked = documents.begin_removal(one, "retention", 5)
    assert marked is not None
    assert documents.begin_removal(one, "erasure", 9) == marked
    keeping = KeepingDocuments(documents.database)
    assert [row.recording_id for row in keeping.open_removals()] == ["rec-1"]
    documents.strip(marked)
    assert not list(keeping.open_removals())
    assert documents.find_for("acme", "rec-1") is None
    assert documents.waveform("rec-1") is None
    assert "rec-1" not in found(documents)
    again = documents.write(replace(one, stored_us=99), Waveform(20, 2, b"\1\2"))
    assert (again.deleted_us, again.caller, again.key) == (5, "", "")
    assert documents.waveform("rec-1") is None


def test_listening_in_many_pieces_is_one_line(documents: RecordingDocuments) -> None:
    listeners = Listeners(documents.database)
    base = Listening("acme", "rec-1", "olha", "supervisor", "listened", 600 * 10**6)
    for done in (base, replace(base, at_us=700 * 10**6), replace(base, at_us=901 * 10**6), replace(base, actor="ivan")):
        listeners.note(done)
    rows = listeners.of_recording("acme", "rec-1")
    assert sorted((row["actor"], row["requests"]) for row in rows) == [("ivan", 1), ("olha", 1), ("olha", 2)]
    assert not listeners.of_recording("rival", "rec-1")


def test_a_share_opens_by_its_secret_until_it_ends(documents: RecordingDocuments) -> None:
    listeners = Listeners(documents.database)
    share = Share("s1", "acme", "rec-1", 0, 50, 1_000, "olha")
    secret = listeners.share(share)
    assert listeners.shared(secret, 999) == share
    assert listeners.shared(secret, 1_000) is None
    assert listeners.shared("other", 1) is None
    assert listeners.shares_of("acme", "rec-1", 999) == [share]
    assert listeners.shares_of("acme", "rec-1", 1_000) == listeners.shares_of("rival", "rec-1", 999) == []
    assert secret not in str(list(documents.database["recording_shares"].find()))
    assert not listeners.end_share("rival", "rec-1", "s1")
    assert listeners.end_share("acme", "rec-1", "s1")
    assert listeners.shared(secret, 999) is None


def test_one_recorder_at_a_time_keeps_house(documents: RecordingDocuments) -> None:
    keeping = KeepingDocuments(documents.database)
    second = 10**6
    assert keeping.lease("fs-1", 0, 60)
    assert not keeping.lease("fs-2", 59 * second, 60)
    assert keeping.lease("fs-1", 59 * second, 60)
    assert not keeping.lease("fs-2", 118 * second, 60)
    assert keeping.lease("fs-2", 120 * second, 60)


def test_every_missing_copy_and_open_removal_is_found_however_many_there_are(documents: RecordingDocuments) -> None:
    many = [f"many-{number:03}" for number in range(450)]
    rows = [{"_id": each, **asdict(replace(ONE, recording_id=each)), "copies_left": ["drive"]} for each in many]
    documents.database["recordings"].insert_many([{**row, "removal_open": True} for row in rows])
    keeping = KeepingDocuments(documents.database)
    assert [row.recording_id for row, _ in keeping.copies_left()] == many
    assert [row.recording_id for row in keeping.open_removals()] == many
    assert keeping.begin_copy("many-100", "drive", 5)
    keeping.end_copy("many-100", "drive", 5, is_there=False)
    assert keeping.begin_copy("many-100", "drive", 7)
    keeping.end_copy("many-100", "drive", 6, is_there=True)
    found = documents.find("many-100")
    assert found is not None
    assert found.copying_us == 7, "another's copy is still being made"
    keeping.end_copy("many-100", "drive", 7, is_there=True)
    assert not keeping.begin_copy("many-100", "drive", 9), "it is there"
    assert len(list(keeping.copies_left())) == 449


def test_what_goes_is_no_more_copied_nor_read_and_an_erasure_finds_it_until_it_is_gone(
    documents: RecordingDocuments,
) -> None:
    keeping, numbers = KeepingDocuments(documents.database), ("+380501112230",)
    one = documents.write(replace(ONE, recording_id="going", caller=numbers[0], copies=("drive",), recorded_us=10**15))
    documents.database["transcripts"].insert_one({"_id": "going", "tenant_id": "acme"})
    assert documents.transcript("acme", "going")
    assert not documents.transcript("rival", "going")
    marked = documents.begin_removal(one, "retention", 5)
    assert marked is not None
    assert documents.transcript("acme", "going") is None
    assert not keeping.begin_copy("going", "drive", 9)
    assert [row.recording_id for row in keeping.of_person("acme", numbers, 10**18)] == ["going", "rec-0"]
    documents.strip(marked)
    assert [row.recording_id for row in keeping.of_person("acme", numbers, 10**18)] == ["rec-0"]


def test_whose_call_it_is_is_noted_where_nothing_was_known_and_nothing_is_going(documents: RecordingDocuments) -> None:
    note, place = CallNote("sales", "olena", "+380509998877", "+380441000001"), location_of("acme/call-1/bare.wav")
    bare = documents.write(replace(ONE, recording_id="bare"))
    for other in ("rival/call-1/bare.wav", "acme/call-2/bare.wav", "acme/call-1/none.wav"):
        documents.note_call(location_of(other), note)
        assert documents.find("bare") == bare
    for told in (note, replace(note, caller="+380500000000")):
        documents.note_call(place, told)
        noted = documents.find("bare")
        assert noted is not None
        assert (noted.queue_id, noted.agent_id, noted.caller, noted.line) == astuple(note)
    going = documents.begin_removal(documents.write(replace(ONE, recording_id="erased")), "erasure", 5)
    assert going is not None
    documents.note_call(location_of("acme/call-1/erased.wav"), note)
    assert documents.find("erased") == going


def test_an_erasure_finds_a_persons_recordings_until_it_is_answered_and_nothing_is_held(
    documents: RecordingDocuments,
) -> None:
    keeping, month_us = KeepingDocuments(documents.database), 31 * 86_400 * 10**6
    numbers = ("+380501112231", "0501112231")
    assert [row.recording_id for row in keeping.of_person("acme", numbers, 10**18)] == ["rec-1"]
    assert list(keeping.of_person("acme", numbers, 0)) == []
    for _ in range(2):
        keeping.ask_erasure({"_id": "e1", "tenant_id": "acme", "sealed": b"\x00", "actor": "dpo", "asked_us": 5})
    assert [row["_id"] for row in keeping.watched_erasures(10)] == ["e1"]
    assert keeping.note_found("e1", ["rec-1"])["found"] == ["rec-1"]
    assert keeping.note_found("e1", ["rec-1", "rec-2"])["found"] == ["rec-1", "rec-2"]
    keeping.note_told("e1", {"deleted": 1, "held": 1, "fault": ""})
    assert [row["told"]["held"] for row in keeping.watched_erasures(10)] == [1]
    keeping.note_told("e1", {"deleted": 2, "held": 0, "fault": ""})
    assert keeping.watched_erasures(10) == []
    assert [row["_id"] for row in keeping.watched_erasures(0)] == ["e1"]
    assert keeping.watched_erasures(10 + month_us) == []
    assert "sealed" not in str(list(documents.database["recording_erasures"].find()))


def test_what_a_company_keeps_and_what_was_done_for_it_is_seen_by_it_alone(documents: RecordingDocuments) -> None:
    keeping = KeepingDocuments(documents.database)
    for tenant_id in ("acme", "rival"):
        keeping.keep_report({"_id": tenant_id, "kind": "retention", "tenant_id": tenant_id, "started_us": 1})
    assert [row["_id"] for row in keeping.reports("acme")] == ["acme"]
    assert [row.recording_id for row in keeping.older_than("acme", 10**15 + 1)] == ["rec-0", "rec-1"]
    assert [row.recording_id for row in keeping.older_than("rival", 10**18)] == ["rival-1"]
    one, same = documents.find("rec-1"), replace(ONE, recording_id="rival-2", tenant_id="rival", call_id="call-1")
    assert one is not None
    documents.write(same)
    assert [row.recording_id for row in documents.of_call("acme", "call-1")] == ["rec-1"]
    assert documents.find_for("rival", "rec-1") is None
    documents.begin_removal(one, "retention", 5)
    assert documents.of_call("acme", "call-1") == []
    assert [row.recording_id for row in keeping.older_than("acme", 10**15 + 1)] == ["rec-0"]
