"""What is wrong with how a document has talks written down, searched for phrases and marked (SPEC 6.4, 6.5)."""

import re
from collections.abc import Callable, Iterator
from typing import Any, Final

from services.console.domain.fault import Fault, path_of

Document = dict[str, Any]
At = list[str | int]

_MOST_PHRASE_WORDS: Final = 12


def faults_of_speech(document: Document) -> Iterator[Fault]:
    """Yield every fault of the transcription policy, the speech rules and the score cards."""
    for rule in _RULES:
        yield from rule(document)


def _queues(document: Document) -> Iterator[Fault]:
    known = {queue["queue_id"] for queue in document["queues"]}
    for queue_id, at in _named_queues(document):
        if queue_id not in known:
            yield Fault(path_of(at), f"there is no queue {queue_id}.")


def _named_queues(document: Document) -> Iterator[tuple[str, At]]:
    for number, one in enumerate(document.get("transcription", {}).get("queues", ())):
        yield one["queue_id"], ["transcription", "queues", number, "queue_id"]
    for collection in ("speech_rules", "score_cards"):
        for index, entry in enumerate(document.get(collection, ())):
            for number, queue_id in enumerate(entry.get("queue_ids", ())):
                yield queue_id, [collection, index, "queue_ids", number]


def _phrases(document: Document) -> Iterator[Fault]:
    for index, rule in enumerate(document.get("speech_rules", ())):
        for field in ("phrases", "near", "unless_near"):
            for number, phrase in enumerate(rule.get(field, ())):
                words = len(re.findall(r"\w+", phrase))
                if not 1 <= words <= _MOST_PHRASE_WORDS:
                    complaint = f"must have 1 to {_MOST_PHRASE_WORDS} words, it has {words}."
                    yield Fault(path_of(["speech_rules", index, field, number]), complaint)


def _feelings(document: Document) -> Iterator[Fault]:
    for index, rule in enumerate(document.get("speech_rules", ())):
        at: At = ["speech_rules", index]
        bounds = rule.get("feeling")
        if bounds is None and not rule.get("phrases"):
            yield Fault(path_of(at), "needs phrases, a feeling or both.")
        if bounds is None:
            continue
        least, most = bounds.get("at_least"), bounds.get("at_most")
        if least is None and most is None:
            yield Fault(path_of([*at, "feeling"]), "has no bound: give at_least, at_most or both.")
        if least is not None and most is not None and least > most:
            yield Fault(path_of([*at, "feeling", "at_most"]), "must not be less than at_least.")
        if not rule.get("phrases") and (rule.get("near") or rule.get("unless_near")):
            yield Fault(path_of(at), "has words to be near to, but no phrases that they could be near.")


def _windows(document: Document) -> Iterator[Fault]:
    for index, rule in enumerate(document.get("speech_rules", ())):
        if rule.get("first_seconds") and rule.get("last_seconds"):
            complaint = "and first_seconds exclude each other: make two rules of it."
            yield Fault(path_of(["speech_rules", index, "last_seconds"]), complaint)


def _criteria(document: Document) -> Iterator[Fault]:
    rules = {rule["rule_id"] for rule in document.get("speech_rules", ())}
    for index, card in enumerate(document.get("score_cards", ())):
        for number, criterion in enumerate(card["criteria"]):
            yield from _criterion(criterion, rules, ["score_cards", index, "criteria", number])


def _criterion(criterion: Document, rules: set[str], at: At) -> Iterator[Fault]:
    if ("rule_id" in criterion) == ("measure" in criterion):
        yield Fault(path_of(at), "needs exactly one of rule_id and measure.")
        return
    if "rule_id" in criterion and criterion["rule_id"] not in rules:
        yield Fault(path_of([*at, "rule_id"]), f"there is no rule {criterion['rule_id']} in speech_rules.")
    least, most = criterion.get("at_least", 0), criterion.get("at_most", 0)
    if "measure" in criterion and not least and not most:
        yield Fault(path_of(at), "has no bound: give at_least, at_most or both.")
    if most and least > most:
        yield Fault(path_of([*at, "at_most"]), "must not be less than at_least.")


_RULES: Final[tuple[Callable[[Document], Iterator[Fault]], ...]] = (_queues, _phrases, _feelings, _windows, _criteria)
