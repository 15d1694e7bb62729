"""Lost calls, answers, withdrawals and repetitions in any order: what must hold of callbacks nevertheless (SPEC 4)."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, rule

from services.router.domain.model import Call, LegRole
from services.router.domain.strategies import STRATEGIES
from services.shared.contracts.ringmaster.v1 import request_pb2 as rq
from services.shared.contracts.ringmaster.v1 import switch_pb2 as sw
from services.shared.contracts.ringmaster.v1 import tenant_pb2 as tn
from services.shared.contracts.ringmaster.v1.input_pb2 import Input
from tests.unit.router.test_machine import Routing
from tests.unit.router.watched import WatchedLog, enriched
from tests.unit.router.world import LINE, TENANT, document

if TYPE_CHECKING:
    from services.router.domain.decide import Outputs
    from services.shared.contracts.ringmaster.v1.event_pb2 import Event

ATTEMPTS = 2
BLACK = "+380501112235"
ENDS = ("callback_succeeded", "callback_cancelled", "callback_expired")
NUMBERS = st.sampled_from(["+380671112233", "0501112232", "+380501112233", "+380501112234", BLACK, "+12125550123"])
ALL_LOSSES = (tn.LOST_CALL_ABANDONED, tn.LOST_CALL_SHORT_ABANDONED, tn.LOST_CALL_TIMEOUT, tn.LOST_CALL_NO_AGENT)
DAYS = [1, 2, 3, 4, 5, 6, 7]


class CallingLog(WatchedLog):
    """A log that holds each dial to the policy, by the document in force and the clock alone."""

    def __init__(self, first: tn.TenantDocument) -> None:
        self.is_strict = False
        self.dialled: Counter[str] = Counter()
        super().__init__(first)

    def feed(self, given: Input) -> "Outputs":
        out = super().feed(given)
        for command in out.commands:
            number, call = command.originate_leg.number, self.state.calls.get(command.call_id)
            if number and call is not None and call.callback_id and command.leg_id == command.call_id:
                assert number != BLACK
                assert number.startswith("+380"), "a prefix that is not allowed"
                assert self._is_allowed_now(), "a customer is rung outside the hours"
        for event in out.events:
            if event.WhichOneof("body") == "callback_attempted":
                self.dialled[event.callback_attempted.callback_id] += 1
        return out

    def _is_allowed_now(self) -> bool:
        local = datetime.fromtimestamp(self.now_ms / 1000, UTC).astimezone(ZoneInfo("Europe/Kyiv"))
        return not self.is_strict or 9 <= local.hour < 18


class CallingBack(Routing):
    """Everything that may happen to callers and agents, and lost callers who are called back."""

    @initialize(
        is_rich=st.booleans(),
        strategy=st.sampled_from(sorted(STRATEGIES)),
        order=st.sampled_from([tn.CALLBACK_ORDER_AGENT_FIRST, tn.CALLBACK_ORDER_CUSTOMER_FIRST]),
        is_strict=st.booleans(),
    )
    def begin(
        self,
        strategy: "tn.Strategy.ValueType",
        order: "tn.CallbackOrder.ValueType",
        *,
        is_rich: bool,
        is_strict: bool,
    ) -> None:
        self.strategy, self.is_rich, self.order, self.is_strict = strategy, is_rich, order, is_strict
        self.calling = self.log = CallingLog(self._document(1))
        self.calling.is_strict = is_strict
        self.arrived: set[str] = set()
        self.log.ready("olena", "taras")

    def _is_fresh(self, call_id: str) -> bool:
        """Whether nobody came under this id before: here so much time passes that ended calls are forgotten."""
        is_fresh = call_id not in self.arrived
        self.arrived.add(call_id)
        return is_fresh

    def _document(self, version: int) -> tn.TenantDocument:
        made = document(version=version, strategy=self.strategy)
        made = enriched(made) if self.is_rich else made
        made.limits.allowed_prefixes.append("+380")
        made.limits.concurrent_calls = 0
        made.lists.add(list_id="black", numbers=[BLACK])
        made.closed_callbacks.add(line=LINE, queue_id="sales")
        offer = made.flows[0].steps.add(step_id="offer", callback=tn.CallbackStep(queue_id="sales", prompts=["offer"]))
        offer.exits["requested"] = offer.exits["declined"] = "bye"
        made.queues[0].exit_keys = "9"
        next(step for step in made.flows[0].steps if step.step_id == "wait").exits["9"] = "offer"
        for queue in made.queues:
            policy = queue.callbacks
            policy.after.extend(ALL_LOSSES)
            policy.order, policy.attempts, policy.gap_seconds, policy.busy_gap_seconds = self.order, ATTEMPTS, 20, 5
            policy.ring_timeout_seconds, policy.expires_seconds, policy.first_after_seconds = 15, 86_400, 1
            policy.priority = -3
            policy.black_lists.append("black")
            if self.is_strict:
                hours = policy.hours.add(days=DAYS, until="18:00")
                setattr(hours, "from", "09:00")
        return made

    @rule(hours=st.sampled_from([3, 9, 25]), chance=st.integers(0, 3))
    def much_time_passes(self, hours: int, chance: int) -> None:
        if not chance:
            self.log.wait(timedelta(hours=hours).total_seconds())

    @rule(data=st.data(), what=st.sampled_from(["answers", "answers", "parks", "rings", "busy", "silent", "bridges"]))
    def a_called_customer_does_something(self, data: st.DataObject, what: str) -> None:
        legs = [
            leg
            for leg in self.log.state.legs.values()
            if leg.role is LegRole.CUSTOMER and self.log.state.calls[leg.call_id].callback_id
        ]
        if not legs:
            return
        leg = data.draw(st.sampled_from(legs))
        if what == "answers":
            self.log.fact(leg.leg_id, leg.call_id, leg_answered=sw.LegAnswered())
        elif what == "parks":
            self.log.fact(leg.leg_id, leg.call_id, leg_parked=sw.LegParked())
        elif what == "rings":
            self.log.fact(leg.leg_id, leg.call_id, leg_progressed=sw.LegProgressed())
        elif what == "bridges":
            other = self.log.state.calls[leg.call_id].other_leg_id
            self.log.fact(leg.leg_id, leg.call_id, leg_bridged=sw.LegBridged(other_leg_id=other))
        else:
            self.log.hangs_up(leg.leg_id, "USER_BUSY" if what == "busy" else "NO_ANSWER")

    @rule(
        number=NUMBERS,
        is_taken=st.booleans(),
        what=st.sampled_from(["answers", "answers", "busy", "silent", "nothing", "agent leaves", "calls in"]),
    )
    def a_callback_goes_its_way(self, number: str, what: str, *, is_taken: bool) -> None:
        """Ask, wait for an agent and let the customer do something, as it mostly goes."""
        self.somebody_asks_for_a_callback(number, "sales", 0)
        self.log.ready("olena", "taras", "ivan")
        self.log.wait(1)
        state = self.log.state
        offers = [offer for offer in state.offers.values() if state.calls[offer.call_id].callback_id]
        # Customer first, the agent's leg is not there yet: no switch tells of it.
        for offer in [offer for offer in offers if is_taken and offer.leg_id in state.legs]:
            self.log.fact(offer.leg_id, offer.call_id, leg_progressed=sw.LegProgressed())
            self.log.fact(offer.leg_id, offer.call_id, leg_answered=sw.LegAnswered())
        self._react([call for call in state.calls.values() if call.stage == "calling"], what)

    def _react(self, dialled: list[Call], what: str) -> None:
        for call in dialled:
            other = call.other_leg_id or next(iter(call.offers), "")
            if what == "answers":
                self.log.fact(call.call_id, call.call_id, leg_answered=sw.LegAnswered())
                if call.other_leg_id:
                    self.log.fact(call.call_id, leg_bridged=sw.LegBridged(other_leg_id=call.other_leg_id))
            elif what in ("busy", "silent"):
                self.log.hangs_up(call.call_id, "USER_BUSY" if what == "busy" else "NO_ANSWER")
            elif what == "agent leaves" and other in self.log.state.legs:
                self.log.hangs_up(other)
            elif what == "calls in":
                self.log.arrive(f"in-{len(self.log.inputs)}", call.caller_number)

    @rule(data=st.data())
    def a_caller_asks_for_it(self, data: st.DataObject) -> None:
        steps = [call for call in self.log.state.calls.values() if call.step_type == "callback"]
        if steps:
            self.log.press(data.draw(st.sampled_from(steps)).call_id, "1")

    @rule(number=NUMBERS, queue_id=st.sampled_from(["sales", "second"]), later=st.sampled_from([0, 60, 4_000]))
    def somebody_asks_for_a_callback(self, number: str, queue_id: str, later: int) -> None:
        asked = rq.AskCallback(queue_id=queue_id, number=number, due_ms=self.log.now_ms + later * 1000)
        self.log.request(f"r{len(self.log.inputs)}", ask_callback=asked)

    @rule(data=st.data(), is_moved=st.booleans())
    def somebody_withdraws_or_moves_one(self, data: st.DataObject, *, is_moved: bool) -> None:
        tasks = list(self.log.state.callbacks)
        if not tasks:
            return
        callback_id, request_id = data.draw(st.sampled_from(tasks)), f"r{len(self.log.inputs)}"
        if is_moved:
            moved = rq.RescheduleCallback(callback_id=callback_id, due_ms=self.log.now_ms + 30_000)
            self.log.request(request_id, reschedule_callback=moved)
        else:
            self.log.request(request_id, cancel_callback=rq.CancelCallback(callback_id=callback_id))

    @rule()
    def the_last_inputs_come_again(self) -> None:
        for _, given in self.log.inputs[-3:]:
            if given.WhichOneof("input") == "timer":
                self.log.feed(given)

    @invariant()
    def a_number_and_queue_has_at_most_one_open_task(self) -> None:
        state = self.log.state
        places = Counter((task.number, task.queue_id) for task in state.callbacks.values())
        assert all(count == 1 for count in places.values())
        listed = sorted(callback_id for tasks in state.callbacks_of.values() for callback_id in tasks)
        assert listed == sorted(state.callbacks)

    @invariant()
    def no_customer_is_dialled_oftener_than_allowed(self) -> None:
        assert all(count <= ATTEMPTS for count in self.calling.dialled.values())

    @invariant()
    def a_task_has_one_call_and_a_call_without_customer_one_task(self) -> None:
        state = self.log.state
        owners = Counter(task.call_id for task in state.callbacks.values() if task.call_id)
        assert all(count == 1 for count in owners.values())
        assert set(owners) <= set(state.calls)
        absent = {call.call_id for call in state.calls.values() if call.is_absent}
        assert absent == state.absent
        assert {call_id for call_id in absent if state.calls[call_id].stage != "ending"} <= set(owners)

    @invariant()
    def an_open_task_comes_back(self) -> None:
        state = self.log.state
        for callback_id, task in state.callbacks.items():
            assert f"callback_end:{callback_id}" in state.timers
            assert task.call_id or task.lines or f"callback:{callback_id}" in state.timers
            assert set(task.lines) <= set(state.calls)

    def teardown(self) -> None:
        if not hasattr(self, "log"):
            return
        for callback_id in list(self.log.state.callbacks):
            request_id = f"r{len(self.log.inputs)}"
            self.log.request(request_id, cancel_callback=rq.CancelCallback(callback_id=callback_id))
        newer = self._document(self.log.state.version + 1)
        for queue in newer.queues:
            del queue.callbacks.after[:]
        del newer.closed_callbacks[:]
        self.log.feed(Input(tenant_id=TENANT, document=newer))
        for call_id in list(self.log.state.calls):
            self.log.hangs_up(call_id)
        for callback_id in list(self.log.state.callbacks):
            request_id = f"r{len(self.log.inputs)}"
            self.log.request(request_id, cancel_callback=rq.CancelCallback(callback_id=callback_id))
        super().teardown()
        self._every_task_and_attempt_ended_once()

    def _every_task_and_attempt_ended_once(self) -> None:
        assert self.log.state.callbacks == {}
        made = Counter(_id_of(event) for event in self.log.events("callback_requested"))
        ended = Counter(_id_of(event) for event in self.log.all_events() if event.WhichOneof("body") in ENDS)
        ended += Counter(_id_of(event) for event in self.log.events("callback_failed") if event.callback_failed.final)
        assert ended == made
        dialled = {event.call_id for event in self.log.events("callback_attempted")}
        assert dialled <= {event.call_id for event in self.log.events("call_ended")}


def _id_of(event: "Event") -> str:
    return str(getattr(event, event.WhichOneof("body") or "").callback_id)


TestCallingBack = CallingBack.TestCase
TestCallingBack.settings = settings(max_examples=30, stateful_step_count=60, deadline=None)
