"""Encrypted signalling on a real FreeSWITCH (freeswitch/conf/tls/on.xml): desk phones over TLS, browsers over WSS."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from services.console.domain.phone_password import phone_password
from services.shared.testing.ports import free_port
from tests.certificates import own_certificate
from tests.integration.console.real_node import MARKS, SECRET, BrowserTelephone, Node, TlsTelephone

pytestmark = MARKS


def write_certificates(folder: Path) -> None:
    """Write what the chart's Secret holds: agent.pem and wss.pem with certificate and key, cafile.pem."""
    chain, secret = own_certificate()
    for file in ("agent.pem", "wss.pem"):
        (folder / file).write_bytes(chain + secret)
    (folder / "cafile.pem").write_bytes(chain)


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    folder = tmp_path_factory.mktemp("node")
    tls = folder / "tls"
    tls.mkdir()
    write_certificates(tls)
    ports = {"RINGMASTER_PHONE_TLS_PORT": str(free_port()), "RINGMASTER_PHONE_WSS_PORT": str(free_port())}
    node = Node(
        folder,
        {"RINGMASTER_PHONE_TLS": "on", "RINGMASTER_PHONE_SRTP": "mandatory", "RINGMASTER_TLS_DIR": str(tls), **ports},
    )
    try:
        node.start()
        yield node
    finally:
        node.stop()


@pytest.fixture
def phone(node: Node) -> Iterator[TlsTelephone]:
    telephone = TlsTelephone(int(node.more["RINGMASTER_PHONE_TLS_PORT"]), node.folder / "tls" / "cafile.pem")
    yield telephone
    telephone.close()
    node.clear()


@pytest.fixture
def browser(node: Node) -> Iterator[BrowserTelephone]:
    telephone = BrowserTelephone(int(node.more["RINGMASTER_PHONE_WSS_PORT"]), node.folder / "tls" / "cafile.pem")
    yield telephone
    telephone.close()
    node.clear()


def test_a_desk_phone_registers_over_tls_and_is_rung_there_with_encrypted_sound(
    node: Node, phone: TlsTelephone
) -> None:
    assert phone.version in {"TLSv1.2", "TLSv1.3"}
    assert phone.register("olena", "acme.example", phone_password(SECRET, "olena", "acme.example")) == "SIP/2.0 200 OK"
    node.api("bgapi originate user/olena@acme.example &park")
    invitation = phone.request("INVITE")
    phone.answer(invitation, "486 Busy Here")
    assert "a=crypto:" in invitation
    assert "RTP/SAVP" in invitation


def test_a_browser_registers_over_wss_and_is_rung_there_with_encrypted_sound(
    node: Node, browser: BrowserTelephone
) -> None:
    password = phone_password(SECRET, "taras", "acme.example")
    assert browser.register("taras", "acme.example", password) == "SIP/2.0 200 OK"
    node.api("bgapi originate user/taras@acme.example &park")
    invitation = browser.request("INVITE")
    browser.answer(invitation, "486 Busy Here")
    assert "RTP/SAVPF" in invitation
    assert "a=fingerprint:sha-256" in invitation
    assert "opus/48000" in invitation


def test_a_wrong_password_is_refused_over_tls_too(phone: TlsTelephone) -> None:
    assert phone.register("olena", "acme.example", "wrong").startswith("SIP/2.0 403")
