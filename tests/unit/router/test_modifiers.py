"""What changes the order, the choice and the wait, whatever the strategy (SPEC 3.2, 3.3, 3.6, 3.7)."""

from typing import Any

import pytest

from services.router.domain.lifecycle import AgentState
from services.shared.contracts.ringmaster.v1 import event_pb2 as ev
from services.shared.contracts.ringmaster.v1 import request_pb2 as rq
from services.shared.contracts.ringmaster.v1 import switch_pb2 as sw
from services.shared.contracts.ringmaster.v1 import tenant_pb2 as tn
from tests.unit.router.world import Log, document

VIP = "+380671112233"


def tenant(**fields: Any) -> tn.TenantDocument:
    """Return the tenant of `world` without limits, its queue changed by these fields."""
    made = document()
    queue = made.queues[0]
    queue.capacity = queue.max_wait_seconds = 0
    made.limits.concurrent_calls = 0
    queue.MergeFrom(tn.Queue(**fields))
    return made


def _rung(log: Log) -> list[str]:
    return [event.offer_created.agent_id for event in log.events("offer_created")]


def _served(log: Log, agent_id: str, calls: int) -> list[str]:
    """Let an agent become ready, and serve so many callers."""
    log.ready(agent_id)
    served = []
    for _ in range(calls):
        call_id = log.events("offer_created")[-1].call_id
        served.append(call_id)
        leg_id = log.talk(call_id).leg_id
        log.hangs_up(leg_id)
        log.hangs_up(call_id)
        log.wait(11)
    return served


def _away(log: Log, agent_id: str) -> None:
    ask = rq.SetAgentStatus(agent_id=agent_id, status=rq.AGENT_STATUS_AWAY)
    log.request(f"away-{agent_id}-{len(log.inputs)}", set_agent_status=ask)


def _offline(log: Log, agent_id: str) -> None:
    ask = rq.SetAgentStatus(agent_id=agent_id, status=rq.AGENT_STATUS_OFFLINE)
    log.request(f"off-{agent_id}-{len(log.inputs)}", set_agent_status=ask)


def _start(made: tn.TenantDocument, *away: str) -> Log:
    """Return a log in which somebody is logged in, but away: callers wait."""
    log = Log(made)
    for agent_id in away or ("olena",):
        _away(log, agent_id)
    return log


# -- order of callers


def test_callers_of_a_list_with_priority_go_first_and_are_told_as_vips() -> None:
    log = _start(tenant(list_priorities=[tn.ListPriority(list_id="vip", priority=5)]))
    log.queue("plain")
    log.wait(30)
    log.queue("vip", VIP)
    assert [event.client_vip_called.list_id for event in log.events("client_vip_called")] == ["vip"]
    assert _served(log, "olena", 2) == ["vip", "plain"]


@pytest.mark.parametrize(("seconds", "first"), [(49, "vip"), (51, "plain")])
def test_waiting_counts_as_points_at_the_rate_of_the_queue(seconds: int, first: str) -> None:
    made = tenant(list_priorities=[tn.ListPriority(list_id="vip", priority=5)], ageing_seconds=10)
    log = _start(made)
    log.queue("plain")
    log.wait(seconds)
    log.queue("vip", VIP)
    assert _served(log, "olena", 1) == [first]


def test_over_two_queues_the_effective_priority_counts_and_then_the_time_of_entry() -> None:
    made = tenant()
    other = made.queues.add()
    other.CopyFrom(made.queues[0])
    other.queue_id, other.priority, other.ageing_seconds = "vip", 2, 10
    made.lines.add(number="+380441000002", flow="direct")
    step = made.flows.add(flow_id="direct", start="wait").steps.add(step_id="wait")
    step.queue.queue_id = "vip"
    log = _start(made)
    log.queue("first")
    log.wait(1)
    log.arrive("ranked", line="+380441000002")
    log.queue("last")
    assert _served(log, "olena", 3) == ["ranked", "first", "last"]


def test_who_calls_back_soon_has_the_place_that_was_given_up() -> None:
    log = _start(tenant(resume_seconds=60))
    log.queue("gone", "+380501111111")
    log.wait(5)
    log.queue("other", "+380502222222")
    log.hangs_up("gone")
    log.wait(20)
    log.queue("back", "+380501111111")
    joined = log.events("queue_joined")[-1].queue_joined
    assert (joined.resumed, joined.position) == (True, 1)
    assert _served(log, "olena", 2) == ["back", "other"]


def test_who_gave_up_after_an_overflow_has_the_place_in_the_first_queue_too_and_uses_it_once() -> None:
    made = _two_queues(tn.Overflow(queue_id="second", after_seconds=30))
    made.queues[0].resume_seconds = 60
    made.queues[1].resume_seconds = 300
    log = _start(made, "olena", "ivan")
    log.queue("c1")
    entered = log.state.calls["c1"].entered_ms
    log.wait(40)
    assert log.state.calls["c1"].queue_id == "second"
    log.hangs_up("c1")
    log.wait(5)
    log.queue("again")
    joined = log.events("queue_joined")[-1].queue_joined
    assert (joined.queue_id, joined.resumed, joined.entered_ms) == ("sales", True, entered)
    assert not any(memory.abandoned for memory in log.state.queues.values())


def test_who_calls_back_too_late_or_without_a_number_waits_anew() -> None:
    log = _start(tenant(resume_seconds=60))
    log.queue("gone", "+380501111111")
    log.queue("hidden", "anonymous")
    log.queue("other", "+380502222222")
    log.hangs_up("gone")
    log.hangs_up("hidden")
    log.wait(61)
    log.queue("back", "+380501111111")
    log.queue("hidden-again", "anonymous")
    assert [event.queue_joined.resumed for event in log.events("queue_joined")] == [False] * 5


# -- choice of agents


def _skilled(**skills: dict[str, int]) -> tn.TenantDocument:
    made = tenant()
    for agent in made.agents:
        agent.skills.update(skills.get(agent.agent_id, {}))
    return made


def test_only_who_knows_what_is_required_is_asked_and_the_offer_says_so() -> None:
    made = _skilled(olena={"en": 40}, taras={"en": 70})
    made.queues[0].required_skills.add(skill="en", min_proficiency=50)
    log = Log(made)
    log.ready("olena", "taras", "ivan")
    log.queue("c1")
    offer = log.events("offer_created")[0].offer_created
    assert offer.agent_id == "taras"
    assert dict(offer.required_skills) == {"en": 50}
    assert {(one.agent_id, one.reason) for one in offer.filtered} == {("olena", "skills"), ("ivan", "skills")}
    assert dict(offer.filtered_total) == {"skills": 2}


def test_a_step_of_the_flow_can_require_more_than_the_queue() -> None:
    made = _skilled(taras={"gold": 1})
    wait = next(step for step in made.flows[0].steps if step.step_id == "wait")
    wait.queue.required_skills.add(skill="gold")
    log = Log(made)
    log.ready("olena", "taras")
    log.queue("c1")
    assert _rung(log) == ["taras"]


def test_what_a_step_and_its_queue_require_of_one_skill_must_both_be_met_in_every_ring() -> None:
    made = _skilled(olena={"en": 30}, taras={"en": 90})
    made.queues[0].required_skills.add(skill="en", min_proficiency=80)
    made.queues[0].rings.add(after_seconds=10).required_skills.add(skill="en", min_proficiency=10)
    wait = next(step for step in made.flows[0].steps if step.step_id == "wait")
    wait.queue.required_skills.add(skill="en", min_proficiency=20)
    log = Log(made)
    log.ready("olena")
    log.queue("c1")
    assert _rung(log) == []
    log.wait(11)
    assert _rung(log) == ["olena"]
    wait.queue.required_skills[0].min_proficiency = 40
    log = Log(made)
    log.ready("olena")
    log.queue("c1")
    log.wait(60)
    assert _rung(log) == []
    log.ready("taras")
    assert _rung(log) == ["taras"]


def test_required_skills_are_relaxed_ring_by_ring() -> None:
    made = _skilled(taras={"en": 30})
    queue = made.queues[0]
    queue.required_skills.add(skill="en", min_proficiency=80)
    queue.rings.add(after_seconds=10).required_skills.add(skill="en", min_proficiency=20)
    queue.rings.add(after_seconds=25)
    for ready, rung_at in (("taras", 10), ("olena", 25)):
        log = Log(made)
        log.ready(ready)
        log.queue("c1")
        log.wait(rung_at - 1)
        assert _rung(log) == []
        log.wait(2)
        assert _rung(log) == [ready]


def test_preferred_skills_come_before_the_strategy_but_after_the_level() -> None:
    made = _skilled(taras={"en": 50}, ivan={"en": 90})
    made.queues[0].preferred_skills.add(skill="en", min_proficiency=50)
    log = Log(made)
    log.ready("ivan", "olena", "taras")
    log.queue("c1")
    log.queue("c2")
    log.queue("c3")
    assert _rung(log) == ["taras", "olena", "ivan"]


def test_a_level_is_asked_when_the_caller_has_waited_for_the_one_before() -> None:
    log = Log(tenant(level_seconds=20))
    log.ready("ivan")
    _away(log, "olena")
    log.queue("c1")
    log.wait(19)
    assert _rung(log) == []
    log.wait(2)
    assert _rung(log) == ["ivan"]


def test_a_level_in_which_nobody_is_logged_in_is_not_waited_for() -> None:
    log = Log(tenant(level_seconds=20))
    log.ready("ivan")
    _away(log, "olena")
    log.queue("c1")
    assert _rung(log) == []
    _offline(log, "olena")
    assert _rung(log) == ["ivan"]


# -- overflow, keys, black lists


def _two_queues(overflow: tn.Overflow) -> tn.TenantDocument:
    made = tenant(overflow=overflow)
    second = made.queues.add(queue_id="second", strategy=tn.STRATEGY_LONGEST_IDLE, ring_timeout_seconds=15)
    second.music = "waltz"
    second.tiers.add(agent_id="ivan", level=1, position=1)
    del made.queues[0].tiers[2]
    return made


def test_a_caller_overflows_after_the_time_and_keeps_the_time_of_entry() -> None:
    log = _start(_two_queues(tn.Overflow(queue_id="second", after_seconds=30)), "olena", "ivan")
    log.queue("c1")
    log.wait(31)
    left, joined = log.events("queue_left")[0].queue_left, log.events("queue_joined")[1].queue_joined
    assert (left.exit, left.next_queue_id, left.wait_ms) == (ev.QUEUE_EXIT_OVERFLOW, "second", 30_000)
    assert (joined.queue_id, joined.former_queue_id) == ("second", "sales")
    assert joined.entered_ms == log.events("queue_joined")[0].queue_joined.entered_ms
    assert log.last_command("start_music").start_music.stream == "waltz"
    log.ready("ivan")
    assert _rung(log) == ["ivan"]


def test_a_caller_overflows_at_once_when_so_many_wait_already() -> None:
    log = _start(_two_queues(tn.Overflow(queue_id="second", waiting=1)), "olena", "ivan")
    log.queue("c1")
    log.queue("c2")
    assert [call.queue_id for call in log.state.calls.values()] == ["sales", "second"]


def test_nobody_overflows_to_a_queue_that_nobody_serves() -> None:
    log = _start(_two_queues(tn.Overflow(queue_id="second", after_seconds=30)), "olena")
    log.queue("c1")
    log.wait(60)
    assert log.state.calls["c1"].queue_id == "sales"


@pytest.mark.parametrize("overflow", [{"after_seconds": 30}, {"waiting": 1}])
def test_nobody_overflows_to_a_queue_in_which_the_caller_may_not_wait(overflow: dict[str, int]) -> None:
    made = _two_queues(tn.Overflow(queue_id="second", **overflow))
    made.queues[1].black_lists.append("vip")
    log = _start(made, "olena", "ivan")
    log.queue("c1", VIP)
    log.queue("c2", VIP)
    log.wait(60)
    assert [call.queue_id for call in log.state.calls.values()] == ["sales", "sales"]


def test_each_queue_adds_the_points_of_its_own_lists_and_tells_of_a_list_once() -> None:
    made = _two_queues(tn.Overflow(queue_id="second", after_seconds=30))
    made.lists.add(list_id="gold", numbers=[VIP])
    made.queues[0].list_priorities.extend([tn.ListPriority(list_id="vip", priority=5)])
    second = [tn.ListPriority(list_id="vip", priority=1), tn.ListPriority(list_id="gold", priority=3)]
    made.queues[1].list_priorities.extend(second)
    next(step for step in made.flows[0].steps if step.step_id == "wait").queue.priority = 10
    log = _start(made, "olena", "ivan")
    log.queue("c1", VIP)
    log.wait(31)
    assert [event.queue_joined.priority for event in log.events("queue_joined")] == [15, 14]
    back = rq.MoveWaitingCall(call_id="c1", queue_id="sales")
    log.request("back", move_waiting_call=back)
    assert log.events("queue_joined")[-1].queue_joined.priority == 15
    assert [event.client_vip_called.list_id for event in log.events("client_vip_called")] == ["vip", "gold"]


def test_who_overflows_is_asked_for_by_the_rings_of_the_new_queue_from_the_first_on() -> None:
    made = _two_queues(tn.Overflow(queue_id="second", after_seconds=30))
    made.queues[1].required_skills.add(skill="en", min_proficiency=80)
    made.queues[1].rings.add(after_seconds=10)
    log = _start(made, "olena")
    log.ready("ivan")
    log.queue("c1")
    log.wait(31)
    assert log.state.calls["c1"].queue_id == "second"
    assert _rung(log) == []
    log.wait(10)
    assert _rung(log) == ["ivan"]


def test_a_waiting_caller_leaves_by_a_key_that_queue_and_step_know() -> None:
    made = tenant(exit_keys="19")
    wait = next(step for step in made.flows[0].steps if step.step_id == "wait")
    wait.exits["1"] = "hear"
    log = _start(made)
    log.queue("c1")
    for digit in ("2", "9", "?"):
        log.fact("c1", digit_pressed=sw.DigitPressed(digit=digit))
        assert log.state.calls["c1"].is_waiting
    log.fact("c1", digit_pressed=sw.DigitPressed(digit="1"))
    assert log.events("queue_left")[0].queue_left.exit == ev.QUEUE_EXIT_EXIT_KEY
    assert log.events("flow_step_left")[-1].flow_step_left.next_step_id == "hear"
    assert log.commands("stop_playback")


def test_a_key_that_leads_to_a_callback_is_told_as_a_callback() -> None:
    made = tenant(exit_keys="1")
    flow = made.flows[0]
    flow.steps.add(step_id="call-me").callback.SetInParent()
    flow.steps[-1].callback.queue_id = "sales"
    next(step for step in flow.steps if step.step_id == "wait").exits["1"] = "call-me"
    log = _start(made)
    log.queue("c1")
    log.fact("c1", digit_pressed=sw.DigitPressed(digit="1"))
    assert log.events("queue_left")[0].queue_left.exit == ev.QUEUE_EXIT_CALLBACK


def test_a_caller_whom_the_flow_leads_back_into_the_queue_keeps_the_time_of_entry() -> None:
    made = tenant(exit_keys="1")
    flow = made.flows[0]
    offered = flow.steps.add(step_id="call-me", callback=tn.CallbackStep(queue_id="sales"))
    offered.exits["declined"] = "wait"
    next(step for step in flow.steps if step.step_id == "wait").exits["1"] = "call-me"
    log = _start(made)
    log.queue("c1")
    entered = log.state.calls["c1"].entered_ms
    log.wait(5)
    log.queue("c2", "+380509999999")
    log.fact("c1", digit_pressed=sw.DigitPressed(digit="1"))
    log.wait(5)
    log.press("c1", "")
    joined = log.events("queue_joined")[-1].queue_joined
    assert (joined.entered_ms, joined.position) == (entered, 1)


def test_a_caller_whom_a_transfer_brings_back_goes_before_those_who_came_later() -> None:
    """The target who refuses is free in the same moment in which the caller is back in the queue (SPEC 3.3)."""
    log = _start(tenant(wrap_up_seconds=20))
    log.queue("c1")
    log.ready("olena")
    log.talk("c1")
    log.ready("taras")
    log.wait(1)
    log.request("transfer", transfer_call=rq.TransferCall(call_id="c1", agent_id="taras"))
    log.queue("c2", "+380509999999")
    log.hangs_up(log.rings("c1").leg_id, "CALL_REJECTED")
    assert log.events("offer_created")[-1].call_id == "c1"
    assert log.state.calls["c2"].is_waiting


def test_a_caller_on_a_black_list_of_the_queue_does_not_wait() -> None:
    log = _start(tenant(black_lists=["vip"]))
    log.queue("c1", VIP)
    assert log.events("queue_left")[0].queue_left.exit == ev.QUEUE_EXIT_BLACKLISTED
    assert log.events("client_blacklisted")[0].client_blacklisted.list_id == "vip"
    assert not log.state.calls["c1"].is_waiting


@pytest.mark.parametrize("written", [VIP.removeprefix("+"), "0" + VIP.removeprefix("+380"), "00" + VIP[1:]])
def test_a_number_is_in_a_list_however_the_carrier_writes_it(written: str) -> None:
    log = _start(tenant(black_lists=["vip"]))
    log.queue("c1", written)
    assert log.events("client_blacklisted")[0].client_blacklisted.list_id == "vip"
    log.queue("c2", "anonymous")
    assert log.state.calls["c2"].is_waiting


def test_a_caller_on_a_black_list_of_the_tenant_is_turned_away_unanswered() -> None:
    made = tenant()
    made.black_lists.append("vip")
    log = _start(made)
    log.arrive("c1", VIP)
    assert [command.WhichOneof("action") for command in log.commands(call_id="c1")] == ["hang_up_leg"]
    [told] = log.events("client_blacklisted")
    assert (told.call_id, told.client_blacklisted.list_id, told.client_blacklisted.caller.number) == ("c1", "vip", VIP)
    log.hangs_up("c1", "CALL_REJECTED")
    assert log.events("call_ended")[0].call_ended.exit == ev.CALL_EXIT_BLACKLISTED


# -- while waiting


def test_announcements_come_at_their_times_with_place_and_estimate() -> None:
    said = tn.Announcement(prompts=["place"], first_seconds=10, every_seconds=30, says_position=True)
    once = tn.Announcement(prompts=["about"], first_seconds=20, says_estimate=True)
    log = _start(tenant(announcements=[said, once]))
    log.queue("c1")
    log.queue("c2")
    log.wait(65)
    heard = [command.play_prompt for command in log.commands("play_prompt", "c2")]
    words = [[prompt.name or prompt.number for prompt in one.prompts] for one in heard]
    assert words == [["place", 2], ["about", 3], ["place", 2]]
    log.hangs_up("c1")
    log.wait(11)
    changed = log.events("queue_position_changed")
    assert [(event.call_id, event.queue_position_changed.position) for event in changed] == [("c2", 1)]


def test_nothing_is_announced_to_who_does_not_wait_any_more() -> None:
    log = _start(tenant(announcements=[tn.Announcement(prompts=["place"], first_seconds=10)]))
    log.queue("c1")
    log.ready("olena")
    log.talk("c1")
    log.wait(60)
    assert not log.commands("play_prompt")


def test_the_estimated_wait_is_that_of_the_published_formula() -> None:
    """EWT = AHT * CIQU / (AA * EP): 90 s until something was handled, then what the last hour says."""
    log = Log(tenant())
    log.ready("olena", "taras")
    log.queue("c1")
    log.queue("c2")
    log.queue("c3")
    # Two agents take calls, none is free, and one caller has nobody yet: 90 s * 1 / 2.
    assert log.events("queue_joined")[2].queue_joined.estimated_wait_ms == 45_000
    log.hangs_up("c3")
    legs = {call_id: log.talk(call_id).leg_id for call_id in ("c1", "c2")}
    log.wait(40)
    for call_id, leg_id in legs.items():
        log.hangs_up(leg_id)
        log.hangs_up(call_id)
    log.wait(10)  # the wrap-up
    assert log.state.agents["olena"].state is AgentState.IDLE
    handled = list(log.state.queues["sales"].handled.values())
    calls, own_ms = sum(one[0] for one in handled), sum(one[1] for one in handled)
    assert (calls, own_ms) == (2, 2 * 50_000)
    for number in range(4, 8):
        log.queue(f"c{number}")
    waits = [event.queue_joined.estimated_wait_ms for event in log.events("queue_joined")[3:]]
    # 50 s a call: two are free for the first two, the next two wait for them.
    assert waits == [0, 0, 50_000 * 1 / 2, 50_000 * 2 / 2]


def test_the_estimated_wait_forgets_what_was_handled_an_hour_ago() -> None:
    log = Log(tenant())
    log.wait(-log.now_ms % 300_000 / 1000)  # whole slices of five minutes from here
    log.ready("olena")
    log.queue("c1")
    leg_id = log.talk("c1").leg_id
    log.wait(30)
    log.hangs_up(leg_id)
    log.hangs_up("c1")
    log.wait(60)
    _away(log, "olena")

    def estimate(number: int) -> int:
        log.queue(f"w{number}")
        log.hangs_up(f"w{number}")
        return log.events("queue_joined")[-1].queue_joined.estimated_wait_ms

    assert estimate(1) == 40_000
    log.wait(3_600 - 60 - 30 - 1)
    assert estimate(2) == 40_000
    log.wait(2)
    assert estimate(3) == 90_000


def test_the_error_of_the_estimate_is_told_with_the_answer() -> None:
    log = _start(tenant())
    log.queue("c1")
    log.wait(30)
    log.ready("olena")
    log.talk("c1")
    left = log.events("queue_left")[0].queue_left
    assert left.estimate_error_ms == left.wait_ms - left.estimated_wait_ms
    assert left.wait_ms == 30_010


# -- explanations


def test_the_reasons_of_an_offer_stay_small_in_a_queue_of_thousands() -> None:
    made = tenant()
    for number in range(2_000):
        made.agents.add(agent_id=f"a{number}", name="x", phone=f"p{number}")
        made.queues[0].tiers.add(agent_id=f"a{number}", level=2, position=number + 1)
    log = Log(made)
    log.ready("taras", "olena", *(f"a{number}" for number in range(0, 2_000, 2)))
    log.queue("c1")
    event = log.events("offer_created")[0]
    assert event.ByteSize() < 2_000
    assert event.offer_created.candidates_total == 2
    assert dict(event.offer_created.filtered_total) == {"offline": 1_001, "other_level": 1_000}
    assert [one.agent_id for one in event.offer_created.candidates] == ["taras", "olena"]
    assert event.offer_created.candidates[0].order["idle_ms"] > event.offer_created.candidates[1].order["idle_ms"]
