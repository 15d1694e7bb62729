import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.recorder.domain.transcript.numerals import spoken_digits
from services.recorder.domain.transcript.redaction import kind_of, passes_luhn, redact
from services.recorder.domain.transcript.words import Personal
from tests.unit.recorder.transcripts import words

NOTHING: frozenset[Personal] = frozenset()
SPOKEN = ("zero", "one", "two", "three", "чотири", "п’ять", "шість", "семь", "восемь", "девять")
# Test numbers that card schemes publish; the sum of each is right.
CARDS = ("4111111111111111", "5555555555554444", "378282246310005", "6011111111111117", "4222222222222")


def told(text: str, keeps: frozenset[Personal] = NOTHING) -> str:
    return " ".join(word.text for word in redact(words(text), keeps))


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ("my card is 4111 1111 1111 1111 thanks", "my card is [card] thanks"),
        ("my card is 4111-1111-1111-1111, thanks", "my card is [card] thanks"),
        ("four one one one um one one one one one one one one one one one one", "[card]"),
        ("call +380 44 123 45 67 now", "call [phone] now"),
        ("call me at 044-123-45-67.", "call me at [phone]"),
        ("номер нуль шістдесят сім сто двадцять три сорок п'ять шістдесят сім так", "номер [phone] так"),
        ("мой код два ноль ноль пять спасибо", "мой код [digits] спасибо"),
        ("пароль twenty-two thirty-one", "пароль [digits]"),
        ("the code is AB1234", "the code is [digits]"),
        ("write to olena.k@example.com please", "write to [email] please"),
        ("write to olena dot k at example dot com please", "write to [email] please"),
        ("пошта olena собака gmail крапка com дякую", "пошта [email] дякую"),
        ("I have 2 orders and 3 questions", "I have 2 orders and 3 questions"),
        ("one moment please", "one moment please"),
        ("сто гривень", "сто гривень"),
        ("look at the first door", "look at the first door"),
    ],
)
def test_personal_data_is_taken_out_and_nothing_else(said: str, kept: str) -> None:
    assert told(said) == kept


@pytest.mark.parametrize("card", CARDS)
def test_published_card_numbers_are_cards_however_they_are_grouped(card: str) -> None:
    assert kind_of(card) is Personal.CARD
    assert told(" ".join(card)) == "[card]"
    assert told(card[:4] + " " + card[4:]) == "[card]"


@given(st.text("0123456789", min_size=11, max_size=18))
def test_exactly_one_last_digit_makes_a_number_pass_luhn(digits: str) -> None:
    # The definition again, from the other end: double every second digit from the one before the last.
    last = len(digits) - 1
    doubled = [int(digit) * (2 if (last - place) % 2 == 0 else 1) for place, digit in enumerate(digits)]
    check = -sum(sum(map(int, str(value))) for value in doubled) % 10
    assert [one for one in range(10) if passes_luhn(digits + str(one))] == [check]


@given(st.text("0123456789", min_size=4, max_size=19), st.integers(1, 6))
def test_no_run_of_four_digits_survives_however_it_is_cut_into_words(digits: str, size: int) -> None:
    parts = [digits[at : at + size] for at in range(0, len(digits), size)]
    assert not any(map(str.isdigit, told("so " + " ".join(parts) + " fine")))


@given(st.lists(st.sampled_from(SPOKEN), min_size=4))
def test_no_spoken_run_survives(spoken: list[str]) -> None:
    assert told("так " + " ".join(spoken) + " дякую") in {f"так [{kind}] дякую" for kind in ("card", "phone", "digits")}


@given(st.lists(st.text("абвгabc1 ", min_size=1, max_size=6), max_size=20))
def test_words_that_are_kept_are_kept_as_they_were(parts: list[str]) -> None:
    before = words(" ".join(parts))
    after = redact(before, NOTHING)
    assert [word for word in after if word.personal is None] == [word for word in before if word in after]


def test_a_policy_may_keep_what_it_needs() -> None:
    said = "card 4111111111111111 and mail me@example.com"
    assert told(said, frozenset({Personal.EMAIL})) == "card [card] and mail me@example.com"
    assert told(said, frozenset({Personal.CARD})) == "card 4111111111111111 and mail [email]"


def test_a_redacted_word_keeps_the_time_and_the_lowest_confidence() -> None:
    spoken = words("1234", 1_000, 0.9) + words("5678", 2_000, 0.4)
    (word,) = redact(spoken, NOTHING)
    assert (word.start_ms, word.end_ms, word.confidence, word.personal) == (1_000, 2_300, 0.4, Personal.DIGITS)


def test_numbers_with_a_long_silence_between_are_not_one() -> None:
    spoken = words("room 12", 0) + words("34 euros", 60_000)
    assert [word.text for word in redact(spoken, NOTHING)] == ["room", "12", "34", "euros"]


def test_nothing_is_kept_of_what_was_said_under_a_mask_and_no_digit_close_to_it() -> None:
    spoken = words("fine 7", 0) + words("nine secret", 5_000) + words("thanks 3", 12_000) + words("8 left", 30_000)
    kept = [word.text for word in redact(spoken, NOTHING, [(4_000, 10_000)])]
    assert kept == ["fine", "7", "[masked]", "[masked]", "thanks", "[masked]", "8", "left"]


@pytest.mark.parametrize(
    ("word", "digits"),
    [("42,", "42"), ("forty-two", "42"), ("П’ЯТЬ", "5"), ("шесть.", "6"), ("+380", "380"), ("sorry", ""), ("", "")],
)
def test_a_word_carries_the_digits_that_it_says(word: str, digits: str) -> None:
    assert spoken_digits(word) == digits
