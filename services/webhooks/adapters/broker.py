"""How the service reads and writes the broker: its groups, and how long each may gather."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

from services.shared.bus.admin import TopicDefinition, ensure_topics
from services.shared.bus.consumer import Consumer
from services.shared.bus.ports import BatchSender, Reader
from services.shared.bus.producer import Producer
from services.shared.bus.readings import Readings, tell_nobody
from services.shared.bus.topics import DOCUMENT_REPLIES, TENANTS, feed_topic

GATHER_MS = 20
"""Whoever does not stand between an event and its delivery may be told so much later."""
ON_THE_WAY_MS = 10
"""Two stand there, one behind the other: matching gathers."""
BEHIND_ANOTHER_MS = 3
"""Sending reads what matching has gathered, which comes in pieces already: to wait as long again gathers nothing more,
and is 3 ms of 15 at 500 events a second."""
FOLLOWERS = "webhooks"
SENDERS = "webhooks-senders"
RETRIERS = "webhooks-retries"
OVERFLOW = "webhooks-overflow"
_ON_THE_WAY = {FOLLOWERS: ON_THE_WAY_MS, SENDERS: BEHIND_ANOTHER_MS}
# A feed is kept for so long: a CRM that was away for a week misses nothing (SPEC 7.6).
FEED_PARTITIONS = 4
FEED_KEEP_MS = 7 * 86_400_000
BROKERS_OWN = -1
FOLLOWED = (TENANTS, DOCUMENT_REPLIES)
"""What is read as long as the process lives, by a reader without a group."""


class Bus(Protocol):
    """Makes senders and readers: the broker's, or a MemoryBus."""

    def producer(self) -> BatchSender:
        """Return a sender."""

    def consumer(
        self, group: str | None, topics: list[str], *, on_revoked: Callable[[Any], None] | None = None
    ) -> Reader:
        """Return a reader."""

    def make_feed(self, tenant_id: str) -> None:
        """See to it that a tenant's own topic is there."""


@dataclass(frozen=True, slots=True)
class KafkaBus:
    """The bus of a broker."""

    bootstrap: str
    name: str = "webhooks"
    readings: Readings = field(default_factory=Readings)

    def producer(self) -> BatchSender:
        """Return a producer. Raises BusUnavailable."""
        return Producer(self.bootstrap, self.name)

    def consumer(
        self, group: str | None, topics: list[str], *, on_revoked: Callable[[Any], None] | None = None
    ) -> Reader:
        """Return a consumer. Raises BusUnavailable."""
        name = f"{self.name}-{group or 'tenants'}"
        gather_ms = _ON_THE_WAY.get(group or "", GATHER_MS)
        # Others are opened for a question, and closed.
        lasts = group is not None or topics[0] in FOLLOWED
        tells = self.readings.of(topics[0], group) if lasts else tell_nobody
        return Consumer(self.bootstrap, group, topics, name, gather_ms=gather_ms, on_revoked=on_revoked, tells=tells)

    def make_feed(self, tenant_id: str) -> None:
        """Create the topic if it is not there. Raises BusUnavailable."""
        wanted = TopicDefinition(feed_topic(tenant_id), FEED_PARTITIONS, FEED_KEEP_MS, "delete")
        ensure_topics(self.bootstrap, [wanted], BROKERS_OWN)
