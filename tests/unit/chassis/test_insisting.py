"""Whatever is away is asked until it answers, ever more seldom, and a stop ends that."""

import pytest
from gevent.event import Event
from structlog.testing import capture_logs

from services.shared.chassis.insisting import JITTER, Pauses, Stopped, insist


class Away(Exception):
    pass


class Store:
    """Is away for some tries, each for its reason."""

    def __init__(self, *reasons: str) -> None:
        self.reasons = list(reasons)

    def ask(self) -> int:
        if self.reasons:
            raise Away(self.reasons.pop(0))
        return 7


class Watch(Event):  # type: ignore[misc]  # gevent's class counts as Any
    """Notes how long was waited instead of waiting; stops after so many times."""

    def __init__(self, stops_after: int = 1_000) -> None:
        super().__init__()
        self.pauses: list[float] = []
        self.stops_after = stops_after

    def wait(self, timeout: float | None = None) -> bool:
        self.pauses.append(timeout or 0.0)
        return len(self.pauses) >= self.stops_after


def test_it_is_asked_ever_more_seldom_until_it_answers() -> None:
    watch, missed = Watch(), list[int]()
    answer = insist(
        Store(*"abcdef").ask,
        Away,
        watch,
        "store_away",
        missed=lambda: missed.append(1),
        pauses=Pauses(1.0, 5.0),
        chance=lambda: 0.5,
    )
    assert answer == 7
    assert watch.pauses == [1.0, 2.0, 4.0, 5.0, 5.0, 5.0]
    assert len(missed) == 6


@pytest.mark.parametrize(("chance", "expected"), [(0.0, 1 - JITTER / 2), (1.0, 1 + JITTER / 2)])
def test_processes_that_lost_a_store_together_ask_it_apart(chance: float, expected: float) -> None:
    watch = Watch()
    insist(Store("a").ask, Away, watch, "store_away", pauses=Pauses(1.0, 5.0), chance=lambda: chance)
    assert watch.pauses == [pytest.approx(expected)]


def test_each_reason_is_said_once_and_that_it_is_back() -> None:
    with capture_logs() as said:
        insist(Store("gone", "gone", "gone", "refuses").ask, Away, Watch(), "store_away")
        insist(Store().ask, Away, Watch(), "store_away")
    assert [(one["event"], one.get("reason")) for one in said] == [
        ("store_away", "gone"),
        ("store_away", "refuses"),
        ("answers_again", None),
    ]


def test_a_stop_ends_it_and_what_else_goes_wrong_is_not_its_business() -> None:
    with pytest.raises(Stopped):
        insist(Store(*"abcdef").ask, Away, Watch(stops_after=2), "store_away")
    store = Store("a")
    with pytest.raises(Away):
        insist(store.ask, (KeyError, ValueError), Watch(), "store_away")
