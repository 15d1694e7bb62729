import json
import logging
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

import structlog
from structlog.typing import EventDict, WrappedLogger

# A dependency that is away is complained about by whoever needs it, many times a second. A person is told once, and
# reminded after this time, seconds.
REMIND_SECONDS = 60.0
# Reasons may be made of anything; more different ones than this are not remembered.
_MOST_REMEMBERED = 1000


@dataclass(slots=True)
class _Told:
    at: float
    unsaid: int = 0


class Reminder:
    """Lets a warning through once, and again each REMIND_SECONDS while it goes on, with how often it was left unsaid.

    Two warnings are the same when event and `reason` are; a warning without a reason always passes, as does every other
    level: an outage is a warning with a reason.
    """

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._told: dict[tuple[str, str], _Told] = {}

    def __call__(self, _logger: WrappedLogger, level: str, event: EventDict) -> EventDict:
        """Return the event, perhaps with `unsaid`, or raise structlog.DropEvent."""
        if level != "warning" or "reason" not in event:
            return event
        key, now = (str(event["event"]), str(event["reason"])), self._monotonic()
        told = self._told.get(key)
        if told is not None and now - told.at < REMIND_SECONDS:
            told.unsaid += 1
            raise structlog.DropEvent
        if told is not None and told.unsaid:
            event["unsaid"] = told.unsaid
        if len(self._told) >= _MOST_REMEMBERED:
            self._told.clear()
        self._told[key] = _Told(now)
        return event


class _JsonLine(logging.Formatter):
    """Writes what a library says through the standard logger in the shape of our own lines."""

    def format(self, record: logging.LogRecord) -> str:
        """Return one JSON object."""
        text = record.getMessage()
        if record.exc_info:
            text += "\n" + self.formatException(record.exc_info)
        line = {"event": "library_error", "library": record.name, "reason": text, "level": record.levelname.lower()}
        return json.dumps(line)


def _named(service: str) -> Callable[[WrappedLogger, str, EventDict], EventDict]:
    """Return what puts the service's name into each line: a bound variable would not be seen by other greenlets."""

    def name(_logger: WrappedLogger, _level: str, event: EventDict) -> EventDict:
        event["service"] = service
        return event

    return name


def configure_logs(service: str) -> None:
    """Write one JSON object a line to stderr: event, level, timestamp, service and the bound fields."""
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            _named(service),
            Reminder(),
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ],
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    # Libraries speak through the standard logger; only what a person must act on is let through.
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_JsonLine())
    logging.basicConfig(level=logging.ERROR, handlers=[handler])
    # It reports each failed connection as an error of its own, several a second: our own sentence says it once.
    logging.getLogger("kafka").setLevel(logging.CRITICAL)
