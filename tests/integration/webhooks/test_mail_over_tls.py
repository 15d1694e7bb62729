"""Mail as companies send it: over TLS, to a server that asks for a password, and to nobody who only says he is it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from services.shared.contracts.ringmaster.v1 import tenant_pb2 as tn
from tests.certificates import own_certificate
from tests.integration.webhooks.harness import Service, wait_until
from tests.integration.webhooks.test_channels import MailServer, dead, document, lost

SECURITY = {"starttls": tn.MAIL_SECURITY_STARTTLS, "tls": tn.MAIL_SECURITY_TLS}


@pytest.fixture(params=SECURITY)
def guarded(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[MailServer, tn.EmailChannel, Path]]:
    chain, secret = own_certificate()
    store, ca_file = tmp_path / "mail.pem", tmp_path / "ca.crt"
    store.write_bytes(secret + chain)
    ca_file.write_bytes(chain)
    server = MailServer(tmp_path, 0, str(store), request.param)
    wish = tn.EmailChannel(host="127.0.0.1", port=server.port, security=SECURITY[request.param])
    wish.sender = "ringmaster@acme.example"
    wish.recipients.append("shift@acme.example")
    yield server, wish, ca_file
    server.stop()


def tell(service: Service, wish: tn.EmailChannel, password: str) -> None:
    service.channel_secrets = {"acme/mail": {"user": "acme", "password": password}}
    channel = tn.Channel(channel_id="mail", secret_ref="mail", email=wish, retry_wait_seconds=[0])
    service.apply(document(channel, subject="Втрачений дзвінок"))
    service.start()
    service.publish(lost(1))


def test_a_server_that_proves_itself_gets_the_password_and_the_mail(
    service: Service, guarded: tuple[MailServer, tn.EmailChannel, Path]
) -> None:
    server, wish, service.ca_file = guarded
    tell(service, wish, "pw")
    wait_until(lambda: len(server.mails()) == 1)
    assert server.mails()[0][2]["Subject"] == "Втрачений дзвінок"
    assert dead(service) == []


def test_a_server_with_a_certificate_of_its_own_making_gets_neither(
    service: Service, guarded: tuple[MailServer, tn.EmailChannel, Path]
) -> None:
    server, wish, _ = guarded
    tell(service, wish, "pw")
    wait_until(lambda: len(dead(service)) == 1)
    assert dead(service)[0].last_error == "the certificate or the TLS handshake was refused"
    assert server.mails() == []


def test_a_wrong_password_is_said_and_never_shown(
    service: Service, guarded: tuple[MailServer, tn.EmailChannel, Path]
) -> None:
    server, wish, service.ca_file = guarded
    tell(service, wish, "wrong-one")
    wait_until(lambda: len(dead(service)) == 1)
    assert dead(service)[0].last_error == "the mail server refuses with 535"
    assert server.mails() == []
