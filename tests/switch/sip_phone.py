"""A SIP phone on loopback, just enough to call a real FreeSWITCH and to be called by it (RFC 3261, UDP, PCMU).

It is no part of the platform: it lets this suite drive a real switch as the simulated one is driven. When it is called,
the user part of the address says what it does: answer, busy, reject, no_answer and so on.
"""

import re
import socket
import threading
import time
from dataclasses import dataclass
from uuid import uuid4

RINGS_BEFORE_IT_REFUSES = {"busy": (486, "Busy Here"), "reject": (603, "Decline")}
REFUSES_AT_ONCE = {
    "unavailable": (480, "Temporarily Unavailable"),
    "not_found": (404, "Not Found"),
    "broken": (503, "Service Unavailable"),
    "incompatible": (488, "Not Acceptable Here"),
}
PICK_UP_SECONDS = 0.5
FRAME_SECONDS = 0.02
_SILENT_FRAME = b"\xff" * 160


@dataclass
class Message:
    """One SIP message: first line, headers by lower-case name (last one wins, Via kept whole), body."""

    first: str
    headers: dict[str, str]
    vias: list[str]
    body: str

    @classmethod
    def parse(cls, data: bytes) -> "Message":
        head, _, body = data.decode("utf-8", "replace").partition("\r\n\r\n")
        lines = head.split("\r\n")
        headers: dict[str, str] = {}
        vias = []
        for line in lines[1:]:
            name, _, value = line.partition(":")
            if name.lower() in {"via", "v"}:
                vias.append(value.strip())
            else:
                headers[name.strip().lower()] = value.strip()
        return cls(lines[0], headers, vias, body)

    @property
    def method(self) -> str:
        return self.first.split(" ")[0]

    @property
    def call_id(self) -> str:
        return self.headers.get("call-id", "")


@dataclass
class Dialog:
    """One call of this phone."""

    call_id: str
    local: str
    remote: str
    target: str
    branch: str
    is_caller: bool
    invite: Message | None = None
    cseq: int = 1
    is_answered: bool = False
    is_over: bool = False
    media: tuple[str, int] | None = None
    called: str = ""
    """The user who was called; empty for a call of this phone's own."""


class SipPhone:
    """One phone with one UDP port; any number of calls at a time."""

    frames: dict[str, bytes] = {}  # noqa: RUF012 - replaced, never changed
    """20 ms of PCMU that are said again and again, by who was called; who is not in it is silent."""

    def __init__(self, switch: tuple[str, int], port: int = 0) -> None:
        self._switch = switch
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", port))
        self.port = int(self._socket.getsockname()[1])
        self._media = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._media.bind(("127.0.0.1", 0))
        self._media_port = int(self._media.getsockname()[1])
        self._dialogs: dict[str, Dialog] = {}
        self._version = 0
        self._stopped = threading.Event()
        self._threads = [threading.Thread(target=run, daemon=True) for run in (self._listen, self._speak)]
        for thread in self._threads:
            thread.start()

    def close(self) -> None:
        """Hang up everything and stop."""
        for call_id in list(self._dialogs):
            self.hang_up(call_id)
        self._stopped.set()
        for thread in self._threads:
            thread.join(timeout=2)
        self._socket.close()
        self._media.close()

    def call(self, number: str, name: str, user: str) -> str:
        """Call a number; returns the Call-ID."""
        host, port = self._switch
        call_id = str(uuid4())
        dialog = Dialog(
            call_id,
            f'"{name}" <sip:{user}@127.0.0.1:{self.port}>;tag={uuid4().hex[:8]}',
            f"<sip:{number}@{host}:{port}>",
            f"sip:{number}@{host}:{port}",
            f"z9hG4bK{uuid4().hex}",
            is_caller=True,
        )
        self._dialogs[call_id] = dialog
        self._request(dialog, "INVITE", self._sdp())
        return call_id

    def hang_up(self, call_id: str) -> None:
        """Cancel, refuse or end a call."""
        dialog = self._dialogs.get(call_id)
        if dialog is None or dialog.is_over:
            return
        dialog.is_over = True
        if dialog.is_answered:
            dialog.cseq += 1
            self._request(dialog, "BYE", branch=f"z9hG4bK{uuid4().hex}")
        elif dialog.is_caller:
            self._request(dialog, "CANCEL")
        elif dialog.invite is not None:
            self._respond(dialog, dialog.invite, 486, "Busy Here")

    def hold(self, call_id: str, *, on: bool) -> None:
        """Send a re-INVITE that stops or resumes listening."""
        dialog = self._dialogs.get(call_id)
        if dialog is not None and dialog.is_answered and not dialog.is_over:
            dialog.cseq += 1
            self._request(dialog, "INVITE", self._sdp("sendonly" if on else "sendrecv"), f"z9hG4bK{uuid4().hex}")

    # -- sending -------------------------------------------------------------------------------------------------

    def _sdp(self, direction: str = "sendrecv") -> str:
        # A session description with an old version number is taken for the old one.
        self._version += 1
        return (
            f"v=0\r\no=- 1 {self._version} IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
            f"m=audio {self._media_port} RTP/AVP 0 101\r\na=rtpmap:0 PCMU/8000\r\n"
            f"a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-16\r\na={direction}\r\n"
        )

    def _request(self, dialog: Dialog, method: str, body: str = "", branch: str | None = None) -> None:
        lines = [
            f"{method} {dialog.target} SIP/2.0",
            f"Via: SIP/2.0/UDP 127.0.0.1:{self.port};branch={branch or dialog.branch};rport",
            "Max-Forwards: 70",
            f"From: {dialog.local}",
            f"To: {dialog.remote}",
            f"Call-ID: {dialog.call_id}",
            f"CSeq: {dialog.cseq} {method}",
            f"Contact: <sip:phone@127.0.0.1:{self.port}>",
            "User-Agent: test-phone/1",
        ]
        self._send(lines, body, self._switch)

    def _respond(self, dialog: Dialog, request: Message, status: int, reason: str, body: str = "") -> None:
        to = request.headers["to"]
        if ";tag=" not in to and status > 100:
            to += ";tag=" + dialog.local.rpartition("=")[2]
        lines = [
            f"SIP/2.0 {status} {reason}",
            *(f"Via: {via}" for via in request.vias),
            f"From: {request.headers['from']}",
            f"To: {to}",
            f"Call-ID: {request.call_id}",
            f"CSeq: {request.headers['cseq']}",
            f"Contact: <sip:phone@127.0.0.1:{self.port}>",
            "User-Agent: test-phone/1",
        ]
        self._send(lines, body, self._switch)

    def _send(self, lines: list[str], body: str, where: tuple[str, int]) -> None:
        if body:
            lines.append("Content-Type: application/sdp")
        text = "\r\n".join([*lines, f"Content-Length: {len(body)}"]) + "\r\n\r\n" + body
        self._socket.sendto(text.encode(), where)

    # -- receiving -----------------------------------------------------------------------------------------------

    def _listen(self) -> None:
        self._socket.settimeout(0.2)
        while not self._stopped.is_set():
            try:
                data, _ = self._socket.recvfrom(65_536)
            except TimeoutError:
                continue
            message = Message.parse(data)
            if message.first.startswith("SIP/2.0"):
                self._take_response(message)
            else:
                self._take_request(message)

    def _take_response(self, message: Message) -> None:
        dialog = self._dialogs.get(message.call_id)
        if dialog is None or not message.headers.get("cseq", "").endswith("INVITE"):
            return
        status = int(message.first.split(" ")[1])
        self._learn_media(dialog, message)
        if status < 200:
            return
        dialog.remote = message.headers["to"]
        if status < 300:
            dialog.is_answered = True
            contact = re.search(r"<(sip:[^>]+)>", message.headers.get("contact", ""))
            if contact:
                dialog.target = contact[1]
            self._request(dialog, "ACK", branch=f"z9hG4bK{uuid4().hex}")
        else:
            dialog.is_over = True
            self._request(dialog, "ACK")

    def _take_request(self, message: Message) -> None:
        dialog = self._dialogs.get(message.call_id)
        if message.method == "INVITE" and dialog is None:
            self._be_called(message)
        elif dialog is None or message.method == "ACK":
            return
        elif message.method == "INVITE" and not dialog.is_answered:
            return  # sent again, because we have not said a last word
        elif message.method == "INVITE":
            held = "a=sendonly" in message.body or "a=inactive" in message.body
            self._respond(dialog, message, 200, "OK", self._sdp("recvonly" if held else "sendrecv"))
        elif message.method == "CANCEL":
            dialog.is_over = True
            self._respond(dialog, message, 200, "OK")
            if dialog.invite is not None:
                self._respond(dialog, dialog.invite, 487, "Request Terminated")
        else:
            dialog.is_over = dialog.is_over or message.method == "BYE"
            self._respond(dialog, message, 200, "OK")

    def _be_called(self, message: Message) -> None:
        user = re.match(r"INVITE sip:([^@;]+)", message.first)
        contact = re.search(r"<(sip:[^>]+)>", message.headers.get("contact", ""))
        tag = uuid4().hex[:8]
        dialog = Dialog(
            message.call_id,
            f"{message.headers['to']};tag={tag}",
            message.headers["from"],
            contact[1] if contact else "",
            "",
            is_caller=False,
            invite=message,
        )
        dialog.called = user[1] if user else ""
        self._dialogs[message.call_id] = dialog
        self._learn_media(dialog, message)
        threading.Thread(target=self._react, args=(dialog, message, dialog.called), daemon=True).start()

    def _react(self, dialog: Dialog, invite: Message, does: str) -> None:
        if does == "black_hole":
            return
        if does in REFUSES_AT_ONCE:
            self._respond(dialog, invite, *REFUSES_AT_ONCE[does])
            return
        if does == "early_media":
            self._respond(dialog, invite, 183, "Session Progress", self._sdp())
            return
        self._respond(dialog, invite, 180, "Ringing")
        if does == "no_answer":
            return
        time.sleep(PICK_UP_SECONDS)
        if dialog.is_over:
            return
        if does in RINGS_BEFORE_IT_REFUSES:
            self._respond(dialog, invite, *RINGS_BEFORE_IT_REFUSES[does])
            return
        dialog.is_answered = True
        self._respond(dialog, invite, 200, "OK", self._sdp())

    def _learn_media(self, dialog: Dialog, message: Message) -> None:
        address = re.search(r"^c=IN IP4 (\S+)", message.body, re.MULTILINE)
        port = re.search(r"^m=audio (\d+)", message.body, re.MULTILINE)
        if address and port:
            dialog.media = (address[1], int(port[1]))

    def _speak(self) -> None:
        """Send the voice of each call; silence, as a phone in a quiet room does, where there is none."""
        count = 0
        while not self._stopped.wait(FRAME_SECONDS):
            count += 1
            header = b"\x80\x00" + (count & 0xFFFF).to_bytes(2, "big") + (count * 160).to_bytes(4, "big") + b"\0\0\0\7"
            for dialog in list(self._dialogs.values()):
                if dialog.media is not None and not dialog.is_over:
                    self._media.sendto(header + self.frames.get(dialog.called, _SILENT_FRAME), dialog.media)
