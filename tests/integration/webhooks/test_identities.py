"""Endpoints whose gateways ask for more than a signature: a client certificate, a token."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from gevent import pywsgi, ssl

from services.shared.contracts.ringmaster.v1.tenant_pb2 import OauthClient
from tests.integration.webhooks.harness import SECRET, LocalReceiver, Service, call_started, endpoint, wait_until

OAUTH_SECRET = "p@ss:word"


class TokenServer:
    """Gives out numbered tokens, and remembers who asked for what."""

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []
        self.answer: dict[str, Any] | None = None
        self.status = "200 OK"
        self.life = 3600
        self._server = pywsgi.WSGIServer(("127.0.0.1", 0), self._serve, log=None, error_log=None)
        self._server.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}/token"

    def stop(self) -> None:
        self._server.stop(timeout=1)

    def _serve(self, environ: dict[str, Any], start_response: Any) -> list[bytes]:
        form = parse_qs(environ["wsgi.input"].read().decode())
        self.asked.append({"who": environ["HTTP_AUTHORIZATION"], **form})
        given = {"access_token": f"token-{len(self.asked)}", "token_type": "Bearer", "expires_in": self.life}
        start_response(self.status, [("Content-Type", "application/json")])
        return [json.dumps(self.answer or given).encode()]


@pytest.fixture
def tokens() -> Iterator[TokenServer]:
    server = TokenServer()
    yield server
    server.stop()


def start_with_oauth(service: Service, receiver: LocalReceiver, tokens: TokenServer) -> None:
    service.write_secrets({"acme/main": [SECRET], "acme/gateway": {"client_secret": OAUTH_SECRET}})
    client = OauthClient(token_url=tokens.url, client_id="ring master", secret_ref="gateway", scope="hooks")
    service.tenant("acme", endpoint(receiver.url, oauth=client, retry_wait_seconds=[0] * 5))
    service.start()


def test_a_token_is_got_once_and_goes_with_every_delivery(
    service: Service, receiver: LocalReceiver, tokens: TokenServer
) -> None:
    start_with_oauth(service, receiver, tokens)
    service.publish(*(call_started(number) for number in range(20)))
    wait_until(lambda: receiver.ledger.received == 20)
    assert {request["HTTP_AUTHORIZATION"] for request in receiver.requests} == {"Bearer token-1"}
    # "ring%20master:p%40ss%3Aword", as RFC 6749, 2.3.1 wants it.
    who = "Basic cmluZyUyMG1hc3RlcjpwJTQwc3MlM0F3b3Jk"
    assert tokens.asked == [{"who": who, "grant_type": ["client_credentials"], "scope": ["hooks"]}]


def test_a_token_that_was_taken_back_is_got_anew(
    service: Service, receiver: LocalReceiver, tokens: TokenServer
) -> None:
    start_with_oauth(service, receiver, tokens)
    receiver.behave(status=401, times=1)
    service.publish(call_started(1))
    wait_until(lambda: receiver.ledger.received == 1)
    assert [request["HTTP_AUTHORIZATION"] for request in receiver.requests] == ["Bearer token-1", "Bearer token-2"]


def test_a_token_that_ends_soon_is_got_anew(service: Service, receiver: LocalReceiver, tokens: TokenServer) -> None:
    tokens.life = 1
    start_with_oauth(service, receiver, tokens)
    service.publish(call_started(1))
    wait_until(lambda: receiver.ledger.received == 1)
    # A token is used for a second at least, however short its server calls its life.
    wait_until(lambda: _sent_one_more(service, receiver) and len(tokens.asked) > 1)


def _sent_one_more(service: Service, receiver: LocalReceiver) -> bool:
    number = receiver.ledger.received
    service.publish(call_started(100 + number))
    wait_until(lambda: receiver.ledger.received > number)
    return True


@pytest.mark.parametrize(
    ("status", "answer"),
    [
        ("401 Unauthorized", {"error": "invalid_client"}),
        ("302 Found", {}),
        ("200 OK", {"access_token": "a\r\nX-Evil: 1"}),
        ("200 OK", {"access_token": ""}),
        ("200 OK", {"token": "x"}),
        ("200 OK", {"access_token": "x", "expires_in": "soon"}),
        ("200 OK", ["x"]),
    ],
)
def test_without_a_token_nothing_is_sent_and_the_log_says_why(
    service: Service, receiver: LocalReceiver, tokens: TokenServer, status: str, answer: Any
) -> None:
    tokens.status, tokens.answer = status, answer
    start_with_oauth(service, receiver, tokens)
    service.publish(call_started(1))
    wait_until(lambda: any("the token server" in entry.error for entry in service.log.entries))
    assert receiver.requests == []
    assert len(tokens.asked) == 1


def certificate_of(folder: Path, name: str) -> tuple[str, str, Path]:
    """Return a self-signed certificate with its key, and a file of both."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    made = x509.CertificateBuilder().subject_name(subject).issuer_name(subject).public_key(key.public_key())
    made = made.serial_number(1).not_valid_before(now).not_valid_after(now + timedelta(days=1))
    names = x509.SubjectAlternativeName([x509.DNSName("localhost")])
    made = made.add_extension(names, critical=False).add_extension(
        x509.BasicConstraints(ca=True, path_length=0), critical=True
    )
    plain = serialization.NoEncryption()
    private = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain).decode()
    public = made.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()
    path = folder / f"{name}.pem"
    path.write_text(private + public)
    return public, private, path


def test_a_client_certificate_is_shown_to_the_endpoint_that_asks_for_it(service: Service, tmp_path: Path) -> None:
    _, _, server_file = certificate_of(tmp_path, "server")
    public, private, client_file = certificate_of(tmp_path, "client")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(server_file)
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(client_file)
    taken: list[str] = []

    def take(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        taken.append(environ["HTTP_WEBHOOK_ID"])
        start_response("204 No Content", [])
        return []

    server = pywsgi.WSGIServer(("127.0.0.1", 0), take, log=None, error_log=None, ssl_context=context)
    server.start()
    url = f"https://localhost:{server.server_port}/hook"
    service.write_secrets({"acme/main": [SECRET], "acme/client": {"certificate": public, "private_key": private}})
    service.ca_file = server_file
    with_it = endpoint(url, "with", client_certificate_ref="client", retry_wait_seconds=[0])
    service.tenant("acme", with_it, endpoint(url, "without", retry_wait_seconds=[0]))
    service.start()
    service.publish(call_started(1))
    wait_until(lambda: len([entry for entry in service.log.entries if entry.state == "dead"]) == 1)
    assert taken == ["evt-acme-1.with"]
    server.stop(timeout=1)
