import errno

import gevent
import pytest
from gevent.event import Event as Flag

from services.shared.chassis.clock import Clock
from services.stats import feed as feeding
from services.stats import metrics
from services.stats.domain.board import Board
from services.stats.feed import BEAT, Feed
from tests.unit.stats.events import TENANT, answered_call

NOW_MS = 1_795_435_200_000
DEADLINE_SECONDS = 5.0


@pytest.fixture
def board() -> Board:
    return Board()


@pytest.fixture
def feed(board: Board) -> Feed:
    return Feed(board, Clock(wall=lambda: NOW_MS / 1000))


def test_while_nothing_changes_a_stream_only_shows_that_it_lives(feed: Feed) -> None:
    frames = feed.stream(TENANT, Flag())
    first, *following = [next(frames) for _ in range(3)]
    assert first.startswith(b"event: live")
    assert following == [BEAT, BEAT]


def test_changes_that_come_together_are_one_frame(feed: Feed, board: Board) -> None:
    frames = feed.stream(TENANT, Flag())
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
    frames = feed.stream(TENANT, Flag())
    next(frames)

    def change() -> None:
        gevent.sleep(2 * feeding.COALESCE_SECONDS)
        board.fold(answered_call("c", NOW_MS - 60_000, 1_000, 1_000)[0], NOW_MS)
        feed.notify()

    gevent.spawn(change)
    with gevent.Timeout(DEADLINE_SECONDS):
        assert b'"started":1' in next(frames)


def test_a_reader_who_takes_nothing_is_dropped_as_if_he_had_gone(feed: Feed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feeding, "SLOW_SECONDS", 0.01)
    before = metrics.SLOW_READERS._value.get()
    frames = feed.stream(TENANT, Flag())
    next(frames)
    with pytest.raises(BrokenPipeError) as raised:
        gevent.sleep(DEADLINE_SECONDS)  # the web server waits like this for room in the connection
    assert raised.value.errno == errno.EPIPE
    frames.close()  # type: ignore[attr-defined]  # what the web server calls then
    assert metrics.SLOW_READERS._value.get() == before + 1
    assert metrics.STREAMS._value.get() == 0


def test_a_stream_ends_after_its_time_so_that_a_token_taken_away_opens_nothing_more(
    feed: Feed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feeding, "STREAM_SECONDS", 0.1)
    frames = feed.stream(TENANT, Flag())
    next(frames)
    with gevent.Timeout(DEADLINE_SECONDS):
        assert list(frames) == []
