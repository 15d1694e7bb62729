"""Runs the node's commands: each once, those of a leg in order, those of different legs side by side.

What a kill between any two lines leaves behind (docs/adr/0003): an action that may not happen twice is written down
before it is sent, its end before its result is told, its result is in Kafka or on disk before its offset is committed.
So after a restart a command is either not known (never sent: run it), begun (look at FreeSWITCH, never repeat blindly)
or ended (tell its result again, under the same id).
"""

from collections import deque
from dataclasses import dataclass, field
from time import monotonic

import gevent
import structlog
from gevent.event import AsyncResult
from gevent.event import Event as Flag
from gevent.pool import Pool
from google.protobuf.message import DecodeError

from services.listener import metrics
from services.listener.adapters.bus import Bus, ClosingReader
from services.listener.adapters.gate import Gate
from services.listener.adapters.ledger_log import LedgerLog
from services.listener.adapters.publisher import Publisher
from services.listener.adapters.runner import TOO_LATE, Runner
from services.listener.domain.execution import UNKNOWN, Ended, Verdict, is_repeatable
from services.listener.domain.facts import FactBuilder
from services.shared.bus.errors import BusError
from services.shared.bus.record import Record
from services.shared.bus.topics import COMMANDS
from services.shared.contracts.ringmaster.v1.command_pb2 import Command, CommandOutcome

log = structlog.get_logger()

POLL_SECONDS = 0.2
COMMIT_SECONDS = 0.5
"""A commit for each command costs the broker as much as the command; what is read twice is known by the ledger."""
RETRY_SECONDS = 1.0
LAST_SECONDS = 5.0
TURN_SECONDS = 0.1
MOST_AT_ONCE = 500


@dataclass(slots=True)
class _Task:
    """One command on its way; `in_order` is set when the next one of the same leg may be sent."""

    command: Command
    waits_for: list[Flag]
    in_order: Flag = field(default_factory=Flag)
    is_ended: bool = False
    token: int = 0


class Executor:
    """One per listener; `run` is its greenlet, each command gets one of its own from a bounded pool."""

    def __init__(
        self,
        node: str,
        bus: Bus,
        runner: Runner,
        facts: FactBuilder,
        publisher: Publisher,
        ledger: LedgerLog,
        gate: Gate,
    ) -> None:
        self._node = node
        self._bus = bus
        self._runner = runner
        self._facts = facts
        self._publisher = publisher
        self._ledger = ledger
        self._gate = gate
        self._pool = Pool(MOST_AT_ONCE)
        self._tails: dict[str, Flag] = {}
        self._running: dict[str, _Task] = {}
        self._uncommitted: dict[tuple[str, int], deque[tuple[int, _Task | None]]] = {}
        self._bug: AsyncResult = AsyncResult()

    def run(self) -> None:
        """Read and execute until stopped; connect again whenever Kafka was away. Raises what was a bug of ours."""
        said = ""
        while not self._gate.stopping.is_set():
            try:
                reader = self._bus.consumer(f"listener-{self._node}", [COMMANDS])
                self._uncommitted.clear()
                try:
                    said = ""
                    self._follow(reader)
                finally:
                    reader.close()
            except BusError as error:
                if str(error) != said:
                    log.warning("commands_not_read", reason=str(error), advice="bridged calls go on without us")
                    said = str(error)
                self._gate.stopping.wait(RETRY_SECONDS)

    def _follow(self, reader: ClosingReader) -> None:
        committed_at = monotonic()
        while not self._gate.stopping.is_set():
            for record in reader.poll(POLL_SECONDS):
                self._accept(record)
            if monotonic() - committed_at >= COMMIT_SECONDS:
                committed_at = monotonic()
                self._commit(reader)
            if self._bug.ready():
                self._bug.get()
        self._pool.join(timeout=LAST_SECONDS)
        self._commit(reader)

    def _accept(self, record: Record) -> None:
        """Queue a command of this node; anything else only moves the offset."""
        tasks = self._uncommitted.setdefault((record.topic, record.partition), deque())
        command = self._command(record) if record.key == self._node else None
        tasks.append((record.offset, None if command is None else self._start(command)))

    def _command(self, record: Record) -> Command | None:
        try:
            return Command.FromString(record.value)
        except DecodeError:
            metrics.COMMANDS_INVALID.inc()
            log.warning("command_unreadable", partition=record.partition, offset=record.offset)
            return None

    def _start(self, command: Command) -> _Task:
        running = self._running.get(command.command_id)
        if running is not None:
            return running  # told twice by Kafka while it runs
        touched = _legs_of(command)
        task = _Task(command, [self._tails[leg_id] for leg_id in touched if leg_id in self._tails])
        for leg_id in touched:
            self._tails[leg_id] = task.in_order
        self._running[command.command_id] = task
        metrics.COMMANDS_RUNNING.set(len(self._running))
        self._pool.spawn(self._run_task, task, touched).link_exception(self._bug_found)
        return task

    def _bug_found(self, greenlet: gevent.Greenlet) -> None:
        self._bug.set_exception(greenlet.exception)

    def _run_task(self, task: _Task, touched: list[str]) -> None:
        self._wait_for_turn(task)
        command = task.command
        ended = self._execute(task)
        task.in_order.set()
        for leg_id in touched:
            if self._tails.get(leg_id) is task.in_order:
                del self._tails[leg_id]
        metrics.COMMANDS.labels(command.WhichOneof("action") or "none", _label(ended.outcome)).inc()
        task.token = self._publisher.put(self._facts.of_result(command, ended.outcome, ended.cause))
        task.is_ended = True
        del self._running[command.command_id]
        metrics.COMMANDS_RUNNING.set(len(self._running))

    def _wait_for_turn(self, task: _Task) -> None:
        """Wait until the legs' earlier commands ended, whose own waits have deadlines.

        When the listener stops, one of them may have been left for the next life: then this one is left too.
        """
        for earlier in task.waits_for:
            while not earlier.wait(TURN_SECONDS):
                self._gate.must_be_needed()
        task.waits_for.clear()

    def _execute(self, task: _Task) -> Ended:
        """Judge, write down, do, write down: in this order."""
        command, now_ms = task.command, self._gate.clock.now_ms()
        verdict, ended = self._ledger.judge(command, now_ms)
        if ended is not None and verdict is Verdict.TELL_AGAIN and command.HasField("hand_over_leg"):
            ended, verdict = None, Verdict.RECOVER  # the table of legs may be older than its end
        if ended is not None:
            return ended
        must_complete = verdict is Verdict.RECOVER and command.HasField("hand_over_leg")
        if not self._gate.wait(0 if must_complete else command.deadline_ms):
            return UNKNOWN if verdict is Verdict.RECOVER else TOO_LATE
        if verdict is Verdict.RECOVER:
            ended = self._runner.recover(command, task.in_order.set)
        else:
            if not is_repeatable(command.WhichOneof("action") or ""):
                self._ledger.begin(command, now_ms)
            ended = self._runner.do(command, task.in_order.set)
        self._ledger.end(command, ended, now_ms)
        return ended

    def _commit(self, reader: ClosingReader) -> None:
        """Commit up to the first command whose result is not yet in Kafka or on disk."""
        positions: dict[tuple[str, int], int] = {}
        for place, tasks in self._uncommitted.items():
            while tasks and _is_settled(tasks[0][1], self._publisher.settled):
                positions[place] = tasks.popleft()[0] + 1
        if positions:
            reader.commit(positions)


def _legs_of(command: Command) -> list[str]:
    """Return the legs whose commands keep their order with this one."""
    others = (command.bridge_legs.other_leg_id, command.part_legs.other_leg_id)
    return [leg_id for leg_id in (command.leg_id, *others) if leg_id]


def _is_settled(task: _Task | None, settled: int) -> bool:
    return task is None or (task.is_ended and task.token <= settled)


def _label(outcome: "CommandOutcome.ValueType") -> str:
    return CommandOutcome.Name(outcome).removeprefix("COMMAND_OUTCOME_").lower()
