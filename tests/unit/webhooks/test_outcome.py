import pytest

from services.webhooks.domain.outcome import Attempt, Verdict


@pytest.mark.parametrize(
    ("status", "verdict", "outcome"),
    [
        (200, Verdict.DELIVERED, "2xx"),
        (204, Verdict.DELIVERED, "2xx"),
        (299, Verdict.DELIVERED, "2xx"),
        (0, Verdict.RETRY, "no_answer"),
        (300, Verdict.RETRY, "3xx"),
        (302, Verdict.RETRY, "3xx"),
        (304, Verdict.RETRY, "3xx"),
        (400, Verdict.RETRY, "4xx"),
        (404, Verdict.RETRY, "4xx"),
        (410, Verdict.GONE, "4xx"),
        (429, Verdict.RETRY, "4xx"),
        (500, Verdict.RETRY, "5xx"),
        (999, Verdict.RETRY, "5xx"),
    ],
)
def test_a_status_decides_what_comes_next(status: int, verdict: Verdict, outcome: str) -> None:
    attempt = Attempt(status, 1)
    assert (attempt.verdict, attempt.outcome) == (verdict, outcome)
