"""Short messages by SMPP, to a message centre that another library plays."""

import struct
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from smpp.pdu.pdu_types import CommandStatus

from services.shared.contracts.ringmaster.v1 import tenant_pb2 as tn
from services.webhooks.adapters.channels.smpp import parts_of
from tests.integration.webhooks.harness import Service, wait_until
from tests.integration.webhooks.message_centre import MessageCentre
from tests.integration.webhooks.test_channels import dead, lost


@pytest.fixture
def centre() -> Iterator[MessageCentre]:
    centre = MessageCentre()
    yield centre
    centre.stop()


def apply(service: Service, centre: MessageCentre, text: str, proof: str = "pw", tries: int = 6) -> None:
    service.channel_secrets = {"acme/smsc": {"user": "acme", "password": proof}}
    smpp = tn.SmppServer(host="127.0.0.1", port=centre.port)
    channel = tn.Channel(channel_id="sms", secret_ref="smsc", sms=tn.SmsChannel(sender="Acme", smpp=smpp))
    channel.retry_wait_seconds.extend([0] * tries)
    channel.sms.recipients.extend(["+380501112233", "+380501112244"])
    rule = tn.Rule(rule_id="lost", events=["call.lost"], actions=[tn.RuleAction(to="sms", text=text)])
    service.apply(tn.TenantDocument(tenant_id="acme", time_zone="UTC", channels=[channel], rules=[rule]))
    service.start()
    service.publish(lost(1))


def test_a_message_reaches_each_recipient_whole_in_any_script(service: Service, centre: MessageCentre) -> None:
    text = "Втрачено: {caller}. " + "Їжак & кіт 😀 " * 15
    apply(service, centre, text)
    wait_until(lambda: len(centre.messages) == 2 and service.room.size() == 0)
    whole = " ".join(text.replace("{caller}", "+380670000001").split())
    assert [(sender, to) for sender, to, _ in centre.messages] == [("Acme", "380501112233"), ("Acme", "380501112244")]
    assert {" ".join(told.split()) for _, _, told in centre.messages} == {whole}
    assert centre.binds == [(b"acme", b"pw")]


def test_who_has_a_message_does_not_get_it_again_when_the_next_one_is_refused(
    service: Service, centre: MessageCentre
) -> None:
    centre.refusals = [CommandStatus.ESME_ROK, CommandStatus.ESME_RSYSERR]
    apply(service, centre, "lost {caller}")
    wait_until(lambda: len(centre.messages) == 2 and service.room.size() == 0)
    assert [to for _, to, _ in centre.messages] == ["380501112233", "380501112244"]
    assert len(centre.binds) == 2
    assert dead(service) == []


def test_a_wrong_password_is_said_with_its_meaning_and_never_shown(service: Service, centre: MessageCentre) -> None:
    apply(service, centre, "lost", proof="wrong-one", tries=1)
    wait_until(lambda: len(dead(service)) == 1)
    assert dead(service)[0].last_error == "the message centre refuses us: Invalid Password (0x0000000e)"
    assert centre.messages == []


def test_a_busy_centre_gets_a_rest(service: Service, centre: MessageCentre) -> None:
    centre.refusals = [CommandStatus.ESME_RTHROTTLED]
    apply(service, centre, "lost")
    wait_until(lambda: service.room.size() == 2 or bool(service.webhooks and service.webhooks.health.resting()))
    assert service.webhooks is not None
    assert service.webhooks.health.resting() == ["acme.sms"]
    assert centre.messages == []


@pytest.mark.parametrize(
    "answer",
    [
        struct.pack(">L", 0xFFFFFFFF),
        struct.pack(">L", 3),
        struct.pack(">LLLL", 16, 0x8000FFFF, 0, 1),
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        b"\x00",
    ],
    ids=["endless", "too short", "unknown command", "another protocol", "cut off"],
)
def test_a_centre_that_talks_nonsense_is_a_failed_try(service: Service, centre: MessageCentre, answer: bytes) -> None:
    centre.answer_bytes = answer
    apply(service, centre, "lost", tries=1)
    wait_until(lambda: len(dead(service)) == 1)
    assert dead(service)[0].last_error.startswith("the message centre")


@pytest.mark.parametrize(
    ("text", "coding", "parts"),
    [
        ("lost +380670000001", 0, 1),
        ("a" * 160, 0, 1),
        ("a" * 161, 0, 2),
        ("{}", 8, 1),
        ("Ї" * 70, 8, 1),
        ("Ї" * 71, 8, 2),
        ("`", 8, 1),
    ],
)
def test_a_text_takes_as_few_messages_as_its_script_allows(text: str, coding: int, parts: int) -> None:
    found = parts_of(text)
    assert (len(found), {one["data_coding"] for one in found}) == (parts, {coding})


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=400))
def test_no_sign_is_cut_in_two_and_nothing_is_lost_of_any_text(text: str) -> None:
    """3GPP TS 23.040: 140 bytes a message; of several each begins with six that say its place."""
    parts = parts_of(text)
    bodies = [one["short_message"] for one in parts]
    assert all(len(body) <= (160 if one["data_coding"] == 0 else 140) for one, body in zip(parts, bodies, strict=True))
    if len(parts) > 1:
        heads, bodies = [body[:6] for body in bodies], [body[6:] for body in bodies]
        assert {head[:3] for head in heads} == {b"\x05\x00\x03"}
        assert len({head[3] for head in heads}) == 1
        assert [tuple(head[4:]) for head in heads] == [(len(parts), number) for number in range(1, len(parts) + 1)]
    if parts[0]["data_coding"] == 8:
        assert "".join(body.decode("utf-16-be") for body in bodies) == text
