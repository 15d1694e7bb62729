"""Waiting for what a test needs to be true."""

import time
from collections.abc import Callable
from typing import TypeVar

from services.shared.testing.patience import Patience

POLL_SECONDS = 0.01
LOOK_SECONDS = 0.5
START_SECONDS = 60.0
"""A process of ours, or a part it needs, is up within this on a machine that does much else."""
Found = TypeVar("Found")


def wait_until(condition: Callable[[], Found | None], what: str, seconds: float = START_SECONDS) -> Found:
    """Return the first true value of `condition`. Raises AssertionError when there is none within `seconds`.

    They are counted in time that this process and those it started had (`Patience`).
    """
    patience, look_at = Patience(seconds), time.monotonic() + LOOK_SECONDS
    while True:
        found = condition()
        if found:
            return found
        if time.monotonic() >= look_at:
            if not patience.is_left():
                raise AssertionError(f"waited {seconds:g} s in vain: {what}")
            look_at = time.monotonic() + LOOK_SECONDS
        time.sleep(POLL_SECONDS)
