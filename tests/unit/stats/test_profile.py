from datetime import UTC, datetime

import pytest

from services.shared.contracts.ringmaster.v1 import tenant_pb2 as tn
from services.stats.domain.profile import Profile, day_of, profile_of

HOUR_MS = 3_600_000


def ms(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


@pytest.mark.parametrize(
    ("moment", "zone", "begins", "hours"),
    [
        ("2026-11-23T12:00", "Europe/Kyiv", "2026-11-22T22:00", 24),
        ("2026-11-22T22:30", "Europe/Kyiv", "2026-11-22T22:00", 24),
        ("2026-03-29T12:00", "Europe/Kyiv", "2026-03-28T22:00", 23),
        ("2026-10-25T12:00", "Europe/Kyiv", "2026-10-24T21:00", 25),
        ("2026-11-23T12:00", "Asia/Kathmandu", "2026-11-22T18:15", 24),
        ("2026-11-23T12:00", "No/Such", "2026-11-23T00:00", 24),
        ("2026-11-23T12:00", "../../etc/passwd", "2026-11-23T00:00", 24),
    ],
)
def test_a_day_is_the_tenants_and_has_23_or_25_hours_where_clocks_change(
    moment: str, zone: str, begins: str, hours: int
) -> None:
    start, end = day_of(ms(moment), zone)
    assert start == ms(begins)
    assert (end - start) == hours * HOUR_MS


def test_a_document_gives_names_servers_and_thresholds() -> None:
    document = tn.TenantDocument(tenant_id="acme", name="Acme", time_zone="Europe/Kyiv")
    document.agents.add(agent_id="olena", name="Olena")
    queue = document.queues.add(queue_id="sales", service_level_seconds=30)
    queue.tiers.add(agent_id="olena")
    document.queues.add(queue_id="support")
    profile = profile_of(document)
    assert profile.queues == {"sales": ("olena",), "support": ()}
    assert [profile.threshold_seconds(queue_id) for queue_id in ("sales", "support", "?")] == [30, 20, 20]


def test_a_wait_is_judged_by_the_events_word_or_by_twenty_seconds_without_a_threshold() -> None:
    profile = Profile("acme", thresholds={"sales": 60})
    assert profile.is_in_time("sales", 50_000, told=True)
    assert not profile.is_in_time("sales", 1_000, told=False)
    assert profile.is_in_time("other", 20_000, told=False)
    assert not profile.is_in_time("other", 20_001, told=False)
