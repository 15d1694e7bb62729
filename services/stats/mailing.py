"""Mails reports when they are due, each run to each recipient, and keeps what became of it.

What was accepted by the mail server is noted after it; a kill in between sends that letter once more under the same
Message-ID, by which mail programs know it. A letter that failed is tried again for hours, then given up.
"""

import smtplib
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import structlog
from gevent.event import Event as Flag

from services.shared.bus.errors import BusUnavailable
from services.shared.chassis.clock import Clock
from services.shared.contracts.ringmaster.v1.event_pb2 import Event
from services.stats import metrics
from services.stats.domain import raport
from services.stats.domain.board import Board
from services.stats.domain.raport import Due, Schedule
from services.stats.domain.reports.calendar import zone_of
from services.stats.domain.reports.query import BadQuery
from services.stats.raporty import Made, Raporty, letter
from services.stats.reporting import TooBusy, TooLong
from services.stats.store import Store, StoreUnavailable

MAILS: Final = "mails"
LOOK_SECONDS: Final = 20.0
SMTP_SECONDS: Final = 20.0
MOST_TRIES: Final = 12
# Minutes until the next try, after each failure; the last one goes on.
WAITS_MS: Final = tuple(minutes * 60_000 for minutes in (1, 2, 5, 10, 30, 60))
_DONE: Final = ("sent", "given_up")
Publish = Callable[[Event], None]

log = structlog.get_logger()


class NotSent(Exception):
    """A letter was not taken. `is_final`: the server will never take it."""

    def __init__(self, reason: str, *, is_final: bool) -> None:
        super().__init__(reason)
        self.is_final = is_final


@dataclass(frozen=True, slots=True)
class MailServer:
    """Where letters are handed in. An empty host: nowhere, mailed reports are off."""

    host: str
    port: int
    sender: str
    user: str = ""
    password_file: Path | None = None
    starttls: bool = False

    def send(self, made: Made, recipient: str, message_id: str) -> None:
        """Hand in one letter. Raises NotSent."""
        try:
            with smtplib.SMTP(self.host, self.port, timeout=SMTP_SECONDS) as server:
                if self.starttls:
                    # Its own default believes any certificate, and then hands the password to whoever answered.
                    server.starttls(context=ssl.create_default_context())
                if self.user and self.password_file is not None:
                    server.login(self.user, self.password_file.read_text(encoding="utf-8").strip())
                server.send_message(letter(made, self.sender, recipient, message_id))
        except smtplib.SMTPRecipientsRefused as error:
            code, answer = next(iter(error.recipients.values()))
            raise NotSent(f"{code} {answer.decode(errors='replace')}"[:200], is_final=500 <= code < 600) from error  # noqa: PLR2004 - RFC 5321: permanent
        except smtplib.SMTPResponseException as error:
            words = str(error.smtp_error)[:200]
            raise NotSent(f"{error.smtp_code} {words}", is_final=500 <= error.smtp_code < 600) from error  # noqa: PLR2004 - the same
        except (smtplib.SMTPException, OSError) as error:
            raise NotSent(f"the mail server can't be used: {error}"[:200], is_final=False) from error


class Mailing:
    """Looks for what is due. One process does it for the tenants whose events are its own."""

    def __init__(
        self, board: Board, raporty: Raporty, store: Store, clock: Clock, server: MailServer, publish: Publish
    ) -> None:
        self._board = board
        self._raporty = raporty
        self._store = store
        self._clock = clock
        self._server = server
        self._publish = publish

    def run(self, stopping: Flag) -> None:
        """Mail until stopped."""
        while not stopping.wait(LOOK_SECONDS):
            for tenant_id in list(self._board.lives()):
                if self._server.host and self._board.profile(tenant_id).raporty and not self._board.trouble:
                    self.look(tenant_id)

    def look(self, tenant_id: str) -> None:
        """Send what is due for one tenant; what can't be done now is done the next time."""
        profile = self._board.profile(tenant_id)
        zone = zone_of(profile.time_zone) or zone_of("UTC")
        assert zone is not None  # noqa: S101 - UTC is always there
        now_ms = self._clock.now_ms()
        due = [(each, run) for each in profile.raporty if (run := raport.due(each, zone, now_ms)) is not None]
        keys = [mail_key(run, recipient) for schedule, run in due for recipient in schedule.recipients]
        try:
            known = {each["key"]: each for each in self._store.kept(MAILS, tenant_id, keys)}
            for schedule, run in due:
                self._send_run(tenant_id, schedule, run, known)
        except (StoreUnavailable, BusUnavailable, TooBusy, TooLong) as error:
            log.warning("raporty_not_made", tenant_id=tenant_id, reason=str(error) or type(error).__name__)

    def _send_run(self, tenant_id: str, schedule: Schedule, run: Due, known: dict[str, dict[str, Any]]) -> None:
        now_ms = self._clock.now_ms()
        keys = {recipient: mail_key(run, recipient) for recipient in schedule.recipients}
        waiting = [each for each, key in keys.items() if _is_due(known.get(key), now_ms)]
        if not waiting:
            return
        try:
            made = self._raporty.make(tenant_id, self._board.name_of(tenant_id), schedule, run)
        except BadQuery as error:
            for recipient in waiting:
                self._keep(tenant_id, schedule, run, recipient, "given_up", str(error), MOST_TRIES)
            return
        if all(known.get(key) is None for key in keys.values()):
            self._publish(_ready(tenant_id, schedule, run, now_ms))
        for recipient in waiting:
            tries = known.get(keys[recipient], {}).get("tries", 0) + 1
            self._send_one(tenant_id, schedule, run, recipient, made, tries)

    def _send_one(self, tenant_id: str, schedule: Schedule, run: Due, recipient: str, made: Made, tries: int) -> None:
        try:
            self._server.send(made, recipient, message_id(tenant_id, run, recipient, self._server.sender))
        except NotSent as error:
            state = "given_up" if error.is_final or tries >= MOST_TRIES else "failed"
            self._keep(tenant_id, schedule, run, recipient, state, str(error), tries)
        else:
            self._keep(tenant_id, schedule, run, recipient, "sent", "", tries)

    def _keep(
        self, tenant_id: str, schedule: Schedule, run: Due, recipient: str, state: str, reason: str, tries: int
    ) -> None:
        now_ms = self._clock.now_ms()
        metrics.MAILS.labels(state).inc()
        wait = WAITS_MS[min(tries, len(WAITS_MS)) - 1]
        fields = {"state": state, "reason": reason, "tries": tries, "at_ms": now_ms, "next_ms": now_ms + wait}
        own = {"raport_id": schedule.raport_id, "run_id": run.run_id, "recipient": recipient}
        self._store.keep(MAILS, tenant_id, mail_key(run, recipient), {**own, **fields})


def mail_key(run: Due, recipient: str) -> str:
    """Return the key of a letter in the delivery log."""
    return f"{run.run_id}-{sha256(recipient.encode()).hexdigest()[:12]}"


def message_id(tenant_id: str, run: Due, recipient: str, sender: str) -> str:
    """Return the letter's Message-ID (RFC 5322), the same at each try."""
    digest = sha256(f"{tenant_id}/{run.run_id}/{recipient}".encode()).hexdigest()[:32]
    return f"<{digest}@{sender.rpartition('@')[2] or 'ringmaster'}>"


def _is_due(known: dict[str, Any] | None, now_ms: int) -> bool:
    return known is None or (known["state"] not in _DONE and known["next_ms"] <= now_ms)


def _ready(tenant_id: str, schedule: Schedule, run: Due, now_ms: int) -> Event:
    event = Event(
        event_id=f"report-{tenant_id}-{run.run_id}", tenant_id=tenant_id, subject=f"report:{schedule.raport_id}"
    )
    event.time.FromMilliseconds(now_ms)
    body = event.report_ready
    body.report_id, body.run_id, body.format = schedule.raport_id, run.run_id, ",".join(schedule.formats) or "html"
    return event
