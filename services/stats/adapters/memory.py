from typing import Any

from services.stats.domain.call_log import OUTBOUND
from services.stats.store import CallFields, PartitionSnapshot, TenantSnapshot


class MemoryStore:
    """The same as MongoStore in memory, for tests; it passes the same suite."""

    def __init__(self) -> None:
        self.calls: dict[tuple[str, str], dict[str, Any]] = {}
        self._tenants: dict[tuple[int, str], TenantSnapshot] = {}
        self._offsets: dict[int, int] = {}

    def prepare(self) -> None:
        """Nothing to make."""

    def write(self, calls: CallFields) -> None:
        """Set fields of calls; `a.b` sets b within a."""
        for (tenant_id, call_id), fields in calls.items():
            call = self.calls.setdefault((tenant_id, call_id), {"tenant_id": tenant_id, "call_id": call_id})
            for name, value in fields.items():
                outer, _, inner = name.partition(".")
                if inner:
                    call.setdefault(outer, {})[inner] = value
                else:
                    call[name] = value

    def load(self, partition: int) -> PartitionSnapshot:
        """Return the newest snapshot."""
        tenants = [tenant for (number, _), tenant in self._tenants.items() if number == partition]
        return PartitionSnapshot(self._offsets.get(partition, 0), tenants)

    def save(self, partition: int, next_offset: int, changed: list[TenantSnapshot]) -> None:
        """Keep a snapshot."""
        for tenant in changed:
            self._tenants[partition, tenant.tenant_id] = tenant
        self._offsets[partition] = next_offset

    def summary(self, tenant_id: str | None) -> dict[str, Any]:
        """Return totals."""
        every = self._of(tenant_id)
        calls = [call for call in every if call.get("direction") != OUTBOUND]
        outbound = [call for call in every if call.get("direction") == OUTBOUND]
        ended = [call for call in calls if call.get("ended")]
        return {
            "calls_in": sum(bool(call.get("started")) for call in calls),
            "calls_ended": len(ended),
            "answered": sum(bool(call.get("answered")) for call in calls),
            "called_back": {
                "dialled": sum(bool(call.get("dialled")) for call in outbound),
                "answered": sum(bool(call.get("answered")) for call in outbound),
                "not_ended": sum(not call.get("ended") for call in outbound),
            },
            "by_exit": {name: sum(call["exit"] == name for call in ended) for name in {call["exit"] for call in ended}},
            "recordings_stored": sum(len(call.get("recordings", {})) for call in every),
        }

    def call(self, tenant_id: str, call_id: str) -> dict[str, Any] | None:
        """Return one call with its trace."""
        return self.calls.get((tenant_id, call_id))

    def newest(self, tenant_id: str | None, limit: int) -> list[dict[str, Any]]:
        """Return the newest calls."""
        newest = sorted(self._of(tenant_id), key=lambda call: -call.get("started_ms", 0))[:limit]
        return [{name: value for name, value in call.items() if name != "trace"} for call in newest]

    def _of(self, tenant_id: str | None) -> list[dict[str, Any]]:
        return [call for (owner, _), call in self.calls.items() if tenant_id in (None, owner)]
