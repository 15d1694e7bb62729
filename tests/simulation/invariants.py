"""What must hold after every input, whatever happens: stated here once, checked by what the input touched (SPEC 3).

The checker follows the public events and holds them against its own books. Who may serve whom it reads from the
tenant's document and the clock, not from the core's indexes. Of the core's records it takes only what no event tells.
"""

from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

from services.router.domain.decide import Outputs
from services.router.domain.lifecycle import CallStage
from services.router.domain.model import Call
from services.router.domain.state import TenantState
from services.router.domain.turn import SetTimer
from services.shared.contracts.ringmaster.v1 import event_pb2 as ev
from services.shared.contracts.ringmaster.v1 import request_pb2 as rq
from services.shared.contracts.ringmaster.v1 import tenant_pb2 as tn
from services.shared.contracts.ringmaster.v1.event_pb2 import Event
from services.shared.contracts.ringmaster.v1.input_pb2 import Input
from tests.simulation.rules import Rules, TurnInOrder

OFFER_ENDS = (
    "offer_accepted",
    "offer_rejected",
    "offer_missed",
    "offer_cancelled",
    "offer_lost_race",
    "offer_failed",
)
CALLBACK_RESTS = ("callback_succeeded", "callback_failed", "callback_cancelled", "callback_expired")
AFTER_THE_END = {"recording_stopped", "form_answered"}
SHORTEST_SILENCE_MS = 5_000
"""No switch owes an answer sooner: shorter than any phone of a tenant here rings."""
ON_CALL = {ev.AGENT_STATE_TALKING, ev.AGENT_STATE_HOLDING}


class Broken(AssertionError):
    """An invariant does not hold."""

    def __init__(self, invariant: str, how: str) -> None:
        super().__init__(f"{invariant}: {how}")
        self.invariant, self.how = invariant, how

    def __reduce__(self) -> "tuple[type[Broken], tuple[str, str], dict[str, Any]]":
        """Let it pass from the process that found it: what can't be read there looks like the end of the process."""
        return Broken, (self.invariant, self.how), {"__notes__": getattr(self, "__notes__", [])}


class Invariants:
    """One tenant's books."""

    def __init__(self, state: TenantState) -> None:
        self._state = state
        self._rules = Rules()
        self.offers: dict[str, tuple[str, str]] = {}
        """Offer → call and agent."""
        self.offered_to: dict[str, str] = {}
        self.on_call: dict[str, str] = {}
        self.idle: set[str] = set()
        self.logged_in: set[str] = set()
        self.live: set[str] = set()
        self.ended: set[str] = set()
        self.answered: set[str] = set()
        self.waiting: dict[str, str] = {}
        """Caller → queue."""
        self.campaign_tasks: set[str] = set()
        self.dialled: set[str] = set()
        """Customers of campaigns who are called, or were reached and wait."""
        self.sequences: dict[str, int] = {}
        self.heard_ms: dict[str, int] = {}
        """Switch → when it last told something of a leg, or what became of an order."""
        self.counts: Counter[str] = Counter()
        self.asked: set[str] = set()
        self.replied: set[str] = set()
        self._made: list[Event] = []
        self._touched_agents: set[str] = set()
        self._touched_calls: set[str] = set()

    def see(self, now_ms: int, given: Input, out: Outputs) -> None:
        """Check one input and what followed from it. Raises Broken."""
        self._made = []
        self._touched_agents.clear()
        self._hear(now_ms, given)
        self._touched_calls.clear()
        if given.HasField("document"):
            self._rules.take(given.document)
        for event in out.events:
            self._follow(event)
        self._replies_are_one_each(given, out)
        for command in out.commands:
            if command.tenant_id != self._state.tenant_id:
                raise Broken("no call crosses tenants", f"command {command.command_id} is {command.tenant_id}'s")
        self._timers_have_owners(out)
        self._campaigns_count(self._state)
        is_wide = given.HasField("timer") or given.HasField("document") or bool(self._touched_agents)
        self._touched_calls.update((given.fact.leg_id, given.fact.call_id, given.command_result.call_id))
        self._nobody_waits_in_vain(now_ms, self.waiting if is_wide else self._touched_calls & self.waiting.keys())
        for event in self._made:
            self._order_holds(now_ms, event)

    def empty(self) -> None:
        """Check that nothing is left after everybody went home. Raises Broken."""
        state = self._state
        if self.asked != self.replied:
            raise Broken("each request gets one reply", f"none: {self.asked ^ self.replied}")
        if self.offers or state.offers:
            raise Broken("every reservation ends", f"left: {self.offers or state.offers}")
        if self.live or self.waiting or state.calls:
            raise Broken("every call ends in exactly one exit", f"left: {self.live or self.waiting or state.calls}")
        entries = [entry for index in state.indexes.values() for entry in (*index.waiting, *index.opened())]
        if state.timers or state.legs or entries or state.calls_of_version or state.metered:
            left = [*state.timers, *state.legs, *state.metered, *entries, *state.calls_of_version]
            raise Broken("timers and records never leak", f"left: {left}")

    # -- the books

    def _hear(self, now_ms: int, given: Input) -> None:
        node = given.fact.node if given.fact.leg_id else given.command_result.node
        if node:
            self.heard_ms[node] = now_ms
        for mute in self._state.mute:
            self.counts["inputs while a switch was mute"] += 1
            if now_ms - self.heard_ms[mute] < SHORTEST_SILENCE_MS:
                raise Broken(
                    "no caller waits while a matching agent is idle", f"{mute} speaks, its callers are withheld"
                )

    def _replies_are_one_each(self, given: Input, out: Outputs) -> None:
        if given.request.request_id:
            self.asked.add(given.request.request_id)
        for reply in out.replies:
            if reply.request_id in self.replied:
                raise Broken("each request gets one reply", f"another one to {reply.request_id}: {reply.problem}")
            self.replied.add(reply.request_id)
            self.counts["accepted" if reply.accepted else f"refused {reply.problem}"] += 1

    def _follow(self, event: Event) -> None:
        kind = event.WhichOneof("body") or ""
        self.counts[kind] += 1
        if event.tenant_id != self._state.tenant_id:
            raise Broken("no call crosses tenants", f"{kind} is told to {event.tenant_id}")
        expected = self.sequences.get(event.subject, 0) + 1
        if event.sequence != expected:
            raise Broken("events are counted", f"{kind} of {event.subject} is {event.sequence}, not {expected}")
        self.sequences[event.subject] = expected
        if event.call_id:
            self._touched_calls.add(event.call_id)
            if event.call_id in self.ended and kind not in AFTER_THE_END:
                raise Broken("every call ends in exactly one exit", f"{kind} after the end of {event.call_id}")
        follow = _FOLLOW.get(kind)
        if follow is not None:
            follow(self, event)

    def _started(self, event: Event) -> None:
        self.live.add(event.call_id)

    def _ended(self, event: Event) -> None:
        call_id = event.call_id
        if call_id not in self.live or event.call_ended.exit == ev.CALL_EXIT_UNSPECIFIED:
            raise Broken("every call ends in exactly one exit", f"{call_id} by {event.call_ended.exit}")
        if call_id in self.waiting:
            raise Broken("every call ends in exactly one exit", f"{call_id} ends while it waits")
        if call_id in self.answered and event.call_ended.exit != ev.CALL_EXIT_ANSWERED:
            raise Broken("whom an agent served was answered", f"{call_id} ends by {event.call_ended.exit}")
        self.live.discard(call_id)
        self.ended.add(call_id)
        kept = [kind for kind in _CALL_TIMERS if f"{kind}:{call_id}" in self._state.timers]
        if kept:
            raise Broken("timers and records never leak", f"{call_id} ended, its timers did not: {kept}")
        self.counts[f"exit {ev.CallExit.Name(event.call_ended.exit).removeprefix('CALL_EXIT_').lower()}"] += 1

    def _joined(self, event: Event) -> None:
        if event.call_id in self.waiting:
            raise Broken("a caller waits in one queue", f"{event.call_id} joins twice")
        self.waiting[event.call_id] = event.queue_joined.queue_id

    def _left(self, event: Event) -> None:
        left = event.queue_left
        if self.waiting.pop(event.call_id, "") != left.queue_id:
            raise Broken("a caller waits in one queue", f"{event.call_id} leaves where it does not wait")
        if left.exit == ev.QUEUE_EXIT_ANSWERED:
            self._talks(event, left.agent_id)

    def _offered(self, event: Event) -> None:
        offer = event.offer_created
        if offer.agent_id in self.offered_to or offer.agent_id in self.on_call:
            raise Broken("an agent holds one offer and one call", f"{offer.agent_id} is asked for {event.call_id}")
        self.offers[offer.offer_id] = event.call_id, offer.agent_id
        self.offered_to[offer.agent_id] = offer.offer_id
        self._made.append(event)
        call = self._state.calls.get(event.call_id)
        if call is not None and call.is_waiting and self._is_mute(call):
            raise Broken("no agent is kept for a switch that says nothing", f"{offer.agent_id} for {event.call_id}")

    def _offer_over(self, event: Event) -> None:
        body = getattr(event, event.WhichOneof("body") or "")
        if self.offers.pop(body.offer_id, None) != (event.call_id, body.agent_id):
            raise Broken("every reservation ends", f"{body.offer_id} ends twice, or never began")
        del self.offered_to[body.agent_id]
        if f"ring:{body.offer_id}" in self._state.timers:
            raise Broken("timers and records never leak", f"offer {body.offer_id} ended, its timer did not")

    def _answered(self, event: Event) -> None:
        if event.call_id in self.answered:
            raise Broken("a call is answered once", f"{event.call_id} by {event.call_answered.agent_id} again")
        self.answered.add(event.call_id)
        self._talks(event, event.call_answered.agent_id)

    def _transferred(self, event: Event) -> None:
        if event.call_transferred.to_agent_id:
            self._talks(event, event.call_transferred.to_agent_id)

    def _talks(self, event: Event, agent_id: str) -> None:
        former = self.on_call.get(agent_id, event.call_id)
        if former != event.call_id:
            raise Broken("an agent holds one offer and one call", f"{agent_id} talks on {former} and {event.call_id}")
        self.on_call[agent_id] = event.call_id

    def _agent_moved(self, event: Event) -> None:
        moved = event.agent_state_changed
        self._touched_agents.add(moved.agent_id)
        if moved.state == ev.AGENT_STATE_IDLE:
            self.idle.add(moved.agent_id)
        else:
            self.idle.discard(moved.agent_id)
        if moved.state not in ON_CALL:
            self.on_call.pop(moved.agent_id, None)

    def _agent_chose(self, event: Event) -> None:
        chose = event.agent_status_changed
        self._touched_agents.add(chose.agent_id)
        if chose.status == rq.AGENT_STATUS_OFFLINE:
            self.logged_in.discard(chose.agent_id)
        else:
            self.logged_in.add(chose.agent_id)

    def _task_made(self, event: Event) -> None:
        if event.callback_requested.reason == "campaign":
            self.campaign_tasks.add(event.callback_requested.callback_id)

    def _task_dialled(self, event: Event) -> None:
        """A tenant here has one line, so all its campaigns dial under it."""
        callback_id, most = event.callback_attempted.callback_id, self._rules.most_dials
        if callback_id not in self.campaign_tasks:
            return
        self.dialled.add(callback_id)
        if 0 < most < len(self.dialled):
            raise Broken("a line dials as many customers as it may", f"{len(self.dialled)}, {most} may be")

    def _task_rests(self, event: Event) -> None:
        self.dialled.discard(getattr(event, event.WhichOneof("body") or "").callback_id)

    # -- what holds between agents and callers

    def _nobody_waits_in_vain(self, now_ms: int, callers: Iterable[str]) -> None:
        if not self.idle:
            return
        for call_id in callers:
            self._everybody_rings(now_ms, call_id)
            call = self._open(call_id)
            if call is None:
                continue
            for agent_id in self.idle:
                if self._may_serve(now_ms, agent_id, call):
                    raise Broken("no caller waits while a matching agent is idle", f"{call_id} could have {agent_id}")

    def _everybody_rings(self, now_ms: int, call_id: str) -> None:
        """Whoever is ready of the level that rings by ring_all, or of a lower one, rings too, unless it has refused."""
        call = self._state.calls.get(call_id)
        queue = self._rules.queues.get(call.queue_id) if call is not None else None
        if call is None or queue is None or queue.queue.strategy != tn.STRATEGY_RING_ALL or not call.is_waiting:
            return
        if call.stage is not CallStage.WAITING or self._is_mute(call):
            return
        levels = [queue.places.get(self.offers[offer_id][1], 0) for offer_id in call.offers]
        for agent_id in self.idle - call.refused.keys():
            if levels and queue.places.get(agent_id, 99) <= max(levels) and self._may_serve(now_ms, agent_id, call):
                raise Broken("all ready agents of the level ring", f"{agent_id} does not ring for {call_id}")

    def _order_holds(self, now_ms: int, event: Event) -> None:
        """Whoever got an agent came before all who could have had the same agent and still wait (SPEC 3.3)."""
        offer = event.offer_created
        call = self._state.calls.get(event.call_id)
        if call is None or offer.offer_id not in self.offers or call.queue_id not in self._rules.queues:
            return
        others = [
            other
            for other in map(self._open, self.waiting)
            if other is not None and other is not call and self._may_serve(now_ms, offer.agent_id, other)
        ]
        if not others:
            return
        is_by_due = offer.agent_id in self._rules.by_due
        mine = self._turn(now_ms, call, is_by_due=is_by_due)
        for other in others:
            if self._turn(now_ms, other, is_by_due=is_by_due) < mine:
                raise Broken("callers are served in their order", f"{call.call_id} before {other.call_id}")

    def _open(self, call_id: str) -> Call | None:
        """Return a caller who waits and is offered nobody, and whose switch does not owe an answer."""
        call = self._state.calls.get(call_id)
        if call is None or not call.is_waiting or call.offers or call.stage is not CallStage.WAITING:
            return None
        return call if not self._is_mute(call) else None

    def _is_mute(self, call: Call) -> bool:
        return call.node in self._state.mute

    def _may_serve(self, now_ms: int, agent_id: str, call: Call) -> bool:
        """Whether an agent may be asked: now, and a millisecond ago (a timer of this very moment may be still due)."""
        until = call.refused.get(agent_id)
        if until is not None and not 0 < until < now_ms:
            return False
        queue = self._rules.queues.get(call.queue_id)
        if queue is None or agent_id not in queue.places:
            return False
        waited_ms = now_ms - call.joined_ms
        may = queue.may_serve
        return all(
            may(agent_id, call.skills, waited, self.logged_in, call.last_agent_id)
            for waited in (waited_ms, waited_ms - 1)
        )

    def _turn(self, now_ms: int, call: Call, *, is_by_due: bool) -> TurnInOrder:
        queue = self._rules.queues[call.queue_id]
        return queue.turn_of(now_ms, call.priority, call.entered_ms, call.entered_order, is_by_due=is_by_due)

    def _campaigns_count(self, state: TenantState) -> None:
        if not state.campaigns:
            return
        counted = Counter(task.campaign_id for task in state.callbacks.values())
        for run in state.campaigns.values():
            if run.open != counted[run.campaign_id]:
                how = f"{run.campaign_id} counts {run.open}, there are {counted[run.campaign_id]}"
                raise Broken("campaigns count their open tasks", how)

    def _timers_have_owners(self, out: Outputs) -> None:
        state = self._state
        for timer in out.timers:
            if not isinstance(timer, SetTimer) or timer.timer_id not in state.timers:
                continue
            kind, _, subject = timer.timer_id.partition(":")
            owners = _OWNERS.get(kind, "calls")
            if subject.rpartition("/")[2] not in getattr(state, owners):  # of a boot its switch is the owner
                raise Broken("timers and records never leak", f"{timer.timer_id} belongs to nobody")


_CALL_TIMERS = (
    "lease",
    "step",
    "wait",
    "retry",
    "widen",
    "progress",
    "announce",
    "overflow",
    "bridge",
    "unbridged",
    "end",
    "transfer",
    "dial",
)
_OWNERS = {
    "ring": "offers",
    "gone": "legs",
    "wrap": "agents",
    "reach": "agents",
    "callback": "callbacks",
    "callback_end": "callbacks",
    "pace": "campaigns",
    "switch": "heard",
    "boot": "heard",
}
"""Kind of timer → the records that have such; all others belong to calls."""
_FOLLOW: dict[str, Callable[[Invariants, Event], None]] = {
    "call_started": Invariants._started,
    "call_ended": Invariants._ended,
    "call_answered": Invariants._answered,
    "call_transferred": Invariants._transferred,
    "queue_joined": Invariants._joined,
    "queue_left": Invariants._left,
    "offer_created": Invariants._offered,
    "agent_state_changed": Invariants._agent_moved,
    "agent_status_changed": Invariants._agent_chose,
    "callback_requested": Invariants._task_made,
    "callback_attempted": Invariants._task_dialled,
    **dict.fromkeys(CALLBACK_RESTS, Invariants._task_rests),
    **dict.fromkeys(OFFER_ENDS, Invariants._offer_over),
}
