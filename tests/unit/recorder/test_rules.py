"""Paths, keys, digests, steps, retries: the recorder's rules without a disk."""

import hashlib
import re
from base64 import b64encode
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.recorder.domain.backoff import Look, Stillness, retry_delay_seconds
from services.recorder.domain.bandwidth import Bandwidth
from services.recorder.domain.digest import Digest, StoredObject
from services.recorder.domain.location import Location, NotALocation, event_id, location_of
from services.recorder.domain.progress import IllegalStep, Need, Progress, Step, need_of

ID = r"[A-Za-z0-9][A-Za-z0-9._-]{0,79}"
good_paths = st.from_regex(rf"\A[a-z0-9][a-z0-9-]{{0,62}}/{ID}/{ID}\.wav\Z")


def place(path: str = "acme/call-1/rec-1.wav") -> Location:
    return location_of(path)


def digest_of(*parts: bytes) -> Digest:
    whole = b"".join(parts)
    return Digest(len(whole), hashlib.sha256(whole).hexdigest(), tuple(hashlib.sha256(part).digest() for part in parts))


@given(good_paths)
def test_a_path_of_ours_says_whose_the_recording_is_and_back(path: str) -> None:
    found = location_of(path)
    assert found.path == path
    assert path.split("/")[:2] == [found.tenant_id, found.call_id]


@given(st.text(alphabet="ab./\\ ~%\0\nÄ-_A1wav", max_size=30))
def test_a_path_that_is_accepted_can_not_leave_its_folder(path: str) -> None:
    try:
        found = location_of(path)
    except NotALocation:
        return
    assert found.path == path
    assert len(path.split("/")) == 3
    assert not any(part.startswith(".") for part in path.split("/"))
    assert re.fullmatch(r"[A-Za-z0-9._/-]+", path)


@pytest.mark.parametrize(
    "path",
    [
        "acme/../rec.wav",
        "../acme/rec.wav",
        "/etc/call/rec.wav",
        "acme/call/../../etc/passwd.wav",
        "acme/call/.wav",
        "acme/call/rec.mp3",
        "acme/call/rec.wav/",
        "acme/call/deep/rec.wav",
        "acme/rec.wav",
        "ACME/call/rec.wav",
        "acme/call/rec .wav",
        "acme/call/rec\n.wav",
        "acme/call/rec.wav\n",
        "acme/ca~ll/rec.wav",
        "acme/call/" + "x" * 81 + ".wav",
        "",
    ],
)
def test_a_path_of_another_shape_is_refused(path: str) -> None:
    with pytest.raises(NotALocation):
        location_of(path)


def test_the_id_of_an_event_depends_on_its_kind_and_recording_alone() -> None:
    assert event_id("recording.stored", place()) == event_id("recording.stored", place())
    others = {
        event_id("recording.failed", place()),
        event_id("recording.stored", place("acme/call-1/rec-2.wav")),
        event_id("recording.stored", place("other/call-1/rec-1.wav")),
    }
    assert len(others | {event_id("recording.stored", place())}) == 4


def test_one_part_has_the_checksum_of_its_bytes_and_several_the_checksum_of_theirs() -> None:
    assert digest_of(b"one").checksum == b64encode(hashlib.sha256(b"one").digest()).decode()
    inner = hashlib.sha256(b"one").digest() + hashlib.sha256(b"two").digest()
    assert digest_of(b"one", b"two").checksum == b64encode(hashlib.sha256(inner).digest()).decode() + "-2"


GOOD = digest_of(b"sound")


@pytest.mark.parametrize(
    "stored",
    [
        StoredObject(4, GOOD.sha256, GOOD.checksum),
        StoredObject(5, "0" * 64, GOOD.checksum),
        StoredObject(5, None, GOOD.checksum),
        StoredObject(5, GOOD.sha256, digest_of(b"noise").checksum),
    ],
)
def test_an_object_that_differs_in_anything_is_not_ours(stored: StoredObject) -> None:
    assert not stored.can_be(GOOD)
    assert need_of(GOOD, stored) is Need.UPLOAD


def test_what_the_store_holds_is_not_sent_again() -> None:
    assert need_of(GOOD, StoredObject(5, GOOD.sha256, GOOD.checksum)) is Need.NOTHING
    assert need_of(GOOD, None) is Need.UPLOAD


def test_uploads_together_keep_their_mean_rate_and_a_pause_earns_nothing() -> None:
    budget = Bandwidth(1_000_000)
    assert budget.reserve(500_000, 10.0) == 0
    assert budget.reserve(500_000, 10.1) == pytest.approx(0.4)
    assert budget.reserve(1, 10.2) == pytest.approx(0.8)
    assert budget.reserve(500_000, 60.0) == 0
    assert budget.reserve(500_000, 60.0) == pytest.approx(0.5)
    assert [Bandwidth(0).reserve(10**9, 1.0) for _ in range(3)] == [0, 0, 0]


def test_a_checksum_that_the_store_did_not_compute_proves_nothing() -> None:
    assert StoredObject(5, GOOD.sha256, GOOD.checksum).proves_its_bytes
    assert not StoredObject(5, GOOD.sha256, None).proves_its_bytes


def test_only_one_order_of_the_steps_is_legal() -> None:
    legal = []
    for order in permutations(Step):
        progress = Progress()
        try:
            for step in order:
                progress.finish(step)
        except IllegalStep:
            continue
        legal.append([step.value for step in order])
    assert legal == [["inspect", "encode", "upload", "verify", "document", "announce", "delete"]]


@given(st.integers(1, 10_000), st.floats(0, 1))
def test_a_retry_waits_at_least_half_its_time_and_never_longer_than_the_longest(attempt: int, fraction: float) -> None:
    wait = retry_delay_seconds(attempt, 1.0, 60.0, fraction)
    full = min(60.0, 2.0 ** min(attempt - 1, 20))
    assert full / 2 <= wait <= full


def test_stillness_counts_from_the_last_change() -> None:
    still = Stillness()
    assert still.observe(place(), Look(1, 10, 5), 100.0) == 0
    assert still.observe(place(), Look(1, 10, 5), 103.0) == 3
    assert still.observe(place(), Look(1, 11, 5), 104.0) == 0
    assert still.observe(place(), Look(1, 11, 6), 105.0) == 0
    assert still.observe(place(), Look(2, 11, 6), 106.0) == 0
    assert still.observe(place(), Look(2, 11, 6), 107.0) == 1
    still.keep_only([])
    assert still.observe(place(), Look(2, 11, 6), 109.0) == 0
