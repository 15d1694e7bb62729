from collections.abc import Callable
from typing import Any, Final

from services.console.domain.claims import Claim, claims_of, taken
from services.console.domain.fault import Fault
from services.console.store import Holder, TenantStore, VersionTaken

# A claim whose document does not come within this wall time belongs to a writer that died between the two.
LEASE_MS: Final = 30_000
TRIES: Final = 5


def claim_all(store: TenantStore, tenant_id: str, document: dict[str, Any], wall_ms: Callable[[], int]) -> list[Fault]:
    """Claim the lines and the domain of a sound document for its tenant; return a fault for each that is another's.

    Claims come before the document that they are for. A claim counts when its holder's newest document has it, or for
    LEASE_MS: so neither a crash nor a dropped line needs anybody to tidy up. Raises VersionTaken.
    """
    return [taken(claim) for claim in claims_of(document) if not _claim(store, claim, Holder(tenant_id, wall_ms()))]


def _claim(store: TenantStore, claim: Claim, holder: Holder) -> bool:
    """Claim one thing; False where it is another tenant's. Raises VersionTaken where others do not stop claiming it."""
    for _ in range(TRIES):
        former = store.holder(claim.key)
        is_anothers = former is not None and former.tenant_id != holder.tenant_id
        if former is not None and is_anothers and _is_held(store, claim, former, holder.since_ms):
            return False
        # Somebody may claim it between the two, also for this very tenant: who it is is looked at anew.
        if store.take_claim(claim.key, former, holder):
            return True
    raise VersionTaken(f"{claim.key} is being claimed at the same moment")


def _is_held(store: TenantStore, claim: Claim, former: Holder, now_ms: int) -> bool:
    if now_ms - former.since_ms < LEASE_MS:
        return True
    head = store.head(former.tenant_id)
    return head is not None and any(claim.key == held.key for held in claims_of(head.document))


def conflicts(store: TenantStore, tenant_id: str, document: dict[str, Any], now_ms: int) -> list[Fault]:
    """Return the faults that `claim_all` would return now, and claim nothing."""
    found = ((claim, store.holder(claim.key)) for claim in claims_of(document))
    return [
        taken(claim)
        for claim, former in found
        if former and former.tenant_id != tenant_id and _is_held(store, claim, former, now_ms)
    ]
