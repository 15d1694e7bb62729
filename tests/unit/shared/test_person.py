import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.shared.erased import answer_to
from services.shared.person import BadSecret, NotReadable, PersonSeal

SECRET = "a secret of the platform, long enough"
NUMBERS = ("+380501112233", "0501112233")


@given(st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\n"), min_size=1), min_size=1, max_size=5))
def test_what_is_sealed_is_opened_by_the_same_secret_alone(numbers: list[str]) -> None:
    sealed = PersonSeal(SECRET).seal("acme", "er-1", numbers)
    assert PersonSeal(SECRET).open("acme", "er-1", sealed) == tuple(numbers)
    for number in numbers:
        assert len(number) < 4 or number.encode() not in sealed  # three bytes may stand in any text by chance
    for stranger in (PersonSeal(SECRET + "!"), PersonSeal("")):
        with pytest.raises(NotReadable):
            stranger.open("acme", "er-1", sealed)


def test_a_seal_is_of_one_tenant_and_one_erasure_and_may_not_be_changed() -> None:
    seal = PersonSeal(SECRET)
    sealed = seal.seal("acme", "er-1", NUMBERS)
    assert sealed == seal.seal("acme", "er-1", NUMBERS)
    for tenant_id, erasure_id, given_bytes in (
        ("borealis", "er-1", sealed),
        ("acme", "er-2", sealed),
        ("acme", "er-1", sealed[:-1] + bytes([sealed[-1] ^ 1])),
        ("acme", "er-1", b""),
    ):
        with pytest.raises(NotReadable):
            seal.open(tenant_id, erasure_id, given_bytes)


def test_a_person_is_the_same_in_each_erasure_and_another_one_in_each_company() -> None:
    seal = PersonSeal(SECRET)
    assert seal.person("acme", NUMBERS[0]) == seal.person("acme", NUMBERS[0])
    assert len({seal.person("acme", NUMBERS[0]), seal.person("borealis", NUMBERS[0]), seal.person("acme", "+1")}) == 3


def test_a_short_secret_is_refused_without_being_shown() -> None:
    with pytest.raises(BadSecret, match="at least 32") as refused:
        PersonSeal("short-secret")
    assert "short-secret" not in str(refused.value)


def test_the_same_answer_has_the_same_id_and_another_one_another() -> None:
    first = answer_to("acme", "er-1", "stats", 1_000, {"calls": 2, "legs": 0})
    assert first.event_id == answer_to("acme", "er-1", "stats", 9_000, {"calls": 2}).event_id
    assert first.event_id != answer_to("acme", "er-1", "stats", 1_000, {"calls": 3}).event_id
    assert first.event_id != answer_to("acme", "er-1", "stats", 1_000, {"calls": 2}, fault="no").event_id
