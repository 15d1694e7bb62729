"""Whose certificate does not prove who it is gets nothing of a delivery: not its body, not its headers (SPEC 7.3)."""

import datetime as dt
import ipaddress
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from gevent import ssl
from gevent.server import StreamServer

from services.shared.outbound.address import AddressGuard
from services.shared.outbound.dial import Limits, Outside
from services.shared.outbound.target import target_of
from services.webhooks.adapters.connection import EndpointConnection
from services.webhooks.domain.outcome import Attempt

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
REFUSED = "the certificate or the TLS handshake was refused"
HOUR = dt.timedelta(hours=1)


class Authority:
    """Signs certificates; its own is what we trust."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._key = folder, ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "authority")])
        own = self._built(self._name, self._key.public_key(), -HOUR, HOUR)
        own = own.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        self.file = folder / "authority.pem"
        self.file.write_bytes(own.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))

    def server(self, name: x509.GeneralName, begin: dt.timedelta, end: dt.timedelta) -> Any:
        """Return a server's context with a certificate for a name, in force between two distances from now."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "server")])
        built = self._built(subject, key.public_key(), begin, end)
        built = built.add_extension(x509.SubjectAlternativeName([name]), critical=False)
        path = self._folder / "server.pem"
        plain = serialization.NoEncryption()
        secret = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)
        path.write_bytes(secret + built.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(path)
        return context

    def _built(self, subject: x509.Name, key: Any, begin: dt.timedelta, end: dt.timedelta) -> x509.CertificateBuilder:
        now = dt.datetime.now(dt.UTC)
        built = x509.CertificateBuilder(self._name, subject, key, x509.random_serial_number())
        return built.not_valid_before(now + begin).not_valid_after(now + end)


class Server:
    """Takes connections with TLS and keeps what it is told."""

    def __init__(self, context: Any) -> None:
        self.received = b""
        self._context = context
        self._server = StreamServer(("127.0.0.1", 0), self._serve)
        self._server.start()

    def post(self, trusted: Path | None) -> Attempt:
        """Send it a request, trusting the authorities of a file alone, or the system's."""
        outside = Outside.with_certificates(AddressGuard.parse("127.0.0.1/32"), Limits(2.0, 2.0), trusted)
        near = EndpointConnection(outside)
        try:
            target = target_of(f"https://127.0.0.1:{self._server.server_port}/hook")
            return near.post(target, "Content-Length: 2\r\nwebhook-signature: v1,secret\r\n", b"{}")
        finally:
            near.close()
            self._server.stop(timeout=1)

    def _serve(self, connection: Any, _address: object) -> None:
        try:
            connection = self._context.wrap_socket(connection, server_side=True)
            self.received += connection.recv(65_536)
            connection.sendall(OK)
        except OSError:
            pass  # whoever doubts the certificate hangs up
        finally:
            connection.close()


HERE = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
ELSEWHERE = x509.IPAddress(ipaddress.ip_address("127.0.0.2"))


def test_a_certificate_that_is_in_force_for_this_host_is_taken(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    server = Server(authority.server(HERE, -HOUR, HOUR))
    assert server.post(authority.file).status == 200
    assert b"webhook-signature" in server.received


@pytest.mark.parametrize(
    ("name", "begin", "end"),
    [
        (ELSEWHERE, -HOUR, HOUR),
        (x509.DNSName("crm.example"), -HOUR, HOUR),
        (x509.DNSName("127.0.0.1"), -HOUR, HOUR),
        (x509.DNSName("*"), -HOUR, HOUR),
        (HERE, -2 * HOUR, -HOUR),
        (HERE, HOUR, 2 * HOUR),
    ],
    ids=["another address", "another name", "an address as a name", "a star", "over", "not yet"],
)
def test_a_certificate_that_is_not_for_this_host_or_moment_is_refused(
    tmp_path: Path, name: x509.GeneralName, begin: dt.timedelta, end: dt.timedelta
) -> None:
    authority = Authority(tmp_path)
    server = Server(authority.server(name, begin, end))
    attempt = server.post(authority.file)
    assert (attempt.status, attempt.error, server.received) == (0, REFUSED, b"")


def test_a_certificate_of_an_authority_that_is_not_trusted_is_refused(tmp_path: Path) -> None:
    server = Server(Authority(tmp_path).server(HERE, -HOUR, HOUR))
    attempt = server.post(None)
    assert (attempt.status, attempt.error, server.received) == (0, REFUSED, b"")


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
def test_an_old_protocol_is_refused(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    context = authority.server(HERE, -HOUR, HOUR)
    context.minimum_version, context.maximum_version = ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1
    server = Server(context)
    attempt = server.post(authority.file)
    assert (attempt.status, attempt.error, server.received) == (0, REFUSED, b"")
