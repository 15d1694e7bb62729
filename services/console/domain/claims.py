"""What belongs to one tenant alone, whichever came first: the lines that find it and the domain of its phones (1.3)."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from services.console.domain.fault import Fault, path_of


@dataclass(frozen=True, slots=True)
class Claim:
    """One thing that a document claims: its key over all tenants, and where it stands."""

    key: str
    path: str


def claims_of(document: Mapping[str, Any]) -> tuple[Claim, ...]:
    """Return what a sound document claims."""
    return (
        Claim(f"domain:{document['domain']}", "domain"),
        *(
            Claim(f"line:{line['number']}", path_of(["lines", index, "number"]))
            for index, line in enumerate(document["lines"])
        ),
    )


def taken(claim: Claim) -> Fault:
    """Return the fault of a claim that another tenant holds. It does not say which: tenants don't see each other."""
    thing, _, name = claim.key.partition(":")
    return Fault(claim.path, f"the {thing} {name} belongs to another tenant.")


def faults_between(documents: Iterable[tuple[str, Mapping[str, Any]]]) -> Iterator[tuple[str, Fault]]:
    """Yield (name, fault) where sound documents of one batch claim the same, or are of the same tenant."""
    holders: dict[str, str] = {}
    for name, document in documents:
        for claim in (Claim(f"tenant:{document['tenant_id']}", "tenant_id"), *claims_of(document)):
            holder = holders.setdefault(claim.key, name)
            if holder != name:
                thing, _, value = claim.key.partition(":")
                yield name, Fault(claim.path, f"the {thing} {value} is also in {holder}.")
