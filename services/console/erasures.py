"""The console's part in erasing a person, and the report that proves what all services did (SPEC 10.5, ADR 26).

The log asks and answers; here it is gathered, and kept in the document store for longer than the log is. A kill between
any two lines is made good by doing it again: the answer has the same id, and what is gone is gone.
"""

from collections.abc import Callable, Sequence
from typing import Any, Final, Protocol

import structlog
from gevent.event import Event as Flag

from services.console.domain.callback_view import CallbackView
from services.console.domain.erasure_view import DONE, Erasure, ErasureView
from services.console.domain.validation import BadDocument
from services.console.store import StoreUnavailable, VersionTaken
from services.console.tenancy import Tenancy
from services.shared.bus.errors import BusError
from services.shared.bus.events import publish_event
from services.shared.bus.ports import Sender
from services.shared.bus.record import Record
from services.shared.bus.topics import (
    CALLS,
    CLIPS,
    COMMANDS,
    DEAD_LETTERS,
    DELIVERIES,
    DELIVERIES_DEAD,
    DELIVERIES_OVERFLOW,
    DELIVERIES_RETRY,
    DOCUMENT_REQUESTS,
    INPUTS,
)
from services.shared.chassis.clock import Clock
from services.shared.contracts.ringmaster.v1.event_pb2 import Event, HeldBack
from services.shared.erased import REQUESTED, person_erased
from services.shared.person import NotReadable, PersonSeal

SERVICE: Final = "console"
ANSWERED: Final = "person.erased"
NAMING_PERSONS: Final = (
    INPUTS,
    COMMANDS,
    CALLS,
    CLIPS,
    DELIVERIES,
    DELIVERIES_RETRY,
    DELIVERIES_OVERFLOW,
    DELIVERIES_DEAD,
    DEAD_LETTERS,
    DOCUMENT_REQUESTS,
)
"""Topics whose records may hold a caller's number, name, digits or words."""
LOOK_SECONDS: Final = 0.5
ACKNOWLEDGE_SECONDS: Final = 10.0
Report = dict[str, Any]

log = structlog.get_logger()


class ErasureStore(Protocol):
    """Keeps reports. Each method raises StoreUnavailable."""

    def keep(self, report: Report) -> None:
        """Keep a report in place of an older one of the same erasure."""

    def find(self, tenant_id: str, erasure_id: str) -> Report | None:
        """Return one report."""

    def newest(self, tenant_id: str, limit: int) -> list[Report]:
        """Return a tenant's reports, the newest first."""


class Erasures:
    """Follows erasures through the log, does the console's part, and keeps the reports."""

    def __init__(
        self,
        callbacks: CallbackView,
        tenancy: Tenancy,
        seal: PersonSeal,
        store: ErasureStore,
        sender: Sender,
        clock: Clock,
        gone_by: Callable[[str, int], list[Report]],
    ) -> None:
        """`gone_by` says of a tenant when each topic has lost what was told before a moment; it raises BusError."""
        self._callbacks = callbacks
        self._tenancy = tenancy
        self.seal = seal
        self._store = store
        self._sender = sender
        self._clock = clock
        self._gone_by = gone_by
        self._view = ErasureView()
        self._asked: dict[tuple[str, str], tuple[Event, int]] = {}
        self._answered: set[tuple[str, str]] = set()

    def take(self, record: Record) -> None:
        """Take a record of ringmaster.calls. A person is forgotten here in the log's order, after any start too."""
        kind = record.headers.get("ce_type")
        if kind == ANSWERED:
            self._view.answered(Event.FromString(record.value))
        elif kind == REQUESTED:
            event = Event.FromString(record.value)
            erasure = self._view.asked(event)
            self._asked[erasure.tenant_id, erasure.erasure_id] = (event, self._forget_callbacks(event))

    def run(self, stopping: Flag, current: Flag) -> None:
        """Answer and keep until stopped, once the log is read: what we answered before is known then."""
        while not stopping.is_set():
            if current.wait(LOOK_SECONDS):
                self.look()
                stopping.wait(LOOK_SECONDS)

    def look(self) -> None:
        """Do what is to be done now; what fails is done the next time."""
        for erasure in self._view.take_changed():
            try:
                self._go_on(erasure)
            except (BusError, StoreUnavailable, VersionTaken) as error:
                log.warning("erasure_held_up", erasure_id=erasure.erasure_id, reason=str(error))
                self._view.not_kept([erasure])

    def report(self, tenant_id: str, erasure_id: str) -> Report | None:
        """Return how far an erasure is. Raises StoreUnavailable."""
        known = self._view.find(tenant_id, erasure_id)
        return known.report() if known is not None else self._store.find(tenant_id, erasure_id)

    def reports(self, tenant_id: str, limit: int) -> list[Report]:
        """Return a tenant's reports, the newest first. Raises StoreUnavailable."""
        return self._store.newest(tenant_id, limit)

    def _go_on(self, erasure: Erasure) -> None:
        place = (erasure.tenant_id, erasure.erasure_id)
        asked = self._asked.get(place)
        if asked is not None and place not in self._answered and erasure.answers.get(SERVICE, {}).get("state") != DONE:
            self._answer(*asked)
            self._answered.add(place)  # our own word comes back to us: a fault is not told again for that
        if not erasure.log and erasure.asked_ms:
            erasure.log = self._log_of(erasure)
        self._store.keep(erasure.report())
        if not erasure.missing:
            self._asked.pop(place, None)

    def _log_of(self, erasure: Erasure) -> list[Report]:
        """Return by when the topics have forgotten: what is kept, else what the broker says now, if it does."""
        kept = self._store.find(erasure.tenant_id, erasure.erasure_id) or {}
        if kept.get("log"):
            return list(kept["log"])
        try:
            return self._gone_by(erasure.tenant_id, erasure.asked_ms)
        except BusError as error:
            log.warning("retention_not_known", erasure_id=erasure.erasure_id, reason=str(error))
            return []

    def _answer(self, asked: Event, callbacks: int) -> None:
        """Do our part, then say so; a fault is said too, and said anew at each start until it is mended."""
        now_ms = self._clock.now_ms()
        try:
            numbers = self._numbers(asked)
        except NotReadable as error:
            answer = person_erased(asked, SERVICE, now_ms, fault=str(error))
        else:
            answer = self._forgotten(asked, numbers, callbacks, now_ms)
        publish_event(self._sender, answer, SERVICE).wait(ACKNOWLEDGE_SECONDS)

    def _forgotten(self, asked: Event, numbers: Sequence[str], callbacks: int, now_ms: int) -> Event:
        try:
            struck = self._tenancy.forget(asked.tenant_id, numbers)
        except BadDocument as error:
            fault = f"the company's document can't be put in force without the person: {error.faults[0]}"
            return person_erased(asked, SERVICE, now_ms, fault=fault)
        removed = {"callbacks_shown": callbacks, "list_entries": struck.entries}
        return person_erased(asked, SERVICE, now_ms, removed, _held(struck.black_lists))

    def _forget_callbacks(self, asked: Event) -> int:
        try:
            return self._callbacks.forget(asked.tenant_id, self._numbers(asked))
        except NotReadable:
            return 0

    def _numbers(self, asked: Event) -> tuple[str, ...]:
        body = asked.person_erasure_requested
        return self.seal.open(asked.tenant_id, body.erasure_id, body.sealed_numbers)


def _held(black_lists: Sequence[str]) -> list[HeldBack]:
    names = ", ".join(black_lists)
    reason = f"stands in black list {names}: it keeps the person from being called; the company takes it out by itself"
    return [HeldBack(kind="black_list_entries", count=len(black_lists), reason=reason)] if black_lists else []
