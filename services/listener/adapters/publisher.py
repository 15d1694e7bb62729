"""Inputs to Kafka in order; through the disk while Kafka is away. `put` never waits.

Order: what waits in memory is younger than what waits on disk, so while anything is on disk all goes through it. A
record that is not acknowledged for STALL_SECONDS means that Kafka is away: the producer is given up (it would go on
trying behind our back and mix the order), what it had not acknowledged goes to disk, and a new one is made.

When the disk's share is full nothing more is taken: the pump discards events, a gap is told and reconciled once there
is room again. So the log of a tenant is always a true beginning followed by an honest gap, never a hole.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from time import monotonic

import gevent
import structlog
from gevent.event import Event as Flag

from services.listener import metrics
from services.listener.adapters.bus import Bus, ClosingSender
from services.listener.adapters.spool import Spool, SpoolFull
from services.shared.bus.errors import BusError
from services.shared.bus.ports import BatchReceiptPort, Outgoing
from services.shared.bus.topics import INPUTS
from services.shared.chassis.clock import Clock
from services.shared.contracts.ringmaster.v1.input_pb2 import Input
from services.shared.log_keys import key_of

log = structlog.get_logger()

STALL_SECONDS = 5.0
MAX_IN_FLIGHT = 4_000
MAX_QUEUED = 50_000
"""In memory while Kafka has stalled and not yet been given up; about 20 MB."""
PRESSED_RECORDS = 2_000
PRESSED_SECONDS = 0.5
SPARE_BYTES = 2 * 1024 * 1024
"""Room on disk that must be left for what is in memory already."""
DRAIN_RECORDS = 500
CHUNK_RECORDS = 200
SEND_RECORDS = 500
"""So many between two turns of the hub: about 2 ms."""
BUSY_RECORDS = 24
COLLECT_SECONDS = 0.01
"""When so many come in one turn, the next ones are collected for a moment: a request to Kafka costs 0.8 ms of CPU."""
RETRY_SECONDS = 1.0
LAST_SECONDS = 3.0
_ACK_POLL_SECONDS = 0.005
_IDLE_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class _Sent:
    records: list[Outgoing]
    receipt: BatchReceiptPort


def _of_domain(told: Input, timestamp_ms: int) -> Iterator[Outgoing]:
    """Yield a routing domain's record, and of a leg's end one more for the tenant's own log.

    The statistics read the last of each leg there, in one order with what is said of erased persons.
    """
    yield key_of(told.tenant_id, told.domain), told.SerializeToString(), timestamp_ms, None
    if told.fact.leg_sequence and told.fact.HasField("leg_hung_up"):
        own = Input()
        own.CopyFrom(told)
        own.ClearField("domain")
        yield own.tenant_id, own.SerializeToString(), timestamp_ms, None


class Publisher:
    """One per listener. `run` and `keep_connected` are its two greenlets."""

    def __init__(self, bus: Bus, spool: Spool, clock: Clock, stopping: Flag) -> None:
        self._bus = bus
        self._spool = spool
        self._clock = clock
        self._stopping = stopping
        self._queue: deque[Outgoing] = deque()
        self._in_flight: deque[_Sent] = deque()
        self._in_flight_records = 0
        self._producer: ClosingSender | None = None
        self._work = Flag()
        self._last_ms = 0
        self._tokens = 0
        self._collect_until = 0.0
        self._progressed_at = monotonic()
        self._spool_refuses = ""
        self.settled = 0
        """Every input whose token is not above this is in Kafka or on disk."""
        self.on_settled: Callable[[int], None] = lambda _settled: None
        """Called with `settled` whenever that has grown."""

    @property
    def has_room(self) -> bool:
        """Whether facts may be told; False means to discard events and to reconcile later."""
        return len(self._queue) < MAX_QUEUED and not self._spool_refuses and self._spool.has_room(SPARE_BYTES)

    @property
    def tokens(self) -> int:
        """The token of the last input that was put."""
        return self._tokens

    @property
    def is_settled(self) -> bool:
        """Whether everything that was put is in Kafka or on disk."""
        return self.settled == self._tokens

    @property
    def is_pressed(self) -> bool:
        """Whether Kafka takes records, only slower than they come: a short pause of the pump then saves memory."""
        return (
            len(self._queue) > PRESSED_RECORDS
            and self._producer is not None
            and self._spool.is_empty
            and monotonic() - self._progressed_at < PRESSED_SECONDS
        )

    @property
    def trouble(self) -> str:
        """One sentence on why it is not ready, "" when it is."""
        if not self.has_room:
            return self._spool_refuses or "the spool is full and events are being discarded"
        return "" if self._producer is not None else "no connection with Kafka; inputs are spooled to disk"

    def put(self, told: Input) -> int:
        """Take an input to be published; return its token."""
        self.put_all((told,))
        return self._tokens

    def put_all(self, inputs: Iterable[Input]) -> None:
        """Take inputs that were made at the same moment."""
        self._last_ms = max(self._clock.now_ms(), self._last_ms)  # a tenant's log never steps back in time
        timestamp_ms, before = self._last_ms, len(self._queue)
        for told in inputs:
            if told.domain:
                self._queue.extend(_of_domain(told, timestamp_ms))
            else:
                self._queue.append((told.tenant_id, told.SerializeToString(), timestamp_ms, None))
        self._tokens += len(self._queue) - before
        if not self._work.is_set():
            self._work.set()

    def observe(self) -> None:
        """Set the gauges."""
        metrics.PUBLISH_QUEUE.set(len(self._queue) + self._in_flight_records)
        metrics.SPOOL_BYTES.set(self._spool.size)
        metrics.SPOOL_FULL.set(0 if self.has_room else 1)
        oldest_ms = self._oldest_ms()
        metrics.OLDEST_UNSENT.set(max(0.0, (self._clock.now_ms() - oldest_ms) / 1000) if oldest_ms else 0.0)

    def _oldest_ms(self) -> int:
        """Return when the oldest input was told that Kafka does not have, 0 when it has all."""
        spooled = self._spool.read(1)
        if spooled:
            return spooled[0].timestamp_ms
        if self._in_flight:
            return self._in_flight[0].records[0][2]
        return self._queue[0][2] if self._queue else 0

    def run(self) -> None:
        """Publish until stopped; then bring what is left to Kafka or to disk."""
        while not self._stopping.is_set():
            self._step()
        self._finish()

    def keep_connected(self) -> None:
        """Make a producer whenever there is none. It may take seconds, so it is a greenlet of its own."""
        said = ""
        while not self._stopping.is_set():
            if self._producer is None:
                try:
                    producer = self._bus.producer()
                    self._progressed_at = monotonic()
                    self._producer = producer
                    log.info("kafka_connected", spooled_bytes=self._spool.size)
                    said = ""
                    self._work.set()
                except BusError as error:
                    if str(error) != said:
                        log.warning(
                            "kafka_away", reason=str(error), advice="inputs are spooled to disk until it is back"
                        )
                        said = str(error)
            self._stopping.wait(RETRY_SECONDS)

    def _step(self) -> None:
        if self._producer is None or not self._spool.is_empty:
            self._spool_all()
        if self._producer is not None:
            if not self._spool.is_empty:
                self._drain(self._producer)
            else:
                self._written()  # nothing needs the disk now
                self._send_some(self._producer)
                self._reap()
        self._wait()

    def _wait(self) -> None:
        if self._producer is not None and self._queue and self._awaits_acknowledgement():
            with suppress(BusError):
                self._in_flight[0].receipt.wait(_ACK_POLL_SECONDS)
            return
        if self._queue and self._producer is not None and self._in_flight_records < MAX_IN_FLIGHT:
            # At least one turn of the hub: what is sent must also get its chance to be written.
            gevent.sleep(max(1e-6, self._collecting_seconds()))
            return
        if self._producer is not None and not self._spool.is_empty:
            gevent.sleep(1e-6)
            return
        self._work.clear()
        self._work.wait(_ACK_POLL_SECONDS if self._in_flight else _IDLE_SECONDS)

    def _send_some(self, producer: ClosingSender) -> None:
        number = min(SEND_RECORDS, len(self._queue), MAX_IN_FLIGHT - self._in_flight_records)
        if number <= 0 or self._collecting_seconds() > 0 or self._awaits_acknowledgement():
            return
        records = [self._queue.popleft() for _ in range(number)]
        try:
            receipt = producer.send_many(INPUTS, records)
        except BusError as error:
            self._queue.extendleft(reversed(records))
            self._give_up(str(error))
            return
        self._in_flight.append(_Sent(records, receipt))
        self._in_flight_records += number
        self._collect_until = monotonic() + COLLECT_SECONDS if number >= BUSY_RECORDS else 0.0

    def _awaits_acknowledgement(self) -> bool:
        """Whether something is on its way and little is waiting: what comes meanwhile travels together."""
        return bool(self._in_flight) and len(self._queue) < SEND_RECORDS

    def _collecting_seconds(self) -> float:
        """Return how long to wait for more before the next batch is sent; none when there is enough for one."""
        return 0.0 if len(self._queue) >= SEND_RECORDS else self._collect_until - monotonic()

    def _reap(self) -> None:
        """Settle what was acknowledged, in order."""
        in_flight = self._in_flight
        now, before = monotonic(), self.settled
        if not in_flight:
            self._progressed_at = now
            return
        while in_flight and in_flight[0].receipt.acknowledged:
            number = len(in_flight.popleft().records)
            self.settled += number
            self._in_flight_records -= number
            self._progressed_at = now
        if self.settled > before:
            self.on_settled(self.settled)
        if in_flight and in_flight[0].receipt.failed:
            self._give_up("Kafka refused a batch of inputs")
        elif now - self._progressed_at > STALL_SECONDS:
            self._give_up(f"nothing was acknowledged for {STALL_SECONDS:g} s")

    def _give_up(self, reason: str) -> None:
        """Drop the producer; what it did not acknowledge is first in the queue again, in order."""
        log.warning("kafka_away", reason=reason, advice="inputs are spooled to disk until it is back")
        producer, self._producer = self._producer, None
        self._take_back()
        if producer is not None:
            producer.close(0.0)

    def _take_back(self) -> None:
        """Queue again all from the first batch that was not acknowledged; what Kafka has of it is told twice."""
        for sent in reversed(self._in_flight):
            self._queue.extendleft(reversed(sent.records))
        self._in_flight.clear()
        self._in_flight_records = 0

    def _spool_all(self) -> None:
        while self._queue:
            chunk = [self._queue[index] for index in range(min(CHUNK_RECORDS, len(self._queue)))]
            try:
                self._spool.append([each[:3] for each in chunk])
            except (SpoolFull, OSError) as error:
                self._refused(str(error))
                return
            self.settled += len(chunk)
            for _ in chunk:
                self._queue.popleft()
            self.on_settled(self.settled)
        self._disk(self._spool.sync_when_due)

    def _disk(self, work: Callable[[], None]) -> None:
        """Do what may find the disk full after the records are safe: nothing is lost by it, so it is said and borne."""
        try:
            work()
        except OSError as error:
            self._refused(str(error))
        else:
            self._written()

    def _written(self) -> None:
        if self._spool_refuses:
            log.info("spool_no_longer_refuses")
            self._spool_refuses = ""

    def _refused(self, reason: str) -> None:
        if not self._spool_refuses:
            log.error(
                "spool_not_written",
                reason=reason,
                advice="free disk space or bring Kafka back; events are lost till then",
            )
        self._spool_refuses = reason

    def _drain(self, producer: ClosingSender) -> None:
        """Send a part of the spool and wait for its acknowledgement."""
        batch = self._spool.read(DRAIN_RECORDS)
        try:
            producer.send_many(INPUTS, [(each.key, each.value, each.timestamp_ms, None) for each in batch]).wait(
                STALL_SECONDS
            )
        except BusError as error:
            self._give_up(str(error))
            return
        self._progressed_at = monotonic()
        if batch:
            self._disk(partial(self._spool.take, batch[-1]))

    def _finish(self) -> None:
        """Give what is in flight a last chance, keep the rest on disk."""
        deadline = monotonic() + LAST_SECONDS
        while self._producer is not None and (self._queue or self._in_flight) and monotonic() < deadline:
            if not self._spool.is_empty:
                break
            self._send_some(self._producer)
            self._reap()
            gevent.sleep(_ACK_POLL_SECONDS)
        if self._in_flight or self._producer is not None:
            producer, self._producer = self._producer, None
            self._take_back()
            if producer is not None:
                producer.close()
        self._spool_all()
        self._disk(self._spool.close)
