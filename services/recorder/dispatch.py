"""Gives finished files to a bounded number of workers.

A file that failed waits its own pause, the others go on; what is away for all of a company is tried with one of them.
"""

import random
import time
from collections.abc import Callable
from dataclasses import dataclass

import gevent
import structlog
from gevent.event import Event
from gevent.queue import Empty, Queue

from services.recorder import metrics
from services.recorder.domain.backoff import retry_delay_seconds
from services.recorder.domain.location import Location
from services.recorder.domain.outage import Outages
from services.recorder.errors import TryAgain
from services.recorder.storing import Outcome

POLL_SECONDS = 0.5
"""How often an idle worker looks whether the service stops."""
STORE_TROUBLE_ATTEMPTS = 3
"""After so many failures in a row, with no success between, the recorder says that it is not ready."""

log = structlog.get_logger()


@dataclass(slots=True)
class _Failures:
    attempts: int
    not_before: float


class Dispatcher:
    """The queue between those who find files and those who store them. A file is in it once."""

    def __init__(
        self, store: Callable[[Location], Outcome], capacity: int, first_seconds: float, longest_seconds: float
    ) -> None:
        self._store = store
        self._queue: Queue[Location] = Queue(maxsize=capacity)
        self._busy: set[Location] = set()
        self._failures: dict[Location, _Failures] = {}
        self._outages = Outages(self._pause_seconds)
        self._first_seconds = first_seconds
        self._longest_seconds = longest_seconds
        self._failed_in_a_row = 0
        self._last_failure = ""

    def offer(self, location: Location) -> bool:
        """Queue a file; False when it is queued, pauses after a failure, or the queue is full: the scan asks again."""
        failures, now = self._failures.get(location), time.monotonic()
        is_paused = failures is not None and now < failures.not_before
        if location in self._busy or is_paused or self._queue.full() or not self._outages.admits(location, now):
            return False
        self._busy.add(location)
        self._queue.put_nowait(location)
        return True

    def work(self, stopping: Event) -> None:
        """Store files until the service stops; what is under way is finished first."""
        while not stopping.is_set():
            try:
                location = self._queue.get(timeout=POLL_SECONDS)
            except Empty:
                continue
            try:
                if self._outages.holds(location):
                    gevent.idle()  # thousands may be let go in a row
                else:
                    self._try(location)
            finally:
                self._busy.discard(location)
                self._outages.left(location)

    def trouble(self) -> str:
        """Return why nothing can be stored now, one sentence; empty when all is well."""
        return self._last_failure if self._failed_in_a_row >= STORE_TROUBLE_ATTEMPTS else ""

    def keep_only(self, locations: set[Location]) -> None:
        """Forget the failures of files that are gone."""
        self._outages.keep_only(locations)
        self._failures = {place: failures for place, failures in self._failures.items() if place in locations}

    def _try(self, location: Location) -> None:
        try:
            outcome = self._store(location)
        except TryAgain as error:
            self._pause(location, str(error), error.outcome, is_outage=error.is_outage)
            return
        except Exception as error:  # the boundary of one file: a bug that it wakes must not stop the others
            log.exception("recording_try_broke", **_names(location))
            self._pause(location, f"a fault of ours: {type(error).__name__}", "bug")
            return
        metrics.UPLOADS.labels(outcome.value).inc()
        self._failures.pop(location, None)
        if outcome is Outcome.STORED:
            self._failed_in_a_row = 0
            self._outages.succeeded(location)
        if outcome in (Outcome.STORED, Outcome.QUARANTINED):
            log.info("recording_done", outcome=outcome.value, **_names(location))

    def _pause(self, location: Location, reason: str, outcome: str, *, is_outage: bool = False) -> None:
        failures, now = self._failures.setdefault(location, _Failures(0, 0.0)), time.monotonic()
        failures.attempts += 1
        pause = self._pause_seconds(failures.attempts)
        if is_outage:
            # Longer than its company's: the next one to try is another, in case that this one is to blame.
            pause = min(pause + self._outages.failed(location, now), self._longest_seconds + self._first_seconds)
        failures.not_before = now + pause
        self._failed_in_a_row += 1
        self._last_failure = reason
        metrics.UPLOADS.labels(outcome).inc()
        log.warning(
            "recording_failed_for_now",
            reason=reason,
            attempt=failures.attempts,
            again_in_seconds=round(pause, 1),
            **_names(location),
        )

    def _pause_seconds(self, attempts: int) -> float:
        chance = random.random()  # noqa: S311 - spreads retries, keeps no secret
        return retry_delay_seconds(attempts, self._first_seconds, self._longest_seconds, chance)


def _names(location: Location) -> dict[str, str]:
    return {"tenant_id": location.tenant_id, "call_id": location.call_id, "recording_id": location.recording_id}
