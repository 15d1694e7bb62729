from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from time import monotonic
from types import MappingProxyType
from typing import Any, Final

import gevent
import structlog
from kafka import KafkaConsumer, TopicPartition
from kafka.consumer.subscription_state import AsyncConsumerRebalanceListener
from kafka.coordinator.assignors.cooperative_sticky import CooperativeStickyAssignor
from kafka.coordinator.assignors.range import RangePartitionAssignor
from kafka.errors import (
    GroupAuthorizationFailedError,
    KafkaError,
    RebalanceInProgressError,
    TopicAuthorizationFailedError,
    UnknownTopicOrPartitionError,
)
from kafka.structs import OffsetAndMetadata

from services.shared.bus import metrics
from services.shared.bus.connecting import connected, named_user
from services.shared.bus.errors import BusUnavailable, Rebalancing, Refused
from services.shared.bus.readings import Tell, tell_nobody
from services.shared.bus.record import Record
from services.shared.bus.record_reading import read_directly

# A larger batch starves the hub: 1.6 s pauses with 2000, under 54 ms with 100 (measured).
MAX_POLL_RECORDS = 100
# A broker that was away for long is found again within this; kafka-python's own is half a minute.
RECONNECT_MS = 2_000
SESSION_SECONDS = 10.0
HEARTBEATS = 5
"""So many beats a session: one that comes late ends nothing."""
TELL_LAG_SECONDS = 1.0
FETCH_WAIT_MS = 500
ANSWER_MS = 10_000
"""So long one question may take: kafka-python asks without end where a group's broker is away and others are not."""
STEADY_SECONDS = 3.0
"""Whoever was refused something reads again when that did not come once more for so long: not each poll is refused."""
GIVE_AWAY_MS = 5_000
"""So long a commit may hold up the sharing out of partitions."""
PICKED_BYTES = 256 * 1024
"""Who wants few of the records has the broker wait until there are so many bytes: about a thousand records."""
_COOPERATIVE = [CooperativeStickyAssignor]
_EAGER = [RangePartitionAssignor]
NO_NOTES: Final[Mapping[tuple[str, int], str]] = MappingProxyType({})
Partitions = Collection[tuple[str, int]]
PartitionsChanged = Callable[[Partitions], None]

log = structlog.get_logger()


class Consumer:
    """Reads topics in order of each partition. The offset is committed by its caller, after the effect.

    With a group, partitions are shared among the group's processes. With group=None it reads every partition itself and
    commits nothing (compacted topics). `client_id` names this process among the group's members: one that is killed and
    started again under the same name gets its partitions back at once (static membership), not after a session's end.

    `session_seconds` after its last heartbeat a member counts as dead, and others take its partitions over; the broker
    takes no less than its `group.min.session.timeout.ms` (6 s where nobody has set it).

    `keeps_partitions`: who has state of its partitions keeps those that stay with it over a rebalance (KIP-429); else
    all are revoked and given anew. All members of a group must want the same. What is taken from such a reader is
    nobody's until it polls again; `on_lost` is told, in place of `on_revoked`, of what is another's already.

    `only_follows`: it is no member of its group. It reads every partition itself and asks what the group has committed.

    `gather_ms`: who needs no record at once gets more of them together. After a poll that returned some, the next one
    waits for so long, so a record comes at most twice as much later. A fetch costs reader and broker about as much as
    ten records, and so does the commit behind it. A topic on which nothing comes is asked twice a second as ever.

    `wanted`: only records whose value may contain these bytes are returned; all others cost next to nothing. The broker
    gathers for such a reader, for `gather_ms`: of most fetches it would return nothing, and ask for the next.

    `tells` hears why the broker refuses us, which is raised as Refused, and when we read.
    """

    def __init__(  # noqa: PLR0913 - four say what is read, the rest are wishes that few have
        self,
        bootstrap: str,
        group: str | None,
        topics: list[str],
        client_id: str,
        *,
        from_beginning: bool = True,
        gather_ms: int = 0,
        wanted: bytes | None = None,
        session_seconds: float = SESSION_SECONDS,
        keeps_partitions: bool = False,
        only_follows: bool = False,
        on_assigned: PartitionsChanged | None = None,
        on_revoked: PartitionsChanged | None = None,
        on_lost: PartitionsChanged | None = None,
        tells: Tell = tell_nobody,
    ) -> None:
        self._tells = tells
        self._is_reading = False
        self._refused_until = 0.0
        self._topics = topics
        self._kafka = connected(
            KafkaConsumer,
            bootstrap,
            client_id=client_id,
            group_id=group,
            group_instance_id=client_id if group and not only_follows else None,
            enable_auto_commit=False,
            auto_offset_reset="earliest" if from_beginning else "latest",
            max_poll_records=MAX_POLL_RECORDS,
            fetch_max_wait_ms=FETCH_WAIT_MS if wanted is None else max(FETCH_WAIT_MS, gather_ms),
            fetch_min_bytes=1 if wanted is None else PICKED_BYTES,
            partition_assignment_strategy=_COOPERATIVE if keeps_partitions else _EAGER,
            session_timeout_ms=int(session_seconds * 1000),
            heartbeat_interval_ms=int(session_seconds * 1000 / HEARTBEATS),
        )
        self._group, self._group_id = None if only_follows else group, group
        self._gather_seconds = 0.0 if wanted is not None else gather_ms / 1000
        self._gather_until = 0.0
        self._client_id = client_id
        self._tell_lag_at = 0.0
        self._giving_away: dict[Any, Any] | None = None
        read_directly(self._kafka, wanted)
        if self._group is None:
            self._assign_all(topics)
        else:
            self._kafka.subscribe(topics, listener=_Listener(self, on_assigned, on_revoked, on_lost or on_revoked))

    def poll(self, timeout_seconds: float) -> list[Record]:
        """Return the next records, at most MAX_POLL_RECORDS, or none after the time-out. Raises BusUnavailable."""
        if self._gather_until:
            gevent.sleep(min(timeout_seconds, max(0.0, self._gather_until - monotonic())))
        with self._as_unavailable("the broker does not answer"):
            batches = self._kafka.poll(timeout_ms=int(timeout_seconds * 1000))
        if self._group is not None:
            self._must_see_topics()
            self._finish_joining()
        if not self._is_reading:
            self._tell_reading()
        if monotonic() >= self._tell_lag_at:
            self._tell_lag()
        records: list[Record] = [record for batch in batches.values() for record in batch]
        # A full batch says that there is more: then nothing is gathered.
        gathers = 0 < len(records) < MAX_POLL_RECORDS
        self._gather_until = monotonic() + self._gather_seconds if gathers else 0.0
        return records

    def commit(self, positions: Mapping[tuple[str, int], int], notes: Mapping[tuple[str, int], str] = NO_NOTES) -> None:
        """Say that everything before these offsets has had its effect. Raises BusUnavailable, Rebalancing.

        A partition's note stands beside its offset until the next commit (`noted_of`). Within `on_revoked` it returns
        at once: they are committed before the group shares its partitions out.
        """
        offsets = {
            TopicPartition(*place): OffsetAndMetadata(offset, notes.get(place, ""), -1)
            for place, offset in positions.items()
        }
        if self._giving_away is not None:
            self._giving_away |= offsets
            return
        with self._as_unavailable("the offset can't be committed"):
            try:
                self._kafka.commit(offsets, timeout_ms=ANSWER_MS)
            except RebalanceInProgressError as error:
                raise Rebalancing("the group shares its partitions out; commit again after it") from error

    def seek(self, topic: str, partition: int, offset: int) -> None:
        """Read on from this offset. Raises BusUnavailable where the partition is not ours, perhaps since a moment."""
        try:
            self._kafka.seek(TopicPartition(topic, partition), offset)
        except ValueError as error:
            raise BusUnavailable(f"{topic}/{partition} can't be read from {offset}: {error}") from error

    def committed(self, topic: str, partition: int) -> int | None:
        """Return the group's committed offset, None when there is none. Raises BusUnavailable."""
        with self._as_unavailable(f"the committed offset of {topic}/{partition} can't be read"):
            offset = self._kafka.committed(TopicPartition(topic, partition), timeout_ms=ANSWER_MS)
        return None if offset is None else int(offset)

    def committed_of(self, topic: str, partitions: Collection[int]) -> dict[int, int]:
        """Return the committed offsets of those partitions that have one, by one request. Raises BusUnavailable."""
        return {number: offset for number, (offset, _) in self.noted_of(topic, partitions).items()}

    def noted_of(self, topic: str, partitions: Collection[int]) -> dict[int, tuple[int, str]]:
        """Return the same, each with the note beside it. Raises BusUnavailable."""
        places = [TopicPartition(topic, number) for number in partitions]
        with self._as_unavailable(f"the committed offsets of {topic} can't be read"):
            asked = self._kafka._coordinator.fetch_committed_offsets  # noqa: SLF001 - `committed` asks for one only
            found = asked(places, timeout_ms=ANSWER_MS)
        known = {place.partition: entry for place, entry in found.items() if entry.offset >= 0}
        return {number: (int(entry.offset), entry.metadata or "") for number, entry in known.items()}

    def position(self, topic: str, partition: int) -> int | None:
        """Return where it reads on: what lies before was returned or is not wanted. None while that is not known."""
        state = self._kafka._subscription.assignment.get(TopicPartition(topic, partition))  # noqa: SLF001 - as in `lag`
        return None if state is None or state.position is None else int(state.position.offset)

    def end_offset(self, topic: str, partition: int) -> int:
        """Return the offset that the next record of the partition will have. Raises BusUnavailable."""
        place = TopicPartition(topic, partition)
        with self._as_unavailable(f"the end of {topic}/{partition} can't be read"):
            return int(self._kafka.end_offsets([place], timeout_ms=ANSWER_MS)[place])

    def offset_at(self, topic: str, partition: int, timestamp_ms: int) -> int:
        """Return the offset of the first record of a moment or later, the end where there is none.

        All records before it are older. Raises BusUnavailable.
        """
        place = TopicPartition(topic, partition)
        with self._as_unavailable(f"{topic}/{partition} can't be looked up by time"):
            found = self._kafka.offsets_for_times({place: max(0, timestamp_ms)}, timeout_ms=ANSWER_MS).get(place)
        return self.end_offset(topic, partition) if found is None else int(found.offset)

    def lag(self) -> dict[str, int]:
        """Return how many records of each topic are behind what was read, as far as the broker's last answers say."""
        found: dict[str, int] = {}
        places = self._kafka._subscription.assignment  # noqa: SLF001 - position() of what is not known yet asks the broker
        for place, state in list(places.items()):
            if state.position is not None and state.highwater is not None:
                behind = max(0, state.highwater - state.position.offset)
                found[place.topic] = found.get(place.topic, 0) + behind
        return found

    def assignment(self) -> list[tuple[str, int]]:
        """Return the partitions that this consumer reads now."""
        return [(place.topic, place.partition) for place in self._kafka.assignment()]

    def generation(self) -> int:
        """Return the group's generation: it rises with each rebalance, so it fences those who lost a partition."""
        return int(self._kafka.group_metadata().generation_id)

    def pause(self, topic: str, partition: int) -> None:
        """Fetch nothing of this partition until resumed."""
        self._kafka.pause(TopicPartition(topic, partition))

    def resume(self, topic: str, partition: int) -> None:
        """Fetch again."""
        self._kafka.resume(TopicPartition(topic, partition))

    def close(self, *, hands_over: bool = False) -> None:
        """Stop reading. A member with a name is waited for until its session ends; `hands_over` gives its share away.

        Where it has every partition there is nobody to give to: then it is still waited for, and comes back at once.
        """
        with suppress(BusUnavailable):  # who can't be told of our end sees it by the end of our session
            if hands_over and self._group is not None and self.others():
                # kafka-python says goodbye for members without a name only; the broker takes it from any (KIP-345).
                self._kafka._coordinator.is_dynamic_member = lambda: True  # noqa: SLF001 - there is no public way
        with suppress(KafkaError):
            self._kafka.close(autocommit=False)

    def others(self) -> frozenset[int]:
        """Return the numbers of partitions that this one does not read now. Raises BusUnavailable."""
        topics = self._kafka.subscription() or ()
        every = {TopicPartition(topic, number) for topic in topics for number in self._partitions_of(topic)}
        return frozenset(place.partition for place in every - self._kafka.assignment())

    def partitions(self, topic: str) -> int:
        """Return how many partitions a topic has that is read; 0 while that is not known. Raises BusUnavailable."""
        return len(self._partitions_of(topic))

    def topic_id(self, topic: str) -> str:
        """Return the id that the broker gave the topic when it was made (KIP-516), asked for now.

        A topic that is deleted and made anew has another one. Brokers before Kafka 2.8 have none: an empty text. Raises
        BusUnavailable.
        """
        self._look_topics_up()
        if not self._partitions_of(topic):
            raise self._refused(_unseen([topic]))
        found = self._kafka._cluster.topic_id(topic)  # noqa: SLF001 - only the administrator's client tells it
        return str(found) if found is not None and found.int else ""

    def _partitions_of(self, topic: str) -> Collection[int]:
        with self._as_unavailable(f"the partitions of {topic} can't be looked up"):
            return self._kafka.partitions_for_topic(topic) or ()

    def _must_see_topics(self) -> None:
        """Look for the topics where there is nothing to read: the library asks again for them after five minutes.

        One that is not there, or that the broker shows us not, is no error to it: its reader just gets nothing.
        """
        if self._kafka._subscription.assignment:  # noqa: SLF001 - as in `lag`, and no copy for each poll
            return
        if self._unseen_topics():
            self._look_topics_up()
        if unseen := self._unseen_topics():
            raise self._refused(_unseen(unseen))

    def _unseen_topics(self) -> list[str]:
        cluster = self._kafka._cluster  # noqa: SLF001 - the public way asks the broker, and waits for it without end
        return [topic for topic in self._topics if not cluster.partitions_for_topic(topic)]

    def _look_topics_up(self) -> None:
        """Have the broker tell anew of the topics that are read. Raises BusUnavailable."""
        kafka = self._kafka
        with self._as_unavailable(f"topics {', '.join(self._topics)} can't be looked up"):
            kafka._net.run(kafka._manager.wait_for, kafka._cluster.request_update(), ANSWER_MS)  # noqa: SLF001 - the same

    def _tell_reading(self) -> None:
        """Tell that we read, once something was fetched, or the group has no partition for us."""
        if monotonic() < self._refused_until:
            return
        states = self._kafka._subscription.assignment.values()  # noqa: SLF001 - as in `lag`
        has_joined = self._group is not None and self.generation() >= 0
        if any(state.highwater is not None for state in states) or (not states and has_joined):
            self._is_reading = True
            self._tells("")

    def _refused(self, why: str) -> Refused:
        self._is_reading, self._refused_until = False, monotonic() + STEADY_SECONDS
        self._tells(why)
        return Refused(why)

    def _tell_lag(self) -> None:
        self._tell_lag_at = monotonic() + TELL_LAG_SECONDS
        for topic, behind in self.lag().items():
            metrics.LAG.labels(self._client_id, topic).set(behind)

    def _finish_joining(self) -> None:
        """Ask for another join when kafka-python has forgotten the one under way (3.0.12, coordinator/consumer.py).

        As the group's leader it joins again when the topics' partitions are not those that it shared out last. It takes
        over the new ones in the middle of that join: when the poll's time is over before its end, nothing says any more
        that there is a join to wait for. The member then beats no more, reads nothing for ever and never pauses.
        """
        coordinator = self._kafka._coordinator  # noqa: SLF001 - it shows this nowhere else
        if coordinator._join_task is not None and not coordinator.need_rejoin():  # noqa: SLF001 - the same
            coordinator.request_rejoin()

    def give_away(self, on_revoked: PartitionsChanged, places: Partitions) -> dict[Any, Any]:
        """Tell of partitions that are taken away; return what is to be committed of them.

        The client's own loop calls this, and nothing may wait in it: a commit that did so failed, and with it each
        later rebalance of a reader that had something to commit, for ever.
        """
        self._giving_away = {}
        try:
            on_revoked(places)
        finally:
            offsets, self._giving_away = self._giving_away, None
        return offsets

    async def commit_given_away(self, offsets: dict[Any, Any]) -> None:
        """Commit before the partitions go. What is not committed has its effect once more, at who gets them."""
        coordinator = self._kafka._coordinator  # noqa: SLF001 - what its listener is to await has no public name
        try:
            await coordinator._commit_offsets_sync_async(offsets, timeout_ms=GIVE_AWAY_MS)  # noqa: SLF001 - the same
        except KafkaError as error:
            log.warning("offsets_not_committed", reason=str(error))

    @contextmanager
    def _as_unavailable(self, what: str) -> Iterator[None]:
        """Say in our words what the library could not do."""
        try:
            yield
        except GroupAuthorizationFailedError as error:
            why = f"the broker refuses the group {self._group_id}: give {named_user()} the right Read on it"
            raise self._refused(why) from error
        except TopicAuthorizationFailedError as error:
            named = ", ".join(self._topics)
            why = f"the broker refuses the topic {named}: give {named_user()} the rights Describe and Read on it"
            raise self._refused(why) from error
        except UnknownTopicOrPartitionError as error:
            raise self._refused(_unseen(self._topics)) from error
        except KafkaError as error:
            raise BusUnavailable(f"{what}: {error}") from error

    def _assign_all(self, topics: list[str]) -> None:
        try:
            self._kafka.assign(self._every_place(topics))
        except BusUnavailable:
            # Who is refused tries again every second, and each try would leave a client and its sockets behind.
            self._kafka.close(autocommit=False)
            raise

    def _every_place(self, topics: list[str]) -> list[Any]:
        with self._as_unavailable(f"topics {', '.join(topics)} can't be looked up"):
            places = [TopicPartition(topic, number) for topic in topics for number in self._partitions_of(topic)]
        if not places:
            raise self._refused(_unseen(topics))
        return places


def _unseen(topics: list[str]) -> str:
    named = ", ".join(topics)
    return (
        f"the broker shows no topic {named}: make it (ringmaster topics create), "
        f"or give {named_user()} the rights Describe and Read on it"
    )


class _Listener(AsyncConsumerRebalanceListener):  # type: ignore[misc]  # kafka-python ships no types
    def __init__(
        self,
        consumer: Consumer,
        on_assigned: PartitionsChanged | None,
        on_revoked: PartitionsChanged | None,
        on_lost: PartitionsChanged | None,
    ) -> None:
        self._consumer = consumer
        self._on_assigned = on_assigned
        self._on_revoked = on_revoked
        self._on_lost = on_lost

    async def on_partitions_assigned(self, assigned: Any) -> None:
        if self._on_assigned:
            self._on_assigned(_places(assigned))

    async def on_partitions_revoked(self, revoked: Any) -> None:
        if self._on_revoked:
            offsets = self._consumer.give_away(self._on_revoked, _places(revoked))
            if offsets:
                await self._consumer.commit_given_away(offsets)

    async def on_partitions_lost(self, lost: Any) -> None:
        """They are another's already: nothing of them can be committed any more."""
        if self._on_lost:
            self._consumer.give_away(self._on_lost, _places(lost))


def _places(partitions: Any) -> list[tuple[str, int]]:
    return [(place.topic, place.partition) for place in partitions]
