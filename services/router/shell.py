"""Feeds the core: reads the log, sends what follows, keeps snapshots, brings timers back (DESIGN rules 3 and 4).

Order within one input: outputs are sent (commands first), acknowledged, then the offset is committed, then a snapshot
may be taken. So a snapshot knows nothing that was not sent, and a kill at any point repeats outputs at most, under the
same ids.
"""

import math
import time
from contextlib import suppress
from dataclasses import dataclass

import gevent
import structlog

from services.router import metrics
from services.router.adapters.bus import Bus, ClosingReader, ClosingSender, Places
from services.router.adapters.log import Log
from services.router.adapters.lookups import Asker, Nobody
from services.router.adapters.snapshots import Snapshots, SnapshotsUnavailable, UnreadableSnapshot
from services.router.clocks import ClockWatch
from services.router.domain import flow
from services.router.domain.errors import RefusedInput
from services.router.domain.state import TenantState
from services.router.domain.turn import Lookup
from services.router.outbox import Outbox
from services.router.partition import DueTimer, Partition
from services.router.rounds import SnapshotRounds
from services.router.standby import Standby
from services.router.stopping import Stopping
from services.router.taking_up import TakenUp, must_be_its_log, pass_over_gap, restored, take_up
from services.shared.bus.errors import BusError, BusUnavailable, Rebalancing
from services.shared.bus.positions import LogName, epoch_of, offset_of
from services.shared.bus.record import Record
from services.shared.bus.topics import INPUTS
from services.shared.chassis.clock import Clock
from services.shared.contracts.ringmaster.v1.input_pb2 import Input, TimerFired
from services.shared.log_keys import parts_of

POLL_SECONDS = 0.1
COMMIT_SECONDS = 0.2
MOST_UNCOMMITTED = 500
"""After so many inputs it is committed sooner: whoever takes over decides and sends anew what was not, at two thousand
a second where it has just begun. A commit costs about as much as ten inputs."""
ACKNOWLEDGE_SECONDS = 10.0
RETRY_SECONDS = 1.0
UNREADABLE_SECONDS = 30.0
"""So long others have the tenants to themselves whose snapshots we can't read: each try takes them away once more."""
STANDBY_SECONDS = 0.5
WARM_UP_SECONDS = 10.0
"""Longer than that nobody is waited for to catch up: where nobody decides, callers wait for us."""
TIMERS_AT_ONCE = 100
"""So many timers of a partition come back between two batches: thousands that fall due in one moment hold nobody up."""
LOOK_SECONDS = 0.02
YIELD_SECONDS = 0.004

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Pace:
    """How often snapshots are written, and what else is done for the next recovery."""

    snapshot_seconds: float
    snapshot_inputs: int
    has_standby: bool = False
    """Whether what other routers decide is followed."""
    takes_log: str = ""
    """The id of a topic that may go on from the snapshots of another one: Kafka was set up anew, and that is meant."""


class Shell:
    """The router's one loop. `run` lives through an absent broker or document store by starting a new session."""

    def __init__(
        self, bus: Bus, snapshots: Snapshots, clock: Clock, pace: Pace, stopping: Stopping, asker: Asker | None = None
    ) -> None:
        self._bus = bus
        self._snapshots = snapshots
        self._clock = clock
        self._pace = pace
        self._stopping = stopping
        self._asker = asker or Nobody()
        self.trouble = "the log has not been taken up yet"

    def run(self) -> None:
        """Follow the log until stopped."""
        while not self._stopping.is_set():
            try:
                self._session()
            except UnreadableSnapshot as error:
                self.trouble = str(error)
                log.error("snapshot_unreadable", reason=str(error), advice="start the version that wrote it")  # noqa: TRY400 - a sentence
                self._stopping.wait(UNREADABLE_SECONDS)
            except (BusError, SnapshotsUnavailable) as error:
                self.trouble = str(error)
                log.warning("log_not_followed", reason=str(error), advice="calls that are bridged go on without us")
                self._stopping.wait(RETRY_SECONDS)

    def _session(self) -> None:
        metrics.SESSIONS.inc()
        session = Session(self._bus, self._snapshots, self._clock, self._pace, self._asker)
        try:
            session.warm_up(self._stopping)
            while not self._stopping.is_set():
                session.step(POLL_SECONDS)
                self.trouble = session.trouble()
            session.hand_over()
            session.close(hands_over=True)
        except UnreadableSnapshot:
            session.close(hands_over=True)  # a newer version among us can read it
            raise
        finally:
            session.close()


class Session:
    """One membership in the group, from joining to the first trouble."""

    def __init__(self, bus: Bus, snapshots: Snapshots, clock: Clock, pace: Pace, asker: Asker | None = None) -> None:
        self._snapshots = snapshots
        self._clock = clock
        self._pace = pace
        self._asker = asker or Nobody()
        self._lookups: list[Lookup] = []
        self._to_ask_anew: set[int] = set()
        self._failing: set[DueTimer] = set()
        self._lost: set[int] = set()
        self._given_up: set[int] = set()
        self.partitions: dict[int, Partition] = {}
        self._rounds = SnapshotRounds(snapshots)
        self._standby = Standby(bus, snapshots)
        self._standby_at = 0.0
        self._outbox = Outbox()
        self._clocks = ClockWatch()
        self._decided: dict[int, int] = {}
        self._settled: dict[int, int] = {}
        self._committed_at = self._snapshot_at = time.monotonic()
        self._uncommitted = 0
        self._sender: ClosingSender = bus.sender()
        try:
            self._reader: ClosingReader = bus.reader(self._revoked, self._taken)
        except BusError:
            self._sender.close()
            raise
        self._inputs = Log(self._reader)

    def warm_up(self, stopping: Stopping) -> None:
        """Copy what others decide before we join their group and are given some of it: they go on meanwhile."""
        if not self._pace.has_standby:
            return
        self._standby.follow(self._reader.others())
        until = time.monotonic() + WARM_UP_SECONDS
        while not self._standby.is_warm() and time.monotonic() < until and not stopping.is_set():
            gevent.sleep(LOOK_SECONDS)

    def step(self, timeout_seconds: float) -> None:
        """Read and decide one batch. Raises BusError and SnapshotsUnavailable: then the session is over."""
        records = self._inputs.poll(self._patience(timeout_seconds))
        fresh = self._follow_assignment()
        ours = [record for record in records if record.partition not in fresh]
        self._decide_all(ours)
        self._ask_anew()
        self._fire_timers()
        now = time.monotonic()
        self._uncommitted += len(ours)
        if now - self._committed_at >= COMMIT_SECONDS or self._uncommitted >= MOST_UNCOMMITTED:
            self._committed_at, self._uncommitted = now, 0
            self.settle()
        if self._wants_snapshot(now):
            self._snapshot_at = now
            self._begin_snapshot()
        if not self._settled:  # a snapshot knows nothing that is not committed, which only who has the partition can
            self._rounds.step()
        self._tell_forgotten()
        if self._pace.has_standby and now >= self._standby_at:
            self._standby_at = now + STANDBY_SECONDS
            self._follow_others()

    def trouble(self) -> str:
        """Return why this session is not ready, empty when it is."""
        if not self.partitions:
            return "no partition is assigned yet"
        late = [partition.number for partition in self.partitions.values() if not partition.is_caught_up]
        return f"partitions {late} are being replayed" if late else ""

    def settle(self) -> None:
        """Commit the offsets before which all outputs are acknowledged."""
        settled, self._settled = self._settled, {}
        if not settled:
            return
        try:
            self._inputs.commit(settled)
        except Rebalancing:
            self._settled = settled

    def snapshot(self) -> None:
        """Keep the state of all partitions that changed, now. A document store that is away makes recovery longer."""
        self.settle()
        self._rounds.keep(self.partitions.values())

    def _begin_snapshot(self) -> None:
        self.settle()
        self._rounds.begin(self.partitions.values())
        metrics.LIVE_CALLS.set(sum(len(state.calls) for state in self._states()))
        metrics.WAITING_CALLERS.set(
            sum(len(index.waiting) for state in self._states() for index in state.indexes.values())
        )

    def hand_over(self) -> None:
        """Leave everything so that the next router, of whatever version, starts from a snapshot."""
        try:
            self.snapshot()
        except BusError as error:
            log.warning("hand_over_incomplete", reason=str(error))

    def close(self, *, hands_over: bool = False) -> None:
        """Leave the group; `hands_over` lets others have the tenants at once. Again it does nothing."""
        self._standby.close()
        try:
            self._reader.close(hands_over=hands_over)
        finally:
            self._sender.close()

    # -- partitions --------------------------------------------------------------------------------------------------

    def _revoked(self, places: Places) -> None:
        self._given_up.update(number for _, number in places)
        self._taken(places)

    def _taken(self, places: Places) -> None:
        self._lost.update(number for _, number in places)

    def _leave_snapshots(self) -> None:
        """Keep what we give up as it is now: it is nobody's until we poll again, and then perhaps another version's.

        That one must not decide anew what we have decided since the last snapshot (DESIGN rule 4).
        """
        given_up = [self.partitions[number] for number in sorted(self._given_up & self.partitions.keys())]
        self._given_up.clear()
        if given_up:
            self.settle()
            self._rounds.keep(given_up)

    def _follow_assignment(self) -> set[int]:
        """Drop what was taken from us, load what was given; returns the loaded ones, whose records come again."""
        self._leave_snapshots()
        for number in self._lost & self.partitions.keys():
            self._rounds.drop(self.partitions[number])
        for number in self._lost:
            for of_partition in (self.partitions, self._settled):
                of_partition.pop(number, None)
        self._lost.clear()
        fresh = self._inputs.assigned() - self.partitions.keys()
        with suppress(Rebalancing):  # what begins can't be kept just now: it is taken up with the next step
            self._take_up(fresh)
        self._to_ask_anew |= fresh
        return fresh

    def _ask_anew(self) -> None:
        """Ask for what callers of partitions that we took over still wait for: who asked before may be gone."""
        for number in sorted(self._to_ask_anew):
            partition = self.partitions.get(number)
            if partition is not None and partition.is_caught_up:
                self._to_ask_anew.discard(number)
                for state in partition.states.values():
                    self._asker.ask(flow.pending(state))
                self._keep_soon(partition, [name for name, state in partition.states.items() if state.erasing])

    def _take_up(self, numbers: set[int]) -> None:
        """Take partitions up that were given to us, or whose state an input has spoilt."""
        if numbers:
            now_ms, takes_log = self._clock.now_ms(), self._pace.takes_log
            taken_up = take_up(self._inputs, self._snapshots, sorted(numbers), now_ms, takes_log)
            for number, taken in taken_up.items():
                self._load(number, taken)

    def _load(self, number: int, taken: TakenUp) -> None:
        """Go on from our own copy of a partition where there is one, else from its snapshot."""
        if number in self.partitions:
            self._rounds.drop(self.partitions[number])
        name, copy, committed = self._inputs.name(number), self._standby.take(number, taken.place), taken.committed
        if copy is not None and LogName(epoch_of(copy.next_offset), copy.log) != name:
            copy = None
        partition = copy or restored(self._inputs, self._snapshots, number)
        if committed < partition.next_offset:
            must_be_its_log(self._inputs, partition)
        partition.take_over(committed, self._clock.now_ms())
        if not partition.is_caught_up:
            pass_over_gap(self._inputs, partition)
        self.partitions[number] = partition
        self._inputs.seek(number, partition.next_offset)
        log.info(
            "partition_taken_up",
            partition=number,
            begins_at=offset_of(partition.next_offset),
            committed=offset_of(committed),
            epoch=name.epoch,
            was_followed=copy is not None,
        )

    def _follow_others(self) -> None:
        """Keep copies of what is not ours, once the group has said what is."""
        if self._reader.generation() > 0:
            self._standby.follow(self._reader.others())

    # -- deciding ----------------------------------------------------------------------------------------------------

    def _decide_all(self, records: list[Record]) -> None:
        spoilt: set[int] = set()
        began = time.monotonic()
        for record in records:
            if record.partition in spoilt or record.partition not in self.partitions:
                continue
            if self.partitions[record.partition].goes_back(record):
                raise BusUnavailable(f"{INPUTS}/{record.partition} goes back: its brokers have lost records")
            if not self._decide(record):
                spoilt.add(record.partition)
            if time.monotonic() - began > YIELD_SECONDS:
                self._send()
                gevent.idle()
                began = time.monotonic()
        self._send()
        self._take_up(spoilt)

    def _decide(self, record: Record) -> bool:
        """Decide one record and note what follows; False when the partition must be built again without it."""
        partition = self.partitions[record.partition]
        emits = partition.emits(record.offset)
        now_ms = self._clock.now_ms()
        began = time.perf_counter()
        try:
            outputs = partition.take(record, now_ms)
            metrics.DECIDE_SECONDS.observe(time.perf_counter() - began)
            if emits and outputs is not None:
                self._outbox.put(record, outputs, self._reader.generation(), now_ms)
        except RefusedInput as refused:
            outputs = None
            if emits:
                self._bury(record, str(refused))
        except Exception as bug:  # noqa: BLE001 - the boundary: one bad input may not stop all tenants for ever
            self._leave_out(record, bug)
            return False
        if not emits:
            metrics.REPLAYED.inc()
            return True
        self._clocks.look(record, now_ms)
        if outputs is not None:
            self._lookups += outputs.lookups
            if outputs.forgets:
                self._keep_soon(partition, [record.key])
        self._decided[record.partition] = record.offset + 1
        return True

    def _send(self) -> None:
        """Send what follows from all that was decided since the last time, and wait until the broker has it.

        What comes meanwhile travels together with the next: a request costs router and broker about as much as ten
        inputs, and two requests at once made every call wait longer at 50 calls/s (bench/latency).
        """
        self._send_out()
        while self._outbox.release():
            self._send_out()
        if self._lookups:
            self._asker.ask(self._lookups)
            self._lookups = []
        self._settled |= self._decided
        self._decided = {}

    def _send_out(self) -> None:
        for receipt in self._outbox.send(self._sender):
            receipt.wait(ACKNOWLEDGE_SECONDS)

    def _bury(self, record: Record, reason: str) -> None:
        metrics.DEAD_LETTERS.labels("refused").inc()
        log.warning("input_refused", partition=record.partition, offset=offset_of(record.offset), reason=reason)
        self._outbox.put_dead(record, reason)

    def _leave_out(self, record: Record, bug: Exception) -> None:
        """Put an input aside on which the core failed: never half-applied, never met again."""
        metrics.DEAD_LETTERS.labels("failed").inc()
        reason = f"{type(bug).__name__}: {bug}"
        log.error(
            "input_failed",
            tenant_id=record.key,
            partition=record.partition,
            offset=offset_of(record.offset),
            reason=reason,
            exc_info=bug,
        )
        if self.partitions[record.partition].emits(record.offset):
            self._outbox.put_dead(record, reason)
            self._decided[record.partition] = record.offset + 1
            self._send()
        if (given := Input.FromString(record.value)).HasField("timer"):  # it stays due, and would come back for ever
            self._failing.add(DueTimer(record.key, given.timer.timer_id, given.timer.due_ms))
        self._snapshots.skip(record.partition, record.offset, reason)  # after it nobody fails on it, nor tells of it
        self.settle()

    def _keep_soon(self, partition: Partition, tenant_ids: list[str]) -> None:
        """Have tenants' snapshots written with the next round, and that begun now: the last ones know an erased person.

        A partition that was taken over may have been told so by whoever wrote its snapshot, or may not: it is once
        more.
        """
        if tenant_ids:
            partition.not_kept(tenant_ids)
            self._snapshot_at = -math.inf

    def _tell_forgotten(self) -> None:
        """Bring back to the log whom our snapshots do not know any more; told twice, the second is ignored."""
        for key, forgotten in self._rounds.forgotten():
            tenant_id, domain = parts_of(key)
            value = Input(tenant_id=tenant_id, domain=domain, person_forgotten=forgotten).SerializeToString()
            self._outbox.put_input(key, value, self._clock.now_ms())

    # -- time --------------------------------------------------------------------------------------------------------

    def _fire_timers(self) -> None:
        """Bring due timers back as inputs. After a restart one may come twice: the second one is ignored."""
        now_ms = self._clock.now_ms()
        speed = self._clock.speed if self._clock.speed > 1 else 0.0
        for partition in self.partitions.values():
            if not partition.is_caught_up:
                continue
            for timer in partition.due(now_ms, TIMERS_AT_ONCE):
                if timer in self._failing:
                    continue
                fired = TimerFired(timer_id=timer.timer_id, due_ms=timer.due_ms, clock_speed=speed)
                tenant_id, domain = parts_of(timer.key)
                value = Input(tenant_id=tenant_id, domain=domain, timer=fired).SerializeToString()
                self._outbox.put_input(timer.key, value, max(now_ms, timer.due_ms))
                metrics.TIMERS_FIRED.inc()
        self._send()

    def _patience(self, timeout_seconds: float) -> float:
        """Return how long to wait for records: until the next timer at most."""
        ours = (partition for partition in self.partitions.values() if partition.is_caught_up)
        dues = [due for partition in ours if (due := partition.next_due_ms()) is not None]
        if not dues:
            return timeout_seconds
        left = self._clock.wall_seconds((min(dues) - self._clock.now_ms()) / 1000)
        return min(timeout_seconds, max(0.0, left))

    def _wants_snapshot(self, now: float) -> bool:
        if self._rounds.are_under_way:
            return False
        return now - self._snapshot_at >= self._pace.snapshot_seconds or any(
            partition.inputs_since_snapshot >= self._pace.snapshot_inputs and partition.is_caught_up
            for partition in self.partitions.values()
        )

    def _states(self) -> list[TenantState]:
        return [state for partition in self.partitions.values() for state in partition.states.values()]
