"""Messages by mail over the tenant's own server (RFC 5321, RFC 5322)."""

import hashlib
import smtplib
import ssl
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from typing import Any, Final

import gevent

from services.shared.contracts.ringmaster.v1 import tenant_pb2 as tn
from services.shared.contracts.ringmaster.v1.delivery_pb2 import Delivery
from services.shared.mail_address import is_address
from services.shared.outbound.answer import NoAnswer
from services.shared.outbound.dial import Outside, dial
from services.shared.outbound.target import Target
from services.webhooks.adapters.channel_secrets import ChannelSecrets
from services.webhooks.adapters.channels.carrier import read_message
from services.webhooks.adapters.connection import EndpointConnection
from services.webhooks.domain.endpoint import Endpoint
from services.webhooks.domain.outcome import Attempt

SMTP_OK: Final = 200
"""What a mail that was taken counts as: one word for success in the delivery log."""
_PORTS: Final = {tn.MAIL_SECURITY_TLS: 465, tn.MAIL_SECURITY_NONE: 25}
_SUBMISSION: Final = 587
_SEVEN_BITS: Final = SMTP.clone(cte_type="7bit")
"""A server need not offer 8BITMIME (RFC 6152), and without it may take nothing else."""


class _Client(smtplib.SMTP):
    """smtplib's client on a connection whose address was judged when it was made; no greeting gives our name away."""

    def __init__(self, connection: Any, host: str, seconds: float) -> None:
        self._connection = connection
        super().__init__(local_hostname="ringmaster.invalid", timeout=seconds)
        self._host = host
        code, answer = self.connect(host, 1)
        if code != 220:  # noqa: PLR2004 - RFC 5321, 4.2: service ready
            raise smtplib.SMTPConnectError(code, answer)

    def _get_socket(self, _host: str, _port: int, _timeout: float) -> Any:
        return self._connection


@dataclass(frozen=True, slots=True)
class Mail:
    """Sends mail. Its Message-ID is the same over all tries: where a mail comes twice, programs can tell."""

    secrets: ChannelSecrets
    outside: Outside

    def carry(self, delivery: Delivery, endpoint: Endpoint, connection: EndpointConnection) -> Attempt:  # noqa: ARG002 - HTTP's
        """Send the delivery's subject and text to the channel's recipients, to the customer where it names nobody."""
        began, limit = time.monotonic(), self.outside.limits.total_seconds
        wish = endpoint.channel.email if endpoint.channel else tn.EmailChannel()
        recipients = recipients_of(delivery, wish)
        if not recipients:
            return Attempt(SMTP_OK, 0, "nobody was written to: the event has no mail address")
        error = ""
        try:
            with gevent.Timeout(limit, NoAnswer("the mail server does not answer in time")):
                self._send(wish, endpoint, mail_of(delivery, wish, recipients), recipients)
        except NoAnswer as reason:
            error = str(reason)
        except smtplib.SMTPResponseException as refusal:
            error = f"the mail server refuses with {int(refusal.smtp_code)}"
        except smtplib.SMTPRecipientsRefused:
            error = "the mail server refuses every recipient"
        except ssl.SSLError:
            error = "the certificate or the TLS handshake was refused"
        except (smtplib.SMTPException, OSError, ValueError) as failure:
            error = f"the mail server can't be talked to: {type(failure).__name__}"
        return Attempt(0 if error else SMTP_OK, int((time.monotonic() - began) * 1000), error)

    def _send(self, wish: tn.EmailChannel, endpoint: Endpoint, mail: EmailMessage, recipients: list[str]) -> None:
        is_tls = wish.security == tn.MAIL_SECURITY_TLS
        port = wish.port or _PORTS.get(wish.security, _SUBMISSION)
        connection, client = dial(Target(is_tls, wish.host, port, wish.host, ""), self.outside), None
        try:
            client = _Client(connection, wish.host, self.outside.limits.total_seconds)
            if wish.security in (tn.MAIL_SECURITY_STARTTLS, tn.MAIL_SECURITY_UNSPECIFIED):
                client.starttls(context=self.outside.tls)
            user = self.secrets.text(endpoint.tenant_id, endpoint.secret_ref, "user")
            if user and wish.security != tn.MAIL_SECURITY_NONE:
                client.login(user, self.secrets.text(endpoint.tenant_id, endpoint.secret_ref, "password"))
            # When some recipients are taken the mail is sent: another try would send it to them twice.
            client.send_message(mail, wish.sender, recipients)
            client.quit()
        finally:
            if client is not None:
                client.close()  # what STARTTLS has made of the connection is the client's alone
            connection.close()


def recipients_of(delivery: Delivery, wish: tn.EmailChannel) -> list[str]:
    """Return who gets it: those whom the channel names, or the one customer; a customer's address was judged before."""
    customer = str(read_message(delivery)["customer_email"])
    return list(wish.recipients) or [customer] * is_address(customer)


def mail_of(delivery: Delivery, wish: tn.EmailChannel, recipients: list[str]) -> EmailMessage:
    """Return the mail. The library encodes what is not ASCII and refuses line ends in headers (ValueError)."""
    message = read_message(delivery)
    domain = wish.sender.rpartition("@")[2]
    digest = hashlib.sha256(f"{delivery.tenant_id}/{delivery.delivery_id}".encode()).hexdigest()[:40]
    mail = EmailMessage(policy=_SEVEN_BITS)
    mail["From"] = Address(wish.sender_name, addr_spec=wish.sender)
    mail["To"] = [Address(addr_spec=recipient) for recipient in recipients]
    mail["Subject"] = " ".join(str(message["subject"]).split())
    mail["Date"] = format_datetime(datetime.now(UTC))
    mail["Message-ID"] = f"<{digest}@{domain}>"
    # RFC 3834: nobody's out-of-office answers it.
    mail["Auto-Submitted"] = "auto-generated"
    mail.set_content(str(message["text"]), charset="utf-8")
    return mail
