import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

import yaml

from local.stack import workday
from local.stack.layout import ROOT, Layout
from local.stack.part import LAST_LINES, Part, PartFailed, answers, listens, uninterrupted
from local.stack.parts import SERVICES, infrastructure, services, switch, transcriber
from local.stack.web import post
from local.topics import definitions
from services.shared.bus.admin import ensure_topics
from services.shared.bus.errors import BusError

TENANTS = ROOT / "local" / "demo" / "tenants"
APPLY_SECONDS = 60
# A part that ends more often than this in one run is broken, not unlucky.
MOST_RESTARTS = 20
# How whoever keeps the stack running stands among the pids, and how long he has to stop it; a part has less.
KEEPER = "stack"
KEEPER_SECONDS, PART_SECONDS = 60.0, 10.0
Say = Callable[[str], None]


class Stack:
    """Starts, watches and stops all parts. What it started is written down, so that `down` finds it after a crash."""

    def __init__(
        self,
        layout: Layout,
        environment: dict[str, str],
        scenario: Path,
        say: Say,
        tenants: Path = TENANTS,
        *,
        transcribes: bool = False,
    ) -> None:
        self.layout = layout
        self.environment = environment
        self.scenario = scenario
        self.say = say
        self.tenants = tenants
        self.parts: list[Part] = []
        self.transcribes = transcribes
        self._killed: Counter[str] = Counter()

    def start(self) -> None:
        """Start everything, what others need first, saying what happens. Raises PartFailed or kafka.BrokerMissing."""
        with _told_plainly():
            self._start_all()

    def _start_all(self) -> None:
        self._refuse_taken_ports()
        self.add(*infrastructure(self.layout))
        created = ensure_topics(self.layout.address("kafka"), definitions())
        self.say(f"  topics      {len(created)} created")
        calls = switch(self.layout, self.environment, self.scenario)
        self.add(calls, *services(self.layout, self.environment), *self._transcriber())
        documents = self._apply_tenants()
        self._wait_for_everything()
        for tenant in documents:
            workday.begin(self.layout, tenant)
        post(self.layout.url("switch", "/begin"), {})

    def add(self, *parts: Part) -> None:
        """Start more parts, all at once, and wait until each is ready. Raises PartFailed."""
        began = time.monotonic()
        for part in parts:
            self.say(f"  {part.name:<11} starting …")
            self.parts.append(part)
            part.start()
            self._write_down()
        for part in parts:
            part.wait_until_ready()
            self.say(f"  {part.name:<11} ready after {time.monotonic() - began:.1f} s")

    def _transcriber(self) -> list[Part]:
        """Return the transcriber, or nothing and say why."""
        part = transcriber(self.layout, self.environment) if self.transcribes else "left out"
        if isinstance(part, Part):
            return [part]
        self.say(f"  transcriber {part}")
        return []

    def watch(self) -> list[str]:
        """Start again what has ended, as a cluster would; return the names."""
        ended = [part for part in self.parts if not part.is_running]
        for part in ended:
            if part.starts - self._killed[part.name] > MOST_RESTARTS:
                raise PartFailed(f"{part.name} ends again and again. Its log is {part.log}:\n{part.last_words()}")
            self.say(f"{part.name} ended with code {part.exit_code}; starting it again")
            with _told_plainly():
                part.start()
                self._write_down()
        return [part.name for part in ended]

    def part(self, name: str) -> Part:
        """Return a part by its name."""
        return next(part for part in self.parts if part.name == name)

    def kill(self, name: str) -> None:
        """End a part as a power cut would; `watch` starts it again, and does not hold it against it."""
        self._killed[name] += 1
        self.part(name).kill()

    def start_again(self, name: str) -> None:
        """Start a part that has ended as it was asked to."""
        self._killed[name] += 1
        with _told_plainly():
            self.part(name).start()
            self._write_down()

    def stop(self) -> None:
        """Stop everything, however impatient the person is: the services together, then together what they needed."""
        with uninterrupted():
            for parts in ([part for part in self.parts if part.name in SERVICES], self.parts):
                for part in parts:
                    part.ask_to_stop()
                for part in reversed(parts):
                    part.stop()
            self._pids_file().unlink(missing_ok=True)

    def _wait_for_everything(self) -> None:
        """Wait until each service says that it is ready to work, not only alive."""
        for name in SERVICES:
            part = self.part(name)
            part.ready = partial(answers, self.layout.url(name, "/readyz"))
            part.wait_until_ready()

    def _apply_tenants(self) -> list[dict[str, Any]]:
        files = [str(path) for path in sorted(self._rendered_tenants())]
        command = [sys.executable, "-m", "services.console", "apply", *files]
        environment = {**os.environ, **self.part("console").environment}
        done = subprocess.run(
            command, check=False, capture_output=True, text=True, env=environment, timeout=APPLY_SECONDS
        )
        if done.returncode != 0:
            raise PartFailed(f"The demo's tenants could not be applied:\n{done.stdout}{done.stderr}")
        self.say(f"  tenants     {len(files)} applied")
        return [yaml.safe_load(Path(name).read_text(encoding="utf-8")) for name in files]

    def _rendered_tenants(self) -> list[Path]:
        """Write the demo tenants with this stack's receiver into the data folder."""
        rendered = []
        for source in self.tenants.glob("*.yaml"):
            target = self.layout.path("tenants", source.name)
            text = source.read_text(encoding="utf-8").replace("${RECEIVER_PORT}", str(self.layout.port("receiver")))
            target.write_text(text, encoding="utf-8")
            rendered.append(target)
        return rendered

    def _refuse_taken_ports(self) -> None:
        for name, port in self.layout.ports().items():
            if listens(port):
                raise PartFailed(
                    f"Port {port} ({name}) is in use. If it is an older stack, type `make down`; "
                    "else choose other ports: RINGMASTER_BASE_PORT=28100 make up"
                )

    def _pids_file(self) -> Path:
        return self.layout.path("pids.json")

    def _write_down(self) -> None:
        pids = {part.name: part.process.pid for part in self.parts if part.process} | {KEEPER: os.getpid()}
        draft = self._pids_file().with_suffix(".draft")
        draft.write_text(json.dumps(pids), encoding="utf-8")
        draft.rename(self._pids_file())


@contextmanager
def _told_plainly() -> Iterator[None]:
    """Turn what the machine refuses (a full disk, a missing program, a broker that hangs) into PartFailed."""
    try:
        yield
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        raise PartFailed(f"This machine refuses something the stack needs: {where}{error.strerror or error}") from error
    except subprocess.CalledProcessError as error:
        words = _text(error.stderr) or _text(error.stdout) or "it says nothing"
        program = " ".join(map(str, error.cmd[-4:]))
        raise PartFailed(f"… {program} ended with code {error.returncode}:\n{words}") from error
    except subprocess.TimeoutExpired as error:
        program = " ".join(map(str, error.cmd[-4:]))
        raise PartFailed(f"… {program} did not end within {error.timeout:.0f} s") from error
    except BusError as error:
        raise PartFailed(f"The broker does not take the topics: {error}") from error


def _text(output: bytes | str | None) -> str:
    """Return the last lines of what a program has said."""
    text = output.decode(errors="replace") if isinstance(output, bytes) else output or ""
    return "\n".join(text.strip().splitlines()[-LAST_LINES:])


def stop_former(layout: Layout, say: Say) -> int:
    """Stop an earlier stack, or what it left running; return how many processes that were.

    Whoever keeps it running goes first: he would start again what ends, and asked he stops all the rest in order.
    """
    path = layout.path("pids.json")
    if not path.exists():
        return 0
    stopped = 0
    for name, pid in reversed(json.loads(path.read_text(encoding="utf-8")).items()):
        if _is_ours(pid):
            say(f"  {name:<11} stopping")
            _end(pid, KEEPER_SECONDS if name == KEEPER else PART_SECONDS)
            stopped += 1
    path.unlink(missing_ok=True)
    return stopped


def _is_ours(pid: int) -> bool:
    """Whether a pid still is one of the stack's programs: pids are used again by the system."""
    try:
        command = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False
    ours = (b"services.", b"local.", b"kafka.Kafka", b"secantusd", b"weed", b"prometheus")
    return any(word in command for word in ours)


def _end(pid: int, patience_seconds: float) -> None:
    deadline = time.monotonic() + patience_seconds
    with suppress(ProcessLookupError):  # it ended between the look and the signal
        os.kill(pid, signal.SIGTERM)
        while _is_ours(pid):
            if time.monotonic() > deadline:
                os.kill(pid, signal.SIGKILL)
                return
            time.sleep(0.1)
