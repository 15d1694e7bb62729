import gevent
import pytest
from gevent.event import Event as Flag

from services.shared.chassis.clock import Clock
from services.shared.chassis.event_stream import BEAT
from services.stats import feed as feeding
from services.stats.domain.board import Board
from services.stats.feed import Feed
from tests.unit.stats.events import TENANT, answered_call

NOW_MS = 1_795_435_200_000
DEADLINE_SECONDS = 60.0


@pytest.fixture
def board() -> Board:
    return Board()


@pytest.fixture
def feed(board: Board) -> Feed:
    return Feed(board, Clock(wall=lambda: NOW_MS / 1000))


def test_while_nothing_changes_a_stream_only_shows_that_it_lives(feed: Feed) -> None:
    frames = feed.frames(TENANT, Flag())
    first, *following = [next(frames) for _ in range(3)]
    assert first.startswith(b"event: live")
    assert following == [BEAT, BEAT]


def test_changes_that_come_together_are_one_frame(feed: Feed, board: Board) -> None:
    frames = feed.frames(TENANT, Flag())
    next(frames)
    for event in answered_call("c", NOW_MS - 60_000, 1_000, 1_000):
        board.fold(event, NOW_MS)
        feed.notify()
    with gevent.Timeout(DEADLINE_SECONDS):
        assert b'"started":1' in next(frames)
        assert next(frames) == BEAT


def test_a_change_wakes_a_stream_before_its_next_tick(
    feed: Feed, board: Board, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feeding, "TICK_SECONDS", 3600.0)
    frames = feed.frames(TENANT, Flag())
    next(frames)

    def change() -> None:
        gevent.sleep(2 * feeding.COALESCE_SECONDS)
        board.fold(answered_call("c", NOW_MS - 60_000, 1_000, 1_000)[0], NOW_MS)
        feed.notify()

    gevent.spawn(change)
    with gevent.Timeout(DEADLINE_SECONDS):
        assert b'"started":1' in next(frames)
