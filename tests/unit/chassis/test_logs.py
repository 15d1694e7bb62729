import json
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr
from io import StringIO

import pytest
import structlog
from hypothesis import example, given
from hypothesis import strategies as st

from services.shared.chassis.logs import REMIND_SECONDS, Reminder, configure_logs


class Log:
    """What a person would read, with the clock in hand."""

    def __init__(self) -> None:
        self.now = 100.0
        self.read: list[dict[str, object]] = []
        self.reminder = Reminder(lambda: self.now)

    def say(self, level: str, **event: object) -> None:
        try:
            self.read.append(dict(self.reminder(None, level, dict(event))))
        except structlog.DropEvent:
            return


@pytest.fixture
def log() -> Log:
    return Log()


def test_an_outage_is_told_once_and_reminded_of_with_how_often_it_was_left_unsaid(log: Log) -> None:
    for _ in range(50):
        log.say("warning", event="bus_away", reason="no broker answers")
    log.now += REMIND_SECONDS
    log.say("warning", event="bus_away", reason="no broker answers")
    assert [line.get("unsaid") for line in log.read] == [None, 49]


def test_another_reason_is_another_warning(log: Log) -> None:
    for reason in ("no broker answers", "the topic does not exist", "no broker answers"):
        log.say("warning", event="bus_away", reason=reason)
    assert [line["reason"] for line in log.read] == ["no broker answers", "the topic does not exist"]


@pytest.mark.parametrize(
    "say",
    [
        lambda log: log.say("error", event="broken", reason="always the same"),
        lambda log: log.say("info", event="done", reason="always the same"),
        lambda log: log.say("warning", event="call_dropped", call_id="c1"),
    ],
)
def test_what_is_no_outage_is_always_told(log: Log, say: Callable[[Log], None]) -> None:
    for _ in range(3):
        say(log)
    assert len(log.read) == 3


def test_reasons_without_end_do_not_fill_the_memory(log: Log) -> None:
    for number in range(5_000):
        log.say("warning", event="refused", reason=f"offset {number}")
    assert len(log.reminder._told) <= 1_000
    assert len(log.read) == 5_000


@given(st.text(max_size=60))
@example('x"}\n{"event":"call_ended","level":"info"}')
@example("\u2028\u2029\x85\x00\x1b[2K\udcff")
def test_no_text_from_outside_makes_a_second_line_or_another_field(text: str) -> None:
    written = StringIO()
    with redirect_stderr(written), capture():
        structlog.get_logger().info("caller_arrived", caller=text, reason={"name": text, text: 1})
        logging.getLogger("a-library").error("it said %s", text)
    ours, theirs = written.getvalue().splitlines()
    line = json.loads(ours)
    assert (line["event"], line["caller"], line["reason"]["name"]) == ("caller_arrived", text, line["reason"]["name"])
    assert set(line) == {"event", "caller", "reason", "level", "timestamp", "service"}
    assert json.loads(theirs)["reason"] == f"it said {text}"


@contextmanager
def capture() -> Iterator[None]:
    """Log as a service does, and leave the process as it was."""
    root, before = logging.getLogger(), structlog.get_config()
    handlers, root.handlers = root.handlers, []
    try:
        configure_logs("listener")
        structlog.configure(cache_logger_on_first_use=False)
        yield
    finally:
        root.handlers = handlers
        structlog.configure(**before)
