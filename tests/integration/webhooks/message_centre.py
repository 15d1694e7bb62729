"""A short message centre for tests: SMPP 3.4 read and written by smpp.pdu3, which knows nothing of the client."""

import io
import struct
from collections import defaultdict
from typing import Any

from gevent.server import StreamServer
from smpp.pdu.operations import BindTransmitterResp, EnquireLink, SubmitSMResp, UnbindResp
from smpp.pdu.pdu_encoding import PDUEncoder
from smpp.pdu.pdu_types import CommandStatus, DataCodingDefault, EsmClassGsmFeatures


class MessageCentre:
    """Takes messages of whoever binds with the right words, puts their parts together, and refuses what it is told."""

    def __init__(self) -> None:
        self.messages: list[tuple[str, str, str]] = []
        """Sender, recipient, text."""
        self.binds: list[tuple[bytes, bytes]] = []
        self.refusals: list[CommandStatus] = []
        self.answer_bytes = b""
        """Written instead of the first answer, where it is said."""
        self._parts: dict[tuple[str, int], dict[int, bytes]] = defaultdict(dict)
        self._server = StreamServer(("127.0.0.1", 0), self._serve)
        self._server.start()
        self.port = int(self._server.server_port)

    def _serve(self, connection: Any, _address: object) -> None:
        stream = connection.makefile("rb")
        while head := stream.read(4):
            (length,) = struct.unpack(">L", head)
            pdu = PDUEncoder().decode(io.BytesIO(head + stream.read(length - 4)))
            if self.answer_bytes:
                connection.sendall(self.answer_bytes)
                return
            for answer in self._answers(pdu):
                connection.sendall(PDUEncoder().encode(answer))

    def _answers(self, pdu: Any) -> list[Any]:
        name = type(pdu).__name__
        if name == "BindTransmitter":
            self.binds.append((pdu.params["system_id"], pdu.params["password"]))
            is_known = self.binds[-1] == (b"acme", b"pw")
            status = CommandStatus.ESME_ROK if is_known else CommandStatus.ESME_RINVPASWD
            return [BindTransmitterResp(pdu.seqNum, status=status, system_id=b"centre")]
        if name == "SubmitSM":
            status = self.refusals.pop(0) if self.refusals else CommandStatus.ESME_ROK
            if status is CommandStatus.ESME_ROK:
                self._take(pdu.params)
            # A centre asks at any time whether somebody is there.
            return [EnquireLink(seqNum=99), SubmitSMResp(pdu.seqNum, status=status, message_id=b"1")]
        return [UnbindResp(pdu.seqNum)] if name == "Unbind" else []

    def _take(self, params: dict[str, Any]) -> None:
        sender, recipient = params["source_addr"].decode(), params["destination_addr"].decode()
        is_wide = params["data_coding"].schemeData is DataCodingDefault.UCS2
        data: bytes = params["short_message"]
        if EsmClassGsmFeatures.UDHI_INDICATOR_SET in params["esm_class"].gsmFeatures:
            _, _, _, number, total, index = data[:6]
            parts = self._parts[recipient, number]
            parts[index] = data[6:]
            if len(parts) < total:
                return
            data = b"".join(parts[each] for each in sorted(parts))
            parts.clear()
        self.messages.append((sender, recipient, data.decode("utf-16-be" if is_wide else "ascii")))

    def stop(self) -> None:
        self._server.stop(timeout=1)
