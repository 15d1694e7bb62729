"""A customer is rung at a decent hour wherever the number may lie (SPEC 4.2)."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import given
from hypothesis import strategies as st
from phonenumbers.tzdata import TIMEZONE_DATA

from services.router.domain.callbacks.hours import NEVER, may_dial, next_allowed_ms
from services.router.domain.callbacks.numbers import time_zones
from services.shared.contracts.ringmaster.v1 import tenant_pb2 as tn
from services.shared.phone_number import normalised

MINUTE_MS = 60_000
ZONES = ["Europe/Kyiv", "America/New_York", "America/Los_Angeles", "Asia/Kolkata", "Pacific/Auckland", "Pacific/Apia"]
CLOCKS = st.builds("{:02d}:{:02d}".format, st.integers(0, 23), st.sampled_from([0, 15, 30]))


def hours(days: list[int], begin: str, until: str) -> tn.OpenHours:
    return tn.OpenHours(days=days, until=until, **{"from": begin})


HOURS = st.builds(hours, st.lists(st.integers(1, 7), min_size=1, unique=True), CLOCKS, CLOCKS)


def test_every_zone_that_the_numbers_know_is_one_that_the_clock_knows() -> None:
    assert {zone for zones in TIMEZONE_DATA.values() for zone in zones} <= available_timezones()


@pytest.mark.parametrize(
    ("number", "zones"),
    [
        ("+380501112233", ("Europe/Kyiv",)),
        ("+12125550123", ("America/New_York",)),
        ("+442071838750", ("Europe/London",)),
    ],
)
def test_a_number_tells_its_zones(number: str, zones: tuple[str, ...]) -> None:
    assert time_zones(number) == zones


def test_a_number_that_may_lie_in_many_zones_has_them_all() -> None:
    assert {"America/New_York", "America/Los_Angeles"} <= set(time_zones("+18005550123"))


@pytest.mark.parametrize(
    ("written", "number"),
    [
        ("0501112233", "+380501112233"),
        ("(050) 111-22-33", "+380501112233"),
        ("+1 212 555 0123", "+12125550123"),
        ("00442071838750", "+442071838750"),
        ("anonymous", ""),
        ("", ""),
        ("12", ""),
        ("+9990001112233", ""),
        ("1" * 200, ""),
    ],
)
def test_a_number_is_read_as_one_dials_it_in_the_country_of_the_line(written: str, number: str) -> None:
    assert normalised(written, "+380441000001") == number


def _allowed(each: tn.OpenHours, local: datetime) -> bool:
    minute = local.hour * 60 + local.minute
    first, last = (int(clock[:2]) * 60 + int(clock[3:]) for clock in (getattr(each, "from"), each.until))
    return local.isoweekday() in each.days and first <= minute < last


@given(
    allowed=st.lists(HOURS, min_size=1, max_size=3),
    zones=st.lists(st.sampled_from(ZONES), min_size=1, max_size=3, unique=True),
    start=st.datetimes(datetime(2025, 1, 1), datetime(2027, 12, 31)),  # noqa: DTZ001 - made aware below
)
def test_the_next_moment_is_the_first_minute_in_which_all_zones_allow_it(
    allowed: list[tn.OpenHours], zones: list[str], start: datetime
) -> None:
    """Held against a walk over the next days by quarters of an hour: all hours and zones begin on quarters."""
    quarter = start.replace(minute=start.minute // 15 * 15, second=0, microsecond=0, tzinfo=UTC)
    from_ms = int(quarter.timestamp()) * 1000
    found = next_allowed_ms(allowed, zones, from_ms)
    walked = (quarter + timedelta(minutes=15 * step) for step in range(4 * 24 * 8))
    expected = next(
        (
            moment
            for moment in walked
            if all(any(_allowed(each, moment.astimezone(ZoneInfo(zone))) for each in allowed) for zone in zones)
        ),
        None,
    )
    if expected is None:
        assert found == NEVER or found > from_ms
    else:
        assert found == int(expected.timestamp()) * 1000
        assert may_dial(allowed, zones, found)


def test_without_hours_any_moment_is_allowed() -> None:
    assert next_allowed_ms([], ["Europe/Kyiv"], 5) == 5
