from dataclasses import dataclass
from enum import Enum

HTTP_OK = 200
HTTP_REDIRECT = 300
HTTP_UNAUTHORIZED = 401
HTTP_GONE = 410
HTTP_TOO_MANY = 429
HTTP_UNAVAILABLE = 503


class Verdict(Enum):
    """What one try means for its delivery."""

    DELIVERED = "delivered"
    RETRY = "retry"
    GONE = "gone"


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try. `status` is 0 when no answer came; `error` is one sentence of ours, never of the receiver."""

    status: int
    milliseconds: int
    error: str = ""
    retry_after: float | None = None
    answer: str = ""
    """The beginning of what came back, as policy shows it; of failures alone."""

    @property
    def verdict(self) -> Verdict:
        """2xx is delivered, 410 means never again, all else (3xx too: we follow nothing) is tried again (SPEC 7.3)."""
        if HTTP_OK <= self.status < HTTP_REDIRECT:
            return Verdict.DELIVERED
        return Verdict.GONE if self.status == HTTP_GONE else Verdict.RETRY

    @property
    def outcome(self) -> str:
        """A word of a bounded set, for a metric."""
        if self.status == 0:
            return "no_answer"
        return f"{min(self.status // 100, 5)}xx"
