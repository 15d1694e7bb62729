from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from services.shared.bus.positions import LogName
from services.stats.domain.facts.kept import CALLS
from services.stats.domain.facts.legs import LEGS

# Fields to set, by (tenant, call).
CallFields = dict[tuple[str, str], dict[str, Any]]
# The same for the other documents, by (collection, tenant, key).
FactFields = dict[tuple[str, str, str], dict[str, Any]]
Since = datetime | None
REVISION = "rev"
"""The field that says after which event of the log a document changed last."""
LEGS_REVISION = "legs_rev"
"""The same of a tenant's mark for legs: they come from another log, whose offsets are others."""
RETAINED_FROM = "last_at"
"""The field that a document's retention counts from: the moment of its newest event."""
RISING = (REVISION, RETAINED_FROM)
"""Fields that never go back."""


def mark_of(collection: str) -> str:
    """Return the field of a tenant's mark that counts the log of a collection."""
    return LEGS_REVISION if collection == LEGS else REVISION


class StoreUnavailable(Exception):
    """The document store does not answer or refuses. Who catches it tries again later: the log still has everything."""


@dataclass(frozen=True, slots=True)
class Named:
    """A document that names a person, and what makes it name nobody: fields to set, None to remove."""

    collection: str
    key: str
    """The call's id, or the document's key."""
    fields: dict[str, Any]


@dataclass(frozen=True, slots=True)
class TenantSnapshot:
    """One tenant's live state before the event at `next_offset`, a position (services/shared/bus/positions.py)."""

    tenant_id: str
    next_offset: int
    data: bytes


@dataclass(frozen=True, slots=True)
class PartitionSnapshot:
    """All tenants of a partition whose events begin before `next_offset`."""

    next_offset: int
    tenants: list[TenantSnapshot]


class Store(Protocol):
    """Keeps the call log and snapshots of live numbers. Each method raises StoreUnavailable."""

    def prepare(self) -> None:
        """Make the indexes."""

    def write(self, calls: CallFields, facts: FactFields | None = None) -> None:
        """Set fields of documents, then each tenant's mark; to set them again changes nothing."""

    def mark(self, tenant_id: str, collection: str = CALLS) -> int:
        """Return the revision up to which all documents of a collection are written, of its own log."""

    def generation(self, tenant_id: str) -> str:
        """Return a word that is another one after the documents were deleted to be written anew; empty for none."""

    def changed(self, tenant_id: str, collection: str, after: int) -> Iterator[dict[str, Any]]:
        """Return documents of a revision above `after`, the lowest first; each has `key` (or `call_id`) and `rev`."""

    def keep(self, kind: str, tenant_id: str, key: str, fields: dict[str, Any]) -> None:
        """Set fields of one of the service's own documents: how a norm stands, what became of a mail."""

    def kept(self, kind: str, tenant_id: str, keys: Collection[str] | None = None) -> list[dict[str, Any]]:
        """Return the own documents of a kind, each with its `key`, the newest first by `at_ms`.

        All that have one of some keys; without keys the last 500 of all.
        """

    def forget_facts(self, tenant_id: str | None, since: Since = None, legs_since: Since = None) -> None:
        """Delete what can be rebuilt: documents whose last word came since then, marks and snapshots.

        Legs have a moment of their own, as they have a log of their own; None is the beginning of time.
        """

    def naming(self, tenant_id: str, numbers: Sequence[str], collections: Sequence[str]) -> list[Named]:
        """Return a tenant's documents that name a person; each of the tenant's is looked at for it."""

    def forget_persons(self, tenant_id: str, found: Sequence[Named], revision: int) -> None:
        """Make documents name nobody, as a change of that revision, then set each collection's mark."""

    def load(self, partition: int) -> PartitionSnapshot:
        """Return the newest snapshot; one of offset 0 without tenants when there is none."""

    def log_of(self, topic: str, partition: int) -> LogName | None:
        """Return which log a partition was when it was last taken up; None where it never was."""

    def keep_log(self, topic: str, partition: int, name: LogName) -> None:
        """Keep which log a partition is."""

    def save(self, partition: int, next_offset: int, changed: list[TenantSnapshot]) -> None:
        """Keep the changed tenants, then the partition's offset: a kill in between leaves a usable older snapshot."""

    def summary(self, tenant_id: str | None) -> dict[str, Any]:
        """Return totals of a tenant, or of all."""

    def call(self, tenant_id: str, call_id: str) -> dict[str, Any] | None:
        """Return one call with its trace."""

    def newest(self, tenant_id: str | None, limit: int) -> list[dict[str, Any]]:
        """Return the newest calls of a tenant, or of all."""
