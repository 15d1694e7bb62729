"""A caller and the agent who talked with him last (SPEC 3.2)."""

import pytest

from services.router.domain import remembering
from services.shared.contracts.ringmaster.v1 import request_pb2 as rq
from services.shared.contracts.ringmaster.v1 import tenant_pb2 as tn
from tests.unit.router.test_modifiers import VIP, _away, _offline, _rung, tenant
from tests.unit.router.world import Log


def _sticky(**groups: list[str]) -> Log:
    made = tenant(sticky=tn.Sticky(agent_seconds=10, group_seconds=10))
    for group_id, agent_ids in groups.items():
        made.groups.add(group_id=group_id, agent_ids=agent_ids)
    return _talked_with_taras(made)


def _talked_with_taras(made: tn.TenantDocument) -> Log:
    log = Log(made)
    log.ready("taras")
    log.talk_over("before")
    return log


def test_the_agent_who_talked_with_the_caller_last_is_asked_first() -> None:
    log = _sticky()
    log.ready("olena")
    log.queue("other", "+380509999999")
    log.hangs_up("other")
    log.hangs_up(log.last_command("originate_leg").leg_id, "ORIGINATOR_CANCEL")
    log.queue("again")
    assert _rung(log)[-1] == "taras"
    assert log.events("offer_created")[-1].offer_created.reserved_for == "agent:taras"


def test_who_was_talked_with_longest_ago_is_forgotten_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remembering, "MOST_FAMILIAR", 2)
    log = _sticky()
    for call_id, number in enumerate(("+380501112233", "+380502222222", "+380501112233", "+380503333333")):
        log.queue(f"c{call_id}", number)
        log.hangs_up(log.talk(f"c{call_id}").leg_id)
        log.hangs_up(f"c{call_id}")
        log.wait(11)
    assert list(log.state.familiar) == ["+380501112233", "+380503333333"]


def test_the_last_agent_is_known_however_the_carrier_writes_the_number() -> None:
    log = _sticky()
    log.ready("olena")
    log.queue("again", "0501112233")
    assert log.events("offer_created")[-1].offer_created.reserved_for == "agent:taras"


def test_who_is_called_back_talks_with_the_last_agent_where_the_queue_says_so() -> None:
    made = tenant(sticky=tn.Sticky(agent_seconds=10, group_seconds=10))
    made.limits.allowed_prefixes.append("+380")
    log = _talked_with_taras(made)
    log.ready("olena")
    log.request("back", ask_callback=rq.AskCallback(queue_id="sales", number="+380501112233"))
    assert _rung(log)[-1] == "taras"


def test_after_the_last_agent_its_group_is_asked_and_then_anyone() -> None:
    log = _sticky(team=["taras", "ivan"])
    _away(log, "taras")
    log.ready("olena")
    log.queue("again")
    log.wait(9)
    assert _rung(log) == ["taras"]
    log.ready("ivan")
    assert _rung(log) == ["taras"]
    log.wait(2)
    assert _rung(log)[-1] == "ivan"
    log.queue("more")
    log.wait(21)
    assert _rung(log)[-1] == "olena"


def test_somebody_else_does_not_get_a_caller_who_waits_for_the_last_agent() -> None:
    log = _sticky()
    _away(log, "taras")
    log.queue("again")
    log.ready("olena")
    assert _rung(log) == ["taras"]
    log.ready("taras")
    assert _rung(log) == ["taras", "taras"]


def test_nobody_waits_for_a_last_agent_who_is_not_at_work() -> None:
    log = _sticky(team=["taras", "ivan"])
    _offline(log, "taras")
    log.ready("olena", "ivan")
    log.queue("again")
    assert _rung(log)[-1] == "ivan"
    assert log.events("offer_created")[-1].offer_created.reserved_for == "group:team"


def test_who_waits_for_the_last_agent_goes_to_others_when_it_leaves_and_waits_again_when_it_comes_back() -> None:
    log = _sticky()
    _away(log, "taras")
    _away(log, "ivan")
    log.queue("again")
    _offline(log, "taras")
    _away(log, "taras")
    log.ready("olena")
    assert _rung(log) == ["taras"], "it is at work again, and was the last agent not ten seconds ago"
    _offline(log, "taras")
    assert _rung(log)[-1] == "olena"


def test_whoever_is_in_any_group_of_the_last_agent_is_asked_after_it() -> None:
    log = _sticky(north=["taras"], west=["taras", "ivan"])
    _away(log, "taras")
    log.ready("olena", "ivan")
    log.queue("again")
    log.wait(9)
    assert _rung(log) == ["taras"]
    log.wait(2)
    assert _rung(log)[-1] == "ivan"
    assert log.events("offer_created")[-1].offer_created.reserved_for == "group:north,west"


def test_a_group_is_asked_no_further_than_the_levels_that_the_caller_has_waited_for() -> None:
    """Found by a day that went wrong: a freed agent of a later level stopped at such a caller, and served nobody."""
    made = tenant(sticky=tn.Sticky(group_seconds=60), level_seconds=8, waits_for_empty_levels=True)
    made.queues[0].list_priorities.add(list_id="vip", priority=2)
    made.groups.add(group_id="team", agent_ids=["taras", "ivan"])
    log = Log(made)
    log.ready("taras")
    log.queue("before", VIP)
    log.hangs_up(log.talk("before").leg_id)
    log.hangs_up("before")
    log.wait(11)
    _away(log, "taras")
    log.queue("other")
    log.wait(10)
    log.queue("again", VIP)
    log.ready("ivan")
    assert [event.call_id for event in log.events("offer_created")] == ["before", "other"]
