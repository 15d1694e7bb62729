"""Parts of a company that are decided apart (docs/adr/0033): what may be, and what is wrong with a declared split.

Queues that share agents, or lead to each other by overflow, are matched together: no split may go between them.
"""

from collections.abc import Callable, Iterator
from typing import Any, Final

from services.console.domain.fault import Fault, path_of

Document = dict[str, Any]
RECEPTION: Final = ""
"""The home of queues that are in no domain."""
_SHARED: Final = ("concurrent_calls", "calls_per_second", "outbound_spend_per_day")


def separable(document: Document) -> list[list[str]]:
    """Return the queues of a sound document in parts that share no agent and no overflow, the largest part first."""
    parts: dict[str, set[str]] = {queue["queue_id"]: {queue["queue_id"]} for queue in document["queues"]}
    served: dict[str, str] = {}
    for queue in document["queues"]:
        linked = [served.setdefault(tier["agent_id"], queue["queue_id"]) for tier in queue["tiers"]]
        if "overflow" in queue:
            linked.append(queue["overflow"]["queue_id"])
        for other in linked:
            joined = parts[queue["queue_id"]] | parts[other]
            for queue_id in joined:
                parts[queue_id] = joined
    different = {min(part): sorted(part) for part in parts.values()}
    return sorted(different.values(), key=lambda part: (-len(part), part))


def agents_of(document: Document, queue_ids: list[str]) -> set[str]:
    """Return who serves any of some queues."""
    wanted = frozenset(queue_ids)
    queues = [queue for queue in document["queues"] if queue["queue_id"] in wanted]
    return {tier["agent_id"] for queue in queues for tier in queue["tiers"]}


def faults_of_domains(document: Document) -> Iterator[Fault]:
    """Yield every fault of a declared split; a document without one has none."""
    if document.get("routing_domains"):
        for rule in _RULES:
            yield from rule(document)


def _queues(document: Document) -> Iterator[Fault]:
    known = {queue["queue_id"] for queue in document["queues"]}
    first: dict[str, str] = {}
    ids: set[str] = set()
    for index, domain in enumerate(document["routing_domains"]):
        if domain["domain_id"] in ids:
            yield Fault(path_of(["routing_domains", index, "domain_id"]), f"{domain['domain_id']} is there twice.")
        ids.add(domain["domain_id"])
        for number, queue_id in enumerate(domain["queues"]):
            at = path_of(["routing_domains", index, "queues", number])
            if queue_id not in known:
                yield Fault(at, f"there is no queue {queue_id}.")
            elif queue_id in first:
                yield Fault(at, f"queue {queue_id} is in domain {first[queue_id]} already.")
            first.setdefault(queue_id, domain["domain_id"])


def _agents(document: Document) -> Iterator[Fault]:
    homes = _homes(document)
    first: dict[str, str] = {}
    for index, queue in enumerate(document["queues"]):
        for number, tier in enumerate(queue["tiers"]):
            former = first.setdefault(tier["agent_id"], queue["queue_id"])
            if homes[former] != homes[queue["queue_id"]]:
                sentence = (
                    f"agent {tier['agent_id']} serves queue {former} ({_word(homes[former])}) and queue "
                    f"{queue['queue_id']} ({_word(homes[queue['queue_id']])}): an agent belongs to one domain."
                )
                yield Fault(path_of(["queues", index, "tiers", number, "agent_id"]), sentence)


def _overflows(document: Document) -> Iterator[Fault]:
    homes = _homes(document)
    for index, queue in enumerate(document["queues"]):
        target = queue.get("overflow", {}).get("queue_id", "")
        if target in homes and homes[target] != homes[queue["queue_id"]]:
            sentence = f"queue {target} is in another routing domain ({_word(homes[target])}): callers can't overflow."
            yield Fault(path_of(["queues", index, "overflow", "queue_id"]), sentence)


def _lines(document: Document) -> Iterator[Fault]:
    """Name lines with a limit of dials that campaigns of two domains share: nobody could count them together."""
    homes = _homes(document)
    limited = {line["number"] for line in document["lines"] if line.get("most_dials")}
    first: dict[str, str] = {}
    for index, campaign in enumerate(document.get("campaigns", ())):
        home = homes.get(campaign["queue_id"], RECEPTION)
        if campaign["line"] in limited and first.setdefault(campaign["line"], home) != home:
            sentence = f"line {campaign['line']} has most_dials, and campaigns of two routing domains dial under it."
            yield Fault(path_of(["campaigns", index, "line"]), sentence)


def _shares(document: Document) -> Iterator[Fault]:
    limits, domains = document.get("limits", {}), document["routing_domains"]
    for name in _SHARED:
        whole, parts = limits.get(name, 0), [domain.get(name, 0) for domain in domains]
        for index, part in enumerate(parts):
            at = path_of(["routing_domains", index, name])
            if whole and not part:
                yield Fault(at, f"is missing: limits.{name} is set, and each domain needs a share of it.")
            elif part and not whole:
                yield Fault(at, f"is a share of limits.{name}, which is not set.")
        if whole and sum(parts) >= whole:
            yield Fault(f"limits.{name}", f"leaves nothing to the reception: the domains have {sum(parts)} together.")


def _homes(document: Document) -> dict[str, str]:
    homes = {queue["queue_id"]: RECEPTION for queue in document["queues"]}
    for domain in document["routing_domains"]:
        homes |= {queue_id: domain["domain_id"] for queue_id in domain["queues"] if queue_id in homes}
    return homes


def _word(home: str) -> str:
    return f"domain {home}" if home else "no domain"


_RULES: Final[tuple[Callable[[Document], Iterator[Fault]], ...]] = (_queues, _agents, _overflows, _lines, _shares)
