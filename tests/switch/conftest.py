"""The switch that this suite talks to: the simulated one, or a real FreeSWITCH 1.10 where FREESWITCH_HOST is set."""

import json
import os
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

import pytest

from services.shared.testing.ports import free_port
from services.shared.testing.waiting import wait_until
from tests.switch.oracle import EventSocket

ROOT = Path(__file__).parent.parent.parent


class Bench(Protocol):
    """What a test can do to either switch."""

    host: str
    port: int
    password: str
    is_real: bool
    recordings: Path

    def call(self, number: str, name: str = "Caller", caller: str = "+4930555") -> str:
        """Let a phone call a number; returns the leg's uuid when the switch knows of it."""
        ...

    def dial(self, behaviour: str) -> str:
        """Return a dial string to a phone that behaves so."""
        ...

    def hang_up(self, leg: str) -> None:
        """Let a leg's phone hang up."""
        ...

    def press(self, leg: str, digit: str) -> None:
        """Let a leg's phone send a digit."""
        ...

    def hold(self, leg: str, *, on: bool) -> None:
        """Let a leg's phone hold the call, or go on."""
        ...


class SimulatedSwitch:
    """The simulated switch as a process of its own."""

    is_real = False
    password = "ClueCon"
    host = "127.0.0.1"

    def __init__(self, folder: Path, *options: str) -> None:
        self.recordings = folder
        self.port, self.http_port = free_port(), free_port()
        command = [
            *(sys.executable, "-m", "local.switch", "--port", str(self.port), "--http-port", str(self.http_port)),
            *("--speed", "3"),
            *("--recordings", str(folder), "--scenario", str(ROOT / "tests/switch/scenario.yaml"), *options),
        ]
        self._process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL)  # noqa: S603 - our own program
        self._wait_until_up()

    def _wait_until_up(self) -> None:
        wait_until(self._answers, "the simulated switch answers")

    def _answers(self) -> bool:
        assert self._process.poll() is None, "the simulated switch ended"
        try:
            self.control("/status")
        except OSError:
            return False
        return True

    def control(self, path: str, body: dict[str, Any] | None = None) -> Any:
        """Ask the control API; a body makes it a POST."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"http://127.0.0.1:{self.http_port}{path}", data)
        request.add_header("Content-Type", "application/json")
        with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310 - loopback only
            return json.loads(answer.read())

    def try_control(self, path: str, body: dict[str, Any]) -> tuple[int, Any]:
        """Ask the control API for something that it may refuse; returns (status, answer)."""
        try:
            return 200, self.control(path, body)
        except urllib.error.HTTPError as error:
            return error.code, json.loads(error.read())

    def call(self, number: str, name: str = "Caller", caller: str = "+4930555") -> str:
        return str(self.control("/call", {"line": number, "name": name, "number": caller})["uuid"])

    def dial(self, behaviour: str) -> str:
        return f"sofia/internal/{behaviour}@127.0.0.1:5076"

    def hang_up(self, leg: str) -> None:
        self.control(f"/legs/{leg}", {"does": "hang_up"})

    def press(self, leg: str, digit: str) -> None:
        self.control(f"/legs/{leg}", {"does": "press", "digit": digit})

    def hold(self, leg: str, *, on: bool) -> None:
        self.control(f"/legs/{leg}", {"does": "hold" if on else "resume"})

    def terminate(self) -> None:
        """Ask the process to end."""
        self._process.terminate()

    def stop(self) -> int:
        """End the process politely and return its exit code."""
        self._process.terminate()
        return self._process.wait(timeout=10)

    def has_ended(self) -> bool:
        return self._process.poll() is not None


@pytest.fixture(scope="session")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """Give the switch under test."""
    folder = tmp_path_factory.mktemp("recordings")
    if os.environ.get("FREESWITCH_HOST"):
        from tests.switch.real import RealSwitch  # noqa: PLC0415 - needs the real switch's address

        real = RealSwitch(folder)
        yield real
        real.stop()
        return
    switch = SimulatedSwitch(folder)
    yield switch
    switch.stop()


@pytest.fixture
def simulated(tmp_path: Path) -> Iterator[SimulatedSwitch]:
    """Give a simulated switch of the test's own, for faults that only it can play."""
    switch = SimulatedSwitch(tmp_path, "--event-queue", "200", "--on-shutdown", "restart")
    yield switch
    if not switch.has_ended():
        switch.stop()


@pytest.fixture
def commands(bench: Bench) -> Iterator[EventSocket]:
    """Give a connection for commands."""
    connection = EventSocket(bench.host, bench.port, bench.password)
    yield connection
    connection.close()


@pytest.fixture
def events(bench: Bench) -> Iterator[EventSocket]:
    """Give a connection that listens to everything, in plain format."""
    connection = EventSocket(bench.host, bench.port, bench.password)
    connection.command("event plain ALL")
    yield connection
    connection.close()
