"""How long recordings stay: retention by policy, erasure of a person, removals that a kill cut off; each reported."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol
from uuid import uuid4

import structlog
from gevent.event import Event as Flag

from services.recorder.adapters.mongo import RecordingDocument
from services.recorder.domain.policy import Policy
from services.recorder.errors import TryAgain
from services.recorder.removal import ERASURE, RETENTION
from services.shared.contracts.ringmaster.v1.event_pb2 import Event, HeldBack
from services.shared.erased import answer_to
from services.shared.person import NotReadable, PersonSeal

DAY_US = 86_400 * 1_000_000
LEASE_SECONDS = 600
WATCHED_DAYS = 30
"""A recording that comes to be stored within so long of its person's erasure goes too: its node may have been away."""
SERVICE = "recorder"
HELD = "a legal hold keeps them; they go when it ends"
_MOST_NAMED = 1_000
"""A report names so many recordings of each kind; it counts all."""

log = structlog.get_logger()


class Documents(Protocol):
    """What is looked up and kept."""

    def older_than(self, tenant_id: str, before_us: int) -> Iterator[RecordingDocument]:
        """Return a company's recordings made before a moment, oldest first."""

    def open_removals(self) -> Iterator[RecordingDocument]:
        """Return recordings whose removal was begun and not ended."""

    def of_person(self, tenant_id: str, numbers: Sequence[str], before_us: int) -> Iterator[RecordingDocument]:
        """Return a company's recordings of a customer that were made before a moment, and are not wholly gone.

        One whose removal was begun and not ended is among them: who leaves it out proves what is not so.
        """

    def ask_erasure(self, erasure: dict[str, Any]) -> None:
        """Keep that a person is to be erased; known by its `_id` it stays as it is."""

    def watched_erasures(self, since_us: int) -> list[dict[str, Any]]:
        """Return the erasures asked for since a moment, and those that are not answered or that something is held from.

        Of others the sealed numbers are forgotten.
        """

    def note_found(self, erasure_id: str, recording_ids: Sequence[str]) -> dict[str, Any]:
        """Add to what an erasure has found, and return it."""

    def note_told(self, erasure_id: str, told: dict[str, Any]) -> None:
        """Keep what was answered to an erasure."""

    def keep_report(self, report: dict[str, Any]) -> None:
        """Keep what a pass did."""

    def lease(self, holder: str, now_us: int, seconds: int) -> bool:
        """Take, or renew, the right to be the one that keeps house."""


class Removing(Protocol):
    """What deletes a recording."""

    def remove(self, document: RecordingDocument, reason: str, actor: str = "") -> RecordingDocument | None:
        """Delete a recording; None while a legal hold keeps it."""


class Answering(Protocol):
    """What tells that a person's recordings are gone."""

    def erased(self, answer: Event) -> None:
        """Publish an answer. Raises TryAgain."""


class Policies(Protocol):
    """What the companies want."""

    def of(self, tenant_id: str, line: str, queue_id: str) -> Policy:
        """Return the policy of a recording."""

    def companies(self) -> list[str]:
        """Return the companies that are known."""

    def least_retention_days(self, tenant_id: str) -> int:
        """Return the shortest time after which any recording of a company may go; 0 = none ever does."""


@dataclass(slots=True)
class _Tally:
    deleted: list[str] = field(default_factory=list)
    held: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)

    def report(self) -> dict[str, Any]:
        """Return it for people."""
        found: dict[str, Any] = {}
        for name in ("deleted", "held", "failed"):
            ids = getattr(self, name)
            found |= {f"{name}_count": len(ids), name: ids[:_MOST_NAMED]}
        return found


@dataclass(frozen=True, slots=True)
class Persons:
    """What opens the numbers of erased persons, and what the answer goes to."""

    seal: PersonSeal
    answering: Answering | None


class Housekeeper:
    """Runs in every recorder; one of them holds the lease and does the work. All of it may be done twice."""

    def __init__(
        self,
        documents: Documents,
        removal: Removing,
        policies: Policies,
        now_us: Callable[[], int],
        every_seconds: float,
        holder: str,
        copy_all: Callable[[], None] = lambda: None,
        persons: Persons | None = None,
    ) -> None:
        self._persons = persons or Persons(PersonSeal(""), None)
        self._documents = documents
        self._removal = removal
        self._policies = policies
        self._now_us = now_us
        self._every_seconds = every_seconds
        self._holder = holder
        self._copy_all = copy_all

    def run(self, stopping: Flag) -> None:
        """Keep house until the service stops."""
        while not stopping.wait(self._every_seconds):
            try:
                if self._documents.lease(self._holder, self._now_us(), LEASE_SECONDS):
                    self.keep_house()
            except TryAgain as error:
                log.warning("housekeeping_interrupted", reason=str(error))

    def keep_house(self) -> None:
        """Do all once. Raises TryAgain when the document store fails; one recording's failure stops no other."""
        for erasure in self._documents.watched_erasures(self._now_us() - WATCHED_DAYS * DAY_US):
            self._erase(erasure)  # before what else is open: it knows who has asked
        for document in self._documents.open_removals():
            self._remove(document, document.delete_reason, "", _Tally())
        for tenant_id in self._policies.companies():
            self._retain(tenant_id)
        self._copy_all()

    def person_to_erase(self, event: Event) -> None:
        """Keep that a person is to be erased, and do it now where we keep house. Raises TryAgain."""
        asked = event.person_erasure_requested
        self._documents.ask_erasure(
            {
                "_id": asked.erasure_id,
                "tenant_id": event.tenant_id,
                "sealed": asked.sealed_numbers,
                "actor": asked.actor,
                "asked_us": event.time.ToMicroseconds(),
            }
        )
        if self._documents.lease(self._holder, self._now_us(), LEASE_SECONDS):
            for erasure in self._documents.watched_erasures(self._now_us()):
                self._erase(erasure)

    def _erase(self, erasure: dict[str, Any]) -> None:
        """Remove a person's recordings and tell it; told again where something came to be stored late, or was held."""
        try:
            numbers = self._persons.seal.open(erasure["tenant_id"], erasure["_id"], erasure["sealed"])
        except NotReadable as error:
            self._answer(erasure, {}, fault=str(error))
            return
        found = list(self._documents.of_person(erasure["tenant_id"], numbers, erasure["asked_us"]))
        tally, all_ids = _Tally(), self._documents.note_found(erasure["_id"], [one.recording_id for one in found])
        for document in found:
            self._remove(document, ERASURE, erasure["actor"], tally)
        if not tally.failed:  # else it is tried again, whole
            counts = {"deleted": len(set(all_ids["found"]) - set(tally.held)), "held": len(tally.held)}
            self._answer(erasure, counts)

    def _answer(self, erasure: dict[str, Any], counts: dict[str, int], fault: str = "") -> None:
        told = {**counts, "fault": fault}
        if erasure.get("told") == told:
            return
        held = [HeldBack(kind="recordings", count=counts["held"], reason=HELD)] if counts.get("held") else []
        removed = {"recordings": counts.get("deleted", 0)}
        at_ms = self._now_us() // 1000
        answer = answer_to(erasure["tenant_id"], erasure["_id"], SERVICE, at_ms, removed, held, fault)
        if self._persons.answering is not None:
            self._persons.answering.erased(answer)
        self._documents.note_told(erasure["_id"], told)
        log.info("person_erased", tenant_id=erasure["tenant_id"], erasure_id=erasure["_id"], **counts)

    def _retain(self, tenant_id: str) -> None:
        days = self._policies.least_retention_days(tenant_id)
        if not days:
            return
        tally, now_us = _Tally(), self._now_us()
        for document in self._documents.older_than(tenant_id, now_us - days * DAY_US):
            own_days = self._policies.of(tenant_id, document.line, document.queue_id).retention_days
            if own_days and document.recorded_us < now_us - own_days * DAY_US:
                self._remove(document, RETENTION, "", tally)
        if tally.deleted or tally.failed:
            report = {"_id": uuid4().hex, "kind": RETENTION, "tenant_id": tenant_id, "started_us": now_us}
            self._documents.keep_report({**report, **tally.report(), "ended_us": self._now_us()})
            log.info("retention_done", tenant_id=tenant_id, deleted=len(tally.deleted), held=len(tally.held))

    def _remove(self, document: RecordingDocument, reason: str, actor: str, tally: _Tally) -> None:
        try:
            removed = self._removal.remove(document, reason, actor)
        except TryAgain as error:
            log.warning("removal_failed_for_now", reason=str(error), recording_id=document.recording_id)
            tally.failed.append(document.recording_id)
            return
        (tally.held if removed is None else tally.deleted).append(document.recording_id)
