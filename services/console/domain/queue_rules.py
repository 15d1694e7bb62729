"""What is wrong with the meaning of queues: skills that nobody has, keys that lead nowhere, overflow in circles."""

from collections.abc import Callable, Iterator
from functools import cache
from typing import Any, Final

from services.console.domain.fault import Fault, path_of

Document = dict[str, Any]
At = list[str | int]


def faults_of_queues(document: Document) -> Iterator[Fault]:
    """Yield every fault of the queues, and of the groups and lists that they speak of."""
    for rule in _RULES:
        yield from rule(document)


def _references(document: Document) -> Iterator[Fault]:
    lists = {one["list_id"] for one in document.get("lists", ())}
    for name, at in _named_lists(document):
        if name not in lists:
            yield Fault(path_of(at), f"there is no list {name}; add it to lists, or take it out here.")
    agents = {one["agent_id"] for one in document["agents"]}
    for index, group in enumerate(document.get("groups", ())):
        for number, agent_id in enumerate(group["agent_ids"]):
            if agent_id not in agents:
                yield Fault(path_of(["groups", index, "agent_ids", number]), f"there is no agent {agent_id}.")


def _named_lists(document: Document) -> Iterator[tuple[str, At]]:
    for number, list_id in enumerate(document.get("black_lists", ())):
        yield list_id, ["black_lists", number]
    for queue, at in _queues(document):
        for number, list_id in enumerate(queue.get("black_lists", ())):
            yield list_id, [*at, "black_lists", number]
        for number, entry in enumerate(queue.get("list_priorities", ())):
            yield entry["list_id"], [*at, "list_priorities", number, "list_id"]


def _skills(document: Document) -> Iterator[Fault]:
    """Name the skills that no agent of a queue has well enough: its callers would wait for ever."""
    best = {queue["queue_id"]: _best_of(queue, document) for queue in document["queues"]}

    @cache
    def lacking(way: tuple[str, ...], skill: str, least: int) -> list[str]:
        """Return what is wrong where this is required; thousands of steps may require the same."""
        found = {queue_id: best[queue_id].get(skill, 0) for queue_id in way}
        return [
            f"no agent of queue {queue_id} has {skill} at {least} or better; the best has {one}."
            for queue_id, one in found.items()
            if one < least
        ]

    for way, need, at in _needs(document):
        for sentence in lacking(way, need["skill"], need.get("min_proficiency", 1)):
            yield Fault(path_of([*at, "skill"]), sentence)


def _best_of(queue: Document, document: Document) -> dict[str, int]:
    """Return the best that any agent of a queue has of each skill."""
    serving = {tier["agent_id"] for tier in queue["tiers"]}
    best: dict[str, int] = {}
    for agent in document["agents"]:
        if agent["agent_id"] in serving:
            for skill, proficiency in agent.get("skills", {}).items():
                best[skill] = max(proficiency, best.get(skill, 0))
    return best


def _needs(document: Document) -> Iterator[tuple[tuple[str, ...], Document, At]]:
    """Yield what is required in which queues; what a step requires counts also where its callers overflow to."""
    for queue, at in _queues(document):
        for place, needs in (
            (at, queue.get("required_skills", ())),
            *(([*at, "rings", number], ring.get("required_skills", ())) for number, ring in _numbered(queue, "rings")),
        ):
            for number, need in enumerate(needs):
                yield (queue["queue_id"],), need, [*place, "required_skills", number]
    goals = {queue["queue_id"]: queue.get("overflow", {}).get("queue_id", "") for queue in document["queues"]}
    ways = {queue_id: _way_of(queue_id, goals) for queue_id in goals}
    for index, flow in enumerate(document["flows"]):
        for number, step in enumerate(flow["steps"]):
            place = ["flows", index, "steps", number, "queue", "required_skills"]
            for which, need in enumerate(step.get("queue", {}).get("required_skills", ())):
                yield ways.get(step["queue"]["queue_id"], ()), need, [*place, which]


def _way_of(queue_id: str, goals: dict[str, str]) -> tuple[str, ...]:
    """Return a queue and those that its callers overflow to, each once."""
    way: dict[str, None] = {}
    while queue_id in goals and queue_id not in way:
        way[queue_id] = None
        queue_id = goals[queue_id]
    return tuple(way)


def _rings(document: Document) -> Iterator[Fault]:
    for queue, at in _queues(document):
        former = 0
        for number, ring in _numbered(queue, "rings"):
            if ring["after_seconds"] <= former:
                yield Fault(
                    path_of([*at, "rings", number, "after_seconds"]), "must be later than that of the ring before."
                )
            former = ring["after_seconds"]


def _strategies(document: Document) -> Iterator[Fault]:
    """Name what a strategy needs and has not."""
    for queue, at in _queues(document):
        if queue["strategy"] == "best_skill" and not queue.get("required_skills"):
            yield Fault(path_of([*at, "required_skills"]), "is missing: best_skill compares how well they are known.")


def _overflows(document: Document) -> Iterator[Fault]:
    goals = {queue["queue_id"]: queue["overflow"]["queue_id"] for queue in document["queues"] if "overflow" in queue}
    known = {queue["queue_id"] for queue in document["queues"]}
    for queue, at in _queues(document):
        if "overflow" not in queue:
            continue
        overflow, here = queue["overflow"], [*at, "overflow", "queue_id"]
        if overflow["queue_id"] not in known:
            yield Fault(path_of(here), f"there is no queue {overflow['queue_id']}.")
        elif _comes_back(goals, queue["queue_id"]):
            yield Fault(path_of(here), "callers would overflow in circles; let one of these queues keep them.")
        if not any(overflow.get(name) for name in ("after_seconds", "waiting", "estimated_seconds")):
            sentence = "says no condition; give after_seconds, waiting or estimated_seconds."
            yield Fault(path_of([*at, "overflow"]), sentence)


def _comes_back(goals: dict[str, str], start: str) -> bool:
    queue_id, seen = goals[start], set()
    while queue_id in goals and queue_id not in seen:
        if queue_id == start:
            return True
        seen.add(queue_id)
        queue_id = goals[queue_id]
    return queue_id == start


def _exit_keys(document: Document) -> Iterator[Fault]:
    keys = {queue["queue_id"]: queue.get("exit_keys", "") for queue in document["queues"]}
    for queue, at in _queues(document):
        if len(set(queue.get("exit_keys", ""))) < len(queue.get("exit_keys", "")):
            yield Fault(path_of([*at, "exit_keys"]), "holds a key twice.")
    for index, flow in enumerate(document["flows"]):
        for number, step in enumerate(flow["steps"]):
            queue_id = step.get("queue", {}).get("queue_id")
            exits = step.get("exits", {})
            place: At = ["flows", index, "steps", number, "exits"]
            for key in [key for key in keys.get(queue_id, "") if key not in exits]:
                yield Fault(path_of([*place, key]), f"is missing: callers of queue {queue_id} may leave with {key}.")
            for key in [name for name in exits if queue_id and len(name) == 1 and name not in keys.get(queue_id, "")]:
                yield Fault(path_of([*place, key]), f"is never taken: {key} is not in exit_keys of queue {queue_id}.")


def _announcements(document: Document) -> Iterator[Fault]:
    for queue, at in _queues(document):
        for number, said in _numbered(queue, "announcements"):
            if not (said.get("prompts") or said.get("says_position") or said.get("says_estimate")):
                sentence = "says nothing; give prompts, says_position or says_estimate."
                yield Fault(path_of([*at, "announcements", number]), sentence)


def _queues(document: Document) -> Iterator[tuple[Document, At]]:
    for index, queue in enumerate(document["queues"]):
        yield queue, ["queues", index]


def _numbered(queue: Document, field: str) -> Iterator[tuple[int, Document]]:
    yield from enumerate(queue.get(field, ()))


_RULES: Final[tuple[Callable[[Document], Iterator[Fault]], ...]] = (
    _references,
    _skills,
    _rings,
    _strategies,
    _overflows,
    _exit_keys,
    _announcements,
)
