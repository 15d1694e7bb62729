"""Live numbers of one tenant, folded from its public events (SPEC 8.1).

The result depends on the set of events only, not on repeats or on their order: each call keeps which of its sequence
numbers were seen, what a call is doing now is said by its highest one, and sums are kept by the second of the event.
An event of a call that is not known is refused when it is older than everything that was forgotten, so a repeat that
comes after that cannot be counted again either.
"""

import heapq
from collections.abc import Callable
from enum import IntEnum
from typing import Any, Final

from services.shared.contracts.ringmaster.v1.event_pb2 import AgentState, CallExit, Event, QueueExit
from services.shared.contracts.ringmaster.v1.request_pb2 import AgentStatus
from services.stats.domain.completeness import Completeness
from services.stats.domain.exits import counted
from services.stats.domain.profile import Profile
from services.stats.domain.seen import MOST_NAME, Ledger, LineLive, QueueLive, SeenAgent, SeenCall, Stage
from services.stats.domain.tally import Tally, tally_of_exit
from services.stats.domain.windows import KEPT_MS, CallBook, Trend

TREND_MINUTES: Final = 60
# An ended call is remembered so long after the newest event; a late event within it still finds its call.
LATE_MS: Final = 15 * 60_000
# A call of which nobody has told anything for a day is over, and its end was lost: it is not "in progress" for ever.
SILENT_MS: Final = 24 * 3_600_000
# How far an event's clock may be ahead of ours before it stops moving time here.
SKEW_MS: Final = 60_000
MOST_CALLS: Final = 50_000
# A call tells some tens of events, thousands where a queue rings all its agents for half an hour; a higher number is a
# forgery or a fault and would cost memory: a bit for each.
MOST_SEQUENCE: Final = 65_536


class Outcome(IntEnum):
    """What became of an event."""

    TAKEN = 0
    NOT_SHOWN = 1
    REPEATED = 2
    LATE = 3
    WRONG = 4


class TenantLive:
    """The live state of one tenant. `fold` is O(log n) an event; what is kept is bounded."""

    def __init__(self) -> None:
        self.now_ms = 0
        self.newest_ms = 0
        self.floor_ms = 0
        self.late = 0
        self.dropped_calls = 0
        # The newest moment of which the sums lack something: an event that came too late, a call that was let go.
        self.lacks_ms = 0
        self.changes = 0
        self.calls: dict[str, SeenCall] = {}
        self.open_calls: dict[str, SeenCall] = {}
        self.stages = [0, 0, 0]
        self.ended: list[tuple[int, str]] = []
        self.agents: dict[str, SeenAgent] = {}
        self.queues: dict[str, QueueLive] = {}
        self.lines: dict[str, LineLive] = {}
        self.total = Ledger()
        self.calls_by_start = CallBook()
        self.waiting_trend = Trend(TREND_MINUTES)
        self.completeness = Completeness()

    def advance(self, now_ms: int) -> None:
        """Let platform time pass: windows slide, what is too old is forgotten. It never goes back."""
        if now_ms // 1000 > self.now_ms // 1000:
            for ledger in self._busy_ledgers():
                ledger.advance(now_ms)
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
            queue.ledger.advance(self.now_ms)
        return queue

    def line(self, number: str) -> LineLive:
        """Return a line; one that was not known begins empty."""
        line = self.lines.get(number)
        if line is None:
            line = self.lines[number] = LineLive()
            line.ledger.advance(self.now_ms)
        return line

    def keeps(self, at_ms: int) -> bool:
        """Whether sums of that moment are still kept: a replay of old days leaves nothing behind."""
        return at_ms >= self.now_ms - KEPT_MS

    def agent(self, agent_id: str) -> SeenAgent:
        """Return an agent; one who was not known begins offline."""
        agent = self.agents.get(agent_id)
        if agent is None:
            agent = self.agents[agent_id] = SeenAgent()
            agent.ledger.advance(self.now_ms)
        return agent

    def count_exit(self, queue_id: str, time_ms: int, delta: Tally) -> None:
        """Count for a queue and for the tenant."""
        if not self.keeps(time_ms):
            return
        self.queue(queue_id).ledger.add(time_ms, delta)
        self.total.add(time_ms, delta)

    def count_for_agent(self, agent_id: str, time_ms: int, delta: Tally) -> None:
        """Count for an agent; nobody is none."""
        if agent_id and self.keeps(time_ms):
            self.agent(agent_id).ledger.add(time_ms, delta)

    def count_start(self, call: SeenCall, number: str, started_ms: int) -> None:
        """Count a call once, by whichever event tells its start first."""
        if call.is_counted:
            return
        call.is_counted, call.line = True, number
        if call.stage is not Stage.ENDED:
            self.line(number).in_progress += 1
        self.count_call(number, started_ms, "started")

    def count_call(self, number: str, started_ms: int, what: str) -> None:
        """Count for the tenant and for the line: `started`, or the name of its exit."""
        if self.keeps(started_ms):
            self.calls_by_start.add(started_ms, what)
            self.line(number).calls.add(started_ms, what)

    def to_stage(self, call_id: str, call: SeenCall, time_ms: int, stage: Stage, queue_id: str) -> None:
        """Bring a call to a stage; the trend of waiting callers follows."""
        before = self.stages[Stage.WAITING]
        self._count_stage(call, -1)
        if call.stage is Stage.WAITING:
            self.queue(call.queue_id).line.leave(call_id)
        if stage is Stage.ENDED and call.stage is not Stage.ENDED:
            self._close(call_id, call)
        call.stage, call.queue_id, call.since_ms = stage, queue_id, time_ms
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
                self.lacks_ms = max(self.lacks_ms, time_ms)
                return Outcome.LATE
            call = self._new_call(event.call_id)
        bit = 1 << event.sequence
        if call.seen & bit:
            return Outcome.REPEATED
        call.seen |= bit
        of_call(self, event.call_id, call, time_ms, body, profile)
        if event.sequence > call.sequence and of_call is not _missed:
            call.sequence = event.sequence
            call.agent_id = getattr(body, "agent_id", "")
            if call.stage is not Stage.ENDED:
                self.to_stage(event.call_id, call, time_ms, _stage_after(body), getattr(body, "queue_id", ""))
        return Outcome.TAKEN

    def _new_call(self, call_id: str) -> SeenCall:
        if len(self.calls) >= MOST_CALLS:
            self._make_room()
        call = self.calls[call_id] = self.open_calls[call_id] = SeenCall()
        self._count_stage(call, 1)
        return call

    def _close(self, call_id: str, call: SeenCall) -> None:
        self.open_calls.pop(call_id, None)
        if call.is_counted:
            self.line(call.line).in_progress -= 1

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
        self._let_go()

    def _forget(self, now_ms: int) -> None:
        while self.ended and self.ended[0][0] < self.newest_ms - LATE_MS:
            self._forget_ended()
        self._end_silent()
        for ledger in [*self._busy_ledgers(), *self._quiet_ledgers()]:
            ledger.advance(now_ms)
            ledger.book.forget_before(now_ms - KEPT_MS)
        for book in [self.calls_by_start, *(line.calls for line in self.lines.values())]:
            book.forget_before(now_ms - KEPT_MS)
        for agent in self.agents.values():
            agent.shift.forget_before(now_ms - KEPT_MS)

    def _end_silent(self) -> None:
        """End what is silent for too long, and say so; where its end is told after all, it is counted then."""
        before_ms = self.newest_ms - SILENT_MS
        for call_id in [name for name, call in self.open_calls.items() if call.since_ms < before_ms]:
            self.to_stage(call_id, self.calls[call_id], self.newest_ms, Stage.ENDED, "")
            heapq.heappush(self.ended, (self.newest_ms, call_id))
            self._let_go()

    def _let_go(self) -> None:
        self.dropped_calls += 1
        self.lacks_ms = max(self.lacks_ms, self.newest_ms)

    def _forget_ended(self) -> None:
        ended_ms, call_id = heapq.heappop(self.ended)
        self.floor_ms = max(self.floor_ms, ended_ms)
        self.calls.pop(call_id, None)

    def _busy_ledgers(self) -> list[Ledger]:
        """Return those whose windows slide each second, so that a snapshot holds no more than they need."""
        return [self.total, *(queue.ledger for queue in self.queues.values())]

    def _quiet_ledgers(self) -> list[Ledger]:
        """Return those of agents and lines, which are many: they slide when they are looked at, and each minute."""
        agents = (agent.ledger for agent in self.agents.values())
        return [*agents, *(line.ledger for line in self.lines.values())]


_OfCall = Callable[[TenantLive, str, SeenCall, int, Any, Profile], None]


def _started(live: TenantLive, _call_id: str, call: SeenCall, time_ms: int, body: Any, _profile: Profile) -> None:
    call.caller = _caller_of(body)
    if not body.callback_id:  # whom we call does not come in
        live.count_start(call, body.line, time_ms)


def _nothing(*_: object) -> None:
    """Change no sum: the stage alone follows."""


def _joined(live: TenantLive, _call_id: str, _call: SeenCall, time_ms: int, body: Any, _profile: Profile) -> None:
    queue = live.queue(body.queue_id)
    queue.estimate = max(queue.estimate, (time_ms, body.estimated_wait_ms))


def _left(live: TenantLive, _call_id: str, _call: SeenCall, time_ms: int, body: Any, profile: Profile) -> None:
    is_in_time = profile.is_in_time(body.queue_id, body.wait_ms, told=body.within_service_level)
    delta = tally_of_exit(body, is_in_time=is_in_time)
    live.count_exit(body.queue_id, time_ms, delta)
    if delta.answered:
        live.count_for_agent(body.agent_id, time_ms, delta)


def _missed(live: TenantLive, _call_id: str, _call: SeenCall, time_ms: int, body: Any, _profile: Profile) -> None:
    """Count an offer that rang out; what the call is doing does not change."""
    live.count_for_agent(body.agent_id, time_ms, Tally(missed=1))


def _ended(live: TenantLive, call_id: str, call: SeenCall, time_ms: int, body: Any, _profile: Profile) -> None:
    if call.ended_ms:
        return  # told twice under two numbers: the first word counts
    started_ms = body.started_at.ToMilliseconds() or time_ms
    if not body.callback_id:
        live.count_start(call, body.line, started_ms)
        told = word_of(CallExit, body.exit)
        live.count_call(call.line, started_ms, counted(told, is_answered=body.HasField("answered_at")))
    if body.HasField("answered_at"):
        talk = Tally(talks=1, talk_ms=body.talk_ms)
        live.count_exit(body.queue_id, time_ms, talk)
        live.count_for_agent(body.agent_id, time_ms, talk)
    live.to_stage(call_id, call, time_ms, Stage.ENDED, "")
    call.ended_ms = time_ms
    heapq.heappush(live.ended, (time_ms, call_id))


def _caller_of(body: Any) -> tuple[str, str]:
    return body.caller.number[:MOST_NAME], body.caller.name[:MOST_NAME]


def word_of(enum: Any, value: int) -> str:
    """Return a value's word, CALL_EXIT_ABANDONED as `abandoned`; a value newer than this code is `unspecified`."""
    prefix = enum.Name(0).removesuffix("UNSPECIFIED")
    name = enum.Name(value) if value in enum.values() else enum.Name(0)
    return str(name.removeprefix(prefix).lower())


_OF_CALL: Final[dict[str, _OfCall]] = {
    "call_started": _started,
    "queue_joined": _joined,
    "queue_left": _left,
    "call_answered": _nothing,
    "offer_missed": _missed,
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
    agent.shift.note(time_ms, agent.state)
    return True


def _wrapped_up(live: TenantLive, event: Event, time_ms: int) -> bool:
    body, at = event.agent_wrapup_ended, (time_ms, event.sequence)
    agent = live.agent(body.agent_id)
    if at <= agent.wrapped_at:
        return False
    agent.wrapped_at = at
    delta = Tally(wrap_ups=1, wrap_up_ms=body.duration_ms)
    live.count_exit(body.queue_id, time_ms, delta)
    live.count_for_agent(body.agent_id, time_ms, delta)
    return True


_OF_AGENT: Final[dict[str, Callable[[TenantLive, Event, int], bool]]] = {
    "agent_status_changed": _status_changed,
    "agent_state_changed": _state_changed,
    "agent_wrapup_ended": _wrapped_up,
}
