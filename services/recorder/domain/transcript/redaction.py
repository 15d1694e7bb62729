"""Takes personal data out of what was heard (SPEC 6.4): card numbers, telephone numbers, e-mail addresses, digit runs.

A recogniser writes one number in many ways: 4111 1111 1111 1111, 4111-1111…, "four one one one", "сорок один сто".
So runs of words that carry digits are looked at together, whatever they look like.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from services.recorder.domain.transcript.numerals import digits_of, plain, spoken_digits
from services.recorder.domain.transcript.words import Personal, Word

FEWEST_DIGITS: Final = 4
"""A run of so many digits is taken out: a PIN, a CVC with its friends, the end of a card."""
CARD_DIGITS: Final = range(12, 20)
"""ISO/IEC 7812: a card's number has up to 19 digits; the shortest in use have 12."""
PHONE_DIGITS: Final = range(9, 16)
"""E.164: at most 15; fewer than nine are a customer's or an order's number, which is a digit run all the same."""
RUN_GAP_MS: Final = 4_000
"""People say numbers in groups and wait for an echo."""
MOST_FILLERS: Final = 2
MASK_MARGIN_MS: Final = 3_000
"""A mask begins when somebody asks for it: the first digits may come before, and an event late."""
_FILLERS: Final = frozenset(
    {
        *("and", "um", "uh", "er", "so", "then", "dash", "space", "plus"),
        *("та", "і", "й", "ну", "так", "потім", "далі", "ем", "плюс", "дефіс"),
        *("и", "потом", "дальше", "э", "е", "тире"),
    }
)
_AT: Final = frozenset({"at", "собака", "ет", "эт", "равлик"})
_DOT: Final = frozenset({"dot", "point", "крапка", "точка"})
_EMAIL: Final = re.compile(r"[^\s@]+@[^\s@]+\.[^\s@.]+")


@dataclass(frozen=True, slots=True)
class Span:
    """Words from `first` until `after` that are one piece of personal data."""

    first: int
    after: int
    kind: Personal


def redact(words: Sequence[Word], keeps: frozenset[Personal], masked: Sequence[tuple[int, int]] = ()) -> list[Word]:
    """Return one speaker's words with each piece of personal data as one word [kind], but for the kinds in `keeps`.

    `masked` are the times, milliseconds, in which the recording was masked: nothing that was said then is kept, and no
    word with digits within MASK_MARGIN_MS of them.
    """
    kept = list(words)
    for spans in (_emails(kept, keeps), _digit_runs(kept, keeps)):
        kept = _replaced(kept, [*spans])
    return _without_masked(kept, masked)


def _without_masked(words: Sequence[Word], masked: Sequence[tuple[int, int]]) -> list[Word]:
    return [_masked_word(word) if _is_masked(word, masked) else word for word in words]


def _is_masked(word: Word, masked: Sequence[tuple[int, int]]) -> bool:
    margin = MASK_MARGIN_MS if spoken_digits(word.text) or any(map(str.isdigit, word.text)) else 0
    return any(start - margin < word.end_ms and word.start_ms < end + margin for start, end in masked)


def _masked_word(word: Word) -> Word:
    return Word("[masked]", word.start_ms, word.end_ms, word.confidence, Personal.MASKED)


def _replaced(words: list[Word], spans: list[Span]) -> list[Word]:
    result: list[Word] = []
    at = 0
    for span in spans:
        taken = words[span.first : span.after]
        confidence = min(word.confidence for word in taken)
        result += words[at : span.first]
        result.append(
            Word(f"[{span.kind.value}]", taken[0].start_ms, max(w.end_ms for w in taken), confidence, span.kind)
        )
        at = span.after
    return result + words[at:]


def _digit_runs(words: Sequence[Word], keeps: frozenset[Personal]) -> Iterator[Span]:
    for run in _runs(words):
        digits = digits_of(_digits_in(words[place].text) or words[place].text for place in run)
        kind = kind_of(digits)
        if kind is not None and kind not in keeps:
            yield Span(run[0], run[-1] + 1, kind)


def kind_of(digits: str) -> Personal | None:
    """Return what a run of digits is, None for one that is too short to be anybody's."""
    if len(digits) in CARD_DIGITS and passes_luhn(digits):
        return Personal.CARD
    if len(digits) in PHONE_DIGITS:
        return Personal.PHONE
    return Personal.DIGITS if len(digits) >= FEWEST_DIGITS else None


def passes_luhn(digits: str) -> bool:
    """Whether the last digit is right for the others (ISO/IEC 7812-1, annex B)."""
    total = 0
    for place, digit in enumerate(reversed(digits)):
        value = int(digit) * (2 if place % 2 else 1)
        total += value - 9 if value > 9 else value  # noqa: PLR2004 - the sum of a number's two digits
    return total % 10 == 0


def _runs(words: Sequence[Word]) -> Iterator[list[int]]:
    """Yield the places of words that carry digits one behind the other, few small words between them allowed."""
    run: list[int] = []
    fillers = 0
    for place, word in enumerate(words):
        carries = word.personal is None and bool(spoken_digits(word.text) or _digits_in(word.text))
        if carries and run and word.start_ms - words[run[-1]].end_ms > RUN_GAP_MS:
            yield run
            run = []
        if carries:
            run.append(place)
            fillers = 0
        elif run:
            fillers += 1
            if fillers > MOST_FILLERS or plain(word.text) not in _FILLERS:
                yield run
                run = []
    if run:
        yield run


def _digits_in(text: str) -> str:
    """Return the digits of a word that is not all digits, as AA1234BB or №1234, where they are most of it."""
    digits = "".join(letter for letter in text if letter.isdecimal())
    return digits if len(digits) >= FEWEST_DIGITS else ""


def _emails(words: Sequence[Word], keeps: frozenset[Personal]) -> Iterator[Span]:
    if Personal.EMAIL in keeps:
        return
    at = 0
    for place, word in enumerate(words):
        if place < at or word.personal is not None:
            continue
        if _EMAIL.search(plain(word.text)):
            yield Span(place, place + 1, Personal.EMAIL)
            at = place + 1
        elif 0 < place < len(words) - 1 and plain(word.text) in _AT:
            after = _end_of_address(words, place + 1)
            if after is not None:
                first = max(at, _begin_of_address(words, place))
                yield Span(first, after, Personal.EMAIL)
                at = after


def _end_of_address(words: Sequence[Word], place: int) -> int | None:
    """Return where a spoken address ends that has "at" just before `place`: behind the last "dot something"."""
    end = None
    for now in range(place, min(place + 8, len(words) - 1)):
        if plain(words[now].text) in _DOT:
            end = now + 2
        elif end is not None and now >= end:
            break
    if end is None and "." in plain(words[place].text).strip("."):
        return place + 1
    return end


def _begin_of_address(words: Sequence[Word], place: int) -> int:
    """Return where the name before "at" begins: one word, and what dots and digits join to it."""
    first = place - 1
    while first > 0:
        before = plain(words[first - 1].text)
        if before in _DOT or plain(words[first].text) in _DOT or spoken_digits(before):
            first -= 1
        else:
            break
    return first
