"""Opening hours by the clock of the place that they are about (SPEC 2.1)."""

from datetime import UTC, datetime

import pytest

from services.shared.contracts.ringmaster.v1 import tenant_pb2 as tn
from services.shared.opening_hours import schedule_exit

WEEKDAYS = [1, 2, 3, 4, 5]


def schedule(zone: str = "") -> tn.Schedule:
    hours = tn.OpenHours(days=WEEKDAYS, until="18:00")
    setattr(hours, "from", "09:00")
    return tn.Schedule(schedule_id="office", open=[hours], holidays=["2026-12-25"], time_zone=zone)


def at(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


@pytest.mark.parametrize(
    ("zone", "moment", "way"),
    [
        ("", "2026-12-01T07:00", "open"),
        ("", "2026-12-01T06:59", "closed"),
        ("", "2026-12-01T15:59", "open"),
        ("", "2026-12-01T16:00", "closed"),
        ("", "2026-12-05T10:00", "closed"),
        ("", "2026-12-24T22:00", "holiday"),
        ("", "2026-07-01T06:00", "open"),
        ("America/New_York", "2026-12-01T13:59", "closed"),
        ("America/New_York", "2026-12-01T14:00", "open"),
        ("America/New_York", "2026-12-25T03:00", "closed"),
        ("America/New_York", "2026-12-25T15:00", "holiday"),
    ],
)
def test_the_hours_are_those_of_the_schedules_own_zone_or_the_companys(zone: str, moment: str, way: str) -> None:
    assert schedule_exit(schedule(zone), "Europe/Kyiv", at(moment)) == way
