from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.webhooks.domain.ladder import BadLadder, Ladder, retry_after_seconds

CHANCES = st.floats(0, 1, exclude_max=True)


def test_the_standard_ladder_lasts_up_to_days() -> None:
    ladder = Ladder()
    waits = [ladder.wait_before_next(tries, 0.5) for tries in range(1, 11)]
    assert waits == [5, 300, 1800, 7200, 18000, 36000, 50400, 72000, 86400, None]


@given(tries=st.integers(1, 9), chance=CHANCES)
def test_jitter_spreads_a_wait_by_a_tenth_to_each_side(tries: int, chance: float) -> None:
    middle = Ladder().steps[tries]
    wait = Ladder().wait_before_next(tries, chance)
    assert wait is not None
    assert middle * 0.9 <= wait <= middle * 1.1


@given(tries=st.integers(1, 9), chance=CHANCES, asked=st.floats(0, 10**7))
def test_retry_after_never_shortens_a_wait_and_never_asks_for_more_than_a_day(
    tries: int, chance: float, asked: float
) -> None:
    plain = Ladder().wait_before_next(tries, chance)
    longer = Ladder().wait_before_next(tries, chance, asked)
    assert plain is not None
    assert longer is not None
    assert longer >= plain
    assert longer == plain or longer == min(asked, 86400)


def test_a_ladder_can_be_set() -> None:
    assert Ladder.parse("0,1,2,5").steps == (0, 1, 2, 5)
    assert Ladder.parse("") == Ladder()


@pytest.mark.parametrize("text", ["5,1", "0,x", "0,-1", "0,nan", "0,inf", "0,,1"])
def test_a_ladder_that_makes_no_sense_is_refused(text: str) -> None:
    with pytest.raises(BadLadder):
        Ladder.parse(text)


@pytest.mark.parametrize(("header", "seconds"), [("5", 5), ("0", 0), (" 7 ", 7), ("999999999999999999999", 86400)])
def test_retry_after_in_seconds_is_read(header: str, seconds: float) -> None:
    assert retry_after_seconds(header, 0) == seconds


def test_retry_after_as_a_date_is_read() -> None:
    now = datetime(2026, 11, 23, 5, 0, tzinfo=UTC)
    header = format_datetime(now + timedelta(seconds=90), usegmt=True)
    assert retry_after_seconds(header, now.timestamp()) == 90
    assert retry_after_seconds(header, now.timestamp() + 500) == 0


@pytest.mark.parametrize(
    "header",
    [
        "Mon, 01 Jan 99999999999999999999 00:00:00 GMT",
        "Mon, 01 Jan 2020 00:00:00 +99999999999999999999",
        "Mon, 99 Jan 2020 00:00:00 GMT",
    ],
)
def test_a_date_that_can_not_be_is_no_retry_after(header: str) -> None:
    assert retry_after_seconds(header, 0) is None


@given(st.text())
def test_no_retry_after_header_can_break_anything(header: str) -> None:
    seconds = retry_after_seconds(header, 0)
    assert seconds is None or 0 <= seconds <= 86400
