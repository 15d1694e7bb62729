import json
import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gevent
import pytest
import yaml

from services.listener.bootstrap import Listener, build
from services.listener.settings import Settings
from services.shared.bus.topics import COMMANDS, INPUTS, TENANTS
from services.shared.chassis.clock import Clock
from services.shared.chassis.supervisor import Supervisor
from services.shared.contracts.ringmaster.v1.command_pb2 import Command
from services.shared.contracts.ringmaster.v1.input_pb2 import Input
from services.shared.contracts.ringmaster.v1.tenant_pb2 import Line, TenantDocument
from services.shared.testing.memory_bus import MemoryBus
from services.shared.testing.ports import free_port
from services.shared.testing.waiting import wait_until

ROOT = Path(__file__).parents[3]
NODE = "node-1"
LINE = "+442079460001"
DOMAIN = "acme.example"
PASSWORD = "ClueCon"
START_SECONDS = 60.0
WAIT_SECONDS = 60.0


@dataclass
class SwitchProcess:
    """A simulated FreeSWITCH in a process of its own, on the same ports over its restarts."""

    folder: Path
    port: int
    http_port: int
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        arguments = ("--port", str(self.port), "--http-port", str(self.http_port), "--password", PASSWORD)
        files = ["--scenario", str(self.folder / "scenario.yaml"), "--recordings", str(self.folder / "rec")]
        files += ["--call-records", str(self.folder / "records")]
        self.process = subprocess.Popen(  # noqa: S603 - our own program
            [sys.executable, "-m", "local.switch", *arguments, *files],
            cwd=ROOT,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
        wait_until(self._answers, "the simulated switch answers", START_SECONDS)

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def call(self, **fields: Any) -> str:
        caller = {"patience": 3600, "talk": 3600, "digits": ["2"], "digit_delay": 0.3, "lingers": 0.2}
        return str(self._post("/call", {"line": LINE, **caller, **fields})["uuid"])

    def leg(self, leg_id: str) -> dict[str, Any]:
        return next(dict(leg) for leg in self._open("/legs") if leg["uuid"] == leg_id)

    def move_phone(self, leg_id: str, **fields: Any) -> None:
        self._post(f"/legs/{leg_id}", fields)

    def break_connections(self) -> None:
        self._post("/faults", {"fault": "drop_connections"})

    def change_agent(self, agent: str, **fields: Any) -> None:
        self._post(f"/agents/{agent}", fields)

    def status(self) -> dict[str, Any]:
        return dict(self._open("/status"))

    def _answers(self) -> bool:
        try:
            self.status()
        except OSError:
            return False
        return True

    def _post(self, path: str, fields: dict[str, Any]) -> dict[str, Any]:
        return dict(self._open(path, json.dumps(fields).encode()))

    def _open(self, path: str, data: bytes | None = None) -> Any:
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.http_port}{path}", data=data, headers={"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=5) as answer:  # noqa: S310 - our own loopback address
            return json.loads(answer.read() or b"{}")


class Platform:
    """The listener in this process on a bus in memory, and the tenant's log that it writes."""

    def __init__(self, folder: Path, switch: SwitchProcess, bus: MemoryBus) -> None:
        self.folder = folder
        self.switch = switch
        self.bus = bus
        self.listener: Listener | None = None
        self.supervisor = Supervisor()

    def start(self, password: str = PASSWORD) -> Listener:
        settings = Settings(
            node=NODE,
            esl_password=password,
            kafka_bootstrap="memory",
            spool_dir=self.folder / "spool",
            recordings_dir=str(self.folder / "rec"),
            esl_port=self.switch.port,
            prompts_dir=str(self.folder / "prompts"),
            call_records=self.folder / "records" / "cdr-csv" / "Master.csv",
        )
        self.supervisor = Supervisor()
        self.listener = build(settings, MemoryBusOfListener(self.bus), self.supervisor, Clock())
        self.listener.start()
        return self.listener

    def stop(self) -> None:
        self.supervisor.end()

    def crash(self) -> None:
        """End without a word: what is only in memory is lost, the socket closes.

        What was told is acknowledged before: else the next life would rightly tell it twice.
        """
        assert self.listener is not None
        publisher = self.listener.publisher
        wait_until(lambda: publisher.is_settled, "all that was told is safe")
        gevent.killall(list(self.supervisor._greenlets), timeout=5)
        gevent.killall(list(self.listener.executor._pool), timeout=5)
        session = self.listener.client._session
        if session is not None:
            session._events.stop()
            session._commands.stop()

    def is_ready(self) -> bool:
        return self.listener is not None and self.listener.ready()[0]

    def let_records_be_read(self) -> None:
        """Wait until the records of calls are told to their end and nothing of them is pending."""
        listener, records = self.listener, self.folder / "records" / "cdr-csv" / "Master.csv"
        assert listener is not None
        audit = listener.audit
        assert audit is not None
        wait_until(lambda: audit._kept.place == records.stat().st_size, "the records are settled")

    def call_in(self, **fields: Any) -> str:
        """Let somebody call once the listener is ready; return the leg when it is parked."""
        wait_until(self.is_ready, "the listener is ready")
        leg = self.switch.call(**fields)
        assert self.fact(leg, "leg_parked").leg_parked.line == LINE
        return leg

    def of_switch(self, kind: str) -> list[Any]:
        return [told.fact for told in self.inputs() if told.fact.WhichOneof("fact") == kind]

    def inputs(self) -> list[Input]:
        return [Input.FromString(record.value) for record in self.bus.records(INPUTS)]

    def kinds(self, leg_id: str) -> list[str]:
        return [
            told.fact.WhichOneof("fact") or ""
            for told in self.inputs()
            if told.HasField("fact") and told.fact.leg_id == leg_id
        ]

    def fact(self, leg_id: str, kind: str) -> Any:
        def find() -> Any:
            for told in self.inputs():
                if told.HasField("fact") and told.fact.leg_id == leg_id and told.fact.WhichOneof("fact") == kind:
                    return told.fact
            return None

        return wait_until(find, f"{kind} of {leg_id}; told: {self.kinds(leg_id)}")

    def result(self, command_id: str) -> Any:
        def find() -> Any:
            for told in self.inputs():
                if told.HasField("command_result") and told.command_result.command_id == command_id:
                    return told.command_result
            return None

        return wait_until(find, f"the result of {command_id}")

    def command(self, **fields: Any) -> None:
        command = Command(**{"tenant_id": "acme", "node": NODE, **fields})
        if not command.deadline_ms:
            command.deadline_ms = int(time.time() * 1000) + 30_000
        self.bus.producer().send(COMMANDS, NODE, command.SerializeToString(), timestamp_ms=0)


class MemoryBusOfListener:
    """A bus in memory whose producers and consumers are made as the listener makes them."""

    def __init__(self, bus: MemoryBus) -> None:
        self._bus = bus

    def producer(self) -> Any:
        return self._bus.producer()

    def consumer(self, group: str | None, topics: list[str]) -> Any:
        return self._bus.consumer(group, topics)


@pytest.fixture
def switch(tmp_path: Path) -> Iterator[SwitchProcess]:
    scenario = {
        "domain": DOMAIN,
        "lines": [{"number": LINE}],
        "agents": [{"id": "anna", "answer": 0.3, "talk": "never"}],
    }
    (tmp_path / "scenario.yaml").write_text(yaml.safe_dump(scenario))
    process = SwitchProcess(tmp_path, free_port(), free_port())
    process.start()
    yield process
    process.kill()


@pytest.fixture
def platform(tmp_path: Path, switch: SwitchProcess) -> Iterator[Platform]:
    bus = MemoryBus()
    document = TenantDocument(tenant_id="acme", version=1, domain=DOMAIN, languages=["en"], lines=[Line(number=LINE)])
    bus.producer().send(TENANTS, "acme", document.SerializeToString(), timestamp_ms=0)
    platform = Platform(tmp_path, switch, bus)
    yield platform
    platform.stop()
