"""A tenant of several logs: its calls, agents and callbacks go from one to another, and none twice (docs/adr/0033)."""

import orjson
import pytest

from services.router.domain.lifecycle import AgentState, CallStage
from services.router.domain.snapshot import from_snapshot, to_snapshot
from services.router.domain.splitting import leaving
from services.router.domain.state import TenantState
from services.shared.contracts.ringmaster.v1 import command_pb2 as cm
from services.shared.contracts.ringmaster.v1 import event_pb2 as ev
from services.shared.contracts.ringmaster.v1 import request_pb2 as rq
from services.shared.contracts.ringmaster.v1 import switch_pb2 as sw
from services.shared.contracts.ringmaster.v1 import tenant_pb2 as tn
from services.shared.contracts.ringmaster.v1.input_pb2 import Input, PersonForgotten
from tests.unit.router.split_world import LINE, NORTH, SOUTH, Split, document


@pytest.fixture
def split() -> Split:
    """A tenant of two domains; the office stays with the reception. Everybody is ready."""
    made = Split(document(1, north=["sales"], south=["repairs"]))
    made.ready("olena", "taras", "ivan")
    return made


def test_a_call_is_served_in_the_domain_of_its_queue_and_its_events_are_counted_through(split: Split) -> None:
    split.arrive("c1", "1")
    assert split.state().calls["c1"].stage is CallStage.HANDING
    split.hand_over("c1")
    assert list(split.state().away) == ["c1"]
    split.talk("c1")
    split.hangs_up("c1")
    told = split.bodies("c1")
    assert told[:3] == ["call_started", "flow_step_entered", "flow_step_left"] or told[0] == "call_started"
    assert told[-1] == "call_ended"
    assert told.count("call_ended") == told.count("call_answered") == 1
    assert split.are_events_counted()
    assert not split.state().away
    assert not split.state().calls_of_version


def test_a_tenant_that_is_whole_tells_itself_nothing() -> None:
    whole = Split(document(1))
    whole.ready("olena")
    whole.arrive("c1", "1")
    whole.talk("c1")
    whole.hangs_up("c1")
    assert whole.told == []
    assert list(whole.states) == [""]
    assert not [one for _, one in whole.commands if one.HasField("hand_over_leg") or one.domain]


def test_a_hang_up_before_the_hand_over_ends_the_call_at_the_reception(split: Split) -> None:
    split.arrive("c1", "1")
    split.hangs_up("c1")
    assert "call_ended" not in split.bodies("c1")
    split.settle_hand_over("c1", cm.COMMAND_OUTCOME_FAILED, "NO_SUCH_LEG")
    assert split.bodies("c1").count("call_ended") == 1
    assert not split.state().timers.keys() & {"hand:c1"}


def test_a_hang_up_after_the_hand_over_ends_the_call_in_the_domain_whatever_comes_first(split: Split) -> None:
    split.arrive("c1", "1")
    split.tell_hand_over("c1")
    split.hangs_up("c1")
    split.feed(Input(fact=sw.SwitchFact(leg_id="c1", leg_hung_up=sw.LegHungUp(cause="NORMAL_CLEARING"))))
    split.settle_hand_over("c1", cm.COMMAND_OUTCOME_DONE)
    assert split.bodies("c1").count("call_ended") == 1
    assert split.are_events_counted()
    assert not split.state().away
    assert not split.state().calls


def test_a_hand_over_that_is_told_again_changes_nothing(split: Split) -> None:
    split.arrive("c1", "1")
    given = split.tell_hand_over("c1")
    before = len(split.events)
    split.feed(given, NORTH)
    split.settle_hand_over("c1", cm.COMMAND_OUTCOME_DONE)
    split.talk("c1")
    split.hangs_up("c1")
    after = len(split.events)
    split.feed(given, NORTH)
    assert len(split.events) == after
    assert before < after
    assert split.bodies("c1").count("call_ended") == 1


def test_a_hand_over_of_which_nothing_is_heard_is_ordered_again_and_any_of_them_counts(split: Split) -> None:
    split.arrive("c1", "1")
    first = split.last("hand_over_leg", "c1")
    split.wait(11)
    second = split.last("hand_over_leg", "c1")
    assert first.command_id != second.command_id
    assert first.hand_over_leg == second.hand_over_leg
    split.tell_hand_over("c1")
    done = cm.CommandResult(command_id=first.command_id, call_id="c1", outcome=cm.COMMAND_OUTCOME_DONE)
    split.feed(Input(command_result=done))
    assert "c1" in split.state().away
    split.talk("c1")
    split.hangs_up("c1")
    assert split.are_events_counted()


def test_a_recording_that_ends_during_the_hand_over_is_told_by_whoever_has_the_call(split: Split) -> None:
    split.arrive("c1", "1")
    split.hand_over("c1")
    split.talk("c1")
    recording_id = split.last("start_recording", "c1").start_recording.recording_id
    began = sw.RecordingBegan(recording_id=recording_id, path="acme/c1/r.wav")
    split.fact("c1", recording_began=began)
    moved = rq.TransferCall(call_id="c1", queue_id="repairs")
    assert split.request("t1", transfer_call=moved).accepted
    finished = sw.RecordingFinished(recording_id=recording_id, path="acme/c1/r.wav", duration_ms=900)
    split.fact("c1", recording_finished=finished)
    assert "recording_stopped" not in split.bodies("c1")
    split.hand_over("c1")  # to the reception
    split.hand_over("c1")  # to the other domain
    assert split.bodies("c1").count("recording_stopped") == 1
    split.talk("c1")
    split.hangs_up("c1")
    assert split.are_events_counted()
    assert split.bodies("c1")[-1] == "call_ended"


def test_a_call_that_times_out_goes_on_with_its_flow_in_the_domain_and_on_to_another(split: Split) -> None:
    away = rq.SetAgentStatus(agent_id="olena", status=rq.AGENT_STATUS_AWAY)
    split.request("a1", set_agent_status=away)
    split.arrive("c1", "1")
    split.hand_over("c1")
    split.wait(121)
    split.press("c1", "2")
    split.hand_over("c1")
    split.hand_over("c1")
    assert split.state(SOUTH).calls["c1"].queue_id == "repairs"
    assert split.state(NORTH).calls == {}
    split.talk("c1")
    split.hangs_up("c1")
    assert split.are_events_counted()
    assert not split.state().away


def test_requests_find_the_log_of_their_agent_or_call(split: Split) -> None:
    split.arrive("c1", "2")
    split.hand_over("c1")
    split.talk("c1")
    assert split.request("h1", hold_call=rq.HoldCall(call_id="c1", held=True)).accepted
    assert split.commands[-1][0] == SOUTH
    split.hangs_up("c1")
    split.wait(1)
    assert split.request("d1", set_disposition=rq.SetDisposition(call_id="c1")).problem == "unknown-disposition"
    nobody = rq.SetAgentStatus(agent_id="nobody", status=rq.AGENT_STATUS_READY)
    assert split.request("n1", set_agent_status=nobody).problem == "agent-not-found"


def test_a_phone_that_registers_is_told_where_its_agent_is(split: Split) -> None:
    gone = sw.PhoneUnregistered(address="phone-taras@acme.example")
    split.fact("", phone_unregistered=gone)
    assert split.state(SOUTH).agents["taras"].state is AgentState.UNREACHABLE
    assert split.are_events_counted()


def test_the_reception_counts_calls_that_its_domains_have() -> None:
    made = document(1, north=["sales"])
    made.limits.concurrent_calls = 3
    made.routing_domains[0].concurrent_calls = 1
    split = Split(made)
    split.ready("olena")
    for number in (1, 2):
        split.arrive(f"c{number}", "1")
        split.hand_over(f"c{number}")
    split.arrive("c3")
    assert "limit_exceeded" in split.bodies("c3")
    split.talk("c1")
    split.hangs_up("c1")
    split.hangs_up("c3")
    split.arrive("c4")
    assert "limit_exceeded" not in split.bodies("c4")


def test_a_document_that_splits_a_running_tenant_takes_waiting_callers_and_idle_agents_along() -> None:
    split = Split(document(1))
    split.ready("olena", "taras")
    split.arrive("talks", "1")
    leg_id = split.talk("talks")
    split.arrive("waits", "1")
    entered = split.state().calls["waits"].entered_ms
    split.wait(5)
    split.apply(document(2, north=["sales"], south=["repairs"]))
    assert "taras" in split.state(SOUTH).agents
    assert "olena" in split.state().agents, "who talks stays until the work is over"
    split.hand_over("waits")
    call = split.state(NORTH).calls["waits"]
    assert (call.is_waiting, call.entered_ms, call.queue_id) == (True, entered, "sales")
    assert split.state(NORTH).timers["wait:waits"] == entered + 120_000
    assert split.bodies("waits").count("queue_joined") == 1
    split.hangs_up("talks")
    split.hangs_up(leg_id)
    split.wait(11)  # the wrap-up
    assert split.state(NORTH).agents["olena"].state is AgentState.RESERVED
    split.talk("waits")
    split.hangs_up("waits")
    assert split.are_events_counted()


def test_a_document_that_makes_a_tenant_whole_again_brings_everybody_home(split: Split) -> None:
    away = rq.SetAgentStatus(agent_id="olena", status=rq.AGENT_STATUS_AWAY)
    split.request("a1", set_agent_status=away)
    split.arrive("c1", "1")
    split.hand_over("c1")
    split.apply(document(2))
    split.hand_over("c1")
    assert set(split.state().agents) == {"olena", "taras", "ivan"}
    assert split.state().agents_at == {}
    assert split.state().calls["c1"].is_waiting
    split.ready_again = rq.SetAgentStatus(agent_id="olena", status=rq.AGENT_STATUS_READY)  # type: ignore[attr-defined]
    assert split.request("a2", set_agent_status=split.ready_again).accepted  # type: ignore[attr-defined]
    split.talk("c1")
    split.hangs_up("c1")
    assert split.are_events_counted()
    assert not split.state(NORTH).documents.keys() - {2}


def test_a_campaign_that_runs_goes_with_its_queue_and_the_next_customer_has_the_turn_there() -> None:
    def made(version: int, **domains: list[str]) -> tn.TenantDocument:
        document_ = document(version, **domains)
        document_.limits.allowed_prefixes.append("+380")
        document_.campaigns.add(campaign_id="spring", queue_id="sales", line=LINE, pacing=tn.PACING_PREVIEW)
        return document_

    split = Split(made(1))
    contacts = [rq.Contact(number=f"+38050300000{place}") for place in range(3)]
    split.request("add", add_contacts=rq.AddContacts(campaign_id="spring", contacts=contacts))
    split.request("run", run_campaign=rq.RunCampaign(campaign_id="spring", running=True))
    assert len(split.state().campaigns["spring"].active) == 1
    split.apply(made(2, north=["sales"]))
    assert not split.state().campaigns
    assert not split.state().callbacks
    run = split.state(NORTH).campaigns["spring"]
    assert (run.is_running, run.open, len(run.waiting)) == (True, 2, 1)
    assert [split.state(NORTH).callbacks[task].number for task in run.active] == [contacts[1].number]
    assert split.request("pause", run_campaign=rq.RunCampaign(campaign_id="spring", running=False)).accepted
    assert not run.is_running
    assert split.are_events_counted()


def test_a_customer_whose_campaign_went_to_another_queue_elsewhere_is_called_as_it_says() -> None:
    def made(version: int, queue_id: str) -> tn.TenantDocument:
        document_ = document(version, north=["sales"], south=["repairs"])
        document_.limits.allowed_prefixes.append("+380")
        document_.campaigns.add(campaign_id="spring", queue_id=queue_id, line=LINE, pacing=tn.PACING_PROGRESSIVE)
        return document_

    split = Split(made(1, "sales"))
    split.fact("", switch_connected=sw.SwitchConnected())
    contacts = [rq.Contact(number="+380503000000")]
    split.request("add", add_contacts=rq.AddContacts(campaign_id="spring", contacts=contacts))
    split.request("run", run_campaign=rq.RunCampaign(campaign_id="spring", running=True))
    split.apply(made(2, "repairs"))
    assert (list(split.state(NORTH).campaigns), list(split.state(SOUTH).campaigns)) == ([], ["spring"])
    split.ready("olena")
    split.wait(1)
    [(domain, dial)] = [one for one in split.commands if one[1].originate_leg.number]
    assert (domain, dial.originate_leg.number) == (NORTH, "+380503000000")


def test_a_campaign_counts_its_tasks_where_they_are_though_they_went_without_it_and_it_comes_after_them() -> None:
    def made(version: int, queue_id: str, **domains: list[str]) -> tn.TenantDocument:
        document_ = document(version, **domains)
        document_.limits.allowed_prefixes.append("+380")
        document_.campaigns.add(campaign_id="spring", queue_id=queue_id, line=LINE, pacing=tn.PACING_PREVIEW)
        return document_

    split = Split(made(1, "sales", north=["sales", "office"], south=["repairs"]))
    contacts = [rq.Contact(number=f"+38050300000{place}") for place in range(3)]
    split.request("add", add_contacts=rq.AddContacts(campaign_id="spring", contacts=contacts))
    split.request("run", run_campaign=rq.RunCampaign(campaign_id="spring", running=True))
    split.apply(made(2, "office", north=["office"], south=["sales", "repairs"]))
    run = split.state(NORTH).campaigns["spring"]
    [task] = split.state(NORTH).callbacks.values()
    assert (run.open, run.active, task.number) == (1, [task.callback_id], contacts[1].number)
    assert [one.number for one in split.state(SOUTH).callbacks.values()] == [contacts[0].number]
    split.apply(made(3, "repairs", north=["office"], south=["sales", "repairs"]))
    run = split.state(SOUTH).campaigns["spring"]
    assert run.open == len(split.state(SOUTH).callbacks) == 2
    assert split.are_events_counted()


def test_a_callback_is_made_where_its_queue_is_and_found_by_its_id(split: Split) -> None:
    asked = rq.AskCallback(queue_id="sales", number="+442071838750", due_ms=split.now_ms + 60_000)
    assert split.request("q1", ask_callback=asked).accepted
    assert list(split.state(NORTH).callbacks) == ["cb-q1"]
    split.apply(document(2, south=["sales", "repairs"]))
    assert list(split.state(SOUTH).callbacks) == ["cb-q1"]
    assert not split.state(NORTH).callbacks
    assert split.request("q2", cancel_callback=rq.CancelCallback(callback_id="cb-q1")).accepted
    assert not split.state(SOUTH).callbacks
    assert split.are_events_counted()


def test_a_person_is_forgotten_when_every_log_has(split: Split) -> None:
    asked = rq.AskCallback(queue_id="sales", number="+442071838750", due_ms=split.now_ms + 60_000)
    split.request("q1", ask_callback=asked)
    erase = rq.ErasePerson(erasure_id="e1", numbers=["+442071838750"], person="abc", sealed_numbers=b"s")
    assert split.request("e1", erase_person=erase).accepted
    assert not split.state(NORTH).callbacks
    forgotten = PersonForgotten(erasure_id="e1")
    for domain in (SOUTH, "", NORTH):
        assert not [one for one in split.events if one.HasField("person_erased")]
        split.feed(Input(person_forgotten=forgotten), domain)
    [told] = [one.person_erased for one in split.events if one.HasField("person_erased")]
    assert dict(told.removed) == {"callbacks": 1}
    assert not any(state.erasing for state in split.states.values())


def test_nobody_is_erased_who_is_on_a_domains_line(split: Split) -> None:
    split.arrive("c1", "1")
    split.hand_over("c1")
    erase = rq.ErasePerson(erasure_id="e1", numbers=["+380501112233"], person="abc", sealed_numbers=b"s")
    assert split.request("e1", erase_person=erase).problem == "person-on-the-line"


def test_what_a_log_tells_twice_counts_once(split: Split) -> None:
    away = rq.SetAgentStatus(agent_id="olena", status=rq.AGENT_STATUS_AWAY)
    split.request("a1", set_agent_status=away)
    told = split.told[-1]
    split.request("r1", set_agent_status=rq.SetAgentStatus(agent_id="olena", status=rq.AGENT_STATUS_READY))
    before = len(split.events), len(split.replies)
    split.feed(told, NORTH)  # from a router that was killed before it had committed
    assert split.state(NORTH).agents["olena"].state is AgentState.IDLE
    assert (len(split.events), len(split.replies)) == before


def test_snapshots_of_all_logs_come_back_as_they_were(split: Split) -> None:
    split.arrive("c1", "1")
    split.hand_over("c1")
    split.arrive("c2", "2")
    for domain, state in list(split.states.items()):
        text = orjson.dumps(to_snapshot(state))
        split.states[domain] = from_snapshot(orjson.loads(text))
        assert orjson.dumps(to_snapshot(split.states[domain])) == text
    split.hand_over("c2")
    for call_id in ("c1", "c2"):
        split.talk(call_id)
        split.hangs_up(call_id)
    assert split.are_events_counted()
    assert not split.state().away


def test_a_snapshot_from_before_there_were_domains_is_read() -> None:
    state = TenantState("acme")
    former = {name: value for name, value in to_snapshot(state).items() if name not in _NEW}
    former["format"] = 8
    assert to_snapshot(from_snapshot(orjson.loads(orjson.dumps(former)))) == to_snapshot(state)


_NEW = {
    "domain",
    "passed",
    "domains",
    "away",
    "gone",
    "agents_at",
    "callbacks_at",
    "campaigns_at",
    "over",
    "postponed",
}


def test_exits_are_told_once_by_a_call_that_falls_back_on_its_way(split: Split) -> None:
    split.arrive("c1", "1")
    split.fact("c1", leg_fell_back=sw.LegFellBack())
    split.settle_hand_over("c1", cm.COMMAND_OUTCOME_FAILED, "FELL_BACK")
    [ended] = [event.call_ended for event in split.events if event.HasField("call_ended")]
    assert (ended.exit, ended.fell_back) == (ev.CALL_EXIT_FALLBACK, True)


@pytest.mark.parametrize("befell", ["falls back", "is refused"])
def test_a_call_that_was_answered_before_it_could_not_go_on_elsewhere_is_told_as_answered(
    split: Split, befell: str
) -> None:
    split.arrive("c1", "1")
    split.hand_over("c1")
    split.talk("c1")
    assert split.request("t1", transfer_call=rq.TransferCall(call_id="c1", queue_id="repairs")).accepted
    if befell == "falls back":
        split.fact("c1", leg_fell_back=sw.LegFellBack())
        split.settle_hand_over("c1", cm.COMMAND_OUTCOME_FAILED, "FELL_BACK")
    else:
        for _ in range(leaving.MOST_TRIES):
            split.settle_hand_over("c1", cm.COMMAND_OUTCOME_FAILED, "NORMAL_TEMPORARY_FAILURE")
        split.hangs_up("c1")
    [ended] = [event.call_ended for event in split.events if event.HasField("call_ended")]
    assert (ended.exit, ended.fell_back) == (ev.CALL_EXIT_ANSWERED, befell == "falls back")
