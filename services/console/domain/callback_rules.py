"""What is wrong with how a document has customers called back (SPEC 4)."""

from collections.abc import Callable, Iterator
from typing import Any, Final

from services.console.domain.fault import Fault, path_of

Document = dict[str, Any]
At = list[str | int]


def faults_of_callbacks(document: Document) -> Iterator[Fault]:
    """Yield every fault of the queues' callback policies and of the lines that are called back when closed."""
    for rule in _RULES:
        yield from rule(document)


def _names(document: Document) -> Iterator[Fault]:
    lists = {one["list_id"] for one in document.get("lists", ())}
    lines = {line["number"] for line in document["lines"]}
    for policy, at in _policies(document):
        for number, list_id in enumerate(policy.get("black_lists", ())):
            if list_id not in lists:
                sentence = f"there is no list {list_id}; add it to lists, or take it out here."
                yield Fault(path_of([*at, "black_lists", number]), sentence)
        shown = policy.get("caller_number")
        if shown is not None and shown not in lines:
            sentence = f"{shown} is no line of this tenant: customers could not call it back; give one of lines."
            yield Fault(path_of([*at, "caller_number"]), sentence)


def _hours(document: Document) -> Iterator[Fault]:
    for policy, at in _policies(document):
        for number, hours in enumerate(policy.get("hours", ())):
            if hours["from"] >= hours["until"]:
                yield Fault(path_of([*at, "hours", number, "until"]), "must be later than from.")


def _allowed(document: Document) -> Iterator[Fault]:
    """Name policies of which no customer could ever be dialled: the limits allow no number at all."""
    if document.get("limits", {}).get("allowed_prefixes"):
        return
    sentence = "dials nobody: limits.allowed_prefixes is empty; add the beginnings of your customers' numbers."
    for policy, at in _policies(document):
        if policy.get("after"):
            yield Fault(path_of([*at, "after"]), sentence)
    for field in ("closed_callbacks", "campaigns"):
        if document.get(field):
            yield Fault(field, sentence)


def _times(document: Document) -> Iterator[Fault]:
    for policy, at in _policies(document):
        if policy.get("first_after_seconds", 0) >= policy.get("expires_seconds", _DAY_SECONDS):
            sentence = "must be less than expires_seconds: the task would be given up before its first attempt."
            yield Fault(path_of([*at, "first_after_seconds"]), sentence)


def _closed(document: Document) -> Iterator[Fault]:
    lines = {line["number"] for line in document["lines"]}
    queues = {queue["queue_id"] for queue in document["queues"]}
    seen: set[str] = set()
    for index, closed in enumerate(document.get("closed_callbacks", ())):
        at: At = ["closed_callbacks", index]
        if closed["line"] not in lines:
            yield Fault(path_of([*at, "line"]), f"there is no line {closed['line']}.")
        if closed["queue_id"] not in queues:
            yield Fault(path_of([*at, "queue_id"]), f"there is no queue {closed['queue_id']}.")
        if closed["line"] in seen:
            yield Fault(path_of([*at, "line"]), f"{closed['line']} stands here twice; one queue calls them back.")
        seen.add(closed["line"])


def _campaigns(document: Document) -> Iterator[Fault]:
    lines = {line["number"] for line in document["lines"]}
    queues = {queue["queue_id"] for queue in document["queues"]}
    for index, campaign in enumerate(document.get("campaigns", ())):
        at: At = ["campaigns", index]
        if campaign["queue_id"] not in queues:
            yield Fault(path_of([*at, "queue_id"]), f"there is no queue {campaign['queue_id']}.")
        if campaign["line"] not in lines:
            yield Fault(path_of([*at, "line"]), f"there is no line {campaign['line']}.")


def _policies(document: Document) -> Iterator[tuple[Document, At]]:
    for index, queue in enumerate(document["queues"]):
        if "callbacks" in queue:
            yield queue["callbacks"], ["queues", index, "callbacks"]


_DAY_SECONDS: Final = 86_400
_RULES: Final[tuple[Callable[[Document], Iterator[Fault]], ...]] = (
    _names,
    _hours,
    _allowed,
    _times,
    _closed,
    _campaigns,
)
