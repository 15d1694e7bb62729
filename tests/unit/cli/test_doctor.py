"""What the doctor asks of parts that a platform can do without: no letter is sent, no word is recognised."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from gevent import socket
from gevent.server import StreamServer

from services.cli.checks import Check, Ill, LeftOut, channel_secrets, mail, speech, webhook_secrets
from services.cli.settings import DoctorSettings

NOBODY = 9
"""A port at which nobody listens."""


@contextmanager
def listening(answer: Callable[[socket.socket], None]) -> Iterator[int]:
    server = StreamServer(("127.0.0.1", 0), lambda link, _: answer(link))
    server.start()
    try:
        yield server.server_port
    finally:
        server.stop()


def mail_server(link: socket.socket) -> None:
    """Speak as much SMTP as is asked for (RFC 5321): a greeting, an answer to each line."""
    link.sendall(b"220 mail.example ESMTP\r\n")
    for line in link.makefile("rb"):
        link.sendall(b"250 mail.example\r\n" if line.upper().startswith(b"EHLO") else b"221 bye\r\n")


def said(check: Check, **settings: Any) -> str:
    try:
        return check(DoctorSettings(**settings))
    except LeftOut as left_out:
        return f"left out: {left_out}"


def test_a_mail_server_that_greets_is_well_and_gets_no_letter() -> None:
    with listening(mail_server) as port:
        assert said(mail, smtp_host="127.0.0.1", smtp_port=port) == f"the mail server at 127.0.0.1:{port} lets us in"


@pytest.mark.parametrize("greeting", [b"554 go away\r\n", b"SSH-2.0-x\r\n", b""])
def test_who_does_not_greet_as_a_mail_server_is_told_of(greeting: bytes) -> None:
    with listening(lambda link: link.sendall(greeting)) as port, pytest.raises(Ill, match=f"127.0.0.1:{port} can't be"):
        said(mail, smtp_host="127.0.0.1", smtp_port=port)


def test_a_server_without_encryption_never_gets_the_password() -> None:
    with listening(mail_server) as port:
        given = {"smtp_host": "127.0.0.1", "smtp_port": port, "smtp_user": "reports"}
        with pytest.raises(Ill, match="in the clear"):
            said(mail, **given)
        with pytest.raises(Ill, match="can't be used"):
            said(mail, **given, smtp_starttls=True)


def test_each_recogniser_that_nobody_serves_is_named() -> None:
    with listening(lambda link: link.close()) as port:
        good = f"uk=ws://127.0.0.1:{port}"
        assert said(speech, transcribe_engine=f"vosk:{good},en=ws://127.0.0.1:{port}") == "2 recognisers listen"
        assert said(speech, transcribe_engine=f"openai:http://127.0.0.1:{port}/v1#m") == "1 recognisers listen"
        with pytest.raises(Ill, match=f"^ws://127.0.0.1:{NOBODY}: Connection refused"):
            said(speech, transcribe_engine=f"vosk:{good},en=ws://127.0.0.1:{NOBODY}")
    with pytest.raises(Ill, match="RINGMASTER_TRANSCRIBE_ENGINE"):
        said(speech, transcribe_engine="vosk:uk=ws://127.0.0.1:none")


def test_secrets_of_channels_are_counted_and_never_shown(tmp_path: Path) -> None:
    path = tmp_path / "channels.json"
    path.write_text('{"acme/bot": {"token": "hush"}}', encoding="utf-8")
    assert said(channel_secrets, channel_secrets=path) == "1 channels have secrets"
    path.write_text('{"acme": "hush"}', encoding="utf-8")
    with pytest.raises(Ill, match="must hold") as ill:
        said(channel_secrets, channel_secrets=path)
    assert "hush" not in str(ill.value)


@pytest.mark.parametrize("check", [mail, speech, channel_secrets])
def test_what_is_not_set_is_left_out(check: Check) -> None:
    assert said(check).startswith("left out: RINGMASTER_")


KEY = "cmluZ21hc3Rlci1sb2NhbC1zZWNyZXRzLWtleSEhISE="


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("{}", '0 endpoints have secrets; without a "key" none can be made over the API'),
        ('{"oak/orders": ["whsec_x"]}', '1 endpoints have secrets; without a "key" none can be made over the API'),
        (f'{{"oak/orders": [], "key": "{KEY}"}}', "1 endpoints have secrets, and others can be made over the API"),
    ],
)
def test_the_file_of_webhooks_secrets_may_hold_the_key_of_made_ones(tmp_path: Path, text: str, told: str) -> None:
    (tmp_path / "webhooks.json").write_text(text, encoding="utf-8")
    assert said(webhook_secrets, webhook_secrets=tmp_path / "webhooks.json") == told


@pytest.mark.parametrize("key", ['"short"', "5", "null", '["a"]'])
def test_a_key_that_no_secret_can_be_kept_with_is_told_of_and_not_shown(tmp_path: Path, key: str) -> None:
    (tmp_path / "webhooks.json").write_text(f'{{"key": {key}}}', encoding="utf-8")
    with pytest.raises(Ill, match="32 bytes in base64") as found:
        said(webhook_secrets, webhook_secrets=tmp_path / "webhooks.json")
    assert "short" not in str(found.value)
