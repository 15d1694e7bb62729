"""A link to a recording, as a true store honours it: for this object, for a time, for nothing else (SPEC 6.3)."""

import hashlib
import urllib.error
import urllib.request
from collections.abc import Iterator
from email.message import Message

import pytest

from services.recorder.adapters import s3
from services.recorder.adapters.s3 import Kind, ObjectStore
from services.recorder.domain.digest import Digest
from services.shared.testing.waiting import wait_until
from tests.integration.recorder.conftest import ACCESS_KEY, SECRET_KEY, Objects

SOUND = b"a voice that is somebody's" * 100
KEY = "acme/2026-11-23/call-1/rec-1.wav"
FORBIDDEN = 403


@pytest.fixture
def store(objects: Objects) -> ObjectStore:
    """Give a store that holds two recordings, each with its company's key of the key service."""
    store = ObjectStore(objects.endpoint, objects.bucket, ACCESS_KEY, SECRET_KEY, "us-east-1")
    for key, sound in ((KEY, SOUND), ("rival/other.wav", SOUND[::-1])):
        whole = hashlib.sha256(sound)
        digest = Digest(len(sound), whole.hexdigest(), (whole.digest(),))
        store.put(key, iter([Sent(sound)]), digest, Kind("audio/wav", "aws:kms", f"alias/{key.partition('/')[0]}"))
    return store


class Sent:
    """A part that is in memory."""

    def __init__(self, sound: bytes) -> None:
        self._sound = sound

    def __len__(self) -> int:
        return len(self._sound)

    def __iter__(self) -> Iterator[memoryview]:
        yield memoryview(self._sound)


def fetch(link: str) -> tuple[int, bytes, Message]:
    try:
        with urllib.request.urlopen(link, timeout=10) as answer:  # noqa: S310 - loopback only
            return answer.status, answer.read(), answer.headers
    except urllib.error.HTTPError as refused:
        with refused:
            return refused.code, b"", refused.headers


def test_a_link_fetches_its_recording_under_the_name_that_people_save_it_by(store: ObjectStore) -> None:
    status, sound, headers = fetch(store.link(KEY, "rec-1.wav", "audio/wav"))
    assert (status, sound) == (200, SOUND)
    assert headers["Content-Disposition"] == 'attachment; filename="rec-1.wav"'
    assert headers["Content-Type"] == "audio/wav"


def test_a_link_opens_nothing_else_and_not_after_a_change(store: ObjectStore) -> None:
    link = store.link(KEY, "rec-1.wav", "audio/wav")
    for other in (
        link.replace(KEY, "rival/other.wav"),
        link.replace("rec-1.wav%22", "rec-2.wav%22"),
        link.replace(f"X-Amz-Expires={s3.LINK_SECONDS}", "X-Amz-Expires=604800"),
        link.partition("?")[0],
    ):
        assert other != link
        assert fetch(other)[:2] == (FORBIDDEN, b"")


def test_a_link_ends_with_its_time(store: ObjectStore, monkeypatch: pytest.MonkeyPatch) -> None:
    assert s3.LINK_SECONDS <= 300
    monkeypatch.setattr(s3, "LINK_SECONDS", 1)
    link = store.link(KEY, "rec-1.wav", "audio/wav")
    wait_until(lambda: fetch(link)[0] == FORBIDDEN, "the link has ended", 10)
