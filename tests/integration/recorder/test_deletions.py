"""A recording that is deleted is nowhere in a true store: not in a former version, not in parts that a kill left."""

import hashlib
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ClientError

from services.recorder.adapters.s3 import Kind, ObjectStore
from services.recorder.domain.digest import Digest
from services.recorder.errors import StoreLied
from tests.integration.recorder.conftest import ACCESS_KEY, SECRET_KEY, Objects
from tests.integration.recorder.test_links import Sent

KEY, NEIGHBOUR = "acme/rec-1.wav", "acme/rec-1.wav.wav"


@pytest.fixture
def store(objects: Objects) -> ObjectStore:
    """Give a store with a recording, and one whose name begins with the other's."""
    store = ObjectStore(objects.endpoint, objects.bucket, ACCESS_KEY, SECRET_KEY, "us-east-1")
    for key in (KEY, NEIGHBOUR):
        put(store, key, b"the first sound")
    return store


def put(store: ObjectStore, key: str, sound: bytes) -> None:
    whole = hashlib.sha256(sound)
    store.put(key, iter([Sent(sound)]), Digest(len(sound), whole.hexdigest(), (whole.digest(),)), Kind("audio/wav"))


def sounds(objects: Objects) -> list[str]:
    """Return the names of whatever still is a sound, former versions too."""
    answer: Any = objects.client().list_object_versions(Bucket=objects.bucket)
    return [row["Key"] for row in answer.get("Versions", ())]


@pytest.mark.parametrize("when", ["never", "before the second", "after both"])
def test_every_version_goes_whenever_versions_were_switched_on(objects: Objects, store: ObjectStore, when: str) -> None:
    def switch_on() -> None:
        objects.client().put_bucket_versioning(Bucket=objects.bucket, VersioningConfiguration={"Status": "Enabled"})

    if when == "before the second":
        switch_on()
    put(store, KEY, b"the second sound")
    if when == "after both":
        switch_on()
    for _ in range(2):
        store.delete(KEY)
        assert sounds(objects) == [NEIGHBOUR]
        assert store.describe(KEY) is None


def test_parts_that_a_killed_try_has_sent_go_too(objects: Objects, store: ObjectStore) -> None:
    client = objects.client()
    for key in (KEY, NEIGHBOUR):
        upload = client.create_multipart_upload(Bucket=objects.bucket, Key=key)["UploadId"]
        client.upload_part(Bucket=objects.bucket, Key=key, UploadId=upload, PartNumber=1, Body=b"half a sound")
    store.delete(KEY)
    left = client.list_multipart_uploads(Bucket=objects.bucket)["Uploads"]
    assert [each["Key"] for each in left] == [NEIGHBOUR]


def test_a_store_that_keeps_a_former_version_is_not_believed(
    store: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "_versions", lambda _key, *, only_sound=False: ["kept"] if only_sound else [])
    with pytest.raises(StoreLied):
        store.delete(KEY)


def test_a_bucket_that_is_not_there_has_nothing_to_delete(objects: Objects) -> None:
    store = ObjectStore(objects.endpoint, f"{objects.bucket}-none", ACCESS_KEY, SECRET_KEY, "us-east-1")
    assert store._versions(KEY) == []
    store._drop_unfinished(KEY)


def test_a_store_that_knows_neither_parts_nor_versions_deletes_all_the_same(
    objects: Objects, store: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unknown(*_given: object, **_more: object) -> None:
        raise ClientError({"Error": {"Code": "NotImplemented"}}, "List")

    monkeypatch.setattr(store._client, "list_multipart_uploads", unknown)
    monkeypatch.setattr(store._client, "get_paginator", lambda _name: SimpleNamespace(paginate=unknown))
    store.delete(KEY)
    assert list(objects.contents()) == [NEIGHBOUR]
