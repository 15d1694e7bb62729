"""Mailed reports, handed to a true SMTP server on loopback: when, what, to whom, and after failures."""

import email
import io
import ssl
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime
from email.message import EmailMessage
from email.policy import default
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import openpyxl
import pytest
from aiosmtpd.controller import Controller
from gevent import socket
from gevent.server import StreamServer
from PIL import Image

from services.shared.chassis.clock import Clock
from services.shared.contracts.ringmaster.v1.event_pb2 import Event
from services.shared.testing.ports import free_port
from services.stats.domain.profile import Profile
from services.stats.domain.raport import Schedule, due
from services.stats.mailing import MAILS, Mailing, MailServer, NotSent
from services.stats.raporty import Made, Raporty
from tests.certificates import own_certificate
from tests.unit.stats.events import abandoned_call, answered_call
from tests.unit.stats.report_house import House

KYIV = ZoneInfo("Europe/Kyiv")
DAILY = Schedule(
    "morning", "summary_by_hour", "day", "07:00", ("boss@example.com", "qa@example.com"), ("xlsx", "pdf"), "uk"
)


def at(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=KYIV).timestamp() * 1000)


class Postbox:
    def __init__(self) -> None:
        self.got: list[tuple[str, EmailMessage]] = []
        self.answer = ""

    async def handle_RCPT(self, _server: Any, _session: Any, envelope: Any, address: str, _options: Any) -> str:  # noqa: N802 - the library's name
        if self.answer:
            return self.answer
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:  # noqa: N802 - the same
        message: Any = email.message_from_bytes(envelope.content, policy=default)
        self.got.append((envelope.rcpt_tos[0], message))
        return "250 taken"


class Office:
    def __init__(self, port: int, schedule: Schedule) -> None:
        self.house = House(
            at("2026-11-24T07:05"), Profile("acme", "Acme <b>Goods</b>", "Europe/Kyiv", raporty=(schedule,))
        )
        day, before = at("2026-11-23T10:00"), at("2026-11-22T10:00")
        for number in range(10):
            self.house.tell(answered_call(f"n{number}", day + 900_000 * number, 3_000, 60_000))
        self.house.tell([e for n in range(5) for e in answered_call(f"b{n}", before + 900_000 * n, 3_000, 60_000)])
        self.house.tell(abandoned_call("lost", day, 9_000))
        self.published: list[Event] = []
        parts = self.house.parts
        self.mailing = Mailing(
            parts.board,
            Raporty(parts.reports, parts.exports),
            self.house.store,
            Clock(wall=lambda: self.house.now_ms / 1000),
            MailServer("127.0.0.1", port, "reports@ringmaster.example"),
            self.published.append,
        )

    def look(self) -> None:
        self.mailing.look("acme")

    def log(self) -> list[tuple[str, str, int]]:
        kept = self.house.store.kept(MAILS, "acme")
        return sorted((each["recipient"], each["state"], each["tries"]) for each in kept)


@pytest.fixture
def post() -> Iterator[tuple[Postbox, int]]:
    postbox, port = Postbox(), free_port()
    server = Controller(postbox, hostname="127.0.0.1", port=port)
    server.start()
    yield postbox, port
    server.stop()


@pytest.fixture
def office(post: tuple[Postbox, int]) -> Iterator[Office]:
    office = Office(post[1], DAILY)
    yield office
    office.house.columns.close()


def test_a_report_is_mailed_once_to_each_with_its_chart_its_comparison_and_its_files(
    office: Office, post: tuple[Postbox, int]
) -> None:
    office.look()
    office.look()
    assert sorted(to for to, _ in post[0].got) == ["boss@example.com", "qa@example.com"]
    mail = post[0].got[0][1]
    assert mail["Subject"] == "Acme <b>Goods</b>: Зведення за годинами, 2026-11-23"
    page = mail.get_body(("html",))
    assert page is not None
    text = page.get_content()
    assert "<b>Goods" not in text
    assert "попередній" in text
    assert "+120.0 %" in text  # eleven were offered, five the day before
    files = {part.get_filename(): part.get_content() for part in mail.iter_attachments()}
    assert set(files) == {"summary_by_hour_2026-11-23_2026-11-24.xlsx", "summary_by_hour_2026-11-23_2026-11-24.pdf"}
    sheet = openpyxl.load_workbook(io.BytesIO(files["summary_by_hour_2026-11-23_2026-11-24.xlsx"])).active
    assert sheet is not None
    assert sheet["A1"].value == "Година"
    assert files["summary_by_hour_2026-11-23_2026-11-24.pdf"].startswith(b"%PDF-")
    picture = next(part for part in mail.walk() if part.get_content_type() == "image/png")
    assert Image.open(io.BytesIO(picture.get_content())).size == (1440, 520)
    assert [event.report_ready.run_id for event in office.published] == ["morning-2026-11-24"]
    assert office.log() == [("boss@example.com", "sent", 1), ("qa@example.com", "sent", 1)]


def test_a_letter_that_is_refused_for_now_is_sent_later_under_the_same_id(
    office: Office, post: tuple[Postbox, int]
) -> None:
    post[0].answer = "451 come back later"
    office.look()
    assert {state for _, state, _ in office.log()} == {"failed"}
    post[0].answer = ""
    office.look()
    assert post[0].got == []  # its time has not come
    office.house.now_ms += 61_000
    office.look()
    assert office.log() == [("boss@example.com", "sent", 2), ("qa@example.com", "sent", 2)]
    assert len({mail["Message-ID"] for _, mail in post[0].got}) == 2
    assert len(office.published) == 1


def test_a_letter_refused_for_good_is_given_up_with_its_reason(office: Office, post: tuple[Postbox, int]) -> None:
    post[0].answer = "550 no such person"
    office.look()
    office.house.now_ms += 3_600_000
    office.look()
    assert {(state, tries) for _, state, tries in office.log()} == {("given_up", 1)}
    assert "no such person" in office.house.store.kept(MAILS, "acme")[0]["reason"]


def test_a_mail_server_that_is_away_is_tried_again(post: tuple[Postbox, int]) -> None:
    office = Office(1, DAILY)
    office.look()
    assert {state for _, state, _ in office.log()} == {"failed"}
    office.house.columns.close()


def test_a_schedule_of_a_report_that_is_not_there_says_so(post: tuple[Postbox, int]) -> None:
    office = Office(post[1], Schedule("m", "nothing", "day", "07:00", ("a@example.com",), (), "en"))
    office.look()
    assert office.house.store.kept(MAILS, "acme")[0]["reason"].startswith("There is no report nothing")
    office.house.columns.close()


def test_the_delivery_log_is_the_own_tenants(office: Office) -> None:
    office.look()
    client = office.house.client()
    own = client.get("/v1/reports/mails", headers={"Authorization": "Bearer boss"}).get_json()["mails"]
    assert {each["state"] for each in own} == {"sent"}
    assert client.get("/v1/reports/mails", headers={"Authorization": "Bearer rival"}).get_json() == {"mails": []}


@pytest.mark.parametrize(
    ("every", "clock", "now", "found"),
    [
        ("day", "07:00", "2026-11-24T07:00", ("2026-11-23", "2026-11-24")),
        ("day", "07:00", "2026-11-24T06:59", None),
        ("day", "07:00", "2026-11-24T23:59", ("2026-11-23", "2026-11-24")),
        ("day", "03:30", "2026-03-29T04:30", ("2026-03-28", "2026-03-29")),  # clocks went from 03:00 to 04:00
        ("day", "03:30", "2026-10-25T12:00", ("2026-10-24", "2026-10-25")),
        ("week", "08:00", "2026-11-23T09:00", ("2026-11-16", "2026-11-23")),
        ("week", "08:00", "2026-11-25T09:00", None),
        ("month", "08:00", "2026-12-01T08:00", ("2026-11-01", "2026-12-01")),
        ("month", "08:00", "2026-03-01T20:00", ("2026-02-01", "2026-03-01")),
    ],
)
def test_a_run_is_due_after_its_time_and_over_the_period_before(
    every: str, clock: str, now: str, found: tuple[str, str] | None
) -> None:
    run = due(Schedule("r", "summary", every, clock, (), (), "en"), KYIV, at(now))
    days = run and (run.from_day.isoformat(), run.until_day.isoformat())
    if found is None:
        assert days is None or run is None or run.until_day < datetime.fromisoformat(now).date()
    else:
        assert days == found


def test_a_mail_server_that_proves_nothing_is_told_no_password(tmp_path: Path) -> None:
    certificate, key = own_certificate()
    (tmp_path / "own.pem").write_bytes(certificate + key)
    (tmp_path / "password").write_text("hush", encoding="utf-8")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "own.pem")
    heard: list[bytes] = []

    def pretend(link: socket.socket, _address: object) -> None:
        link.sendall(b"220 mail\r\n")
        with suppress(OSError):  # the caller goes away as soon as he sees the certificate
            for line in link.makefile("rb"):
                heard.append(line)
                link.sendall(b"220 go\r\n" if line == b"STARTTLS\r\n" else b"250-mail\r\n250 STARTTLS\r\n")
                if line == b"STARTTLS\r\n":
                    heard.extend(context.wrap_socket(link, server_side=True).makefile("rb"))

    server = StreamServer(("127.0.0.1", 0), pretend)
    server.start()
    mail = MailServer("127.0.0.1", server.server_port, "r@x.example", "reports", tmp_path / "password", starttls=True)
    with pytest.raises(NotSent, match="CERTIFICATE_VERIFY_FAILED") as refused:
        mail.send(Made("s", "t", "<p>t", b"", []), "a@x.example", "<1@x.example>")
    server.stop()
    assert not refused.value.is_final
    assert [line.split()[0].upper() for line in heard] == [b"EHLO", b"STARTTLS"]
