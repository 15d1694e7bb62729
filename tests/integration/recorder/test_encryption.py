"""Encryption at rest, asked of a true store: its own keys (SSE-S3), and a key service that it lacks (SSE-KMS)."""

from typing import Any

from pymongo.database import Database

from tests.integration.recorder.node import Node, node

__all__ = ["node"]  # a fixture by import


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


def test_a_store_without_the_key_service_that_is_wanted_gets_nothing_deleted(node: Node) -> None:
    code, outcomes = node.run(encryption="aws:kms")
    assert code == 0
    assert set(outcomes) <= {"store_failed", "store_lied"}
    assert node.on_disk() == set(node.wanted)
