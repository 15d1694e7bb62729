"""Gateways of short messages as data, each by what its documentation says, and one that a company brings itself."""

import base64
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from services.shared.contracts.ringmaster.v1 import tenant_pb2 as tn
from services.webhooks.adapters.channel_secrets import ChannelSecrets
from services.webhooks.adapters.connection import EndpointConnection
from services.webhooks.adapters.connectors.engine import Engine, MemorySteps
from services.webhooks.adapters.connectors.library import GATEWAYS, library
from services.webhooks.adapters.connectors.sign_in import MemoryTokenStore, Tokens
from services.webhooks.domain.endpoint import endpoints_of
from services.webhooks.domain.outcome import Attempt, Verdict
from tests.contract.connectors.fake import Answer, Fake, Request, need
from tests.contract.connectors.tenant import OUTSIDE

TEXT = "Їжак & кіт\r\nTo: +1 😀 {{message.sender}} %00"
OURS = """
connector: own_gateway
title: Own gateway
base: https://sms.acme.example
sign_in: {kind: token, header: Key}
operations:
  send:
    GET: "/send?to={{message.to | digits}}&from={{message.sender}}&text={{message.text}}&ref={{message.id}}"
    is_one_of: {at: status, values: [ok]}
flows: {message: [send]}
"""


@dataclass
class Gateway(Fake):
    """Twilio (https://www.twilio.com/docs/messaging/api/message-resource: a form, basic authentication, 201), TurboSMS
    (https://turbosms.ua/api.html: JSON, codes under HTTP 200) and one of a company's own.
    """

    sent: list[tuple[str, str, str]] = field(default_factory=list)

    def token_of(self, request: Request) -> str:
        basic = "Basic " + base64.b64encode(b"AC1:token").decode()
        given = request.headers.get("AUTHORIZATION", "")
        return "first" if given in (basic, "Bearer token", "Key token") else given

    def handle(self, request: Request) -> Answer:
        if request.path == "/Accounts/AC1/Messages.json":
            need(request.method == "POST" and set(request.body) == {"To", "From", "Body"}, "form")
            need(request.body["To"].startswith("+") and len(request.body["Body"]) <= 1_600, "21211")
            self.sent.append((request.body["To"], request.body["From"], request.body["Body"]))
            return 201, {"sid": "SM1", "status": "queued"}
        if request.path == "/message/send.json":
            [to] = request.body["recipients"]
            self.sent.append(("+" + to, request.body["sms"]["sender"], request.body["sms"]["text"]))
            return 200, {"response_code": 800}
        need(request.path == "/send", "path")
        self.sent.append(("+" + request.query["to"], request.query["from"], request.query["text"]))
        return 200, {"status": "ok"}


class Sender:
    """A tenant's account with a gateway."""

    def __init__(self, name: str, folder: Path) -> None:
        (folder / "own_gateway.yaml").write_text(OURS)
        self.name, self.fake, self.steps = name, Gateway(), MemorySteps()
        channel = tn.Channel(channel_id="sms", secret_ref="sms", sms=tn.SmsChannel(gateway=name, sender="Acme"))
        [self.endpoint] = endpoints_of(tn.TenantDocument(tenant_id="acme", channels=[channel]))
        self.connection = EndpointConnection(OUTSIDE)
        known = library(GATEWAYS, folder)
        secrets = ChannelSecrets(None)
        part = {"user": "AC1", "password": "token"} if name == "twilio" else {"token": "token"}
        secrets._secrets = {"acme/sms": part}
        local = replace(known[name], base=self.fake.url, requests=1_000)
        self.engine = Engine({name: local}, secrets, Tokens(MemoryTokenStore()), self.steps)

    def send(self, to: str = "+380501112233", text: str = TEXT) -> Attempt | None:
        message = {"id": "lost-1.vip0.sms", "to": to, "text": text, "sender": "Acme"}
        return self.engine.send(self.name, self.endpoint, message, self.connection)


@pytest.fixture(params=["twilio", "turbosms", "own_gateway"])
def sender(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Sender]:
    sender = Sender(request.param, tmp_path)
    yield sender
    sender.connection.close()
    sender.fake.stop()


def test_a_text_arrives_as_it_is_and_once(sender: Sender) -> None:
    assert [sender.send(), sender.send()] == [None, None]
    assert sender.fake.sent == [("+380501112233", "Acme", TEXT)]
    assert not any("TO" in name.split("_") for request in sender.fake.requests for name in request.headers)


@pytest.mark.parametrize(("refusal", "asked"), [((429, "9"), 9.0), ((503, ""), None), ((400, ""), None)])
def test_what_a_gateway_refuses_is_tried_again_when_it_says(sender: Sender, refusal: Any, asked: float | None) -> None:
    sender.fake.refuse = refusal
    failed = sender.send()
    assert failed is not None
    assert (failed.status, failed.retry_after, failed.verdict) == (refusal[0], asked, Verdict.RETRY)
    sender.fake.refuse = None
    assert sender.send() is None
    assert len(sender.fake.sent) == 1


def test_a_wrong_password_is_no_message(sender: Sender) -> None:
    sender.engine.secrets._secrets = {"acme/sms": {"user": "AC1", "password": "x", "token": "x"}}
    failed = sender.send()
    assert failed is not None
    assert failed.status == 401
    assert sender.fake.sent == []
