"""Runs every test in groups, three side by side: most tests wait for something, so one after the other idles cores.

`make test`, or `python -m tests.lanes`; TEST_LANES says how many side by side. A group is one pytest run; who is free
takes the next, long ones first, so that all end together. Groups that start whole stacks and measure them run one at a
time. Each group writes build/tests/<group>.txt, which is printed when it has ended, and <group>.xml with every test's
seconds. The status is not zero when a group's is not.
"""

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from local.broker.kafka import FIRST_COMPILER

ROOT = Path(__file__).parents[1]
OUTPUT = ROOT / "build" / "tests"
LANES = int(os.environ.get("TEST_LANES", "3"))
PROGRESS_SECONDS = 30.0
LOOK_SECONDS = 0.5
# Tests' brokers live a minute or two.
BROKERS = {"RINGMASTER_BROKER_COMPILER": FIRST_COMPILER}
REST = "rest"
# In the order in which they are begun: long ones first, so that short ones fill what is left.
STACKS = {
    "demo": ["tests/e2e/test_demo.py"],
    "failover": ["tests/e2e/test_failover.py", "tests/e2e/test_drill.py"],
    "calls": ["tests/e2e/test_call_control.py", "tests/e2e/test_callbacks.py"],
}
PARTS = {
    "webhooks": ["tests/integration/webhooks", "tests/integration/outbound"],
    "unit": ["tests/unit", "tests/fuzz"],
    "faults": ["tests/e2e", "tests/integration/listener", "tests/integration/esl"],
    "operation": ["tests/deploy", "tests/integration/deploy", "tests/integration/cli", "tests/integration/console"],
    "recorder": ["tests/integration/recorder"],
    "switch": ["tests/switch"],
    "stats": ["tests/integration/stats"],
    REST: ["tests"],
}
"""A folder stands for what no longer path of another group names: nothing is forgotten, nothing runs twice."""


@dataclass(slots=True)
class Group:
    """One pytest run on its way."""

    name: str
    file: IO[bytes]
    process: "subprocess.Popen[bytes]"
    began: float = field(default_factory=time.monotonic)

    @property
    def path(self) -> Path:
        """Where its output is."""
        return OUTPUT / f"{self.name}.txt"

    def progress(self) -> str:
        """Return how far it is, as pytest said last."""
        found = re.findall(r"\[ *(\d+%)\]", self.path.read_text(encoding="utf-8", errors="replace"))
        return f"{self.name} {found[-1] if found else '0%'}"


def arguments(name: str) -> list[str]:
    """Return pytest's arguments of a group: its paths, without what others name below them."""
    groups = STACKS | PARTS
    others = [path for other, paths in groups.items() if other != name for path in paths]
    below = [path for path in others if any(path.startswith(f"{mine}/") for mine in groups[name])]
    return [*groups[name], *(f"--ignore={path}" for path in below), f"--junitxml={OUTPUT / name}.xml"]


def begin(name: str) -> Group:
    """Start a group."""
    file = (OUTPUT / f"{name}.txt").open("wb")
    command = [sys.executable, "-m", "pytest", *arguments(name)]
    process = subprocess.Popen(command, cwd=ROOT, stdout=file, stderr=subprocess.STDOUT, env=BROKERS | os.environ)  # noqa: S603 - ours
    return Group(name, file, process)


def end(group: Group) -> int:
    """Print what an ended group wrote; return its status."""
    group.file.close()
    print(group.path.read_text(encoding="utf-8", errors="replace"))  # noqa: T201 - speaks to a person
    status = group.process.returncode
    result = "passed" if not status else f"FAILED with status {status}"
    print(f"Tests of {group.name} {result} after {time.monotonic() - group.began:.0f} s.", flush=True)  # noqa: T201
    return status


class Order:
    """Who comes next: one group of stacks at a time, the other lanes take parts."""

    def __init__(self) -> None:
        self._stacks, self._parts = list(STACKS), list(PARTS)

    def following(self, running: list[Group]) -> str | None:
        """Return the group to begin beside those that run, None when no more may."""
        if self._stacks and not any(group.name in STACKS for group in running):
            return self._stacks.pop(0)
        # A lane is kept for the stacks while there are some.
        room = LANES - bool(self._stacks)
        beside = sum(group.name not in STACKS for group in running)
        return self._parts.pop(0) if self._parts and beside < room else None


def ended(running: list[Group]) -> Iterator[Group]:
    """Wait until groups end, telling now and then how far they are, and yield them until none runs."""
    told_at = time.monotonic()
    while running:
        time.sleep(LOOK_SECONDS)
        for group in [group for group in running if group.process.poll() is not None]:
            running.remove(group)
            yield group
        if running and time.monotonic() - told_at >= PROGRESS_SECONDS:
            told_at = time.monotonic()
            print("Tests: " + ", ".join(group.progress() for group in running), flush=True)  # noqa: T201


def fill(running: list[Group], order: Order) -> None:
    """Begin groups until every lane is taken."""
    while len(running) < LANES and (name := order.following(running)):
        running.append(begin(name))


def main() -> int:
    """Run all groups, show how far they are, and return 1 when one of them failed."""
    OUTPUT.mkdir(parents=True, exist_ok=True)
    began, order, failed = time.monotonic(), Order(), []
    running: list[Group] = []
    fill(running, order)
    try:
        for group in ended(running):
            if end(group):
                failed.append(group.name)
            fill(running, order)
    finally:
        for group in running:
            group.process.terminate()
    print(f"All tests took {time.monotonic() - began:.0f} s.")  # noqa: T201
    if failed:
        print(f"Failed: {', '.join(failed)}; all output is in build/tests.")  # noqa: T201
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
