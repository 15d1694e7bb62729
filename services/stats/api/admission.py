from typing import Final

from services.shared.access import Holders
from services.shared.chassis import admission
from services.shared.chassis.admission import Refusal, answer_refusals
from services.stats import metrics

__all__ = ["COOKIE", "Admission", "Refusal", "answer_refusals"]

COOKIE: Final = "ringmaster_stats"


class Admission(admission.Admission):
    """Knows who asks of the statistics."""

    def __init__(self, tokens: Holders) -> None:
        super().__init__(tokens, COOKIE, lambda why: metrics.DENIED.labels(why).inc())
