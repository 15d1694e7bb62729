"""What queues can't be: each rule against its plain sense, over small houses of every kind."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from services.console.domain.queue_rules import faults_of_queues

Document = dict[str, Any]
IDS = ["a", "b", "c"]
SKILLS = ["uk", "en"]
needs = st.lists(
    st.fixed_dictionaries({"skill": st.sampled_from(SKILLS)}, optional={"min_proficiency": st.integers(1, 3)}),
    max_size=2,
)
agents = st.lists(
    st.fixed_dictionaries({"skills": st.dictionaries(st.sampled_from(SKILLS), st.integers(1, 3))}),
    min_size=2,
    max_size=2,
)
queue = st.fixed_dictionaries(
    {
        "tiers": st.lists(st.sampled_from(["0", "1"]), min_size=1, max_size=2, unique=True),
        "required_skills": needs,
        "ring": needs,
        "overflow": st.sampled_from([None, *IDS]),
    }
)
steps = st.lists(st.tuples(st.sampled_from(IDS), needs), max_size=3)


def house(people: list[Document], queues: list[Document], flow: list[tuple[str, list[Document]]]) -> Document:
    return {
        "agents": [{"agent_id": str(number), **one} for number, one in enumerate(people)],
        "queues": [
            {
                "queue_id": name,
                "strategy": "random",
                "tiers": [{"agent_id": each} for each in one["tiers"]],
                "required_skills": one["required_skills"],
                "rings": [{"after_seconds": 5, "required_skills": one["ring"]}],
                **({"overflow": {"queue_id": one["overflow"], "waiting": 1}} if one["overflow"] else {}),
            }
            for name, one in zip(IDS, queues, strict=True)
        ],
        "flows": [
            {"steps": [{"queue": {"queue_id": name, "required_skills": wanted}, "exits": {}} for name, wanted in flow]}
        ],
    }


@given(agents, st.lists(queue, min_size=3, max_size=3), steps)
def test_a_skill_that_nobody_has_is_named_wherever_callers_would_wait_for_it(
    people: list[Document], queues: list[Document], flow: list[tuple[str, list[Document]]]
) -> None:
    known = dict(zip(IDS, queues, strict=True))

    def is_served(name: str, need: Document) -> bool:
        best = [people[int(each)]["skills"].get(need["skill"], 0) for each in known[name]["tiers"]]
        return any(one >= need.get("min_proficiency", 1) for one in best)

    def reached_from(name: str) -> set[str]:
        reached: set[str] = set()
        while name and name not in reached:
            reached.add(name)
            name = known[name]["overflow"]
        return reached

    asked = [
        (f"queues[{index}]{place}.required_skills[{number}].skill", {name}, need)
        for index, name in enumerate(IDS)
        for place, field in (("", "required_skills"), (".rings[0]", "ring"))
        for number, need in enumerate(known[name][field])
    ]
    asked += [
        (f"flows[0].steps[{number}].queue.required_skills[{which}].skill", reached_from(start), need)
        for number, (start, wishes) in enumerate(flow)
        for which, need in enumerate(wishes)
    ]
    wanted = {(path, name) for path, names, need in asked for name in names if not is_served(name, need)}
    found = [each for each in faults_of_queues(house(people, queues, flow)) if each.path.endswith(".skill")]
    assert {(each.path, each.message.split()[4]) for each in found} == wanted


@given(st.lists(queue, min_size=3, max_size=3))
def test_overflow_in_circles_is_named_at_each_queue_of_the_circle(queues: list[Document]) -> None:
    goals = {name: one["overflow"] for name, one in zip(IDS, queues, strict=True)}

    def comes_back(name: str) -> bool:
        goal = goals[name]
        for _ in IDS:
            if goal == name:
                return True
            goal = goals.get(goal)
        return False

    circles = {f"queues[{index}].overflow.queue_id" for index, name in enumerate(IDS) if comes_back(name)}
    found = faults_of_queues(house([{"skills": {}}] * 2, queues, []))
    assert {each.path for each in found if "circles" in each.message} == circles


def test_keys_by_which_callers_leave_lead_somewhere_once_each() -> None:
    document = house(
        [{"skills": {}}] * 2, [{"tiers": ["0"], "required_skills": [], "ring": [], "overflow": None}] * 3, []
    )
    document["queues"][0]["exit_keys"] = "1#1"
    document["queues"][1]["exit_keys"] = "2"
    step: Document = {"queue": {"queue_id": "b"}, "exits": {"3": "x", "timeout": "x"}}
    document["flows"] = [{"steps": [step]}]
    found = {each.path: each.message for each in faults_of_queues(document)}
    assert found.keys() == {"queues[0].exit_keys", "flows[0].steps[0].exits.2", "flows[0].steps[0].exits.3"}
    assert "twice" in found["queues[0].exit_keys"]


def test_rings_widen_later_and_later() -> None:
    document = house(
        [{"skills": {}}] * 2, [{"tiers": ["0"], "required_skills": [], "ring": [], "overflow": None}] * 3, []
    )
    document["queues"][0]["rings"] = [{"after_seconds": seconds} for seconds in (1, 5, 5, 6, 3)]
    assert [each.path for each in faults_of_queues(document)] == [
        "queues[0].rings[2].after_seconds",
        "queues[0].rings[4].after_seconds",
    ]
