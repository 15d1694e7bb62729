"""A headless Chromium for tests of pages, one for a whole test run."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from services.shared.testing.patience import Patience

LOOK_MS = 500
# What waits for something on the page: `ms` is how long, in time that the page and who serves it had.
WAITS = ("see", "find", "wait_text")


def chromium() -> str | None:
    """Return the browser's program: CHROMIUM names it, else one of PATH is taken."""
    names = [os.environ.get("CHROMIUM", ""), "chromium", "chromium-browser", "google-chrome"]
    return next((path for name in names if name and (path := shutil.which(name))), None)


class Eye:
    """A browser behind a process of its own: playwright and gevent do not share one."""

    def __init__(self) -> None:
        program = chromium() or pytest.skip("no Chromium: install Debian's, or name the program in CHROMIUM")
        command = [sys.executable, str(Path(__file__).with_name("process.py")), program]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)  # noqa: S603 - our own command
        self._asked = 0

    def begin(self, folder: Path) -> None:
        """Be somebody who has never been there; pictures go into the folder."""
        self.do("begin", folder=str(folder))

    def do(self, what: str, **arguments: Any) -> Any:
        """Let it do something; fail the test with its words when it can't."""
        if what in WAITS:
            return self._wait(what, **arguments)
        answer = self._ask(what, **arguments)
        if "is" not in answer:
            pytest.fail(f"{what} {arguments}: {answer}")
        return answer["is"]

    def close(self) -> None:
        """End the browser."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(20)

    def _wait(self, what: str, *, ms: int, **arguments: Any) -> Any:
        patience = Patience(ms / 1000)
        while "late" in (answer := self._ask(what, ms=min(ms, LOOK_MS), **arguments)):
            if not patience.is_left():
                break
        if "is" not in answer:
            pytest.fail(f"{what} {arguments} within {ms} ms: {answer}")
        return answer["is"]

    def _ask(self, what: str, **arguments: Any) -> dict[str, Any]:
        """Return what it "is", that it is "late", or its "fault".

        An answer to another question is one that a test which ran out of time did not wait for.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._asked += 1
        self._process.stdin.write(json.dumps({"do": what, "number": self._asked, **arguments}) + "\n")
        self._process.stdin.flush()
        while line := self._process.stdout.readline():
            answer = json.loads(line)
            if answer.pop("number") == self._asked:
                return dict(answer)
        return {"fault": "the browser is gone"}
