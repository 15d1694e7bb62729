"""Who may ask for what was said."""

from dataclasses import dataclass
from typing import Final

from services.recorder import metrics
from services.shared.access import Action, Holders, Principal
from services.shared.chassis.admission import Admission

COOKIE: Final = "ringmaster_recordings"


@dataclass(frozen=True, slots=True)
class Asker:
    """Who asks, and for which company."""

    principal: Principal
    tenant_id: str


def admission(tokens: Holders) -> Admission:
    """Return what knows who asks, by bearer token or by the page's cookie."""
    return Admission(tokens, COOKIE, lambda why: metrics.DENIED.labels(why).inc())


def admit(tokens: Holders, action: Action) -> Asker:
    """Return who asks. The platform's own people name a company. Raises Refusal (400, 401, 403)."""
    admitted = admission(tokens)
    return Asker(admitted.principal(), admitted.tenant(action))
