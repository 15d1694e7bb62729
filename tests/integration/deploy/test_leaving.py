"""Who leaves a group of several for good lets the others have its share at once; who is alone is waited for."""

from uuid import uuid4

import gevent
import pytest

from services.shared.bus.consumer import Consumer
from services.shared.bus.topics import INPUTS
from services.shared.testing.patience import Stopwatch
from services.shared.testing.waiting import wait_until

SESSION_SECONDS = 30.0
MOST_SECONDS = 12.0
"""Far below the session's end; a heartbeat is a fifth of it."""
JOINED_SECONDS = 150.0
"""A reader whose coordinator turned out to be none joins anew, and its first try is waited for: a session, on a busy
machine more than once. How long joining takes is not what is tested here."""
pytestmark = [pytest.mark.kafka, pytest.mark.timeout(400)]


def reader(bootstrap: str, group: str, name: str) -> Consumer:
    return Consumer(
        bootstrap, group, [INPUTS], f"{group}-{name}", session_seconds=SESSION_SECONDS, keeps_partitions=True
    )


def has(one: Consumer, count: int) -> bool:
    one.poll(0.1)
    return len(one.assignment()) == count


def test_a_share_is_handed_over_within_a_heartbeat(kafka_bootstrap: str) -> None:
    group = f"leaving-{uuid4().hex[:8]}"
    first = reader(kafka_bootstrap, group, "a")
    wait_until(lambda: has(first, 4), "the first has all", JOINED_SECONDS)
    second = reader(kafka_bootstrap, group, "b")
    wait_until(lambda: all([has(first, 2), has(second, 2)]), "both have half", JOINED_SECONDS)
    watch = Stopwatch()
    goodbye = gevent.spawn(first.close, hands_over=True)
    wait_until(lambda: has(second, 4), "the second has all", MOST_SECONDS)
    goodbye.get(timeout=60)
    assert watch.seconds() < MOST_SECONDS
    second.close(hands_over=True)
    again = reader(kafka_bootstrap, group, "b")
    wait_until(lambda: has(again, 4), "who was alone comes back to everything", MOST_SECONDS)
    again.close()
