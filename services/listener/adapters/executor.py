"""Runs the node's commands: each once, those of a leg in order, those of different legs side by side.

What a kill between any two lines leaves behind (docs/adr/0003): an action that may not happen twice is written down
before it is sent, its end before its result is told, its result is in Kafka or on disk before its offset is committed.
So after a restart a command is either not known (never sent: run it), begun (look at FreeSWITCH, never repeat blindly)
or ended (tell its result again, under the same id).
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import gevent
import structlog
from gevent.event import AsyncResult
from gevent.event import Event as Flag
from gevent.pool import Pool
from google.protobuf.message import DecodeError

from services.listener import metrics
from services.listener.adapters.bus import Bus, ClosingReader
from services.listener.adapters.ledger_log import LedgerLog
from services.listener.adapters.publisher import Publisher
from services.listener.adapters.switch_plan import MUSIC_PREFIX, Planner, Step, ring_seconds
from services.listener.adapters.switch_port import SwitchPort
from services.listener.domain.execution import UNKNOWN, CommandLedger, Ended, Verdict, is_repeatable
from services.listener.domain.facts import FactBuilder
from services.listener.domain.legs import Asked, LegTable
from services.listener.domain.recordings import UnsafeName
from services.shared.bus.errors import BusError
from services.shared.bus.record import Record
from services.shared.bus.topics import COMMANDS
from services.shared.chassis.clock import Clock
from services.shared.contracts.ringmaster.v1.command_pb2 import (
    COMMAND_OUTCOME_DONE,
    COMMAND_OUTCOME_EXPIRED,
    COMMAND_OUTCOME_FAILED,
    COMMAND_OUTCOME_UNKNOWN,
    Command,
    CommandOutcome,
)
from services.shared.esl.client import Reply
from services.shared.esl.errors import NotSent, OutcomeUnknown, UnsafeValue

log = structlog.get_logger()

POLL_SECONDS = 0.2
RETRY_SECONDS = 1.0
REPLY_SECONDS = 5.0
JOB_SPARE_SECONDS = 10.0
MOST_AT_ONCE = 500
READY_CHECK_SECONDS = 0.05
NEW_LEG_SECONDS = 10.0
NEW_LEG_RETRY_SECONDS = 0.05
COMPACT_EVERY = 5_000
NO_SUCH_LEG = "NO_SUCH_LEG"

_GONE = ("No such channel", "Cannot locate session", "invalid session id", "Invalid uuid", "invalid uuid", "-ERROR")


@dataclass(slots=True)
class _Task:
    """One command on its way; `in_order` is set when the next one of the same leg may be sent, `ended` at its end."""

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
        switch: SwitchPort,
        planner: Planner,
        legs: LegTable,
        facts: FactBuilder,
        publisher: Publisher,
        ledger: CommandLedger,
        ledger_log: LedgerLog,
        clock: Clock,
        ready: Flag,
        stopping: Flag,
        keep_legs: Callable[[], None],
    ) -> None:
        self._node = node
        self._bus = bus
        self._switch = switch
        self._planner = planner
        self._legs = legs
        self._facts = facts
        self._publisher = publisher
        self._ledger = ledger
        self._ledger_log = ledger_log
        self._clock = clock
        self._ready = ready
        self._stopping = stopping
        self._keep_legs = keep_legs
        self._pool = Pool(MOST_AT_ONCE)
        self._tails: dict[str, Flag] = {}
        self._running: dict[str, _Task] = {}
        self._originating: set[str] = set()
        self._uncommitted: dict[tuple[str, int], deque[tuple[int, _Task | None]]] = {}
        self._bug: AsyncResult = AsyncResult()
        self._since_compaction = 0

    def run(self) -> None:
        """Read and execute until stopped; connect again whenever Kafka was away. Raises what was a bug of ours."""
        said = ""
        while not self._stopping.is_set():
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
                    log.error("commands_not_read", reason=str(error), advice="bridged calls go on without us")
                    said = str(error)
                self._stopping.wait(RETRY_SECONDS)

    def _follow(self, reader: ClosingReader) -> None:
        while not self._stopping.is_set():
            for record in reader.poll(POLL_SECONDS):
                self._accept(record)
            self._commit(reader)
            if self._bug.ready():
                self._bug.get()
        self._pool.join(timeout=REPLY_SECONDS)
        self._commit(reader)

    def _accept(self, record: Record) -> None:
        """Queue a command of this node; anything else only moves the offset."""
        tasks = self._uncommitted.setdefault((record.topic, record.partition), deque())
        if record.key != self._node:
            tasks.append((record.offset, None))
            return
        try:
            command = Command.FromString(record.value)
        except DecodeError:
            metrics.COMMANDS_INVALID.inc()
            log.error("command_unreadable", partition=record.partition, offset=record.offset)
            tasks.append((record.offset, None))
            return
        tasks.append((record.offset, self._start(command)))

    def _start(self, command: Command) -> _Task:
        running = self._running.get(command.command_id)
        if running is not None:
            return running  # told twice by Kafka while it runs
        touched = [leg_id for leg_id in (command.leg_id, command.bridge_legs.other_leg_id) if leg_id]
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
        for earlier in task.waits_for:
            earlier.wait()  # ends with the earlier command, whose own waits have deadlines
        task.waits_for.clear()
        command = task.command
        ended = self._decide(task)
        task.in_order.set()
        for leg_id in touched:
            if self._tails.get(leg_id) is task.in_order:
                del self._tails[leg_id]
        metrics.COMMANDS.labels(command.WhichOneof("action") or "none", _label(ended.outcome)).inc()
        task.token = self._publisher.put(self._facts.of_result(command, ended.outcome, ended.cause))
        task.is_ended = True
        del self._running[command.command_id]
        metrics.COMMANDS_RUNNING.set(len(self._running))

    def _decide(self, task: _Task) -> Ended:
        command, now_ms = task.command, self._clock.now_ms()
        verdict, ended = self._ledger.judge(command, now_ms)
        if verdict is not Verdict.REFUSE and self._ledger.fence(command):
            self._ledger_log.generation(command.fence_partition, command.fence_generation)
        if ended is not None:
            return ended
        if not self._wait_until_ready(command):
            return Ended(COMMAND_OUTCOME_EXPIRED, "no connection with FreeSWITCH before its deadline")
        if verdict is Verdict.RECOVER:
            ended = self._recover(task)
        else:
            if not is_repeatable(command.WhichOneof("action") or ""):
                self._ledger_log.command(command.command_id, self._ledger.begin(command, now_ms))
            ended = self._do(task)
        self._ledger_log.command(command.command_id, self._ledger.end(command, ended, now_ms))
        self._compact_now_and_then(now_ms)
        return ended

    def _compact_now_and_then(self, now_ms: int) -> None:
        self._since_compaction += 1
        if self._since_compaction >= COMPACT_EVERY:
            self._since_compaction = 0
            self._ledger_log.compact(self._ledger, now_ms)

    def _wait_until_ready(self, command: Command) -> bool:
        """Wait for a reconciled session, until the deadline. Without a deadline, until there is one or we stop."""
        while not self._ready.is_set():
            if self._stopping.is_set():
                raise gevent.GreenletExit  # not begun: it comes again in the next life
            if command.deadline_ms and self._clock.now_ms() > command.deadline_ms:
                return False
            self._ready.wait(READY_CHECK_SECONDS)
        return True

    def _recover(self, task: _Task) -> Ended:
        """Say what became of a command that an earlier life had begun, by looking at what lives."""
        command = task.command
        action = command.WhichOneof("action")
        leg = self._legs.live.get(command.leg_id)
        if action == "bridge_legs":
            if leg is not None and leg.other_leg_id == command.bridge_legs.other_leg_id:
                return Ended(COMMAND_OUTCOME_DONE)
            return self._do(task)  # they are not bridged: bridging them now is what was asked
        try:
            if not self._exists(command.leg_id):
                return Ended(COMMAND_OUTCOME_FAILED, NO_SUCH_LEG)
        except (NotSent, OutcomeUnknown):
            return UNKNOWN
        return UNKNOWN

    def _exists(self, leg_id: str) -> bool:
        return self._switch.exists(leg_id, REPLY_SECONDS)

    def _do(self, task: _Task) -> Ended:
        """Send a command. Never raises for what FreeSWITCH or the connection does."""
        command = task.command
        while True:
            try:
                return self._send(task)
            except (UnsafeValue, UnsafeName) as error:
                return Ended(COMMAND_OUTCOME_FAILED, f"refused by the listener: {error}"[:200])
            except NotSent:
                if not self._wait_until_ready_again(command):
                    return Ended(COMMAND_OUTCOME_EXPIRED, "no connection with FreeSWITCH before its deadline")
            except OutcomeUnknown as error:
                return Ended(COMMAND_OUTCOME_UNKNOWN, str(error)[:200])

    def _wait_until_ready_again(self, command: Command) -> bool:
        self._stopping.wait(READY_CHECK_SECONDS)
        return self._wait_until_ready(command)

    def _send(self, task: _Task) -> Ended:
        command = task.command
        match command.WhichOneof("action"):
            case "originate_leg":
                return self._originate(task)
            case "hang_up_leg":
                return self._hang_up(command)
            case "play_prompt":
                return self._ask(command, command.command_id, Asked.PLAYBACK)
            case "collect_digits":
                return self._ask(command, command.command_id, Asked.DIGITS)
            case "start_music":
                return self._ask(command, MUSIC_PREFIX + command.command_id, Asked.MUSIC)
            case "start_recording":
                path = Path(self._planner.recording(command, command.start_recording.recording_id))
                return self._make_folder(path.parent) or self._run_steps(command)
            case "mask_recording":
                return self._mask(command)
            case "unmask_recording":
                ended = self._run_steps(command)
                if ended.outcome == COMMAND_OUTCOME_DONE:
                    self._legs.unmask(_call_key(command), command.unmask_recording.recording_id)
                return ended
            case _:
                return self._run_steps(command)

    def _run_steps(self, command: Command) -> Ended:
        """Write a command's steps together, then read their replies in order."""
        is_playing = self._legs.is_playing(command.leg_id)
        return self._write([step for step in self._planner.plan(command) if is_playing or not step.only_while_playing])

    def _write(self, steps: list[Step]) -> Ended:
        pending = [(step, self._switch.submit(step.wire)) for step in steps]
        ended = Ended(COMMAND_OUTCOME_DONE)
        for step, waiting in pending:
            reply = waiting.get(REPLY_SECONDS)
            if step.required and ended.outcome == COMMAND_OUTCOME_DONE:
                ended = outcome_of(reply)
        return ended

    def _ask(self, command: Command, event_id: str, asked: Asked) -> Ended:
        """Start what has an end of its own. It is noted before it is sent, or its end could come unrecognised."""
        is_playing = self._legs.is_playing(command.leg_id)
        steps = [step for step in self._planner.plan(command) if is_playing or not step.only_while_playing]
        self._legs.ask(command.leg_id, event_id, asked)
        self._keep_legs()
        ended = Ended(COMMAND_OUTCOME_FAILED)
        try:
            ended = self._write(steps)
        finally:
            if ended.outcome == COMMAND_OUTCOME_FAILED:
                self._legs.unask(command.leg_id, event_id)
        return ended

    def _mask(self, command: Command) -> Ended:
        """Hide digits before the recording is masked, so that none slips between."""
        call, recording_id = _call_key(command), command.mask_recording.recording_id
        self._legs.mask(call, recording_id)
        self._keep_legs()
        ended = self._run_steps(command)
        if ended.outcome == COMMAND_OUTCOME_FAILED:
            self._legs.unmask(call, recording_id)
        return ended

    def _make_folder(self, folder: Path) -> Ended | None:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            log.error("recording_folder_not_made", folder=str(folder), reason=str(error))
            return Ended(COMMAND_OUTCOME_FAILED, f"no folder for the recording: {error.strerror}")
        return None

    def _originate(self, task: _Task) -> Ended:
        """Call out and wait for the background job; a later command of the leg (a hang-up) need not wait for it."""
        command = task.command
        wire = self._planner.originate(command)
        seconds = self._clock.wall_seconds(ring_seconds(command.originate_leg)) + JOB_SPARE_SECONDS
        self._originating.add(command.leg_id)
        task.in_order.set()
        try:
            return outcome_of(self._switch.bgapi(wire, seconds))
        finally:
            self._originating.discard(command.leg_id)

    def _hang_up(self, command: Command) -> Ended:
        """Hang up. A leg whose originate was just sent may not be there yet: ask again until it is, or has failed."""
        ended = self._run_steps(command)
        with gevent.Timeout(NEW_LEG_SECONDS, exception=False):
            while ended.cause == NO_SUCH_LEG and command.leg_id in self._originating:
                gevent.sleep(NEW_LEG_RETRY_SECONDS)
                ended = self._run_steps(command)
        return ended

    def _commit(self, reader: ClosingReader) -> None:
        """Commit up to the first command whose result is not yet in Kafka or on disk."""
        positions: dict[tuple[str, int], int] = {}
        for place, tasks in self._uncommitted.items():
            while tasks and _is_settled(tasks[0][1], self._publisher.settled):
                positions[place] = tasks.popleft()[0] + 1
        if positions:
            reader.commit(positions)


def _is_settled(task: _Task | None, settled: int) -> bool:
    return task is None or (task.is_ended and task.token <= settled)


def _call_key(command: Command) -> str:
    return command.call_id or command.leg_id


def _label(outcome: CommandOutcome) -> str:
    return CommandOutcome.Name(outcome).removeprefix("COMMAND_OUTCOME_").lower()


def outcome_of(reply: Reply) -> Ended:
    """Read FreeSWITCH's answer. That a leg is gone is said in many ways; here it is one cause."""
    text = reply.text.strip()
    if text == "false" or any(words in text for words in _GONE):
        return Ended(COMMAND_OUTCOME_FAILED, NO_SUCH_LEG)
    if not reply.ok:
        return Ended(COMMAND_OUTCOME_FAILED, text.removeprefix("-ERR").removeprefix("-USAGE:").strip()[:200])
    return Ended(COMMAND_OUTCOME_DONE)
