"""Every tenant's live state and profile in one place, and what changed since somebody looked."""

from collections.abc import Collection
from typing import Any

from services.shared.contracts.ringmaster.v1.event_pb2 import Event
from services.stats.domain.live import Outcome, TenantLive
from services.stats.domain.profile import Profile
from services.stats.domain.view import view_of


class Board:
    """All tenants. One process owns it; nothing here waits, so a view never sees half an event."""

    def __init__(self) -> None:
        self._lives: dict[str, TenantLive] = {}
        self._profiles: dict[str, Profile] = {}
        self._versions: dict[str, int] = {}
        self.trouble = ""
        self.are_legs_whole = True
        """Whether the documents of legs have all that was told when the service began."""

    def version(self, tenant_id: str) -> int:
        """Return a number that rises with each change of a tenant's numbers."""
        return self._versions.get(tenant_id, 0)

    def tenant_ids(self) -> list[str]:
        """Return every tenant that has a document or told an event."""
        return sorted(self._profiles.keys() | self._lives.keys())

    def name_of(self, tenant_id: str) -> str:
        """Return the company's name, the id where it has none."""
        return self.profile(tenant_id).name or tenant_id

    def profile(self, tenant_id: str) -> Profile:
        """Return what a tenant's document says; defaults without one."""
        return self._profiles.get(tenant_id) or Profile(tenant_id)

    def put_profile(self, tenant_id: str, profile: Profile | None) -> None:
        """Take a tenant's document, None when it was deleted."""
        self._changed(tenant_id)
        if profile is None:
            self._profiles.pop(tenant_id, None)
        else:
            self._profiles[tenant_id] = profile

    def fold(self, event: Event, now_ms: int) -> Outcome:
        """Take an event."""
        live = self.live(event.tenant_id)
        live.advance(now_ms)
        outcome = live.fold(event, self.profile(event.tenant_id))
        if outcome is Outcome.TAKEN:
            self._changed(event.tenant_id)
        return outcome

    def forget(self, tenant_id: str, numbers: Collection[str]) -> None:
        """Let the live numbers name a person no more."""
        for call in self.live(tenant_id).calls.values():
            if call.caller[0] in numbers:
                call.caller = ("", "")
        self._changed(tenant_id)

    def live(self, tenant_id: str) -> TenantLive:
        """Return a tenant's state; one that was not known begins empty."""
        live = self._lives.get(tenant_id)
        if live is None:
            live = self._lives[tenant_id] = TenantLive()
        return live

    def put_live(self, tenant_id: str, live: TenantLive) -> None:
        """Take a state from a snapshot."""
        self._changed(tenant_id)
        self._lives[tenant_id] = live

    def forget_live(self, tenant_ids: list[str]) -> None:
        """Let states go whose partition another process has now."""
        for tenant_id in tenant_ids:
            self._lives.pop(tenant_id, None)

    def lives(self) -> dict[str, TenantLive]:
        """Return every state, by tenant."""
        return self._lives

    def view(self, tenant_id: str, now_ms: int) -> dict[str, Any]:
        """Return a tenant's live numbers."""
        return view_of(self._lives.get(tenant_id) or TenantLive(), self.profile(tenant_id), now_ms, self.trouble)

    def _changed(self, tenant_id: str) -> None:
        self._versions[tenant_id] = self._versions.get(tenant_id, 0) + 1
