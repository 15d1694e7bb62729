"""A scribe's process, as its parent sees it. Waiting for it lets the other greenlets run."""

import contextlib
import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import gevent
import structlog
from gevent import subprocess as gevent_subprocess
from gevent.lock import BoundedSemaphore

from services.recorder.adapters.recogniser_process import environment
from services.recorder.errors import TryAgain
from services.recorder.scribe import Order, to_json

START_SECONDS = 120.0
"""How long a model may take to load."""
MOST_LINE_BYTES = 4 * 1024 * 1024

log = structlog.get_logger()


class ScribeFailed(Exception):
    """It could not be written down; `is_final` when trying again helps nothing."""

    def __init__(self, reason: str, *, is_final: bool = False) -> None:
        super().__init__(reason)
        self.is_final = is_final


class NoScribe(TryAgain):
    """The recogniser that the settings name can't be had: no recording's fault, so none is given up for it."""

    outcome = "no_scribe"


@dataclass(frozen=True, slots=True)
class ScribeSettings:
    """What a scribe is made of."""

    engine: str
    cache: str
    threads: int
    memory_bytes: int
    device: str = "cpu"


class Scribe:
    """One process that is started when it is first needed and started again after its death; one order at a time."""

    def __init__(self, settings: ScribeSettings, step_seconds: float) -> None:
        """`step_seconds` is the longest time between two steps that it tells."""
        self._settings = settings
        self._step_seconds = step_seconds
        self._process: Any = None
        self._lock = BoundedSemaphore()
        self.engine = ""

    def write_down(self, order: Order) -> Iterator[dict[str, Any]]:
        """Yield what the scribe tells, without the end. Raises ScribeFailed, NoScribe; who stops listening kills it."""
        with self._lock:
            is_whole = False
            try:
                self.start()
                self._hand_over(order)
                while True:
                    step = self._next(self._step_seconds)
                    if step["told"] == "end":
                        is_whole = True
                        return
                    if step["told"] == "failed":
                        is_whole = True
                        raise ScribeFailed(step["reason"], is_final=step["final"])
                    yield step
            finally:
                if not is_whole:
                    self._discard()

    def start(self) -> None:
        """Start the process unless it runs. Raises NoScribe, ScribeFailed."""
        if self._process is not None and self._process.poll() is None:
            return
        self._discard()
        command = [sys.executable, "-m", "services.recorder.scribe_process", json.dumps(asdict(self._settings))]
        self._process = gevent_subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=Path(__file__).parents[3],
            env=environment(),
        )
        first = self._next(START_SECONDS)
        if first["told"] == "refused":
            self._discard()
            raise NoScribe(first["reason"])
        self.engine = first["engine"]

    def kill(self) -> None:
        """Stop it at once. Who listens to it now gets ScribeFailed, and tidies up."""
        process = self._process
        if process is not None:
            with contextlib.suppress(OSError):
                process.kill()

    def _discard(self) -> None:
        self.kill()
        process, self._process = self._process, None
        if process is None:
            return
        process.wait()
        for pipe in (process.stdin, process.stdout):
            with contextlib.suppress(OSError):
                pipe.close()

    def _hand_over(self, order: Order) -> None:
        try:
            self._process.stdin.write(json.dumps(to_json(order)).encode() + b"\n")
            self._process.stdin.flush()
        except OSError as error:
            raise ScribeFailed("the scribe has died") from error

    def _next(self, seconds: float) -> dict[str, Any]:
        try:
            with gevent.Timeout(seconds):
                line = self._process.stdout.readline(MOST_LINE_BYTES)
        except gevent.Timeout as error:
            raise ScribeFailed(f"the scribe said nothing for {seconds:.0f} s") from error
        except OSError as error:
            raise ScribeFailed("the scribe has died") from error
        if not line.endswith(b"\n"):
            raise ScribeFailed(f"the scribe has died with code {self._process.poll()}")
        step: dict[str, Any] = json.loads(line)
        return step
