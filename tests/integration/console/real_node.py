"""A real FreeSWITCH 1.10 with exactly the files of freeswitch/, and telephones of a few lines, for the tests here."""

import base64
import hashlib
import os
import re
import shutil
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO
from uuid import uuid4

import gevent
import pytest
from gevent import pywsgi, socket, ssl

from services.console.adapters.memory import MemoryTenantStore
from services.console.api.freeswitch import SwitchAccess
from services.console.bootstrap import Console, Outside
from services.console.domain.validation import sound_document
from services.shared.access import Tokens
from services.shared.bus.topics import CALLS, DOCUMENT_REQUESTS, REPLIES, TENANTS
from services.shared.chassis.clock import Clock
from services.shared.chassis.supervisor import Supervisor
from services.shared.testing.memory_bus import MemoryBus
from services.shared.testing.ports import free_port
from tests.integration.console.conftest import ROOT
from tests.integration.console.test_console_process import demo_tenant

PROGRAM = os.environ.get("FREESWITCH_BIN") or shutil.which("freeswitch")
SECRET = "a secret of the tests"
PATIENCE_SECONDS = 60.0
MARKS = [
    pytest.mark.real_switch,
    pytest.mark.skipif(PROGRAM is None, reason="no FreeSWITCH: set FREESWITCH_BIN to its program"),
]


@dataclass
class Node:
    """A FreeSWITCH process with exactly the files of freeswitch/conf, and the console that it asks."""

    folder: Path
    more: dict[str, str] = field(default_factory=dict)
    """Variables besides those that each node has."""
    ports: dict[str, int] = field(
        default_factory=lambda: {name: free_port() for name in ("esl", "carrier", "phone", "trunk", "console")}
    )
    bus: MemoryBus = field(default_factory=MemoryBus)
    supervisor: Supervisor = field(default_factory=Supervisor)

    def start(self) -> None:
        self._start_console()
        for name in ("log", "db", "run", "storage", "certs", "recordings", "music"):
            (self.folder / name).mkdir()
        command = [str(ROOT / "freeswitch" / "start"), PROGRAM or "", "-nf", "-nc", "-nonat"]
        command += ["-conf", str(ROOT / "freeswitch" / "conf")]
        for name in ("log", "db", "run", "storage", "certs", "recordings"):
            command += [f"-{name}", str(self.folder / name)]
        environment = {
            **os.environ,
            "RINGMASTER_ESL_PASSWORD": "esl-password",
            "RINGMASTER_ESL_PORT": str(self.ports["esl"]),
            "RINGMASTER_CARRIER_PORT": str(self.ports["carrier"]),
            "RINGMASTER_GATEWAY_PROXY": f"127.0.0.1:{self.ports['trunk']}",
            "RINGMASTER_PHONE_PORT": str(self.ports["phone"]),
            "RINGMASTER_CONSOLE_URL": f"http://127.0.0.1:{self.ports['console']}",
            "RINGMASTER_DIRECTORY_PASSWORD": "directory-password",
            "RINGMASTER_GATEWAYS_DIR": str(self.folder / "gateways"),
            "RINGMASTER_MUSIC_DIR": str(self.folder / "music"),
            "RINGMASTER_CALL_RECORDS_DIR": str(self.folder / "records"),
            **self.more,
        }
        with (self.folder / "out.log").open("wb") as log:
            self.process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)  # noqa: S603 - our own
        # One with TLS is listed once more for it, and once more for WebSockets.
        self.wait_for(lambda: self.api("sofia status").count("RUNNING") >= 2, "both profiles run")

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
            document_requests=self.bus.consumer(None, [DOCUMENT_REQUESTS]),
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

    transport = "UDP"
    contact = ""
    """What it says its own address is, where that is not the true one."""
    more = ""
    """Header lines that it adds to a registration, and to a call."""
    name = ""
    """The name that it shows, with its quotes."""

    def __init__(self, port: int, own_port: int = 0) -> None:
        self._own_port = own_port
        self._socket = self._connected(port)
        self.here = f"127.0.0.1:{self._socket.getsockname()[1]}"
        self.sequence = 0
        self.call_id = uuid4().hex

    def _connected(self, port: int) -> socket.socket:
        link = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        link.bind(("127.0.0.1", self._own_port))
        link.connect(("127.0.0.1", port))
        return link

    def close(self) -> None:
        self._socket.close()

    def _contact(self, user: str) -> str:
        return self.contact or f"sip:{user.partition('@')[0]}@{self.here};transport={self.transport.lower()}"

    def send(self, method: str, uri: str, user: str, to: str, more: str = "", body: str = "") -> None:
        self.sequence += 1
        lines = [
            f"{method} {uri} SIP/2.0",
            f"Via: SIP/2.0/{self.transport} {self.here};branch=z9hG4bK{uuid4().hex}",
            "Max-Forwards: 70",
            f"From: {self.name}<sip:{user}>;tag=t{self.call_id[:8]}",
            f"To: <{to}>",
            f"Call-ID: {self.call_id}",
            f"CSeq: {self.sequence} {method}",
            f"Contact: <{self._contact(user)}>",
        ]
        text = "\r\n".join(lines) + f"\r\n{more}"
        if body:
            text += "Content-Type: application/sdp\r\n"
        self._write(f"{text}Content-Length: {len(body)}\r\n\r\n{body}".encode())

    def receive(self, seconds: float = 15.0) -> str:
        self._socket.settimeout(seconds)
        return self._read().decode(errors="replace")

    def _write(self, message: bytes) -> None:
        self._socket.sendall(message)

    def _read(self) -> bytes:
        return bytes(self._socket.recv(65_535))

    def final(self) -> str:
        """Return the final answer to what was sent."""
        while (answer := self.receive()).startswith("SIP/2.0 1"):
            pass
        return answer

    def register(self, user: str, domain: str, password: str, to: str = "") -> str:
        """Return the status line of a registration, his own or that of `to` (RFC 3261 22, RFC 2617)."""
        uri, address = f"sip:{domain}", f"{user}@{domain}"
        whose, more = f"sip:{to or address}", f"{self.more}Expires: 60\r\n"
        self.send("REGISTER", uri, address, whose, more)
        challenge = self.final()
        realm, nonce = (re.search(rf'{name}="([^"]*)"', challenge) for name in ("realm", "nonce"))
        if not realm or not nonce:
            return challenge.partition("\r\n")[0]
        a1, a2 = _md5(f"{user}:{realm[1]}:{password}"), _md5(f"REGISTER:{uri}")
        proof = _md5(f"{a1}:{nonce[1]}:00000001:x:auth:{a2}")
        header = (
            f'Authorization: Digest username="{user}", realm="{realm[1]}", nonce="{nonce[1]}", uri="{uri}", '
            f'response="{proof}", algorithm=MD5, qop=auth, nc=00000001, cnonce="x"\r\n'
        )
        self.send("REGISTER", uri, address, whose, header + more)
        return self.final().partition("\r\n")[0]

    def request(self, method: str) -> str:
        """Wait until it is asked for something, and return the request."""
        while not (request := self.receive()).startswith(method):
            pass
        return request

    def acknowledge(self, answer: str) -> None:
        """Confirm that its call was answered (RFC 3261 13.2.2.4)."""
        same = re.findall(r"(?mi)^(?:From|To|Call-ID):.*$", answer)
        target = re.search(r"(?mi)^Contact: *<([^>]+)>", answer)
        assert target, answer
        lines = [f"ACK {target[1]} SIP/2.0", f"Via: SIP/2.0/{self.transport} {self.here};branch=z9hG4bK{uuid4().hex}"]
        lines += ["Max-Forwards: 70", f"CSeq: {self.sequence} ACK", *(line.strip() for line in same)]
        self._write(("\r\n".join(lines) + "\r\nContent-Length: 0\r\n\r\n").encode())

    def answer(self, request: str, status: str, more: str = "", body: str = "") -> None:
        """Answer a request with a status line, what has to be given back (RFC 3261 8.2.6), and lines of one's own."""
        same = re.findall(r"(?mi)^(?:Via|From|To|Call-ID|CSeq):.*$", request)
        lines = (line.strip() + (";tag=phone" if line.lower().startswith("to:") else "") for line in same)
        text = "\r\n".join((f"SIP/2.0 {status}", *lines))
        self._write(f"{text}\r\n{more}Content-Length: {len(body)}\r\n\r\n{body}".encode())

    def pick_up(self, invitation: str, contact: str) -> None:
        """Answer a call with sound, from an address that it says is its own."""
        more = f"Contact: <{contact}>\r\nContent-Type: application/sdp\r\n"
        self.answer(invitation, "200 OK", more, self._sound())

    def _sound(self) -> str:
        port = self.here.partition(":")[2]
        lines = ("v=0", "o=- 1 1 IN IP4 127.0.0.1", "s=-", "c=IN IP4 127.0.0.1", "t=0 0", f"m=audio {port} RTP/AVP 8")
        return "".join(f"{line}\r\n" for line in lines)

    def call(self, number: str, caller: str = "+380501112233") -> None:
        to = f"sip:{number}@127.0.0.1"
        self.send("INVITE", to, f"{caller}@127.0.0.1", to, self.more, self._sound())


class TlsTelephone(Telephone):
    """The same over TLS; `authority` is whose certificates it takes."""

    transport = "TLS"

    def __init__(self, port: int, authority: Path) -> None:
        self._authority = authority
        super().__init__(port)
        self._reader = self._socket.makefile("rb")

    def _connected(self, port: int) -> socket.socket:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(self._authority)
        return context.wrap_socket(socket.create_connection(("127.0.0.1", port), 10), server_hostname="127.0.0.1")

    @property
    def version(self) -> str:
        """The version of TLS that was agreed upon."""
        return str(self._socket.version())

    def close(self) -> None:
        self._reader.close()
        super().close()

    def _read(self) -> bytes:
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            line = self._reader.readline()
            if not line:
                raise ConnectionError("the connection was closed")
            head = (head + line).lstrip()
        length = re.search(rb"(?i)\r\nContent-Length: *(\d+)", head)
        return head + bytes(self._reader.read(int(length[1]) if length else 0))


class BrowserTelephone(TlsTelephone):
    """The same as a browser does it: SIP in a WebSocket over TLS (RFC 7118)."""

    transport = "WSS"

    def _connected(self, port: int) -> socket.socket:
        link = super()._connected(port)
        key = base64.b64encode(os.urandom(16)).decode()
        link.sendall(
            f"GET / HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: sip\r\n\r\n".encode()
        )
        answer = b""
        while not answer.endswith(b"\r\n\r\n"):
            answer += link.recv(1)
        assert answer.startswith(b"HTTP/1.1 101"), answer
        return link

    def _write(self, message: bytes) -> None:
        """Send one text frame; a client's are masked (RFC 6455 5.2), here with zeros."""
        size = len(message)
        length = bytes([0x80 | size]) if size < 126 else bytes([0x80 | 126]) + size.to_bytes(2, "big")
        self._socket.sendall(b"\x81" + length + bytes(4) + message)

    def _read(self) -> bytes:
        kind, size = self._reader.read(2)
        if size >= 126:
            size = int.from_bytes(self._reader.read(2 if size == 126 else 8), "big")
        body = bytes(self._reader.read(size))
        return body if kind & 0x0F in (1, 2) else b""


def _md5(text: str) -> str:
    return hashlib.md5(text.encode()).hexdigest()  # noqa: S324 - digest authentication is built on it
