import http.client
import os
import shutil
import signal
import socket
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from services.shared.chassis.watch import Away, ask_broker

# More than a service takes at most: ten to end its work, two to say so, one to be killed (services/shared/chassis).
STOP_SECONDS = 15.0
LAST_LINES = 12
# A third of the share of processor time that the others get, where all want it.
LATER = 5
# Whatever the shell says: a process whose bytecode is kept starts in half the time (ADR 59).
KEEPS_BYTECODE = {"PYTHONDONTWRITEBYTECODE": ""}
_SESSION_TRIES = 5
_SESSION_SECONDS = 0.1
# With less room than this a part that fails most likely fails for want of it, and seldom says so in its last lines.
LITTLE_ROOM_MB = 64


class PartFailed(Exception):
    """A part of the stack did not start; the message says which, why, and where its log is."""


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Put a Ctrl-C or SIGTERM off until the block has ended: what is just being started or stopped is not forgotten."""
    asked: list[int] = []
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    former = {number: signal.signal(number, lambda number, _frame: asked.append(number)) for number in numbers}
    try:
        yield
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)
    if asked:
        raise KeyboardInterrupt


def _let_others_go_first(pid: int) -> None:
    """Lower a process's share, and that of its session: where Linux shares time out by sessions, only that counts."""
    with suppress(ProcessLookupError):
        os.setpriority(os.PRIO_PROCESS, pid, LATER)
    for _ in range(_SESSION_TRIES):
        try:
            Path(f"/proc/{pid}/autogroup").write_text(str(LATER), encoding="ascii")
        except BlockingIOError:  # one change a tenth of a second, in the whole machine
            time.sleep(_SESSION_SECONDS)
        except OSError:  # a kernel without it, or the process has ended
            return
        else:
            return


@dataclass(slots=True)
class Part:
    """One process of the stack. `ready` is asked until it is true; `ready_seconds` is how long that may take."""

    name: str
    command: list[str]
    ready: Callable[[], bool]
    log: Path
    environment: dict[str, str] = field(default_factory=dict)
    ready_seconds: float = 120.0
    gives_way: bool = False
    """No caller waits for it: on a busy machine the way from an event to its command goes first."""
    process: "subprocess.Popen[bytes] | None" = None
    starts: int = 0

    def start(self) -> None:
        """Start the process in a session of its own, so that Ctrl-C reaches only the stack."""
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as log, uninterrupted():
            self.process = subprocess.Popen(
                self.command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, **KEEPS_BYTECODE, **self.environment},
                start_new_session=True,
            )
        if self.gives_way:
            _let_others_go_first(self.process.pid)
        self.starts += 1

    def wait_until_ready(self) -> None:
        """Wait for readiness; raise PartFailed with the log's last words when it ends or takes too long."""
        deadline = time.monotonic() + self.ready_seconds
        while not self.ready():
            if not self.is_running:
                raise PartFailed(self._failure(f"ended with code {self.exit_code}"))
            if time.monotonic() > deadline:
                raise PartFailed(self._failure(f"is not ready after {self.ready_seconds:.0f} s"))
            time.sleep(0.1)

    @property
    def is_running(self) -> bool:
        """Whether the process lives."""
        return self.process is not None and self.process.poll() is None

    @property
    def exit_code(self) -> int | None:
        """Return the exit code of an ended process."""
        return self.process.returncode if self.process else None

    def kill(self) -> None:
        """End it, and what it has started, as a power cut would (SIGKILL)."""
        if self.process:
            # Its session is its own, so its group is what it has started and nothing else.
            with suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()

    def ask_to_stop(self) -> None:
        """Ask it to end (SIGTERM); `stop` waits for that."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)

    def stop(self) -> None:
        """Ask it to end, and kill it when it does not, with whatever it leaves behind."""
        if self.process is None:
            return
        self.ask_to_stop()
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(STOP_SECONDS)
        self.kill()

    def last_words(self) -> str:
        """Return the end of its log."""
        if not self.log.exists():
            return ""
        return "\n".join(self.log.read_text(encoding="utf-8", errors="replace").splitlines()[-LAST_LINES:])

    def _failure(self, what: str) -> str:
        told = f"{self.name} {what}. Its log is {self.log}; the last lines are:\n{self.last_words()}"
        free_mb = shutil.disk_usage(self.log.parent).free // 1024**2
        if free_mb >= LITTLE_ROOM_MB:
            return told
        return f"{told}\nThe disk under {self.log.parent} is full, {free_mb} MB are free: make room and try again."


def listens(port: int) -> bool:
    """Whether something accepts connections on a loopback port."""
    with socket.socket() as probe:
        probe.settimeout(0.5)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def takes_requests(broker: str) -> bool:
    """Whether a broker `host:port` not only listens: its first answers take a busy machine seconds."""
    try:
        ask_broker(broker)
    except Away:
        return False
    return True


def answers(url: str) -> bool:
    """Whether a URL answers with 200."""
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:  # noqa: S310 - our own loopback addresses
            return bool(answer.status == 200)  # noqa: PLR2004 - HTTP's OK
    except (http.client.HTTPException, OSError):  # URLError is an OSError
        return False
