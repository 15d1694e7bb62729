"""Short messages straight to a short message centre: SMPP 3.4, by python-smpplib."""

import secrets
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import gevent
import structlog
from smpplib import consts, gsm, smpp
from smpplib.client import Client
from smpplib.exceptions import ConnectionError as ConnectionBroken
from smpplib.exceptions import MessageTooLong, PDUError, UnknownCommandError

from services.shared.contracts.ringmaster.v1 import tenant_pb2 as tn
from services.shared.outbound.answer import NoAnswer
from services.shared.outbound.dial import Outside, dial
from services.shared.outbound.target import Target
from services.webhooks.adapters.connectors.engine import Steps
from services.webhooks.domain.endpoint import Endpoint
from services.webhooks.domain.outcome import HTTP_TOO_MANY, Attempt
from services.webhooks.waiting import StoreUnavailable

MOST_BYTES: Final = 65_536
"""A PDU's length is what the far side says: more than this nobody sends to who only submits."""
MOST_UNASKED: Final = 100
"""So much of its own a centre may say before it answers."""
MOST_PARTS: Final = 255
"""Of one message: a part's number is a byte (3GPP TS 23.040, 9.2.3.24.1)."""
BUSY_SECONDS: Final = 10.0
_BUSY: Final = (consts.SMPP_ESME_RTHROTTLED, consts.SMPP_ESME_RMSGQFUL)
_PORTS: Final = {False: 2775, True: 3550}
# What of GSM 03.38 takes seven bits and is the same in the library's table. Signs of its extension take two places, and
# the library may cut between them: they go as UCS-2.
_BASIC: Final = frozenset(
    "@£$¥èéùìòÇ\nØøÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ"
    "¿abcdefghijklmnopqrstuvwxyzäöñüà"
)

log = structlog.get_logger()


class Refused(Exception):
    """The centre does not take something; `status` is SMPP's command_status."""

    def __init__(self, what: str, status: int) -> None:
        meaning = consts.DESCRIPTIONS.get(status, "an error of its own")
        super().__init__(f"the message centre refuses {what}: {meaning} (0x{status:08x})")
        self.status = status


class _Session(Client):  # type: ignore[misc]  # smpplib ships no types
    """smpplib's client on a connection whose address was judged when it was made."""

    def __init__(self, connection: Any, seconds: float) -> None:
        super().__init__("", 0, timeout=seconds, logger_name="smpplib", allow_unknown_opt_params=True)
        self._socket = connection
        self.state = consts.SMPP_CLIENT_STATE_OPEN

    def _recv_exact(self, exact_size: int) -> bytes:
        if not 0 <= exact_size <= MOST_BYTES:
            raise PDUError("a PDU of no possible length")
        received: bytes = super()._recv_exact(exact_size)
        return received

    def submit(self, **fields: Any) -> None:
        """Send one part of a message and wait until the centre has it. Raises Refused."""
        sent = self.send_message(**fields)
        for _ in range(MOST_UNASKED):
            pdu = self.read_pdu()
            if pdu.sequence == sent.sequence and pdu.command in ("submit_sm_resp", "generic_nack"):
                if pdu.is_error():
                    raise Refused("a message", int(pdu.status))
                return
            if pdu.command == "enquire_link":
                self._enquire_link_received(pdu)
        raise PDUError("everything but an answer")

    def leave(self) -> None:
        """Say goodbye, without waiting for what is answered."""
        self.send_pdu(smpp.make_pdu("unbind", client=self))

    def forget(self) -> None:
        """Let go of the connection, which is closed elsewhere."""
        self._socket = None


@dataclass(frozen=True, slots=True)
class Smpp:
    """Sends over the tenant's own account with a message centre. SMPP knows no key of idempotency.

    Who has a message is noted; when an answer is lost, that recipient gets it twice.
    """

    outside: Outside
    steps: Steps

    def send(
        self, endpoint: Endpoint, secret: Mapping[str, str], messages: Sequence[Mapping[str, str]]
    ) -> Attempt | None:
        """Send each message (id, to, text, sender) that an earlier try has not; None when all are sent."""
        wish = endpoint.channel.sms.smpp if endpoint.channel else tn.SmppServer()
        began, limit, error, asked = time.monotonic(), self.outside.limits.total_seconds, "", None
        status = 0
        try:
            with gevent.Timeout(limit, NoAnswer("the message centre does not answer in time")):
                self._send(endpoint, wish, secret, messages)
        except NoAnswer as reason:
            error = str(reason)
        except Refused as refusal:
            error = str(refusal)
            if refusal.status in _BUSY:
                status, asked = HTTP_TOO_MANY, BUSY_SECONDS
        except MessageTooLong:
            error = "the message is too long for a short one"
        except (PDUError, UnknownCommandError, ConnectionBroken, OSError, ValueError) as failure:
            error = f"the message centre can't be talked to: {type(failure).__name__}"
        if not error:
            return None
        return Attempt(status, int((time.monotonic() - began) * 1000), error, asked)

    def _send(
        self,
        endpoint: Endpoint,
        wish: tn.SmppServer,
        secret: Mapping[str, str],
        messages: Sequence[Mapping[str, str]],
    ) -> None:
        unsent = [one for one in messages if not self._is_sent(endpoint, one)]
        if not unsent:
            return
        port = wish.port or _PORTS[wish.tls]
        connection = dial(Target(wish.tls, wish.host, port, wish.host, ""), self.outside)
        session = _Session(connection, self.outside.limits.total_seconds)
        try:
            _bind(session, secret)
            for message in unsent:
                for part in parts_of(message["text"]):
                    session.submit(**_addresses(message), **part)
                self._note(endpoint, message)
            session.leave()
        finally:
            session.forget()
            connection.close()

    def _is_sent(self, endpoint: Endpoint, message: Mapping[str, str]) -> bool:
        try:
            return "sent" in self.steps.load(_key(endpoint, message))
        except StoreUnavailable as error:
            log.warning("steps_not_read", reason=str(error))
            return False

    def _note(self, endpoint: Endpoint, message: Mapping[str, str]) -> None:
        try:
            self.steps.save(_key(endpoint, message), {"sent": message["to"]})
        except StoreUnavailable as error:
            log.warning("steps_not_kept", reason=str(error))


def parts_of(text: str) -> list[dict[str, Any]]:
    """Return what each short message of a text holds: its bytes, their coding and whether it is one of several."""
    if _BASIC.issuperset(text):
        parts, coding, kind = gsm.make_parts(text, consts.SMPP_ENCODING_DEFAULT)
        return [{"short_message": part, "data_coding": coding, "esm_class": kind} for part in parts]
    wide = consts.SMPP_ENCODING_ISO10646
    if len(whole := text.encode("utf-16-be")) <= consts.UCS2_LENGTH:
        return [{"short_message": whole, "data_coding": wide, "esm_class": consts.SMPP_MSGTYPE_DEFAULT}]
    # The library cuts between any two bytes of sixteen bits, also within one sign: some phones show two broken ones.
    pieces = list(_pieces_of(text, consts.UCS2_PART_SIZE))
    if len(pieces) > MOST_PARTS:
        raise MessageTooLong
    head = bytes((5, 0, 3, secrets.randbelow(256), len(pieces)))
    return [
        {"short_message": head + bytes((number,)) + piece, "data_coding": wide, "esm_class": consts.SMPP_GSMFEAT_UDHI}
        for number, piece in enumerate(pieces, 1)
    ]


def _pieces_of(text: str, most: int) -> Iterator[bytes]:
    """Cut a text into pieces of at most so many bytes of UTF-16, never within a sign."""
    piece = b""
    for sign in text:
        encoded = sign.encode("utf-16-be")
        if len(piece) + len(encoded) > most:
            yield piece
            piece = b""
        piece += encoded
    yield piece


def _bind(session: _Session, secret: Mapping[str, str]) -> None:
    try:
        session.bind_transmitter(system_id=secret.get("user", ""), password=secret.get("password", ""))
    except PDUError as error:
        if len(error.args) > 1:
            raise Refused("us", int(error.args[1])) from error
        raise


def _addresses(message: Mapping[str, str]) -> dict[str, Any]:
    """Return who sends and who gets it: a number in E.164, or a name (GSM 03.40: eleven signs)."""
    sender = message["sender"]
    is_number = sender.removeprefix("+").isdigit()
    return {
        "source_addr_ton": consts.SMPP_TON_INTL if is_number else consts.SMPP_TON_ALNUM,
        "source_addr_npi": consts.SMPP_NPI_ISDN if is_number else consts.SMPP_NPI_UNK,
        "source_addr": sender.removeprefix("+") if is_number else sender[:11],
        "dest_addr_ton": consts.SMPP_TON_INTL,
        "dest_addr_npi": consts.SMPP_NPI_ISDN,
        "destination_addr": message["to"].removeprefix("+"),
    }


def _key(endpoint: Endpoint, message: Mapping[str, str]) -> str:
    return f"{endpoint.key}/{message['id']}/{message['to']}"
