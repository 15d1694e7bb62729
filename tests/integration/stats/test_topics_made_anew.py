"""Topics are made anew on a true broker, as when Kafka is set up anew: nothing of the new log is missed (ADR 56)."""

import os
from contextlib import closing

import pytest
from kafka import KafkaAdminClient

from local.topics import definitions
from services.shared.bus.admin import ensure_topics
from services.shared.bus.events import publish_event
from services.shared.bus.producer import Producer
from services.shared.bus.topics import CALLS, INPUTS
from services.shared.testing.waiting import wait_until
from tests.integration.stats.conftest import CLOCK, WAIT_SECONDS, Floor, Stats
from tests.unit.stats.events import answered_call

pytestmark = [
    pytest.mark.kafka,
    pytest.mark.stack,
    pytest.mark.timeout(300),
    pytest.mark.skipif("KAFKA_BOOTSTRAP" in os.environ, reason="it deletes the topics: only on a broker of its own"),
]
BEFORE, UNDER_IT, WITHOUT_IT = 9, 4, 15


def test_reports_and_numbers_go_on_with_a_log_that_was_begun_anew(
    stats: Stats, floor: Floor, kafka_bootstrap: str
) -> None:
    """Once under a running service, with fewer events than before; once while it is away, with more."""
    stats.start()
    tell(kafka_bootstrap, floor.tenant, 0, BEFORE)
    wait_until(lambda: reported(stats) == BEFORE, "every call", WAIT_SECONDS)
    make_topics_anew(kafka_bootstrap)
    tell(kafka_bootstrap, floor.tenant, BEFORE, UNDER_IT)
    wait_until(lambda: reported(stats) == BEFORE + UNDER_IT, "the calls of the second log", WAIT_SECONDS)
    wait_until(lambda: started(stats) == UNDER_IT, "the numbers of the second log", WAIT_SECONDS)
    assert stats.stop() == 0
    make_topics_anew(kafka_bootstrap)
    tell(kafka_bootstrap, floor.tenant, BEFORE + UNDER_IT, WITHOUT_IT)
    stats.start()
    wait_until(lambda: reported(stats) == BEFORE + UNDER_IT + WITHOUT_IT, "the calls of the third log", WAIT_SECONDS)
    assert started(stats) == WITHOUT_IT


def make_topics_anew(bootstrap: str) -> None:
    """Delete the logs, and create them again when they are gone."""
    with closing(KafkaAdminClient(bootstrap_servers=bootstrap)) as admin:
        admin.delete_topics([CALLS, INPUTS])
        wait_until(lambda: not {CALLS, INPUTS} & set(admin.list_topics()), "the topics are gone", WAIT_SECONDS)
    assert {CALLS, INPUTS} <= set(ensure_topics(bootstrap, definitions()))


def tell(bootstrap: str, tenant: str, begin: int, count: int) -> None:
    """Tell of answered calls by a producer that knows no other log."""
    with closing(Producer(bootstrap, "floor")) as producer:
        for number in range(begin, begin + count):
            for event in answered_call(f"{tenant}-{number}", CLOCK.now_ms() - 60_000 + number, 3_000, 9_000):
                event.tenant_id = tenant
                publish_event(producer, event).wait(60)


def reported(stats: Stats) -> int:
    """Return how many calls a report over today counts."""
    status, told = stats.ask("/v1/reports/inbound?period=today&groups=line&limit=10")
    return int(told["totals"]["calls_in"]) if status == 200 else 0


def started(stats: Stats) -> int:
    return int(stats.live()["today"]["calls"]["started"])
