"""A store is believed only for what its answers prove, and nothing is deleted before."""

import pytest

from services.recorder.adapters.s3 import Kind
from services.recorder.domain.digest import StoredObject
from services.recorder.domain.policy import Policy
from services.recorder.domain.progress import Step
from services.recorder.errors import StoreFailed, StoreLied
from services.recorder.storing import Outcome
from tests.unit.recorder.conftest import PLACE, Node
from tests.unit.recorder.fakes import Killed, MemoryStore, killed_after
from tests.unit.recorder.sounds import sound, wav


@pytest.mark.parametrize("computes", [True, False])
def test_a_store_that_kept_other_bytes_is_not_believed(node: Node, *, computes: bool) -> None:
    path = node.put(wav(sound(100)))
    node.store.computes_checksums = computes
    node.store.corrupt = lambda body: body[:-1] + b"\x55"
    with pytest.raises(StoreLied):
        node.store_it()
    assert path.exists()
    assert not node.documents.rows
    node.store.corrupt = None
    node.store.objects.clear()
    assert node.store_it() is Outcome.STORED


def test_a_store_that_loses_what_it_took_is_not_believed(node: Node) -> None:
    path = node.put(wav(sound(100)))
    node.store.loses = True
    with pytest.raises(StoreLied):
        node.store_it()
    assert path.exists()


class CountsQuestions(MemoryStore):
    """A store that counts how often it is asked."""

    questions = 0

    def describe(self, key: str) -> StoredObject | None:
        self.questions += 1
        return super().describe(key)


@pytest.mark.parametrize(("answers", "questions"), [(True, 0), (False, 1)])
def test_a_store_whose_answer_proves_what_it_holds_is_not_asked_again(
    node: Node, *, answers: bool, questions: int
) -> None:
    store = CountsQuestions(answers_with_checksums=answers)
    node.store = store
    node.put(wav(sound(100)))
    assert node.store_it() is Outcome.STORED
    assert store.questions == questions


def test_a_store_whose_answer_tells_of_other_bytes_is_not_believed(node: Node) -> None:
    path = node.put(wav(sound(100)))
    node.store.answers_with_checksums = True
    node.store.corrupt = lambda body: body[:-1] + b"\x55"
    with pytest.raises(StoreLied):
        node.store_it()
    assert path.exists()


def test_a_store_that_is_away_leaves_the_file(node: Node) -> None:
    path = node.put(wav(sound(100)))
    node.store.is_away = True
    with pytest.raises(StoreFailed):
        node.store_it()
    assert path.exists()


def test_a_store_that_does_not_encrypt_is_not_believed(node: Node) -> None:
    node.encryption = "AES256"
    path = node.put(wav(sound(400)))
    node.store.encrypts = False
    with pytest.raises(StoreLied, match="encrypt"):
        node.store_it()
    assert path.exists()
    node.store.encrypts = True
    node.store.objects.clear()
    assert node.store_it() is Outcome.STORED
    assert node.documents.rows["rec-1"].encryption == "AES256"


def test_what_was_sent_before_encryption_was_asked_for_is_sent_anew(node: Node) -> None:
    node.put(wav(sound(400)))
    with pytest.raises(Killed):
        node.storing(killed_after(Step.UPLOAD)).store(PLACE)
    node.encryption = "AES256"
    assert node.store_it() is Outcome.STORED
    assert [kind.encryption for kind in node.store.kinds.values()] == ["AES256"]


@pytest.mark.parametrize("platforms", ["", "AES256", "aws:kms"])
def test_a_companys_own_key_goes_before_the_platforms(node: Node, platforms: str) -> None:
    node.encryption = platforms
    node.policies.policy = Policy(kms_key_id="alias/acme")
    node.put(wav(sound(400)))
    node.store_it()
    (kind,) = node.store.kinds.values()
    assert (kind.encryption, kind.kms_key_id) == ("aws:kms", "alias/acme")
    assert kind.arguments()["SSEKMSKeyId"] == "alias/acme"
    assert node.documents.rows["rec-1"].encryption == "aws:kms"


def test_a_key_of_the_key_service_is_named_to_the_key_service_alone() -> None:
    assert "SSEKMSKeyId" not in Kind("audio/wav", "AES256", "voice").arguments()
