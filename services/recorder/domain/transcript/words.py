from dataclasses import dataclass, replace
from enum import Enum


class Personal(Enum):
    """A kind of personal data; its value stands in brackets where it was taken out: [card]."""

    CARD = "card"
    PHONE = "phone"
    EMAIL = "email"
    DIGITS = "digits"
    MASKED = "masked"
    """Said while the recording was masked: never kept."""


@dataclass(frozen=True, slots=True)
class Word:
    """One word as it was heard. Times are milliseconds from where the sound begins; confidence is 0 to 1.

    A word with `personal` stands for what was taken out: its text says only what kind that was.
    """

    text: str
    start_ms: int
    end_ms: int
    confidence: float
    personal: Personal | None = None

    def moved(self, by_ms: int) -> "Word":
        """Return the word so much later."""
        return replace(self, start_ms=self.start_ms + by_ms, end_ms=self.end_ms + by_ms)
