"""Waiting for what a test needs to be true."""

import time
from collections.abc import Callable
from typing import TypeVar

POLL_SECONDS = 0.01
START_SECONDS = 60.0
"""A process of ours, or a part it needs, is up within this on a machine that does much else."""
Found = TypeVar("Found")


def wait_until(condition: Callable[[], Found | None], what: str, seconds: float = START_SECONDS) -> Found:
    """Return the first true value of `condition`. Raises AssertionError when there is none within `seconds`."""
    deadline = time.monotonic() + seconds
    while True:
        found = condition()
        if found:
            return found
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {seconds:g} s in vain: {what}")
        time.sleep(POLL_SECONDS)
