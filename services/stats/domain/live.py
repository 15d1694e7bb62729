"""Live numbers of one tenant, folded from its public events (SPEC 8.1).

The result depends on the set of events only, not on repeats or on their order: each call keeps which of its sequence
numbers were seen, what a call is doing now is said by its highest one, and sums are kept by the second of the event.
An event of a call that is not known is refused when it is older than everything that was forgotten, so a repeat that
comes after that cannot be counted again either.
"""

import heapq
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any, Final

from services.shared.contracts.ringmaster.v1.event_pb2 import AgentState, CallExit, Event, QueueExit
from services.shared.contracts.ringmaster.v1.request_pb2 import AgentStatus
from services.stats.domain.completeness import Completeness
from services.stats.domain.profile import Profile
from services.stats.domain.tally import Tally, tally_of_exit
from services.stats.domain.waiting import WaitingLine
from services.stats.domain.windows import CallBook, QuarterBook, SlidingTotals, Trend

WINDOWS_SECONDS: Final = (300, 900)
TREND_MINUTES: Final = 60
# An ended call is remembered so long after the newest event; a late event within it still finds its call.
LATE_MS: Final = 15 * 60_000
# Quarters are kept for the longest local day and one before it.
KEPT_MS: Final = 50 * 3_600_000
# How far an event's clock may be ahead of ours before it stops moving time here.
SKEW_MS: Final = 60_000
MOST_CALLS: Final = 50_000
# A call tells some tens of events; a higher number is a forgery or a fault and would cost memory.
MOST_SEQUENCE: Final = 4_096


class Outcome(IntEnum):
    """What became of an event."""

    TAKEN = 0
    NOT_SHOWN = 1
    REPEATED = 2
    LATE = 3
    WRONG = 4


class Stage(IntEnum):
    """What a call is doing."""

    FLOW = 0
    WAITING = 1
    TALKING = 2
    ENDED = 3


@dataclass(slots=True)
class SeenCall:
    """A call as far as events told it. `seen` has bit n set when the event of sequence n was taken."""

    seen: int = 0
    sequence: int = 0
    stage: Stage = Stage.FLOW
    queue_id: str = ""
    ended_ms: int = 0
    is_counted: bool = False


@dataclass(slots=True)
class SeenAgent:
    """An agent as far as events told. Each half has the (moment, sequence) of its newest word."""

    state: str = "offline"
    since_ms: int = 0
    queue_id: str = ""
    state_at: tuple[int, int] = (0, 0)
    status: str = "offline"
    reason: str = ""
    status_at: tuple[int, int] = (0, 0)


class Ledger:
    """The sums of a queue, or of all queues together."""

    def __init__(self) -> None:
        self.windows = SlidingTotals(WINDOWS_SECONDS)
        self.book = QuarterBook()

    def add(self, at_ms: int, delta: Tally) -> None:
        """Count something that happened at a moment."""
        self.windows.add(at_ms // 1000, delta)
        self.book.add(at_ms, delta)


@dataclass(slots=True)
class QueueLive:
    """One queue."""

    line: WaitingLine = field(default_factory=WaitingLine)
    ledger: Ledger = field(default_factory=Ledger)


class TenantLive:
    """The live state of one tenant. `fold` is O(log n) an event; what is kept is bounded."""

    def __init__(self) -> None:
        self.now_ms = 0
        self.newest_ms = 0
        self.floor_ms = 0
        self.late = 0
        self.dropped_calls = 0
        self.changes = 0
        self.calls: dict[str, SeenCall] = {}
        self.stages = [0, 0, 0]
        self.ended: list[tuple[int, str]] = []
        self.agents: dict[str, SeenAgent] = {}
        self.queues: dict[str, QueueLive] = {}
        self.total = Ledger()
        self.calls_by_start = CallBook()
        self.waiting_trend = Trend(TREND_MINUTES)
        self.completeness = Completeness()

    def advance(self, now_ms: int) -> None:
        """Let platform time pass: windows slide, what is too old is forgotten. It never goes back."""
        if now_ms // 1000 > self.now_ms // 1000:
            for ledger in self._ledgers():
                ledger.windows.advance(now_ms // 1000)
        if now_ms // 60_000 > self.now_ms // 60_000:
            self._forget(now_ms)
        self.now_ms = max(self.now_ms, now_ms)

    def fold(self, event: Event, profile: Profile) -> Outcome:
        """Take one event."""
        kind = event.WhichOneof("body") or ""
        time_ms = event.time.seconds * 1000 + event.time.nanos // 1_000_000
        of_call = _OF_CALL.get(kind)
        if of_call is not None:
            outcome = self._fold_call(event, time_ms, getattr(event, kind), of_call, profile)
        elif kind in _OF_AGENT:
            outcome = Outcome.TAKEN if _OF_AGENT[kind](self, event, time_ms) else Outcome.REPEATED
        elif kind.startswith("switch_"):
            outcome = Outcome.TAKEN if self.completeness.take(event, kind, time_ms) else Outcome.REPEATED
        else:
            return Outcome.NOT_SHOWN
        if outcome is Outcome.TAKEN:
            self.changes += 1
            self.newest_ms = max(self.newest_ms, min(time_ms, self.now_ms + SKEW_MS))
        return outcome

    def queue(self, queue_id: str) -> QueueLive:
        """Return a queue; one that was not known begins empty."""
        queue = self.queues.get(queue_id)
        if queue is None:
            queue = self.queues[queue_id] = QueueLive()
            queue.ledger.windows.advance(self.now_ms // 1000)
        return queue

    def keeps(self, at_ms: int) -> bool:
        """Whether sums of that moment are still kept: a replay of old days leaves nothing behind."""
        return at_ms >= self.now_ms - KEPT_MS

    def agent(self, agent_id: str) -> SeenAgent:
        """Return an agent; one who was not known begins offline."""
        agent = self.agents.get(agent_id)
        if agent is None:
            agent = self.agents[agent_id] = SeenAgent()
        return agent

    def count_exit(self, queue_id: str, time_ms: int, delta: Tally) -> None:
        """Count for a queue and for the tenant."""
        if not self.keeps(time_ms):
            return
        self.queue(queue_id).ledger.add(time_ms, delta)
        self.total.add(time_ms, delta)

    def count_start(self, call: SeenCall, started_ms: int) -> None:
        """Count a call once, by whichever event tells its start first."""
        if not call.is_counted:
            call.is_counted = True
            if self.keeps(started_ms):
                self.calls_by_start.add(started_ms, "started")

    def to_stage(self, call_id: str, call: SeenCall, time_ms: int, stage: Stage, queue_id: str) -> None:
        """Bring a call to a stage; the trend of waiting callers follows."""
        before = self.stages[Stage.WAITING]
        self._count_stage(call, -1)
        if call.stage is Stage.WAITING:
            self.queue(call.queue_id).line.leave(call_id)
        call.stage, call.queue_id = stage, queue_id
        self._count_stage(call, 1)
        if stage is Stage.WAITING:
            self.queue(queue_id).line.join(call_id, time_ms)
        after = self.stages[Stage.WAITING]
        if before != after:
            self.waiting_trend.note(time_ms, before, after)

    def _fold_call(self, event: Event, time_ms: int, body: Any, of_call: "_OfCall", profile: Profile) -> Outcome:
        if not event.call_id or not 0 < event.sequence <= MOST_SEQUENCE:
            return Outcome.WRONG
        call = self.calls.get(event.call_id)
        if call is None:
            if time_ms <= self.floor_ms:
                self.late += 1
                return Outcome.LATE
            call = self._new_call(event.call_id)
        bit = 1 << event.sequence
        if call.seen & bit:
            return Outcome.REPEATED
        call.seen |= bit
        of_call(self, event.call_id, call, time_ms, body, profile)
        if event.sequence > call.sequence:
            call.sequence = event.sequence
            if call.stage is not Stage.ENDED:
                self.to_stage(event.call_id, call, time_ms, _stage_after(body), getattr(body, "queue_id", ""))
        return Outcome.TAKEN

    def _new_call(self, call_id: str) -> SeenCall:
        if len(self.calls) >= MOST_CALLS:
            self._make_room()
        call = self.calls[call_id] = SeenCall()
        self._count_stage(call, 1)
        return call

    def _count_stage(self, call: SeenCall, by: int) -> None:
        if call.stage is not Stage.ENDED:
            self.stages[call.stage] += by

    def _make_room(self) -> None:
        """Forget the call that ended first; where none has ended, the one that was heard of first, and say so."""
        if self.ended:
            self._forget_ended()
            return
        call_id = next(iter(self.calls))
        call = self.calls[call_id]
        self.to_stage(call_id, call, self.newest_ms, Stage.ENDED, "")
        del self.calls[call_id]
        self.dropped_calls += 1

    def _forget(self, now_ms: int) -> None:
        while self.ended and self.ended[0][0] < self.newest_ms - LATE_MS:
            self._forget_ended()
        for ledger in self._ledgers():
            ledger.book.forget_before(now_ms - KEPT_MS)
        self.calls_by_start.forget_before(now_ms - KEPT_MS)

    def _forget_ended(self) -> None:
        ended_ms, call_id = heapq.heappop(self.ended)
        self.floor_ms = max(self.floor_ms, ended_ms)
        self.calls.pop(call_id, None)

    def _ledgers(self) -> list[Ledger]:
        return [self.total, *(queue.ledger for queue in self.queues.values())]


_OfCall = Callable[[TenantLive, str, SeenCall, int, Any, Profile], None]


def _started(live: TenantLive, _call_id: str, call: SeenCall, time_ms: int, body: Any, _profile: Profile) -> None:
    if not body.callback_id:  # whom we call does not come in
        live.count_start(call, time_ms)


def _nothing(*_: object) -> None:
    """Change no sum: the stage alone follows."""


def _left(live: TenantLive, _call_id: str, _call: SeenCall, time_ms: int, body: Any, profile: Profile) -> None:
    is_in_time = profile.is_in_time(body.queue_id, body.wait_ms, told=body.within_service_level)
    live.count_exit(body.queue_id, time_ms, tally_of_exit(body, is_in_time=is_in_time))


def _ended(live: TenantLive, call_id: str, call: SeenCall, time_ms: int, body: Any, _profile: Profile) -> None:
    if call.ended_ms:
        return  # told twice under two numbers: the first word counts
    started_ms = body.started_at.ToMilliseconds() or time_ms
    if not body.callback_id:
        live.count_start(call, started_ms)
    if live.keeps(started_ms) and not body.callback_id:
        live.calls_by_start.add(started_ms, word_of(CallExit, body.exit))
    if body.HasField("answered_at"):
        live.count_exit(body.queue_id, time_ms, Tally(talks=1, talk_ms=body.talk_ms))
    live.to_stage(call_id, call, time_ms, Stage.ENDED, "")
    call.ended_ms = time_ms
    heapq.heappush(live.ended, (time_ms, call_id))


def word_of(enum: Any, value: int) -> str:
    """Return a value's word, CALL_EXIT_ABANDONED as `abandoned`; a value newer than this code is `unspecified`."""
    prefix = enum.Name(0).removesuffix("UNSPECIFIED")
    name = enum.Name(value) if value in enum.values() else enum.Name(0)
    return str(name.removeprefix(prefix).lower())


_OF_CALL: Final[dict[str, _OfCall]] = {
    "call_started": _started,
    "queue_joined": _nothing,
    "queue_left": _left,
    "call_answered": _nothing,
    "call_ended": _ended,
}
# What a call is doing after an event; of others it goes on in its flow.
_STAGES: Final = {"QueueJoined": Stage.WAITING, "CallAnswered": Stage.TALKING}


def _stage_after(body: Any) -> Stage:
    kind = type(body).__name__
    if kind == "QueueLeft" and body.exit == QueueExit.QUEUE_EXIT_ANSWERED:
        return Stage.TALKING
    return _STAGES.get(kind, Stage.FLOW)


def _status_changed(live: TenantLive, event: Event, time_ms: int) -> bool:
    body, at = event.agent_status_changed, (time_ms, event.sequence)
    agent = live.agent(body.agent_id)
    if at <= agent.status_at:
        return False
    agent.status_at = at
    agent.status, agent.reason = word_of(AgentStatus, body.status), body.reason
    return True


def _state_changed(live: TenantLive, event: Event, time_ms: int) -> bool:
    body, at = event.agent_state_changed, (time_ms, event.sequence)
    agent = live.agent(body.agent_id)
    if at <= agent.state_at:
        return False
    agent.state_at = at
    agent.state = word_of(AgentState, body.state)
    agent.since_ms, agent.queue_id = time_ms, body.queue_id
    return True


_OF_AGENT: Final[dict[str, Callable[[TenantLive, Event, int], bool]]] = {
    "agent_status_changed": _status_changed,
    "agent_state_changed": _state_changed,
}
