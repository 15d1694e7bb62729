"""Anything may happen in any order: what must hold nevertheless."""

from collections import Counter
from typing import Any

import orjson
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from services.router.domain.decide import Outputs, decide
from services.router.domain.lifecycle import AgentState, CallStage
from services.router.domain.matching import choose
from services.router.domain.model import LegRole
from services.router.domain.snapshot import from_snapshot, to_snapshot
from services.router.domain.state import TenantState
from services.router.domain.strategies import STRATEGIES
from services.router.domain.turn import Position
from services.shared.contracts.ringmaster.v1 import command_pb2 as cm
from services.shared.contracts.ringmaster.v1 import event_pb2 as ev
from services.shared.contracts.ringmaster.v1 import request_pb2 as rq
from services.shared.contracts.ringmaster.v1 import switch_pb2 as sw
from services.shared.contracts.ringmaster.v1 import tenant_pb2 as tn
from services.shared.contracts.ringmaster.v1.input_pb2 import Input
from tests.unit.router.watched import WatchedLog, enriched, may_serve
from tests.unit.router.world import AGENTS, START_MS, TENANT, document

CALLS = st.sampled_from([f"c{number}" for number in range(1, 9)])
CAUSES = st.sampled_from(["NORMAL_CLEARING", "USER_BUSY", "NO_ANSWER", "CALL_REJECTED", "NORMAL_TEMPORARY_FAILURE"])
OFFER_ENDS = frozenset(
    {
        "offer_accepted",
        "offer_rejected",
        "offer_missed",
        "offer_cancelled",
        "offer_lost_race",
        "offer_failed",
    }
)
HEARD = frozenset({CallStage.TALKING, CallStage.TRANSFERRING})
BUSY = frozenset({AgentState.RESERVED, AgentState.RINGING, AgentState.TALKING, AgentState.HOLDING})


def _bytes(outputs: Outputs) -> list[object]:
    messages = [*outputs.commands, *outputs.events, *outputs.replies]
    return [
        *(message.SerializeToString(deterministic=True) for message in messages),
        *map(repr, [*outputs.timers, *outputs.lookups]),
    ]


def test_an_offer_by_name_is_held_to_no_order() -> None:
    """Found by chance: the watcher looked for the queue of a call that is in none."""
    log = WatchedLog(document())
    log.ready("ivan")
    log.queue("c1")
    log.hangs_up(log.rings("c1").leg_id, "NO_ANSWER")
    log.now_ms += 10_001  # ivan may be asked again, and the timer that says so has not come
    log.arrive("c2")
    log.press("c2", "5")
    assert [offer.call_id for offer in log.state.offers.values()] == ["c2"]


class Routing(RuleBasedStateMachine):
    """Callers, agents, phones, results, timers and documents in any order, also nonsensical ones."""

    def __init__(self) -> None:
        super().__init__()
        self.came: set[str] = set()

    @initialize(is_rich=st.booleans(), strategy=st.sampled_from(sorted(STRATEGIES)))
    def begin(self, strategy: "tn.Strategy.ValueType", *, is_rich: bool) -> None:
        self.strategy = strategy
        self.is_rich = is_rich
        self.log = WatchedLog(self._document(1))
        self.log.ready("olena", "taras")

    def _document(self, version: int) -> tn.TenantDocument:
        made = document(version=version, strategy=self.strategy)
        return enriched(made) if self.is_rich else made

    @rule(call_id=CALLS, is_vip=st.booleans(), digit=st.sampled_from([*"11111", *"23556", ""]))
    def caller_arrives(self, call_id: str, digit: str, *, is_vip: bool) -> None:
        if call_id in self.came:
            return  # no switch gives an id twice: once the core has forgotten a call, its id would be a new one
        self.came.add(call_id)
        self.log.arrive(call_id, "+380671112233" if is_vip else f"+38050111223{call_id[1:]}")
        if self.log.state.calls[call_id].step_type == "menu":
            self.log.press(call_id, digit)

    @rule(call_id=CALLS, reconciled=st.booleans())
    def caller_leaves(self, call_id: str, *, reconciled: bool) -> None:
        self.log.hangs_up(call_id, "SYSTEM_SHUTDOWN" if reconciled else "NORMAL_CLEARING", reconciled=reconciled)

    @rule(call_id=CALLS, digit=st.sampled_from("19?"))
    def caller_presses(self, call_id: str, digit: str) -> None:
        if call_id in self.log.state.calls:
            self.log.fact(call_id, digit_pressed=sw.DigitPressed(digit=digit))

    @rule(call_id=CALLS, what=st.sampled_from(["parks", "heard", "presses", "answers", "says nothing"]))
    def caller_goes_through_steps(self, call_id: str, what: str) -> None:
        call = self.log.state.calls.get(call_id)
        if call is None:
            return
        pressed = {"answers": "5", "says nothing": ""}
        bodies: dict[str, dict[str, Any]] = {
            "parks": {"leg_parked": sw.LegParked()},
            "heard": {"playback_finished": sw.PlaybackFinished(command_id=call.step_command_id, completed=True)},
            "presses": {"digit_pressed": sw.DigitPressed(digit="#")},
        }
        if what in bodies:
            self.log.fact(call_id, **bodies[what])
        elif call.step_type in ("menu", "survey"):
            self.log.press(call_id, pressed[what])

    @rule(call_id=CALLS)
    def switch_falls_back(self, call_id: str) -> None:
        self.log.fact(call_id, leg_fell_back=sw.LegFellBack())

    @rule(data=st.data(), what=st.sampled_from(["rings", "answers", "parks", "bridges", "parts", "holds", "resumes"]))
    def leg_moves(self, data: st.DataObject, what: str) -> None:
        legs = [leg for leg in self.log.state.legs.values() if leg.role is not LegRole.CUSTOMER]
        if not legs:
            return
        leg = data.draw(st.sampled_from(legs))
        bodies: dict[str, dict[str, Any]] = {
            "rings": {"leg_progressed": sw.LegProgressed()},
            "answers": {"leg_answered": sw.LegAnswered()},
            "parks": {"leg_parked": sw.LegParked()},
            "bridges": {"leg_bridged": sw.LegBridged(other_leg_id=leg.call_id)},
            "parts": {"leg_unbridged": sw.LegUnbridged(other_leg_id=leg.call_id)},
            "holds": {"leg_held": sw.LegHeld()},
            "resumes": {"leg_resumed": sw.LegResumed()},
        }
        self.log.fact(leg.leg_id, leg.call_id, **bodies[what])

    @rule(data=st.data(), what=st.sampled_from(["answer", "answer", "refuse", "ring out"]))
    def an_offer_is_answered_or_not(self, data: st.DataObject, what: str) -> None:
        offers = list(self.log.state.offers.values())
        if not offers:
            return
        offer = data.draw(st.sampled_from(offers))
        self.log.fact(offer.leg_id, offer.call_id, leg_progressed=sw.LegProgressed())
        if what != "answer":
            self.log.hangs_up(offer.leg_id, "USER_BUSY" if what == "refuse" else "NO_ANSWER")
            return
        self.log.fact(offer.leg_id, offer.call_id, leg_answered=sw.LegAnswered())
        self.log.fact(offer.call_id, leg_bridged=sw.LegBridged(other_leg_id=offer.leg_id))

    @rule(data=st.data(), falls_back=st.booleans())
    def a_talk_ends(self, data: st.DataObject, *, falls_back: bool) -> None:
        talks = [call for call in self.log.state.calls.values() if call.talk_from_ms and call.other_leg_id]
        if talks:
            call = data.draw(st.sampled_from(talks))
            self.log.hangs_up(call.other_leg_id)
            if falls_back:
                self.log.fact(call.call_id, leg_fell_back=sw.LegFellBack())
            self.log.hangs_up(call.call_id)

    @rule(data=st.data(), cause=CAUSES)
    def leg_ends(self, data: st.DataObject, cause: str) -> None:
        legs = [leg for leg in self.log.state.legs.values() if leg.role is not LegRole.CUSTOMER]
        if legs:
            self.log.hangs_up(data.draw(st.sampled_from(legs)).leg_id, cause)

    @rule(
        data=st.data(),
        outcome=st.sampled_from([cm.COMMAND_OUTCOME_DONE, cm.COMMAND_OUTCOME_FAILED, cm.COMMAND_OUTCOME_EXPIRED]),
        cause=CAUSES,
    )
    def command_ends(self, data: st.DataObject, outcome: "cm.CommandOutcome.ValueType", cause: str) -> None:
        commands = self.log.commands()[-8:]
        if commands:
            self.log.result(data.draw(st.sampled_from(commands)), outcome, cause)

    @rule(agent_id=st.sampled_from(AGENTS), status=st.sampled_from([1, 2, 2, 3]))
    def agent_chooses(self, agent_id: str, status: int) -> None:
        ask = rq.SetAgentStatus(agent_id=agent_id, status=rq.AgentStatus.ValueType(status))
        self.log.request(f"r{len(self.log.inputs)}", set_agent_status=ask)

    @rule(agent_id=st.sampled_from(AGENTS), call_id=CALLS, what=st.integers(0, 3))
    def somebody_asks(self, agent_id: str, call_id: str, what: int) -> None:
        request_id = f"r{len(self.log.inputs)}"
        offer_id = self.log.state.agents[agent_id].offer_id if agent_id in self.log.state.agents else ""
        if what == 0:
            self.log.request(request_id, reject_offer=rq.RejectOffer(agent_id=agent_id, offer_id=offer_id))
        elif what == 1:
            self.log.request(request_id, end_wrap_up=rq.EndWrapUp(agent_id=agent_id))
        elif what == 2:
            self.log.request(request_id, hang_up_call=rq.HangUpCall(call_id=call_id))
        else:
            self.log.request(request_id, hold_call=rq.HoldCall(call_id=call_id, held=True))

    @rule(data=st.data(), whom=st.sampled_from([*AGENTS, "sales", "+442071000001", "+15550001"]))
    def a_call_is_sent_on(self, data: st.DataObject, whom: str) -> None:
        calls = [call for call in self.log.state.calls.values() if call.stage in HEARD]
        if not calls:
            return
        call_id = data.draw(st.sampled_from(calls)).call_id
        kind = "number" if whom.startswith("+") else "queue_id" if whom == "sales" else "agent_id"
        bodies: list[dict[str, Any]] = [
            {"transfer_call": rq.TransferCall(call_id=call_id, **{kind: whom})},
            {"swap_consultation": rq.SwapConsultation(call_id=call_id)},
            {"complete_consultation": rq.CompleteConsultation(call_id=call_id)},
            {"cancel_consultation": rq.CancelConsultation(call_id=call_id)},
            {"join_consultation": rq.JoinConsultation(call_id=call_id)},
            {"mute_agent": rq.MuteAgent(call_id=call_id, muted=True)},
        ]
        if kind != "queue_id":
            ask = rq.StartConsultation(call_id=call_id, **{kind: whom})
            bodies += [{"start_consultation": ask}] * 3
        self.log.request(f"r{len(self.log.inputs)}", **data.draw(st.sampled_from(bodies)))

    @rule(data=st.data(), agent_id=st.sampled_from(AGENTS), what=st.integers(0, 4), mode=st.integers(0, 3))
    def a_call_is_supervised(self, data: st.DataObject, agent_id: str, what: int, mode: int) -> None:
        calls = [call for call in self.log.state.calls.values() if call.stage in HEARD]
        call_id = data.draw(st.sampled_from(calls)).call_id if calls else "c1"
        own: dict[str, str] = {"call_id": call_id, "agent_id": agent_id}
        asks: list[dict[str, Any]] = [
            {"supervise_call": rq.SuperviseCall(**own, mode=rq.SupervisionMode.ValueType(mode))},
            {"stop_supervision": rq.StopSupervision(**own)},
            {"take_over_call": rq.TakeOverCall(**own)},
            {"dial_number": rq.DialNumber(agent_id=agent_id, number="+442071000002")},
        ]
        if what < len(asks):
            self.log.request(f"r{len(self.log.inputs)}", **asks[what])
        elif agent_id in self.log.state.agents:
            agent = self.log.state.agents[agent_id]
            if agent.supervised_call_id:
                self.log.fact(agent.leg_id, agent.supervised_call_id, leg_parked=sw.LegParked())

    @rule(data=st.data())
    def a_dialled_customer_answers(self, data: st.DataObject) -> None:
        calls = [
            call for call in self.log.state.calls.values() if call.dialled_by and call.call_id in self.log.state.legs
        ]
        if calls:
            call = data.draw(st.sampled_from(calls))
            self.log.fact(call.call_id, call.call_id, leg_answered=sw.LegAnswered())
            self.log.fact(call.call_id, call.call_id, leg_bridged=sw.LegBridged(other_leg_id=call.other_leg_id))

    @rule(data=st.data())
    def a_waiting_call_is_moved(self, data: st.DataObject) -> None:
        waiting = [call for call in self.log.state.calls.values() if call.is_waiting]
        if waiting and self.is_rich:
            call = data.draw(st.sampled_from(waiting))
            target = data.draw(st.sampled_from(["sales", "second"]))
            ask = rq.MoveWaitingCall(call_id=call.call_id, queue_id=target)
            self.log.request(f"r{len(self.log.inputs)}", move_waiting_call=ask)

    @rule(data=st.data(), what=st.sampled_from(["answers", "bridges", "bridges", "target parks", "agent parks"]))
    def a_transfer_goes_on(self, data: st.DataObject, what: str) -> None:
        transfers = [one for one in self.log.state.transfers.values() if one.call_id in self.log.state.calls]
        if not transfers:
            return
        transfer = data.draw(st.sampled_from(transfers))
        call_id, agent_leg = transfer.call_id, self.log.state.calls[transfer.call_id].other_leg_id
        if what == "bridges" and transfer.pair:
            self.log.fact(transfer.pair[0], call_id, leg_bridged=sw.LegBridged(other_leg_id=transfer.pair[1]))
        elif what == "answers" and transfer.leg_id:
            self.log.fact(transfer.leg_id, call_id, leg_answered=sw.LegAnswered())
        elif what == "target parks" and transfer.leg_id:
            self.log.fact(transfer.leg_id, call_id, leg_parked=sw.LegParked())
        elif what == "agent parks" and agent_leg:
            self.log.fact(agent_leg, call_id, leg_parked=sw.LegParked())

    @rule(agent_id=st.sampled_from(AGENTS), here=st.booleans())
    def phone_comes_or_goes(self, agent_id: str, *, here: bool) -> None:
        address = f"phone-{agent_id}@acme.example"
        if here:
            self.log.fact("", phone_registered=sw.PhoneRegistered(address=address))
        else:
            self.log.fact("", phone_unregistered=sw.PhoneUnregistered(address=address))

    @rule(seconds=st.sampled_from([0.02, 1, 6, 16, 130]))
    def time_passes(self, seconds: float) -> None:
        self.log.wait(seconds)

    @rule(without=st.sampled_from(["", "olena", "sales"]), chance=st.integers(0, 5))
    def document_changes(self, without: str, chance: int) -> None:
        if chance:
            return
        newer = self._document(self.log.state.version + 1)
        if without == "sales":
            del newer.queues[:]
        elif without:
            del newer.agents[0]
            del newer.queues[0].tiers[0]
        self.log.feed(Input(tenant_id=TENANT, document=newer))

    @rule()
    def facts_come_again(self) -> None:
        for given in [given for _, given in self.log.inputs if given.WhichOneof("input") == "fact"][-3:]:
            if given.fact.leg_id in self.log.state.legs:
                assert not self.log.feed(given).events

    @invariant()
    def an_agent_has_at_most_one_offer_and_one_call(self) -> None:
        state = self.log.state
        offers = Counter(offer.agent_id for offer in state.offers.values())
        assert all(count == 1 for count in offers.values())
        for agent in state.agents.values():
            assert (agent.agent_id in offers) == bool(agent.offer_id)
            if agent.state in BUSY:
                assert agent.call_id
        connected = Counter(call.other_leg_id for call in state.calls.values() if call.other_leg_id)
        assert all(count == 1 for count in connected.values())

    @invariant()
    def the_orders_say_what_the_records_say(self) -> None:
        state = self.log.state
        for queue_id, index in state.indexes.items():
            calls = [call for call in state.calls.values() if call.is_waiting and call.queue_id == queue_id]
            waiting = {call.call_id for call in calls}
            assert {entry[3] for entry in index.waiting} == {call.call_id for call in calls if call.keeps_place}
            assert {entry[3] for entry in index.opened()} <= waiting
            idle = set(index.idle_ids())
            assert idle <= {agent.agent_id for agent in state.agents.values() if agent.state is AgentState.IDLE}

    @invariant()
    def nobody_waits_while_an_agent_who_may_take_the_call_is_idle(self) -> None:
        state = self.log.state
        for index in state.indexes.values():
            for entry in index.opened():
                call = state.calls[entry[3]]
                assert not [agent for agent in state.agents.values() if may_serve(state, agent, call)]
                assert not choose(state, index, call)

    @invariant()
    def nobody_is_left_alone(self) -> None:
        """Who is neither led through a flow nor waits has somebody; a leg that nobody needs was ordered to end."""
        state = self.log.state
        wanted = {offer.leg_id for offer in state.offers.values()}
        wanted |= {transfer.leg_id for transfer in state.transfers.values()}
        wanted |= {call.other_leg_id for call in state.calls.values()}
        wanted |= {agent.leg_id for agent in state.agents.values() if agent.supervised_call_id in state.calls}
        for leg in state.legs.values():
            assert leg.role is LegRole.CUSTOMER or leg.leg_id in wanted or leg.release_tries
        for call_id, transfer in state.transfers.items():
            call = state.calls[call_id]
            assert call.stage is CallStage.TRANSFERRING
            assert call.other_leg_id or transfer.leg_id
        assert {call.call_id for call in state.calls.values() if call.stage is CallStage.TRANSFERRING} == set(
            state.transfers
        )

    @invariant()
    def no_agent_works_for_nobody(self) -> None:
        """An agent on a call has its leg, or the leg's end is waited for."""
        state = self.log.state
        for agent in state.agents.values():
            if agent.state in BUSY and not agent.is_done:
                assert agent.call_id in state.calls
                assert agent.offer_id or agent.leg_id in state.legs

    @invariant()
    def who_listens_is_known_on_both_sides(self) -> None:
        state = self.log.state
        listening = {(agent.supervised_call_id, agent.agent_id) for agent in state.agents.values()}
        assert {(call.call_id, name) for call in state.calls.values() for name in call.supervisors} <= listening
        for agent in state.agents.values():
            assert not agent.supervised_call_id or agent.leg_id
            assert not agent.supervised_call_id or agent.state not in BUSY

    @invariant()
    def timers_belong_to_somebody(self) -> None:
        state = self.log.state
        owners: dict[str, dict[str, Any]] = {
            "ring": state.offers,
            "wrap": state.agents,
            "reach": state.agents,
            "gone": state.legs,
            "callback": state.callbacks,
            "callback_end": state.callbacks,
            "switch": state.heard,
        }
        for timer_id in state.timers:
            kind, _, subject = timer_id.partition(":")
            assert subject in owners.get(kind, state.calls), timer_id

    def teardown(self) -> None:
        if not hasattr(self, "log"):
            return
        for call_id in list(self.log.state.calls):
            self.log.hangs_up(call_id)
        self.log.wait(300)
        self._everything_ended_once()
        self._replay_is_equal()

    def _everything_ended_once(self) -> None:
        state = self.log.state
        started = Counter(event.call_id for event in self.log.events("call_started"))
        ended = Counter(event.call_id for event in self.log.events("call_ended"))
        assert started == ended
        served = {event.call_id for event in self.log.events("call_answered")}
        exits = {event.call_id: event.call_ended.exit for event in self.log.events("call_ended")}
        assert served == {call_id for call_id, call_exit in exits.items() if call_exit == ev.CALL_EXIT_ANSWERED}
        assert all(count == 1 for count in ended.values())
        created = [event.offer_created.offer_id for event in self.log.events("offer_created")]
        ends = [
            getattr(event, body).offer_id
            for event in self.log.all_events()
            if (body := event.WhichOneof("body") or "") in OFFER_ENDS
        ]
        assert sorted(created) == sorted(ends)
        joined = Counter(event.call_id for event in self.log.events("queue_joined"))
        assert joined == Counter(event.call_id for event in self.log.events("queue_left"))
        assert not state.calls
        assert not state.offers
        assert not state.transfers
        assert state.timers == {}
        assert state.calls_of_version == {}
        assert all(agent.state not in BUSY for agent in state.agents.values())
        bridged = [command.call_id for command in self.log.commands("bridge_legs")]
        accepted = {event.call_id for event in self.log.events("offer_accepted")}
        assert set(bridged) - accepted <= {
            c.call_id for c in self.log.commands("originate_leg") if c.originate_leg.number
        }
        for subject, sequences in self._sequences().items():
            assert sequences == list(range(1, len(sequences) + 1)), subject

    def _sequences(self) -> dict[str, list[int]]:
        found: dict[str, list[int]] = {}
        for event in self.log.all_events():
            found.setdefault(event.subject, []).append(event.sequence)
        return found

    def _replay_is_equal(self) -> None:
        """The same log gives the same bytes, also when it goes through a snapshot in the middle."""
        straight, resumed = TenantState(TENANT), TenantState(TENANT)
        middle = len(self.log.inputs) // 2
        for offset, (time_ms, given) in enumerate(self.log.inputs):
            assert time_ms >= START_MS
            if offset == middle:
                resumed = from_snapshot(orjson.loads(orjson.dumps(to_snapshot(resumed))))
            expected = _bytes(self.log.outputs[offset])
            assert _bytes(decide(straight, Position(0, offset), time_ms, given)) == expected
            assert _bytes(decide(resumed, Position(0, offset), time_ms, given)) == expected
        assert orjson.dumps(to_snapshot(straight)) == orjson.dumps(to_snapshot(resumed))


TestRouting = Routing.TestCase
TestRouting.settings = settings(max_examples=60, stateful_step_count=60, deadline=None)
