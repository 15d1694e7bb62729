from collections.abc import Collection
from dataclasses import replace
from typing import Any

from services.console.store import Holder, Version, VersionTaken


class MemoryTenantStore:
    """A TenantStore in memory, for tests."""

    def __init__(self) -> None:
        self._versions: dict[tuple[str, int], Version] = {}
        self._claims: dict[str, Holder] = {}

    def head(self, tenant_id: str) -> Version | None:
        """Return the newest version."""
        newest = self.history(tenant_id, 1)
        return newest[0] if newest else None

    def tenants(self) -> list[str]:
        """Return all tenants' ids, sorted."""
        return sorted({tenant_id for tenant_id, _ in self._versions})

    def version(self, tenant_id: str, number: int) -> Version | None:
        """Return one version."""
        return self._versions.get((tenant_id, number))

    def history(self, tenant_id: str, limit: int, below: int | None = None) -> list[Version]:
        """Return the newest versions, newest first."""
        own = [version for (owner, _), version in self._versions.items() if owner == tenant_id]
        found = [version for version in own if below is None or version.number < below]
        return sorted(found, key=lambda version: -version.number)[:limit]

    def applied_by(self, tenant_id: str, request_id: str) -> Version | None:
        """Return the version that a request has applied."""
        return next((one for one in self.history(tenant_id, len(self._versions)) if one.request_id == request_id), None)

    def append(self, version: Version) -> None:
        """Add a version."""
        if self._versions.setdefault((version.tenant_id, version.number), version) is not version:
            raise VersionTaken(f"{version.tenant_id} has a version {version.number} already")

    def rewrite(self, version: Version) -> None:
        """Put another document in the place of a version's."""
        place = (version.tenant_id, version.number)
        known = self._versions[place]
        self._versions[place] = replace(
            known, document=version.document, contract=version.contract, filed=version.filed
        )

    def unpublished(self) -> list[tuple[str, int]]:
        """Return what may not be on the bus yet."""
        return sorted(place for place, version in self._versions.items() if not version.is_published)

    def mark_published(self, tenant_id: str, numbers: Collection[int]) -> None:
        """Remember what is on the bus."""
        for number in numbers:
            self._versions[tenant_id, number] = replace(self._versions[tenant_id, number], is_published=True)

    def holder(self, key: str) -> Holder | None:
        """Return who holds a claim."""
        return self._claims.get(key)

    def take_claim(self, key: str, former: Holder | None, holder: Holder) -> bool:
        """Let a holder have a claim if it is still held by `former`."""
        if self._claims.get(key) != former:
            return False
        self._claims[key] = holder
        return True


class MemoryErasureStore:
    """An ErasureStore in memory, for tests."""

    def __init__(self) -> None:
        self._reports: dict[tuple[str, str], dict[str, Any]] = {}

    def keep(self, report: dict[str, Any]) -> None:
        """Keep a report."""
        self._reports[report["tenant_id"], report["erasure_id"]] = report

    def find(self, tenant_id: str, erasure_id: str) -> dict[str, Any] | None:
        """Return one report."""
        return self._reports.get((tenant_id, erasure_id))

    def newest(self, tenant_id: str, limit: int) -> list[dict[str, Any]]:
        """Return a tenant's reports."""
        own = [report for (owner, _), report in self._reports.items() if owner == tenant_id]
        return sorted(own, key=lambda report: -report["asked_ms"])[:limit]
