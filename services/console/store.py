from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Protocol


class StoreUnavailable(Exception):
    """The document store does not answer. Nothing is half done: the same call may be made again."""


class VersionTaken(Exception):
    """Somebody else has applied a change at the same moment. Read again and decide anew."""


@dataclass(frozen=True, slots=True)
class Version:
    """One applied version of a tenant's document. `contract` are the bytes that services read, as they were then."""

    tenant_id: str
    number: int
    document: dict[str, Any]
    contract: bytes
    actor: str
    applied_ms: int
    is_published: bool = False
    request_id: str = ""
    """Of the request that applied it, where that may be sent again."""
    filed: dict[str, Any] | None = None
    """Rules and endpoints as the file had them that was applied, where a file was: a page may have kept others."""


@dataclass(frozen=True, slots=True)
class Holder:
    """Who holds a claim since when (wall time)."""

    tenant_id: str
    since_ms: int


class TenantStore(Protocol):
    """The history of all tenants, and what each claims. Every method may raise StoreUnavailable."""

    def head(self, tenant_id: str) -> Version | None:
        """Return the newest version."""

    def tenants(self) -> list[str]:
        """Return all tenants' ids, sorted."""

    def version(self, tenant_id: str, number: int) -> Version | None:
        """Return one version."""

    def history(self, tenant_id: str, limit: int, below: int | None = None) -> list[Version]:
        """Return the newest versions, newest first; those below a number where it is given."""

    def applied_by(self, tenant_id: str, request_id: str) -> Version | None:
        """Return the version that a request has applied."""

    def append(self, version: Version) -> None:
        """Add a version; raise VersionTaken when its number is there already."""

    def rewrite(self, version: Version) -> None:
        """Put other documents and another contract in the place of those of a version that is there."""

    def unpublished(self) -> list[tuple[str, int]]:
        """Return (tenant, number) of the versions that may not be on the bus yet."""

    def mark_published(self, tenant_id: str, numbers: Collection[int]) -> None:
        """Remember that these versions, or later ones, are on the bus."""

    def holder(self, key: str) -> Holder | None:
        """Return who holds a claim."""

    def take_claim(self, key: str, former: Holder | None, holder: Holder) -> bool:
        """Let a holder have a claim if it is still held by `former`; False when it is not."""
