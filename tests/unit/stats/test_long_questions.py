"""No question runs for ever, and what ended one does not stand in the way of the next."""

from collections.abc import Iterator

import pytest

from services.shared.testing.patience import Stopwatch
from services.stats.domain.profile import Profile
from services.stats.domain.reports.sql import Statement
from services.stats.reporting import MOST_AT_ONCE, TooLong
from tests.unit.stats.events import columns_here
from tests.unit.stats.report_house import House

ENDLESS = Statement(
    "select count(*) from range(10000000) a, range(10000000) b where (a.range + b.range) % 7 = 1", {}, []
)
QUICK = Statement("select 1", {}, [])
LONGEST_SECONDS = 8.0


@pytest.fixture
def house() -> Iterator[House]:
    house = House(1_795_435_200_000, Profile("acme", "Acme", "UTC"))
    yield house
    house.columns.close()


def test_a_question_that_takes_too_long_is_ended_and_leaves_room_for_others(house: House) -> None:
    reports, columns = house.parts.reports, house.columns
    for _ in range(MOST_AT_ONCE + 1):
        watch = Stopwatch()
        with pytest.raises(TooLong):
            reports.watched("acme", lambda running: columns.fetch("acme", ENDLESS, running), 0.2)
        assert watch.seconds() < LONGEST_SECONDS
    assert reports.watched("acme", lambda running: columns.fetch("acme", QUICK, running)) == [(1,)]


def test_a_streamed_question_that_takes_too_long_is_ended_too(house: House) -> None:
    reports = house.parts.reports
    watch = Stopwatch()
    with pytest.raises(TooLong):
        list(reports.chunks("acme", ENDLESS, 0.2))
    assert watch.seconds() < LONGEST_SECONDS
    assert list(reports.chunks("acme", QUICK)) == [[(1,)]]


@pytest.mark.parametrize("text", ["select * from read_csv('/etc/passwd')", "attach '{other}' as other"])
def test_not_even_a_hostile_statement_reads_another_file(house: House, text: str) -> None:
    elsewhere = columns_here()
    elsewhere.revision("borealis", "calls")
    elsewhere.close()  # one that is open is refused already because it is open
    (other,) = elsewhere._folder.glob("borealis*.duckdb")
    statement = Statement(text.format(other=other), {}, [])
    with pytest.raises(Exception, match=r"(?i)permission|disabled"):
        house.parts.reports.watched("acme", lambda running: house.columns.fetch("acme", statement, running))
