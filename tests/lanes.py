"""Runs every test in three lanes side by side: most tests wait for something, so one after the other leaves cores idle.

`make test`, or `python -m tests.lanes`. Each lane writes build/tests/<lane>.txt; it is printed when the lane has ended.
The status is not zero when a lane's is not.
"""

import re
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

ROOT = Path(__file__).parents[1]
OUTPUT = ROOT / "build" / "tests"
PROGRESS_SECONDS = 30.0
LOOK_SECONDS = 0.5
LANES = {
    "stack": [f"tests/e2e/test_{part}.py" for part in ("call_control", "callbacks", "demo", "drill", "failover")],
    # What computes, and between it what waits for stores.
    "parts": [
        *("tests/unit", "tests/fuzz", "tests/simulation", "tests/deploy"),
        *("tests/integration/recorder", "tests/integration/webhooks"),
    ],
}
REST = "processes"
"""The lane of every test that no other lane names: nothing is forgotten."""


@dataclass(slots=True)
class Lane:
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


def begin(name: str, arguments: list[str]) -> Lane:
    """Start a lane."""
    file = (OUTPUT / f"{name}.txt").open("wb")
    command = [sys.executable, "-m", "pytest", *arguments]
    return Lane(name, file, subprocess.Popen(command, cwd=ROOT, stdout=file, stderr=subprocess.STDOUT))  # noqa: S603 - ours


def end(lane: Lane) -> int:
    """Print what an ended lane wrote; return its status."""
    lane.file.close()
    print(lane.path.read_text(encoding="utf-8", errors="replace"))  # noqa: T201 - speaks to a person
    status = lane.process.returncode
    result = "passed" if not status else f"FAILED with status {status}"
    print(f"Lane {lane.name} {result} after {time.monotonic() - lane.began:.0f} s.", flush=True)  # noqa: T201
    return status


def main() -> int:
    """Run all lanes, show how far they are, and return 1 when one of them failed."""
    OUTPUT.mkdir(parents=True, exist_ok=True)
    named = [path for paths in LANES.values() for path in paths]
    running = [begin(name, paths) for name, paths in LANES.items()]
    running.append(begin(REST, ["tests", *(f"--ignore={path}" for path in named)]))
    failed, told_at = [], time.monotonic()
    try:
        while running:
            time.sleep(LOOK_SECONDS)
            for lane in [lane for lane in running if lane.process.poll() is not None]:
                running.remove(lane)
                if end(lane):
                    failed.append(lane.name)
            if running and time.monotonic() - told_at >= PROGRESS_SECONDS:
                told_at = time.monotonic()
                print("Tests: " + ", ".join(lane.progress() for lane in running), flush=True)  # noqa: T201
    finally:
        for lane in running:
            lane.process.terminate()
    if failed:
        print(f"Failed: {', '.join(failed)}; all output is in build/tests.")  # noqa: T201
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
