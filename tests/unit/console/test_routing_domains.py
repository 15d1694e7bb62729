"""A declared split that would part who belongs together is refused; what may be parted is shown."""

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.console.domain.routing_domains import agents_of, separable
from services.console.domain.validation import faults_of

Document = dict[str, Any]


def split(document: Document) -> Document:
    """Return a document of two queues with an agent each, one of them a domain."""
    made = copy.deepcopy(document)
    first, second = made["queues"][:2]
    made["queues"] = [first, second]
    for queue, agent in zip(made["queues"], made["agents"], strict=False):
        queue["tiers"] = [{"agent_id": agent["agent_id"]}]
        for name in ("overflow", "required_skills", "rings", "preferred_skills"):
            queue.pop(name, None)
        queue["strategy"] = "longest_idle"
    made["routing_domains"] = [{"domain_id": "north", "queues": [second["queue_id"]]}]
    for name in ("concurrent_calls", "calls_per_second", "outbound_spend_per_day"):
        made.get("limits", {}).pop(name, None)
    return made


def complaints(document: Document) -> list[str]:
    names = ("routing_domains", "queues", "limits", "campaigns")
    return [str(fault) for fault in faults_of(document) if fault.path.startswith(names)]


def test_a_split_along_the_agents_is_sound(acme: Document) -> None:
    assert complaints(split(acme)) == []


def test_an_agent_of_two_domains_is_named_with_both_queues(acme: Document) -> None:
    made = split(acme)
    made["queues"][1]["tiers"].append(made["queues"][0]["tiers"][0])
    [complaint] = complaints(made)
    assert complaint.startswith("queues[1].tiers[1].agent_id")
    assert "no domain" in complaint
    assert "domain north" in complaint


def test_a_queue_stands_in_one_domain_and_is_known(acme: Document) -> None:
    made = split(acme)
    second = made["queues"][1]["queue_id"]
    made["routing_domains"] += [{"domain_id": "south", "queues": [second, "nowhere"]}]
    found = complaints(made)
    assert found[0].startswith("routing_domains[1].queues[0]")
    assert f"queue {second} is in domain north already" in found[0]
    assert found[1].startswith("routing_domains[1].queues[1]")
    assert "no queue nowhere" in found[1]


def test_nobody_overflows_into_another_domain(acme: Document) -> None:
    made = split(acme)
    made["queues"][0]["overflow"] = {"queue_id": made["queues"][1]["queue_id"], "waiting": 3}
    [complaint] = complaints(made)
    assert complaint.startswith("queues[0].overflow.queue_id")


@pytest.mark.parametrize("name", ["concurrent_calls", "calls_per_second", "outbound_spend_per_day"])
def test_a_limit_is_shared_out_and_leaves_something_to_the_reception(acme: Document, name: str) -> None:
    made = split(acme)
    made.setdefault("limits", {})[name] = 10
    made["limits"].setdefault("tariffs", [{"prefix": "+380", "price_per_minute": 1}])
    assert [each.split(":")[0] for each in complaints(made)] == [f"routing_domains[0].{name}"]
    made["routing_domains"][0][name] = 10
    assert [each.split(":")[0] for each in complaints(made)] == [f"limits.{name}"]
    made["routing_domains"][0][name] = 4
    assert complaints(made) == []


@pytest.mark.parametrize(("most_dials", "is_fault"), [(0, False), (1, True)])
def test_campaigns_of_two_domains_share_no_line_whose_dials_are_counted(
    acme: Document, most_dials: int, *, is_fault: bool
) -> None:
    made = split(acme)
    line, campaign = made["lines"][0], made["campaigns"][0]
    line["most_dials"] = most_dials
    made["campaigns"] = [
        {**campaign, "campaign_id": f"c{number}", "line": line["number"], "queue_id": queue["queue_id"]}
        for number, queue in enumerate([*made["queues"], made["queues"][0]])
    ]
    assert [each.split(":")[0] for each in complaints(made)] == (["campaigns[1].line"] if is_fault else [])


@given(st.lists(st.sets(st.sampled_from("abcdefgh"), min_size=1, max_size=3), min_size=1, max_size=8))
def test_parts_share_no_agent_and_can_be_parted_no_further(tiers: list[set[str]]) -> None:
    queues = [
        {"queue_id": f"q{number}", "tiers": [{"agent_id": one} for one in sorted(of_queue)]}
        for number, of_queue in enumerate(tiers)
    ]
    document: Document = {"queues": queues}
    parts = separable(document)
    assert sorted(queue_id for part in parts for queue_id in part) == sorted(
        queue["queue_id"] for queue in document["queues"]
    )
    people = [agents_of(document, part) for part in parts]
    assert sum(map(len, people)) == len(set().union(*people))
    for part in parts:  # from any of its queues all others are reached through shared agents
        reached, left = {part[0]}, set(part[1:])
        while near := {each for each in left if agents_of(document, [each]) & agents_of(document, sorted(reached))}:
            reached, left = reached | near, left - near
        assert not left
