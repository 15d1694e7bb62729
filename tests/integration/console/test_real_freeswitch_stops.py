"""A real FreeSWITCH that is asked to stop takes no new call and lets the one that is there end (drain, start)."""

import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import gevent
import pytest

from tests.integration.console.conftest import ROOT
from tests.integration.console.real_node import MARKS, PROGRAM, Node, Telephone

pytestmark = MARKS
LINE = "+380441000001"


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    programs = f"{Path(PROGRAM or '').parent}{os.pathsep}{os.environ['PATH']}"
    node = Node(tmp_path, {"RINGMASTER_DRAIN_SECONDS": "60", "PATH": programs})
    try:
        node.start()
        yield node
    finally:
        node.stop()


@dataclass
class Talk:
    """A call that is claimed and answered."""

    uuid: str
    carrier: Telephone

    def end(self, node: Node) -> None:
        """Hang up, and say so as a telephone does: a switch that stops waits for that."""
        node.api(f"uuid_kill {self.uuid}")
        self.carrier.answer(self.carrier.request("BYE"), "200 OK")


@pytest.fixture
def talk(node: Node) -> Iterator[Talk]:
    carrier = Telephone(node.ports["carrier"])
    carrier.call(LINE)
    node.wait_for(lambda: ",park," in node.api("show channels"), "the call is parked")
    uuid = node.api("show channels").splitlines()[1].partition(",")[0]
    node.api(f"sched_del {uuid}")
    node.api(f"uuid_answer {uuid}")
    answer = carrier.final()
    assert answer.startswith("SIP/2.0 200")
    carrier.acknowledge(answer)
    yield Talk(uuid, carrier)
    carrier.close()


def refused(node: Node) -> str:
    """Return the answer to a call that comes now."""
    late = Telephone(node.ports["carrier"])
    late.call(LINE)
    answer = late.final()
    late.close()
    return answer.partition("\r\n")[0]


def test_asked_to_stop_it_refuses_new_calls_and_ends_when_the_last_one_is_over(node: Node, talk: Talk) -> None:
    node.process.terminate()
    node.wait_for(lambda: node.api("fsctl pause_check inbound") == "true", "it takes no new call")
    assert refused(node) == "SIP/2.0 503 Maximum Calls In Progress"
    gevent.sleep(3)
    assert node.api(f"uuid_exists {talk.uuid}") == "true"
    talk.end(node)
    node.process.wait(20)
    assert node.process.returncode == 0


def hook(node: Node, seconds: int) -> "subprocess.Popen[str]":
    """Start what a pod runs before it ends."""
    variables = {"RINGMASTER_ESL_PASSWORD": "esl-password", "RINGMASTER_ESL_PORT": str(node.ports["esl"])}
    command = [str(ROOT / "freeswitch" / "drain"), str(seconds)]
    variables["PATH"] = node.more["PATH"]
    return subprocess.Popen(command, env=variables, stderr=subprocess.PIPE, text=True)  # noqa: S603 - our own program


def test_a_pods_hook_waits_for_the_last_call_and_keeps_the_password_to_itself(node: Node, talk: Talk) -> None:
    with hook(node, 60) as drain:
        node.wait_for(lambda: node.api("fsctl pause_check inbound") == "true", "it takes no new call")
        commands = (folder / "cmdline" for folder in Path("/proc").iterdir() if folder.name.isdigit())
        assert not any(b"esl-password" in command.read_bytes() for command in commands if command.exists())
        assert drain.poll() is None
        talk.end(node)
        assert drain.communicate(timeout=20)[1] == ""
    assert drain.returncode == 0


def test_a_hook_that_has_waited_long_enough_says_so_and_lets_go(node: Node, talk: Talk) -> None:
    with hook(node, 2) as drain:
        assert drain.communicate(timeout=20)[1] == "drain: calls are still there after 2 s\n"
    assert drain.returncode == 0
    assert node.api(f"uuid_exists {talk.uuid}") == "true"
    talk.end(node)
