"""The router as a process on a true broker: killed in mid-call and started again."""

import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from services.shared.bus.consumer import Consumer
from services.shared.bus.producer import Producer
from services.shared.bus.topics import CALLS, COMMANDS, INPUTS, REPLIES
from services.shared.contracts.ringmaster.v1 import request_pb2 as rq
from services.shared.contracts.ringmaster.v1 import switch_pb2 as sw
from services.shared.contracts.ringmaster.v1.command_pb2 import Command
from services.shared.contracts.ringmaster.v1.event_pb2 import Event
from services.shared.contracts.ringmaster.v1.input_pb2 import Input
from services.shared.testing.ports import free_port
from services.shared.testing.waiting import wait_until
from tests.unit.router.world import LINE, document

pytestmark = [pytest.mark.kafka, pytest.mark.stack]

ROOT = Path(__file__).resolve().parents[3]
WAIT_SECONDS = 60.0


class Outside:
    """Everything around the router: what it reads and what it sends."""

    def __init__(self, bootstrap: str) -> None:
        self.tenant = f"acme-{uuid4().hex[:8]}"
        self.producer = Producer(bootstrap, "outside")
        self._reader = Consumer(bootstrap, None, [COMMANDS, CALLS, REPLIES], "outside-reader", from_beginning=False)
        self.commands: list[Command] = []
        self.events: list[Event] = []
        self.replies: list[str] = []
        self._sequence = 0

    def close(self) -> None:
        self.producer.close()
        self._reader.close()

    def put(self, **body: Any) -> None:
        given = Input(tenant_id=self.tenant, **body)
        now_ms = time.time_ns() // 1_000_000
        self.producer.send(INPUTS, self.tenant, given.SerializeToString(), timestamp_ms=now_ms).wait(60)

    def fact(self, leg_id: str, **body: Any) -> None:
        self._sequence += 1
        fact = sw.SwitchFact(node="fs1", core_uuid="core", switch_sequence=self._sequence, leg_id=leg_id, **body)
        self.put(fact=fact)

    def look(self) -> None:
        for record in self._reader.poll(0.05):
            if record.topic == COMMANDS:
                command = Command.FromString(record.value)
                if command.tenant_id == self.tenant:
                    self.commands.append(command)
            elif record.key == self.tenant and record.topic == CALLS:
                self.events.append(Event.FromString(record.value))
            elif record.key == self.tenant:
                self.replies.append(rq.Reply.FromString(record.value).request_id)

    def command(self, action: str) -> Command:
        """Wait for a command that the last calls of this have not returned yet."""

        def is_there() -> bool:
            self.look()
            return any(command.WhichOneof("action") == action for command in self.commands)

        wait_until(is_there, action, WAIT_SECONDS)
        return next(command for command in self.commands if command.WhichOneof("action") == action)

    def event(self, body: str) -> Event:
        def is_there() -> bool:
            self.look()
            return any(event.WhichOneof("body") == body for event in self.events)

        wait_until(is_there, body, WAIT_SECONDS)
        return next(event for event in self.events if event.WhichOneof("body") == body)


class Router:
    """The process."""

    def __init__(self, bootstrap: str, mongodb_uri: str, log: Path) -> None:
        self._port = free_port()
        self._log = log
        self._environment = os.environ | {
            "PYTHONPATH": str(ROOT),
            "RINGMASTER_KAFKA_BOOTSTRAP": bootstrap,
            "RINGMASTER_MONGODB_URI": mongodb_uri,
            "RINGMASTER_HTTP_PORT": str(self._port),
            "RINGMASTER_ROUTER_SNAPSHOT_SECONDS": "1",
        }
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self._log.open("ab") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "services.router"], cwd=ROOT, env=self._environment, stdout=output, stderr=output
            )
        wait_until(self._is_ready, f"the router's start ({self._log})", WAIT_SECONDS)

    def kill(self) -> None:
        self._end(signal.SIGKILL)

    def stop(self) -> int:
        return self._end(signal.SIGTERM)

    def _end(self, number: int) -> int:
        if self._process is None:
            return 0
        self._process.send_signal(number)
        code = self._process.wait(20)
        self._process = None
        return code

    def _is_ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self._port}/readyz", timeout=2) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False


@pytest.fixture
def outside(kafka_bootstrap: str) -> Iterator[Outside]:
    outside = Outside(kafka_bootstrap)
    yield outside
    outside.close()


@pytest.fixture
def router(kafka_bootstrap: str, mongodb_uri: str, tmp_path: Path) -> Iterator[Router]:
    router = Router(kafka_bootstrap, mongodb_uri, tmp_path / "router.log")
    yield router
    router.kill()


@pytest.mark.timeout(180)
def test_a_call_goes_on_over_a_kill_and_nothing_is_decided_twice(outside: Outside, router: Router) -> None:
    outside.look()
    router.start()
    tenant = document()
    tenant.tenant_id = outside.tenant
    outside.put(document=tenant)
    ready = rq.SetAgentStatus(agent_id="olena", status=rq.AGENT_STATUS_READY)
    outside.put(request=rq.Request(request_id="r1", set_agent_status=ready))
    call_id = str(uuid4())
    created = sw.LegCreated(direction=sw.DIRECTION_INBOUND, line=LINE, caller_number="+380501112233")
    outside.fact(call_id, leg_created=created)
    outside.fact(call_id, leg_parked=sw.LegParked(line=LINE))
    ask = outside.command("collect_digits")
    pressed = sw.DigitsCollected(command_id=ask.command_id, digits="1", outcome=sw.COLLECT_OUTCOME_MATCHED)
    outside.fact(call_id, digits_collected=pressed)
    agent_leg = outside.command("originate_leg").leg_id
    router.kill()
    outside.fact(agent_leg, call_id=call_id, leg_progressed=sw.LegProgressed())
    outside.fact(agent_leg, call_id=call_id, leg_answered=sw.LegAnswered())
    router.start()
    bridge = outside.command("bridge_legs")
    assert (bridge.leg_id, bridge.bridge_legs.other_leg_id) == (call_id, agent_leg)
    outside.fact(call_id, leg_bridged=sw.LegBridged(other_leg_id=agent_leg))
    outside.event("call_answered")
    outside.fact(call_id, leg_hung_up=sw.LegHungUp(cause="NORMAL_CLEARING"))
    assert outside.event("call_ended").call_ended.agent_id == "olena"
    originates = {one.command_id for one in outside.commands if one.WhichOneof("action") == "originate_leg"}
    assert len(originates) == 1
    sequences = sorted({event.sequence for event in outside.events if event.subject == call_id})
    assert sequences == list(range(1, len(sequences) + 1))
    # What the killed process had told and the next one told again is the same: one number of a subject is one event.
    known = {(event.subject, event.sequence, event.event_id) for event in outside.events if event.sequence}
    assert len(known) == len({(subject, number) for subject, number, _ in known})
    assert outside.replies[0] == "r1"
    assert router.stop() == 0
