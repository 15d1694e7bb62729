"""Encryption at rest, asked of a true store: its own keys (SSE-S3), and each company's of a key service (SSE-KMS)."""

import os
from pathlib import Path
from typing import Any

from pymongo.database import Database

from services.recorder.adapters.s3 import ObjectStore
from tests.integration.recorder.conftest import ACCESS_KEY, SECRET_KEY
from tests.integration.recorder.node import PART_BYTES, Node, node
from tests.unit.recorder.sounds import wav

__all__ = ["node"]  # a fixture by import

KEYS = {"acme": "alias/acme", "rival": "alias/rival"}
PIECE = slice(1000, 1064)
"""So many bytes of a sound come up nowhere else by chance."""


def on_disk(folder: Path, piece: bytes) -> bool:
    """Whether bytes lie readable in any file of the object store."""
    return any(piece in path.read_bytes() for path in folder.rglob("*.dat"))


def test_the_store_encrypts_small_and_large_recordings_and_gives_them_back_byte_for_byte(
    node: Node, database: Database[dict[str, Any]]
) -> None:
    assert node.run(encryption="AES256") == (0, ["stored"] * 3)
    node.check_all_is_stored_once()
    assert [row["encryption"] for row in database["recordings"].find()] == ["AES256"] * 3
    client = node.objects.client()
    for key in node.objects.contents():
        head = client.head_object(Bucket=node.objects.bucket, Key=key)
        assert head["ServerSideEncryption"] == "AES256"


def test_each_companys_recordings_are_encrypted_with_its_own_key(
    node: Node, database: Database[dict[str, Any]], object_folder: Path
) -> None:
    # Sounds of this test alone: others leave theirs on this store's disk as they are.
    large, theirs = (wav(os.urandom(4 * frames)) for frames in (2 * PART_BYTES // 4, 3000))
    node.add("large", large, large)
    path = node.root / "rival" / "call-2" / "theirs.wav"
    path.parent.mkdir(parents=True)
    path.write_bytes(theirs)
    assert node.run(encryption="aws:kms", keys=KEYS) == (0, ["stored"] * 4)
    assert node.stored() == node.wanted | {"theirs": theirs}
    assert [row["encryption"] for row in database["recordings"].find()] == ["aws:kms"] * 4
    client = node.objects.client()
    for key in node.objects.contents():
        head = client.head_object(Bucket=node.objects.bucket, Key=key)
        assert (head["ServerSideEncryption"], head["SSEKMSKeyId"]) == ("aws:kms", KEYS[key.partition("/")[0]])
    assert not on_disk(object_folder, theirs[PIECE])
    assert not on_disk(object_folder, large[PIECE])
    client.put_object(Bucket=node.objects.bucket, Key="open", Body=theirs, ContentType="audio/vnd.wave")
    assert on_disk(object_folder, theirs[PIECE]), "whatever is sent can't be found on this store's disk"


def test_a_listener_starts_in_the_middle_of_an_encrypted_recording(node: Node) -> None:
    assert node.run(encryption="aws:kms", keys=KEYS)[0] == 0
    store = ObjectStore(node.objects.endpoint, node.objects.bucket, ACCESS_KEY, SECRET_KEY, "us-east-1")
    key = next(key for key in node.objects.contents() if key.endswith("large.wav"))
    middle = len(node.wanted["large"]) // 2
    assert b"".join(store.read_range(key, middle, middle + 99_999)) == node.wanted["large"][middle : middle + 100_000]


def test_a_refused_key_gets_nothing_deleted_and_one_that_is_put_right_is_used(node: Node) -> None:
    code, outcomes = node.run(encryption="aws:kms", keys={"acme": "no key's name!"})
    assert code == 0
    assert set(outcomes) <= {"store_failed", "store_lied"}
    assert node.on_disk() == set(node.wanted)
    assert node.run(encryption="aws:kms", keys=KEYS) == (0, ["stored"] * 3)
    node.check_all_is_stored_once()
