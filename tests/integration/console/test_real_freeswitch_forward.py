"""A caller is forwarded to a SIP address through the node's own profile: a real FreeSWITCH, SIPp at the far side."""

import re
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gevent
import pytest

from services.listener.adapters.sip_route import SipRoute
from services.listener.adapters.switch_plan import Planner
from services.listener.domain.directory import Directory
from services.listener.domain.prompts import PromptLibrary
from services.shared.contracts.ringmaster.v1 import command_pb2 as pb
from services.shared.esl.commands import Command as Wire
from services.shared.outbound.address import AddressGuard
from services.shared.testing.ports import free_port
from tests.integration.console.real_node import MARKS, PATIENCE_SECONDS, Node, Telephone

pytestmark = [*MARKS, pytest.mark.skipif(shutil.which("sipp") is None, reason="no SIPp (Debian: sip-tester)")]
CALLER, FAR = "caller", "far"


def wait_until(condition: Callable[[], bool], what: str = "SIPp listens") -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, f"never: {what}"
        gevent.sleep(0.05)


@dataclass
class FarSide:
    """SIPp as the one who is called: it answers one call, echoes its sound, and ends with it."""

    folder: Path
    port: int
    process: "subprocess.Popen[bytes]"

    @classmethod
    def start(cls, folder: Path) -> "FarSide":
        folder.mkdir()
        port = free_port()
        command = ["sipp", "-sn", "uas", "-m", "1", "-i", "127.0.0.1", "-p", str(port), "-mp", str(free_port())]
        command += ["-rtp_echo", "-nostdin", "-trace_msg", "-message_file", str(folder / "messages")]
        process = subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL)  # noqa: S603 - our own words
        far = cls(folder, port, process)
        wait_until(far.listens)
        return far

    def listens(self) -> bool:
        return f":{self.port:04X} " in Path("/proc/net/udp").read_text()

    def messages(self) -> str:
        """Return what it received and sent; written when it has ended."""
        file = self.folder / "messages"
        return file.read_text(errors="replace") if file.is_file() else ""

    def stop(self) -> None:
        self.process.kill()
        self.process.wait()


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    node = Node(tmp_path_factory.mktemp("node"))
    try:
        node.start()
        yield node
    finally:
        node.stop()


@pytest.fixture
def far_side(tmp_path: Path) -> Iterator[FarSide]:
    far = FarSide.start(tmp_path / "sipp")
    yield far
    far.stop()


@pytest.fixture
def caller(node: Node) -> Iterator[Telephone]:
    """Give a caller who was answered by the platform and waits."""
    telephone = Telephone(node.ports["carrier"])
    telephone.call("+380441000001")
    node.wait_for(lambda: ",park," in node.api("show channels"), "the call is parked")
    leg_id = leg_of(node)
    node.api(f"sched_del {leg_id}")
    node.api(f"uuid_answer {leg_id}")
    answer = telephone.final()
    assert answer.startswith("SIP/2.0 200")
    telephone.acknowledge(answer)
    yield telephone
    telephone.close()
    node.clear()


def leg_of(node: Node) -> str:
    return node.api("show channels").splitlines()[1].partition(",")[0]


def planner(port: int) -> Planner:
    """Return what plans for the listener, where pbx.example is this machine and may be called."""

    def resolve(host: str, _port: int) -> list[tuple[int, Any]]:
        return [(0, ("127.0.0.1", port))] if host == "pbx.example" else []

    guard = AddressGuard.parse("127.0.0.0/8")
    library = PromptLibrary("/prompts", lambda _path: False, "flite|kal")
    return Planner(library, Directory(), "/rec", "default", SipRoute(guard, resolve))


def forwards(node: Node, far: FarSide) -> None:
    """Call the address as the listener does for a forward step."""
    action = pb.OriginateLeg(sip=f"desk@pbx.example:{far.port}", ring_timeout_ms=10_000, caller_number="+380441000001")
    command = pb.Command(command_id="call-out", tenant_id="acme", call_id=CALLER, leg_id=FAR, originate_leg=action)
    node.api("bgapi " + text_of(planner(far.port).originate(command)))


def text_of(wire: Wire) -> str:
    return re.sub(r"^(bg)?api ", "", wire.decode().splitlines()[0])


def test_a_forwarded_caller_talks_with_the_far_side_until_one_of_them_hangs_up(
    node: Node, caller: Telephone, far_side: FarSide
) -> None:
    leg_id = leg_of(node)
    forwards(node, far_side)
    node.wait_for(lambda: "Answer-State: answered" in node.api(f"uuid_dump {FAR}"), "the far side answers")
    bridge = pb.BridgeLegs(other_leg_id=FAR)
    command = pb.Command(command_id="bridge", tenant_id="acme", call_id=CALLER, leg_id=leg_id, bridge_legs=bridge)
    for step in planner(far_side.port).plan(command):
        node.api(text_of(step.wire))
    node.wait_for(lambda: "1 total" in node.api("show bridged_calls"), "they hear each other")
    node.api(f"uuid_kill {leg_id}")
    caller.answer(caller.request("BYE"), "200 OK")
    node.wait_for(lambda: node.api(f"uuid_exists {FAR}") == "false", "the far side is hung up too")
    wait_until(lambda: far_side.process.poll() == 0, "SIPp saw the whole call: INVITE, ACK, BYE")
    first_line = re.search(r"INVITE \S+", far_side.messages())
    assert first_line is not None
    assert first_line[0] == f"INVITE sip:desk@pbx.example:{far_side.port}"
    assert "sip:+380441000001@" in far_side.messages()
