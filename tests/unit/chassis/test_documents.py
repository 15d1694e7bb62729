import pytest
from pymongo.errors import AutoReconnect, BulkWriteError, OperationFailure, PyMongoError, ServerSelectionTimeoutError

from services.shared.chassis.documents import DUPLICATE_KEY, open_database, refused_writes, sentence_of
from services.shared.chassis.settings import SettingsError


@pytest.mark.parametrize("uri", ["", "nonsense://", "http://127.0.0.1", "mongodb://user:hush@:x/", "mongodb://h:70000"])
def test_an_address_that_is_none_is_a_fault_of_the_settings_and_keeps_its_password(uri: str) -> None:
    with pytest.raises(SettingsError, match="RINGMASTER_MONGODB_URI") as refused:
        open_database(uri, "test")
    assert "hush" not in str(refused.value)


def test_the_database_is_the_one_in_the_address_or_ours() -> None:
    named, unnamed = open_database("mongodb://127.0.0.1:1/theirs", "test"), open_database("mongodb://127.0.0.1:1", "t")
    assert (named.name, unnamed.name) == ("theirs", "ringmaster")


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (ServerSelectionTimeoutError("127.0.0.1:1: refused, Topology Description: <...>"), "does not answer"),
        (AutoReconnect("connection closed"), "broke: AutoReconnect"),
        (OperationFailure("not authorized", 13, {"errmsg": "not authorized"}), "refuses with code 13: not authorized"),
        (PyMongoError("first line\nsecond line"), "fails: PyMongoError: first line"),
    ],
)
def test_a_failure_is_one_sentence_for_a_person(error: PyMongoError, words: str) -> None:
    sentence = sentence_of(error)
    assert words in sentence
    assert "\n" not in sentence
    assert "Topology" not in sentence


def test_refused_writes_are_told_by_number_but_not_where_the_others_are_not_safe() -> None:
    refused = {"writeErrors": [{"index": 3, "code": DUPLICATE_KEY}, {"index": 5, "code": 121}]}
    assert refused_writes(BulkWriteError(refused)) == {3: DUPLICATE_KEY, 5: 121}
    unsafe: dict[str, list[dict[str, int]]] = {"writeConcernErrors": [{"code": 64}]}
    for details in (unsafe, refused | unsafe):
        with pytest.raises(BulkWriteError):
            refused_writes(BulkWriteError(details))
