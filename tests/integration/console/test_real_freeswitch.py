"""freeswitch/ on a real FreeSWITCH 1.10, with the console's directory: FREESWITCH_BIN, or `freeswitch` on PATH."""

import hashlib
import os
import re
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO
from uuid import uuid4

import gevent
import pytest

# Not the standard one: pytest-socket puts the unpatched class back, whose waits would stop the console in this process.
from gevent import pywsgi, socket

from services.console.adapters.memory import MemoryTenantStore
from services.console.api.freeswitch import SwitchAccess
from services.console.bootstrap import Console, Outside
from services.console.domain.phone_password import phone_password
from services.console.domain.validation import sound_document
from services.listener.domain.call_records import read_record
from services.shared.access import Tokens
from services.shared.bus.topics import CALLS, REPLIES, TENANTS
from services.shared.chassis.clock import Clock
from services.shared.chassis.supervisor import Supervisor
from services.shared.testing.memory_bus import MemoryBus
from tests.integration.console.conftest import ROOT, free_port
from tests.integration.console.test_console_process import demo_tenant

PROGRAM = os.environ.get("FREESWITCH_BIN") or shutil.which("freeswitch")
SECRET = "a secret of the tests"
PATIENCE_SECONDS = 30.0

pytestmark = [
    pytest.mark.real_switch,
    pytest.mark.skipif(PROGRAM is None, reason="no FreeSWITCH: set FREESWITCH_BIN to its program"),
]


@dataclass
class Node:
    """A FreeSWITCH process with exactly the files of freeswitch/conf, and the console that it asks."""

    folder: Path
    ports: dict[str, int] = field(
        default_factory=lambda: {name: free_port() for name in ("esl", "carrier", "phone", "console")}
    )
    bus: MemoryBus = field(default_factory=MemoryBus)
    supervisor: Supervisor = field(default_factory=Supervisor)

    def start(self) -> None:
        self._start_console()
        for name in ("log", "db", "run", "storage", "recordings", "music"):
            (self.folder / name).mkdir()
        command = [PROGRAM or "", "-nf", "-nc", "-nonat", "-conf", str(ROOT / "freeswitch" / "conf")]
        for name in ("log", "db", "run", "storage", "recordings"):
            command += [f"-{name}", str(self.folder / name)]
        environment = {
            **os.environ,
            "RINGMASTER_ESL_PASSWORD": "esl-password",
            "RINGMASTER_ESL_PORT": str(self.ports["esl"]),
            "RINGMASTER_CARRIER_PORT": str(self.ports["carrier"]),
            "RINGMASTER_PHONE_PORT": str(self.ports["phone"]),
            "RINGMASTER_CONSOLE_URL": f"http://127.0.0.1:{self.ports['console']}",
            "RINGMASTER_DIRECTORY_PASSWORD": "directory-password",
            "RINGMASTER_MUSIC_DIR": str(self.folder / "music"),
            "RINGMASTER_CALL_RECORDS_DIR": str(self.folder / "records"),
        }
        with (self.folder / "out.log").open("wb") as log:
            self.process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)  # noqa: S603 - our own
        self.wait_for(lambda: self.api("sofia status").count("RUNNING") == 2, "both profiles run")

    def stop(self) -> None:
        self.stop_console()
        self.process.terminate()
        self.process.wait(30)

    def stop_console(self) -> None:
        self.server.stop(timeout=1)
        self.supervisor.stop()

    def api(self, command: str) -> str:
        """Ask the event socket; empty while it is not there."""
        try:
            with socket.create_connection(("127.0.0.1", self.ports["esl"]), 10) as link:
                reader = link.makefile("rb")
                _read_frame(reader)
                link.sendall(b"auth esl-password\n\n")
                assert b"+OK" in _read_frame(reader)
                link.sendall(f"api {command}\n\n".encode())
                return _read_frame(reader).decode()
        except ConnectionError:
            return ""

    def clear(self) -> None:
        """End all calls. FreeSWITCH's lists lag behind what lives: the next test must not find this one's."""
        self.api("hupall")
        self.wait_for(lambda: "0 total" in self.api("show channels"), "no call is left")

    def log(self) -> str:
        return (self.folder / "log" / "freeswitch.log").read_text(errors="replace")

    def wait_for(self, condition: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not condition():
            assert self.process.poll() is None, (self.folder / "out.log").read_text()
            assert time.monotonic() < deadline, f"never: {what}"
            gevent.sleep(0.1)

    def _start_console(self) -> None:
        outside = Outside(
            store=MemoryTenantStore(),
            sender=self.bus.producer(),
            replies=self.bus.consumer(None, [REPLIES]),
            calls=self.bus.consumer(None, [CALLS]),
            tenants=self.bus.consumer(None, [TENANTS]),
            tokens=Tokens({}),
            clock=Clock(),
            switch=SwitchAccess("freeswitch", "directory-password", SECRET),
        )
        console = Console(outside)
        console.tenancy.apply(sound_document(demo_tenant("acme").encode()), "test")
        console.start(self.supervisor)
        self.server = pywsgi.WSGIServer(("127.0.0.1", self.ports["console"]), console.application(), log=None)
        self.server.start()


def _read_frame(reader: BinaryIO) -> bytes:
    head = b""
    while not head.endswith(b"\n\n"):
        line = reader.readline()
        if not line:
            raise ConnectionError("the event socket was closed")
        head += line
    length = re.search(rb"Content-Length: (\d+)", head)
    return bytes(reader.read(int(length[1]))) if length else head


class Telephone:
    """A SIP user agent of a few lines on UDP: it asks, and tells what is answered."""

    def __init__(self, port: int) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self._socket.connect(("127.0.0.1", port))
        self.here = f"127.0.0.1:{self._socket.getsockname()[1]}"
        self.sequence = 0
        self.call_id = uuid4().hex

    def close(self) -> None:
        self._socket.close()

    def send(self, method: str, uri: str, user: str, to: str, more: str = "", body: str = "") -> None:
        self.sequence += 1
        lines = [
            f"{method} {uri} SIP/2.0",
            f"Via: SIP/2.0/UDP {self.here};branch=z9hG4bK{uuid4().hex}",
            "Max-Forwards: 70",
            f"From: <sip:{user}>;tag=t{self.call_id[:8]}",
            f"To: <{to}>",
            f"Call-ID: {self.call_id}",
            f"CSeq: {self.sequence} {method}",
            f"Contact: <sip:{user.partition('@')[0]}@{self.here}>",
        ]
        text = "\r\n".join(lines) + f"\r\n{more}"
        if body:
            text += "Content-Type: application/sdp\r\n"
        self._socket.send(f"{text}Content-Length: {len(body)}\r\n\r\n{body}".encode())

    def receive(self, seconds: float = 15.0) -> str:
        self._socket.settimeout(seconds)
        return bytes(self._socket.recv(65_535)).decode(errors="replace")

    def final(self) -> str:
        """Return the final answer to what was sent."""
        while (answer := self.receive()).startswith("SIP/2.0 1"):
            pass
        return answer

    def register(self, user: str, domain: str, password: str) -> str:
        """Return the status line of a registration (RFC 3261 22, RFC 2617)."""
        uri, address = f"sip:{domain}", f"{user}@{domain}"
        self.send("REGISTER", uri, address, f"sip:{address}", "Expires: 60\r\n")
        challenge = self.final()
        realm, nonce = (re.search(rf'{name}="([^"]*)"', challenge) for name in ("realm", "nonce"))
        if not realm or not nonce:
            return challenge.partition("\r\n")[0]
        a1, a2 = _md5(f"{user}:{realm[1]}:{password}"), _md5(f"REGISTER:{uri}")
        proof = _md5(f"{a1}:{nonce[1]}:00000001:x:auth:{a2}")
        header = (
            f'Authorization: Digest username="{user}", realm="{realm[1]}", nonce="{nonce[1]}", uri="{uri}", '
            f'response="{proof}", algorithm=MD5, qop=auth, nc=00000001, cnonce="x"\r\nExpires: 60\r\n'
        )
        self.send("REGISTER", uri, address, f"sip:{address}", header)
        return self.final().partition("\r\n")[0]

    def call(self, number: str) -> None:
        port = self.here.partition(":")[2]
        sdp = f"v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio {port} RTP/AVP 8\r\n"
        to = f"sip:{number}@127.0.0.1"
        self.send("INVITE", to, "+380501112233@127.0.0.1", to, body=sdp)


def _md5(text: str) -> str:
    return hashlib.md5(text.encode()).hexdigest()  # noqa: S324 - digest authentication is built on it


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    node = Node(tmp_path_factory.mktemp("node"))
    try:
        node.start()
        yield node
    finally:
        node.stop()


@pytest.fixture
def carrier(node: Node) -> Iterator[Telephone]:
    telephone = Telephone(node.ports["carrier"])
    yield telephone
    telephone.close()
    node.clear()


@pytest.fixture
def phone(node: Node) -> Iterator[Telephone]:
    telephone = Telephone(node.ports["phone"])
    yield telephone
    telephone.close()
    node.clear()


def test_a_call_to_a_line_waits_parked_and_falls_back_when_nobody_takes_it(node: Node, carrier: Telephone) -> None:
    began = time.monotonic()
    carrier.call("380441000001")
    node.wait_for(lambda: ",park," in node.api("show channels"), "the call is parked")
    uuid = node.api("show channels").splitlines()[1].partition(",")[0]
    assert node.api(f"uuid_getvar {uuid} ringmaster_line") == "+380441000001"
    node.wait_for(lambda: f",{uuid}," in node.api("show tasks"), "the guard is listed under the leg's id")
    answer = carrier.final()
    assert answer.startswith("SIP/2.0 200")
    # FreeSWITCH's tasks are due in whole seconds, and so up to one second early.
    assert 4.0 <= time.monotonic() - began < 8.0
    node.wait_for(lambda: ",fallback," in node.api("show channels"), "the switch's list shows the fallback")
    node.api(f"uuid_kill {uuid}")
    records = node.folder / "records" / "cdr-csv" / "Master.csv"
    node.wait_for(lambda: records.is_file() and uuid in records.read_text(), "the call's record is written")
    record = read_record(next(line for line in records.read_bytes().split(b"\n") if uuid.encode() in line))
    assert record is not None
    assert (record.leg_id, record.line, record.caller) == (uuid, "+380441000001", "+380501112233")
    assert record.has_fallen_back
    assert record.created_us < record.answered_us < record.ended_us


def test_a_claimed_call_does_not_fall_back(node: Node, carrier: Telephone) -> None:
    carrier.call("+380441000002")
    node.wait_for(lambda: ",park," in node.api("show channels"), "the call is parked")
    uuid = node.api("show channels").splitlines()[1].partition(",")[0]
    # What the listener does for the platform: it takes the guard away by the leg's id.
    node.api(f"sched_del {uuid}")
    node.wait_for(lambda: uuid not in node.api("show tasks"), "the guard is gone")
    node.api(f"uuid_kill {uuid}")


def test_a_number_that_is_nobodys_is_refused_at_once(carrier: Telephone) -> None:
    carrier.call("+380441000009")
    assert carrier.final().startswith("SIP/2.0 404")


def test_a_phone_registers_with_its_derived_password_and_is_rung_by_user(node: Node, phone: Telephone) -> None:
    password = phone_password(SECRET, "olena", "acme.example")
    assert phone.register("olena", "acme.example", password) == "SIP/2.0 200 OK"
    node.wait_for(lambda: "olena" in node.api("show registrations"), "the registration is listed")
    node.api("bgapi originate user/olena@acme.example &park")
    invitation = phone.receive()
    while not invitation.startswith("INVITE"):
        invitation = phone.receive()
    assert invitation.startswith("INVITE sip:olena@")


@pytest.mark.parametrize(
    ("user", "domain", "password"),
    [
        ("olena", "acme.example", "wrong"),
        ("olena", "borealis.example", phone_password(SECRET, "olena", "acme.example")),
        ("nobody", "acme.example", phone_password(SECRET, "nobody", "acme.example")),
    ],
)
def test_a_wrong_password_or_an_unknown_phone_is_refused(
    phone: Telephone, user: str, domain: str, password: str
) -> None:
    assert phone.register(user, domain, password).startswith("SIP/2.0 403")


def test_a_phone_may_not_call_anybody(node: Node, phone: Telephone) -> None:
    phone.call("+380441000001")
    assert phone.final().startswith("SIP/2.0 407")
    assert "+380441000001" not in node.api("show channels")


def test_without_the_console_a_line_is_handed_over_all_the_same_and_no_number_is_logged(
    node: Node, carrier: Telephone
) -> None:
    node.stop_console()
    carrier.call("380441000001")
    node.wait_for(lambda: ",park," in node.api("show channels"), "the call is parked")
    uuid = node.api("show channels").splitlines()[1].partition(",")[0]
    assert node.api(f"uuid_getvar {uuid} ringmaster_line") == "+380441000001"
    node.api(f"uuid_kill {uuid}")
    assert "CURL returned error" in node.log()
    assert "380501112233" not in node.log()
