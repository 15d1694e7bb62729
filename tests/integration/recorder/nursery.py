"""Passes of recorders and transcribers as processes of their own that are there at once: forked, not started.

Imports take many times longer than a pass. One process imports everything (nursery_process.py) and forks each pass that
it is asked for: a kill ends a true process, and nothing of it is left in the next one's memory.
"""

import json
import os
import select
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[3]
PASS_SECONDS = 90.0


@dataclass(frozen=True)
class Pass:
    """One process that does one pass; ask the nursery how it ended."""

    pid: int
    output: Path


class Nursery:
    """The test's end of it. Every pass ends with its nursery's `close` at the latest."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._count = 0
        self._running: set[int] = set()
        command = [sys.executable, "-m", "tests.integration.recorder.nursery_process"]
        self._process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE)  # noqa: S603 - our own command

    def start(self, kind: str, given: dict[str, Any]) -> Pass:
        """Begin a pass: `one_pass` or `transcribe_pass`, with what its `main` takes."""
        self._count += 1
        output = self._folder / f"output-{self._count}"
        pid = self._ask({"kind": kind, "given": given, "output": str(output)})["pid"]
        self._running.add(pid)
        return Pass(pid, output)

    def end(self, one: Pass) -> tuple[int, list[str]]:
        """Wait for a pass; return its code as Popen gives it, and the words that it wrote."""
        try:
            code = self._ask({"wait": one.pid})["code"]
        except TimeoutError:
            os.kill(one.pid, signal.SIGKILL)
            raise
        self._running.discard(one.pid)
        return code, one.output.read_text(encoding="utf-8").split()

    def close(self) -> None:
        """End it, and what it has forked."""
        for pid in self._running:
            os.kill(pid, signal.SIGKILL)
        self._process.kill()
        self._process.communicate()

    def _ask(self, question: dict[str, Any]) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(question).encode() + b"\n")
        self._process.stdin.flush()
        if not select.select([self._process.stdout], [], [], PASS_SECONDS)[0]:
            raise TimeoutError(f"the nursery said nothing for {PASS_SECONDS:g} s")
        return json.loads(self._process.stdout.readline())
