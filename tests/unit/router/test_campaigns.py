"""Campaigns call a list of customers as agents are free (SPEC 4.4)."""

import orjson
import pytest

from services.router.domain.callbacks import campaign
from services.router.domain.lifecycle import AgentState
from services.router.domain.snapshot import from_snapshot, to_snapshot
from services.shared.contracts.ringmaster.v1 import request_pb2 as rq
from services.shared.contracts.ringmaster.v1 import switch_pb2 as sw
from services.shared.contracts.ringmaster.v1 import tenant_pb2 as tn
from services.shared.contracts.ringmaster.v1.input_pb2 import Input
from tests.unit.router.test_callbacks import agent_takes, calling_back, customer_answers, dials, rung
from tests.unit.router.world import LINE, TENANT, Log

SUMMER = "+380503000000"


def numbers(count: int) -> list[str]:
    return [f"+38050200{place:04}" for place in range(count)]


def document(pacing: "tn.Pacing.ValueType", *, most_dials: int = 0, abandon_percent: int = 0) -> tn.TenantDocument:
    made = calling_back(attempts=2, gap_seconds=600)
    made.limits.concurrent_calls = 0
    made.queues[0].wrap_up_seconds = 0
    made.campaigns.add(
        campaign_id="spring",
        queue_id="sales",
        pacing=pacing,
        line=LINE,
        most_dials=most_dials,
        abandon_percent=abandon_percent,
    )
    return made


def add(log: Log, listed: list[str]) -> rq.Reply:
    contacts = [rq.Contact(number=number, name="Client") for number in listed]
    asked = rq.AddContacts(campaign_id="spring", contacts=contacts)
    return log.request(f"add-{len(log.inputs)}", add_contacts=asked)


def run(log: Log, *, running: bool = True) -> rq.Reply:
    asked = rq.RunCampaign(campaign_id="spring", running=running)
    return log.request(f"run-{len(log.inputs)}", run_campaign=asked)


def started(pacing: "tn.Pacing.ValueType", count: int, *agents: str, **limits: int) -> Log:
    log = Log(document(pacing, **limits))
    log.fact("", switch_connected=sw.SwitchConnected())
    log.ready(*agents)
    assert add(log, numbers(count)).accepted
    assert run(log).accepted
    log.wait(0.1)
    return log


def changes(log: Log) -> list[str]:
    return [event.campaign_changed.change for event in log.events("campaign_changed")]


def test_preview_lets_the_agent_answer_before_the_customer_is_dialled() -> None:
    log = started(tn.PACING_PREVIEW, 3, "olena")
    assert dials(log) == []
    agent_takes(log)
    assert [dial.originate_leg.number for dial in dials(log)] == numbers(1)


def test_progressive_dials_one_customer_for_each_free_agent() -> None:
    log = started(tn.PACING_PROGRESSIVE, 5, "olena", "taras")
    assert [dial.originate_leg.number for dial in dials(log)] == numbers(2)
    assert {log.state.agents[each].state for each in ("olena", "taras")} == {AgentState.RESERVED}


def test_a_line_that_may_dial_one_at_a_time_does() -> None:
    log = started(tn.PACING_PROGRESSIVE, 5, "olena", "taras", most_dials=1)
    assert len(dials(log)) == 1
    log.hangs_up(dials(log)[-1].leg_id, "NO_ANSWER")
    log.wait(0.1)
    assert [dial.originate_leg.number for dial in dials(log)] == numbers(2)


def test_campaigns_that_share_a_line_dial_no_more_than_it_may_together() -> None:
    made = document(tn.PACING_PROGRESSIVE)
    made.lines[0].most_dials = 2
    made.campaigns.add(campaign_id="summer", queue_id="sales", pacing=tn.PACING_PROGRESSIVE, line=LINE)
    log = Log(made)
    log.fact("", switch_connected=sw.SwitchConnected())
    log.ready("olena", "taras", "ivan")
    assert add(log, numbers(3)).accepted
    contacts = [rq.Contact(number=f"+38050300000{place}") for place in range(3)]
    log.request("add-summer", add_contacts=rq.AddContacts(campaign_id="summer", contacts=contacts))
    run(log)
    log.request("run-summer", run_campaign=rq.RunCampaign(campaign_id="summer", running=True))
    log.wait(0.1)
    assert len(dials(log)) == 2
    log.hangs_up(dials(log)[0].leg_id, "NO_ANSWER")
    log.wait(40)
    live = [dial for dial in dials(log) if dial.leg_id in log.state.legs]
    assert (len(dials(log)), len(live)) == (3, 2)


def test_a_campaign_that_waits_for_its_line_goes_on_as_soon_as_another_one_leaves_it() -> None:
    made = document(tn.PACING_PROGRESSIVE)
    made.lines[0].most_dials = 2
    made.campaigns.add(campaign_id="summer", queue_id="sales", pacing=tn.PACING_PROGRESSIVE, line=LINE)
    log = Log(made)
    log.fact("", switch_connected=sw.SwitchConnected())
    log.ready("olena", "taras", "ivan")
    add(log, numbers(2))
    log.request("add-summer", add_contacts=rq.AddContacts(campaign_id="summer", contacts=[rq.Contact(number=SUMMER)]))
    run(log)
    log.wait(0.1)
    log.request("run-summer", run_campaign=rq.RunCampaign(campaign_id="summer", running=True))
    log.wait(0.1)
    assert len(dials(log)) == 2
    log.hangs_up(dials(log)[0].leg_id, "NO_ANSWER")
    log.wait(0.1)
    assert [dial.originate_leg.number for dial in dials(log)][2:] == [SUMMER]


def test_a_second_attempt_counts_among_those_who_are_dialled() -> None:
    log = started(tn.PACING_PROGRESSIVE, 2, "olena", "taras", "ivan", most_dials=1)
    for _ in range(2):
        log.hangs_up(dials(log)[-1].leg_id, "NO_ANSWER")
        log.wait(0.1)
    for _ in range(700):
        log.wait(1)
        assert len([dial for dial in dials(log) if dial.leg_id in log.state.legs]) <= 1
    assert len(dials(log)) > 2


def test_the_whole_list_has_its_turn_and_each_customer_his_attempts() -> None:
    log = started(tn.PACING_PROGRESSIVE, 4, "olena")
    for _ in range(60):
        live = [dial.leg_id for dial in dials(log) if dial.leg_id in log.state.legs]
        for leg_id in live:
            log.hangs_up(leg_id, "NO_ANSWER")
        log.wait(60)
    dialled = [dial.originate_leg.number for dial in dials(log)]
    assert sorted(dialled) == sorted(numbers(4) * 2)
    assert changes(log)[-1] == "done"
    done = log.events("campaign_changed")[-1].campaign_changed
    assert (done.waiting, done.open, done.reached, done.failed) == (0, 0, 0, 4)
    assert log.state.callbacks == {}


def test_a_customer_who_talks_is_reached_and_the_next_has_the_turn() -> None:
    log = started(tn.PACING_PROGRESSIVE, 2, "olena")
    call_id = customer_answers(log)
    agent_leg = agent_takes(log).leg_id
    log.fact(call_id, leg_bridged=sw.LegBridged(other_leg_id=agent_leg))
    log.hangs_up(agent_leg)
    log.hangs_up(call_id)
    log.wait(0.1)
    assert [dial.originate_leg.number for dial in dials(log)] == numbers(2)
    assert log.state.campaigns["spring"].reached == 1


def test_a_paused_campaign_dials_nobody_and_goes_on_where_it_was() -> None:
    log = started(tn.PACING_PREVIEW, 3, "ivan")
    run(log, running=False)
    log.wait(60)
    before = len(dials(log))
    log.ready("olena")
    log.wait(120)
    assert len(dials(log)) == before
    run(log)
    while not log.state.offers:
        log.wait(1)
    agent_takes(log)
    assert len(dials(log)) == before + 1
    assert changes(log) == ["contacts_added", "started", "paused", "started"]


def test_too_many_who_hung_up_before_an_agent_talked_make_it_dial_as_preview() -> None:
    log = started(tn.PACING_PROGRESSIVE, 60, "olena", abandon_percent=5)
    for _ in range(campaign.FEWEST_JUDGED):
        call_id = customer_answers(log)
        log.hangs_up(call_id)
        log.hangs_up(rung(log)[-1].leg_id, "ORIGINATOR_CANCEL")
        log.wait(0.1)
    assert changes(log)[-1] == "slowed_down"
    assert rung(log)[-1].call_id not in {dial.call_id for dial in dials(log)}


def test_who_waits_in_the_list_is_not_added_again_nor_what_is_no_number() -> None:
    log = Log(document(tn.PACING_PREVIEW))
    add(log, [*numbers(2), "050 200 0000", "nobody"])
    add(log, numbers(3))
    assert [number for number, _ in log.state.campaigns["spring"].waiting] == numbers(3)


@pytest.mark.parametrize(("count", "problem"), [(campaign.MOST_AT_ONCE + 1, "too-many-contacts")])
def test_a_list_that_is_too_long_is_refused_whole(count: int, problem: str) -> None:
    log = Log(document(tn.PACING_PREVIEW))
    assert add(log, numbers(count)).problem == problem
    assert log.state.campaigns == {}


def test_an_unknown_campaign_is_refused_and_one_that_is_removed_ends() -> None:
    log = started(tn.PACING_PREVIEW, 3, "olena")
    newer = calling_back()
    newer.version = 2
    log.feed(Input(tenant_id=TENANT, document=newer))
    assert (log.state.campaigns, log.state.callbacks) == ({}, {})
    assert run(log).problem == add(log, numbers(1)).problem == "campaign-not-found"


def test_a_snapshot_keeps_a_campaign() -> None:
    log = started(tn.PACING_PREVIEW, 30, "olena")
    restored = from_snapshot(orjson.loads(orjson.dumps(to_snapshot(log.state))))
    assert restored.campaigns == log.state.campaigns
