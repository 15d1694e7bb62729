"""How far the campaigns are, as the public events tell (SPEC 4.4)."""

from typing import Any, Final

from services.shared.contracts.ringmaster.v1.event_pb2 import Event

TOLD_BY: Final = "campaign.changed"
_COUNTS: Final = ("waiting", "open", "reached", "failed", "abandoned")
_STATES: Final = {"started": "running", "paused": "paused", "done": "done"}
"""The changes that are a state; any other leaves the state as it was."""


class CampaignView:
    """Campaigns of all tenants. Applying an event twice changes nothing."""

    def __init__(self) -> None:
        self._campaigns: dict[tuple[str, str], dict[str, Any]] = {}

    def find(self, tenant_id: str, campaign_id: str) -> dict[str, Any]:
        """Return state and counts as of the last change that was told."""
        return self._campaigns.get((tenant_id, campaign_id)) or {"state": "new", **dict.fromkeys(_COUNTS, 0)}

    def apply(self, event: Event) -> None:
        """Take one event."""
        body = event.campaign_changed
        former = self.find(event.tenant_id, body.campaign_id)
        counts = {name: getattr(body, name) for name in _COUNTS}
        state = _STATES.get(body.change, former["state"])
        self._campaigns[event.tenant_id, body.campaign_id] = {"state": state, **counts}
