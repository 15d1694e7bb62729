"""Messages of rules over every channel, each to a true server on loopback, with the retries that webhooks have."""

import json
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from email import message_from_string, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
from gevent import pywsgi

from services.shared.bus.topics import DELIVERIES, DELIVERIES_DEAD
from services.shared.contracts.ringmaster.v1 import tenant_pb2 as tn
from services.shared.contracts.ringmaster.v1.delivery_pb2 import Delivery
from services.shared.contracts.ringmaster.v1.event_pb2 import CALL_EXIT_ABANDONED, Event
from services.shared.outbound.address import AddressGuard
from services.shared.outbound.dial import Limits, Outside
from services.shared.testing.ports import free_port
from services.webhooks.adapters.channel_secrets import ChannelSecrets
from services.webhooks.adapters.channels.slack import Slack
from services.webhooks.adapters.channels.telegram import Telegram
from services.webhooks.adapters.connection import EndpointConnection
from services.webhooks.adapters.connectors.library import GATEWAYS, read_connector
from services.webhooks.domain.endpoint import endpoints_of
from services.webhooks.rule_runner import MOST_MESSAGES
from tests.integration.webhooks.harness import Service, endpoint, wait_until

TOKEN = "12345:abcdefghijklmnop"
HOSTILE = "Їжак <!channel>\r\nBcc: evil@example.com & {caller}"


class HttpServer:
    """Notes requests and answers what it is told."""

    def __init__(self) -> None:
        self.requests: list[tuple[str, Any]] = []
        self.answers: list[tuple[str, bytes, list[tuple[str, str]]]] = []
        self.usual: tuple[str, bytes, list[tuple[str, str]]] = ("200 OK", b'{"ok":true}', [])
        self._server = pywsgi.WSGIServer(("127.0.0.1", 0), self._take, log=None, error_log=None)
        self._server.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def _take(self, environ: dict[str, Any], start: Any) -> list[bytes]:
        self.requests.append((environ["PATH_INFO"], json.loads(environ["wsgi.input"].read())))
        status, body, headers = self.answers.pop(0) if self.answers else self.usual
        start(status, [("Content-Length", str(len(body))), *headers])
        return [body]

    def stop(self) -> None:
        self._server.stop(timeout=1)


@pytest.fixture
def server() -> Iterator[HttpServer]:
    server = HttpServer()
    yield server
    server.stop()


def lost(number: int, tenant_id: str = "acme", name: str = HOSTILE) -> Event:
    event = Event(event_id=f"lost-{tenant_id}-{number}", tenant_id=tenant_id, call_id=f"call-{number}")
    event.time.GetCurrentTime()
    event.call_lost.exit = CALL_EXIT_ABANDONED
    event.call_lost.caller.number = f"+38067000{number:04}"
    event.call_lost.caller.name = name
    event.call_lost.queue_id = "sales"
    return event


def document(
    channel: tn.Channel, text: str = "Втрачено: {caller} {caller_name}", subject: str = ""
) -> tn.TenantDocument:
    action = tn.RuleAction(to=channel.channel_id, text=text, subject=subject)
    rule = tn.Rule(rule_id="tell", events=["call.lost"], condition="event.exit == 'abandoned'", actions=[action])
    return tn.TenantDocument(tenant_id="acme", time_zone="Europe/Kyiv", channels=[channel], rules=[rule])


def dead(service: Service) -> list[Delivery]:
    return [Delivery.FromString(record.value) for record in service.bus.records(DELIVERIES_DEAD)]


def test_a_bot_of_telegram_tells_the_shift(service: Service, server: HttpServer) -> None:
    channel = tn.Channel(channel_id="shift", secret_ref="bot", telegram=tn.TelegramChannel(chat_id="-100123"))
    service.channel_secrets = {"acme/bot": {"token": TOKEN}}
    service.telegram_api = server.url
    server.answers = [("429 Too Many", b'{"ok":false,"parameters":{"retry_after":0}}', []), ("200 OK", b"{}", [])]
    service.apply(document(channel))
    service.start()
    service.publish(lost(1))
    wait_until(lambda: len(server.requests) == 3 and service.room.size() == 0)
    paths, messages = {path for path, _ in server.requests}, [message for _, message in server.requests]
    assert paths == {f"/bot{TOKEN}/sendMessage"}
    assert all(message == messages[0] for message in messages)
    assert (messages[0]["chat_id"], "parse_mode" in messages[0]) == ("-100123", False)
    assert messages[0]["text"] == "Втрачено: +380670000001 Їжак <!channel>  Bcc: evil@example.com & {caller}"
    assert dead(service) == []


def test_a_text_for_slack_calls_nobody(service: Service, server: HttpServer) -> None:
    channel = tn.Channel(channel_id="shift", secret_ref="hook", slack=tn.SlackChannel())
    service.channel_secrets = {"acme/hook": {"url": server.url + "/services/T0/B0/x"}}
    server.usual = ("200 OK", b"ok", [])
    service.apply(document(channel))
    service.start()
    service.publish(lost(1))
    wait_until(lambda: len(server.requests) == 1)
    path, message = server.requests[0]
    assert path == "/services/T0/B0/x"
    assert message["text"].startswith("Втрачено: +380670000001 Їжак &lt;!channel&gt;")
    assert "<" not in message["text"]
    assert message["mrkdwn"] is False


def test_without_a_secret_a_message_is_given_up_with_the_reason(service: Service, server: HttpServer) -> None:
    channel = tn.Channel(channel_id="shift", secret_ref="bot", telegram=tn.TelegramChannel(chat_id="1"))
    service.channel_secrets = {"beta/bot": {"token": TOKEN}}
    service.telegram_api = server.url
    service.apply(document(channel))
    service.start()
    service.publish(lost(1))
    wait_until(lambda: len(dead(service)) == 1)
    assert dead(service)[0].last_error == "the secret store has no bot token for this channel"
    assert server.requests == []


class MailServer:
    """aiosmtpd in a process of its own."""

    def __init__(self, folder: Path, refusals: int, *tls: str) -> None:
        self.port = free_port()
        self._path = folder / "mails.jsonl"
        program = Path(__file__).with_name("mail_server.py")
        command = [sys.executable, str(program), str(self.port), str(self._path), str(refusals), *tls]
        self._process = subprocess.Popen(command)  # noqa: S603 - our own program
        wait_until(self._listens)

    def _listens(self) -> bool:
        with socket.socket() as tried:
            return tried.connect_ex(("127.0.0.1", self.port)) == 0

    def mails(self) -> list[tuple[str, list[str], EmailMessage]]:
        if not self._path.exists():
            return []
        kept = [json.loads(line) for line in self._path.read_text().splitlines()]
        return [(one["from"], one["to"], _mail(one["mail"])) for one in kept]

    def stop(self) -> None:
        self._process.kill()
        self._process.wait()


def _mail(text: str) -> EmailMessage:
    mail = message_from_string(text, policy=policy.default)
    assert isinstance(mail, EmailMessage)
    return mail


@pytest.fixture
def mail_server(tmp_path: Path) -> Iterator[MailServer]:
    server = MailServer(tmp_path, 2)
    yield server
    server.stop()


def test_a_mail_is_ukrainian_and_has_no_line_of_a_callers(service: Service, mail_server: MailServer) -> None:
    wish = tn.EmailChannel(host="127.0.0.1", port=mail_server.port, security=tn.MAIL_SECURITY_NONE)
    wish.sender, wish.sender_name = "ringmaster@acme.example", "Диспетчерська"
    wish.recipients.extend(["shift@acme.example", "boss@acme.example"])
    service.apply(document(tn.Channel(channel_id="mail", email=wish), subject="Втрачений дзвінок: {caller_name}"))
    service.start()
    service.publish(lost(1))
    wait_until(lambda: len(mail_server.mails()) == 1 and service.room.size() == 0)
    sender, recipients, mail = mail_server.mails()[0]
    assert (sender, recipients) == ("ringmaster@acme.example", ["shift@acme.example", "boss@acme.example"])
    assert mail["Subject"] == "Втрачений дзвінок: Їжак <!channel> Bcc: evil@example.com & {caller}"
    assert mail["From"] == "Диспетчерська <ringmaster@acme.example>"
    assert mail["Bcc"] is None
    assert mail["Message-ID"].endswith("@acme.example>")
    assert mail.get_content().strip() == "Втрачено: +380670000001 Їжак <!channel>  Bcc: evil@example.com & {caller}"


def test_a_mail_without_recipients_goes_to_the_caller_and_to_nobody_where_no_address_is_known(
    service: Service, mail_server: MailServer
) -> None:
    wish = tn.EmailChannel(host="127.0.0.1", port=mail_server.port, security=tn.MAIL_SECURITY_NONE)
    wish.sender = "office@acme.example"
    tenant = document(tn.Channel(channel_id="mail", email=wish), subject="{agent}: {event.channel}")
    tenant.rules[0].events[:], tenant.rules[0].condition = ["message.requested"], ""
    service.apply(tenant)
    service.start()
    for number, address in enumerate(["", "ivan@example.com"], 1):
        event = lost(number)
        event.message_requested.text, event.message_requested.email = "Your invoice", address
        event.message_requested.channel, event.message_requested.agent_id = "email", "olena"
        service.publish(event)
    wait_until(lambda: len(mail_server.mails()) == 1 and service.room.size() == 0)
    sender, recipients, mail = mail_server.mails()[0]
    assert (sender, recipients, mail["To"]) == ("office@acme.example", ["ivan@example.com"], "ivan@example.com")
    assert mail["Subject"] == "olena: email"
    assert dead(service) == []


def test_a_mail_server_that_wants_no_tls_gets_no_mail_where_tls_is_asked_for(
    service: Service, mail_server: MailServer
) -> None:
    wish = tn.EmailChannel(host="127.0.0.1", port=mail_server.port, security=tn.MAIL_SECURITY_STARTTLS)
    wish.sender = "ringmaster@acme.example"
    wish.recipients.append("shift@acme.example")
    service.apply(document(tn.Channel(channel_id="mail", email=wish), subject="x"))
    service.start()
    service.publish(lost(1))
    wait_until(lambda: len(dead(service)) == 1)
    assert dead(service)[0].last_error == "the mail server can't be talked to: SMTPNotSupportedError"
    assert mail_server.mails() == []


def test_a_short_message_goes_to_each_recipient_once(service: Service, server: HttpServer) -> None:
    gateway = read_connector(GATEWAYS / "turbosms.yaml")
    service.library = {"turbosms": replace(gateway, base=server.url)}
    service.channel_secrets = {"acme/sms": {"token": "secret"}}
    channel = tn.Channel(channel_id="sms", secret_ref="sms", sms=tn.SmsChannel(gateway="turbosms", sender="Acme"))
    channel.sms.recipients.extend(["+380501112233", "+380501112244"])
    taken, refused = b'{"response_code":800}', b'{"response_code":203}'
    server.answers = [("200 OK", taken, []), ("200 OK", refused, []), ("200 OK", taken, [])]
    service.apply(document(channel))
    service.start()
    service.publish(lost(1))
    wait_until(lambda: len(server.requests) == 3 and service.room.size() == 0)
    assert {path for path, _ in server.requests} == {"/message/send.json"}
    sent = [(message["recipients"], message["sms"]["sender"]) for _, message in server.requests]
    second = (["380501112244"], "Acme")
    assert sent == [(["380501112233"], "Acme"), second, second]
    assert server.requests[0][1]["sms"]["text"].startswith("Втрачено: +380670000001 Їжак")
    assert dead(service) == []


def test_a_short_message_without_recipients_goes_to_the_customer(service: Service, server: HttpServer) -> None:
    gateway = read_connector(GATEWAYS / "turbosms.yaml")
    service.library = {"turbosms": replace(gateway, base=server.url)}
    service.channel_secrets = {"acme/sms": {"token": "secret"}}
    server.usual = ("200 OK", b'{"response_code":0}', [])
    service.apply(document(tn.Channel(channel_id="sms", secret_ref="sms", sms=tn.SmsChannel(gateway="turbosms"))))
    service.start()
    service.publish(lost(7))
    wait_until(lambda: len(server.requests) == 1 and service.room.size() == 0)
    assert server.requests[0][1]["recipients"] == ["380670000007"]


def test_a_short_message_goes_to_a_number_as_a_gateway_takes_it_and_to_nobody_without_one(
    service: Service, server: HttpServer
) -> None:
    service.library = {"turbosms": replace(read_connector(GATEWAYS / "turbosms.yaml"), base=server.url)}
    service.channel_secrets = {"acme/sms": {"token": "secret"}}
    server.usual = ("200 OK", b'{"response_code":0}', [])
    service.apply(document(tn.Channel(channel_id="sms", secret_ref="sms", sms=tn.SmsChannel(gateway="turbosms"))))
    service.start()
    hidden = ["", "anonymous", "Restricted", "sip:12345@evil.example", "1" * 30, "+38067000\r\nX: y"]
    for number, written in enumerate([*hidden, "(067) 000-00-07"]):
        event = lost(number)
        event.call_lost.caller.number = written
        service.publish(event)
    wait_until(lambda: len(server.requests) == 1 and len(service.log.last_states()) == 1 + len(hidden))
    assert server.requests[0][1]["recipients"] == ["0670000007"]
    assert set(service.log.last_states().values()) == {"delivered"}
    nobody = "nobody was written to: the event has no number that takes messages"
    assert [entry.error for entry in service.log.entries].count(nobody) == len(hidden)


@pytest.mark.parametrize(
    ("kind", "answer", "wanted"),
    [
        ("telegram", ("429 X", b'{"ok":false,"parameters":{"retry_after":7}}', []), (429, 7.0, "answered 429")),
        ("telegram", ("429 X", b'{"ok":false,"parameters":{"retry_after":"7"}}', []), (429, None, "answered 429")),
        ("telegram", ("400 X", b'{"ok":false,"parameters":{"migrate_to_chat_id":-1009}}', []), (400, None, "is -1009")),
        ("telegram", ("400 X", b'{"ok":false,"parameters":[7]}', []), (400, None, "is the chat's id right?")),
        ("telegram", ("403 X", b"{}", []), (403, None, "add it there again")),
        ("telegram", ("200 X", b'{"ok":false}', []), (0, None, "answered 200")),
        ("slack", ("429 X", b"", [("Retry-After", "7")]), (429, 7.0, "answered 429")),
        ("slack", ("410 X", b"", []), (404, None, "is archived")),
        ("slack", ("200 X", b"no_text", []), (0, None, "answered 200")),
        ("slack", ("302 X", b"ok", [("Location", "http://127.0.0.1:1/")]), (302, None, "answered 302")),
    ],
)
def test_what_a_channel_answers_is_understood_as_its_interface_means_it(
    server: HttpServer, kind: str, answer: Any, wanted: tuple[int, float | None, str]
) -> None:
    channel = tn.Channel(channel_id="shift", secret_ref="s")
    getattr(channel, kind).SetInParent()
    secrets = ChannelSecrets(None)
    secrets._secrets = {"acme/s": {"token": TOKEN, "url": server.url}}
    server.usual = answer
    [to] = endpoints_of(tn.TenantDocument(tenant_id="acme", channels=[channel]))
    connection = EndpointConnection(Outside.with_certificates(AddressGuard.parse("127.0.0.1/32"), Limits(), None))
    carrier = Telegram(secrets, server.url) if kind == "telegram" else Slack(secrets)
    attempt = carrier.carry(Delivery(payload=b'{"text":"x"}'), to, connection)
    connection.close()
    assert (attempt.status, attempt.retry_after) == wanted[:2]
    assert wanted[2] in attempt.error


@pytest.mark.parametrize("kind", ["telegram", "slack"])
def test_a_text_that_an_event_leaves_empty_is_not_tried_for_days(
    service: Service, server: HttpServer, kind: str
) -> None:
    channel = tn.Channel(channel_id="shift", secret_ref="s")
    getattr(channel, kind).SetInParent()
    service.channel_secrets = {"acme/s": {"token": TOKEN, "url": server.url}}
    service.telegram_api = server.url
    service.apply(document(channel, "{caller_name}"))
    service.start()
    service.publish(lost(1, name=" \u2028 "))
    wait_until(lambda: bool(service.log.last_states()))
    assert [entry.error for entry in service.log.entries] == ["nothing was sent: the event leaves the text empty"]
    assert server.requests == []


def test_a_callers_name_rings_at_nobody_in_telegram_and_a_mail_address_stays(
    service: Service, server: HttpServer
) -> None:
    channel = tn.Channel(channel_id="shift", secret_ref="bot", telegram=tn.TelegramChannel(chat_id="-100123"))
    service.channel_secrets = {"acme/bot": {"token": TOKEN}}
    service.telegram_api = server.url
    service.apply(document(channel, "@shift: {caller_name}"))
    service.start()
    service.publish(lost(1, name="@boss (@boss) ivan@example.com"))
    wait_until(lambda: len(server.requests) == 1)
    assert server.requests[0][1]["text"] == "@shift: @\u2060boss (@\u2060boss) ivan@example.com"


def test_a_feed_has_every_event_of_its_tenant_in_order_and_of_nobody_else(service: Service) -> None:
    feed = tn.Channel(channel_id="feed", feed=tn.FeedChannel(format=tn.FEED_FORMAT_JSON), events=["call.*"])
    raw = tn.Channel(channel_id="raw", feed=tn.FeedChannel(format=tn.FEED_FORMAT_PROTOBUF))
    service.apply(tn.TenantDocument(tenant_id="acme", channels=[feed]))
    service.apply(tn.TenantDocument(tenant_id="beta", channels=[raw]))
    service.start()
    service.publish(*(lost(number, tenant) for number in range(20) for tenant in ("acme", "beta", "gamma")))
    wait_until(lambda: len(service.bus.records("ringmaster.feed.beta")) == 20)
    wait_until(lambda: len(service.bus.records("ringmaster.feed.acme")) == 20)
    ours = service.bus.records("ringmaster.feed.acme")
    assert {json.loads(record.value)["data"]["tenant_id"] for record in ours} == {"acme"}
    assert {record.headers["content-type"] for record in ours} == {"application/json"}
    assert sorted(record.headers["ce_id"] for record in ours) == sorted(f"lost-acme-{number}" for number in range(20))
    theirs = [Event.FromString(record.value) for record in service.bus.records("ringmaster.feed.beta")]
    assert {event.tenant_id for event in theirs} == {"beta"}
    assert service.bus.records("ringmaster.feed.gamma") == []


def test_a_rule_sends_the_event_itself_to_a_webhook_endpoint_and_a_feed(
    service: Service, make_receiver: Callable[..., Any]
) -> None:
    receiver = make_receiver()
    feed = tn.Channel(channel_id="alarms", feed=tn.FeedChannel(format=tn.FEED_FORMAT_JSON), events=["kpi.*"])
    rule = tn.Rule(rule_id="vip", events=["call.lost"], condition="caller == '+380670000007'")
    rule.actions.extend([tn.RuleAction(to="crm"), tn.RuleAction(to="alarms")])
    hook = endpoint(receiver.url, "crm", ("kpi.violated",))
    service.apply(tn.TenantDocument(tenant_id="acme", webhooks=[hook], channels=[feed], rules=[rule]))
    service.start()
    service.publish(*(lost(number) for number in range(10)))
    wait_until(lambda: receiver.ledger.received == 1 and len(service.bus.records("ringmaster.feed.acme")) == 1)
    assert receiver.ledger.summary()["by_type"] == {"call.lost": 1}
    [record] = service.bus.records("ringmaster.feed.acme")
    assert json.loads(record.value)["data"]["event_id"] == "lost-acme-7"
    wanted = {"ce_id": "lost-acme-7", "ce_type": "call.lost", "ce_subject": "call-7", "ce_tenant": "acme"}
    assert wanted.items() <= record.headers.items()
    assert {"ce_specversion", "ce_source", "ce_time", "content-type"} <= record.headers.keys()
    assert record.key == "call-7"


def test_what_one_event_leads_to_is_bounded_however_many_rules_there_are(
    service: Service, make_receiver: Callable[..., Any]
) -> None:
    receiver = make_receiver()
    to = [tn.RuleAction(to="crm")] * 20
    rules = [tn.Rule(rule_id=f"r{number}", events=["call.lost"], actions=to) for number in range(10)]
    hook = endpoint(receiver.url, "crm", ("kpi.violated",))
    service.apply(tn.TenantDocument(tenant_id="acme", webhooks=[hook], rules=rules))
    service.start()
    service.publish(lost(1), lost(2))
    wait_until(lambda: receiver.ledger.summary()["distinct"] == 2 * MOST_MESSAGES and service.room.size() == 0)
    assert len({Delivery.FromString(record.value).delivery_id for record in service.bus.records(DELIVERIES)}) == 100
