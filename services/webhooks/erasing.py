"""Webhooks' part in erasing a person: what waits, what receivers answered, what rules count (SPEC 10.5, ADR 26).

What was told before the erasure and names the person is sent no more: it is taken out of the waiting room, and what
still stands in Kafka is left out where it comes up, as a try, a redelivery, a replay or a rehearsal. So who was erased
is remembered, sealed, for longer than those topics keep a record. A message of several that was made before goes out as
it was signed.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

import structlog
from gevent.event import Event as Flag

from services.shared.bus.errors import BusUnavailable
from services.shared.bus.events import publish_event
from services.shared.bus.ports import Sender
from services.shared.chassis.clock import Clock
from services.shared.contracts.ringmaster.v1.delivery_pb2 import Delivery
from services.shared.contracts.ringmaster.v1.event_pb2 import Event
from services.shared.erased import person_erased
from services.shared.person import NotReadable, PersonSeal
from services.webhooks.domain.erased import Erased, ErasedPersons, naming
from services.webhooks.hearing import Turn
from services.webhooks.waiting import StoreUnavailable, WaitingRoom

SERVICE: Final = "webhooks"
FORGOTTEN: Final = "the person whom it names was erased"
ACKNOWLEDGE_SECONDS: Final = 30.0
REFRESH_SECONDS: Final = 5.0
"""Another process leaves a person's deliveries out so long after the first one."""
Row = dict[str, Any]

log = structlog.get_logger()


class ErasureRows(Protocol):
    """Who was erased, sealed. Each method raises StoreUnavailable."""

    def add(self, row: Row) -> Row:
        """Keep who is erased; return what is kept, which is the first word of the same erasure."""

    def counted(self, row: Row, removed: dict[str, int]) -> None:
        """Keep how much an erasure has found."""

    def all(self) -> list[Row]:
        """Return everybody."""


class Answers(Protocol):
    """The delivery log, as far as receivers' words in it go."""

    def forget(self, tenant_id: str, names: Callable[[str], bool], like: str) -> int:
        """Blank the answers and errors that name somebody; `like` is a pattern that all of these fit."""


@dataclass(slots=True)
class MemoryErasureRows:
    """The same in memory, for tests."""

    rows: dict[str, Row] = field(default_factory=dict)

    def add(self, row: Row) -> Row:
        """Keep who is erased."""
        return self.rows.setdefault(row["_id"], {**row, "removed": {}})

    def counted(self, row: Row, removed: dict[str, int]) -> None:
        """Keep how much was found."""
        self.rows[row["_id"]]["removed"] = removed

    def all(self) -> list[Row]:
        """Return everybody."""
        return list(self.rows.values())


@dataclass(slots=True)
class Erasing:
    """A part that hears the public events, and does what is to be done when a person is erased."""

    rows: ErasureRows
    room: WaitingRoom
    answers: Answers
    persons: ErasedPersons
    seal: PersonSeal
    sender: Sender
    clock: Clock
    drop: Callable[[Delivery], None]
    """Notes a delivery as one that is sent no more."""
    name: str = "erasures"

    def take(self, turn: Turn) -> None:
        """Erase whom the turn's events say. Raises BusUnavailable while that can't be: the turn is given again."""
        for heard in turn.heard:
            if heard.event is not None and heard.event.HasField("person_erasure_requested"):
                try:
                    self._erase(heard.event)
                except StoreUnavailable as error:
                    raise BusUnavailable(f"nobody can be erased now: {error}") from error

    def numbers(self, asked: Event) -> tuple[str, ...]:
        """Return a person's numbers, none where they can't be read."""
        body = asked.person_erasure_requested
        return self.seal.open_or_none(asked.tenant_id, body.erasure_id, body.sealed_numbers)

    def run(self, stopping: Flag) -> None:
        """Learn whom other processes have erased, until stopped."""
        while not stopping.is_set():
            try:
                self.persons.add(each for row in self.rows.all() if (each := self._person(row)) is not None)
            except StoreUnavailable as error:
                log.warning("erased_persons_unreadable", reason=str(error))
            stopping.wait(REFRESH_SECONDS)

    def _erase(self, asked: Event) -> None:
        """Know, remove, count, answer; a kill anywhere has all of it done again, and the count is of the whole."""
        body, now_ms = asked.person_erasure_requested, self.clock.now_ms()
        try:
            numbers = self.seal.open(asked.tenant_id, body.erasure_id, body.sealed_numbers)
        except NotReadable as error:
            self._tell(person_erased(asked, SERVICE, now_ms, fault=str(error)))
            return
        row = self.rows.add(_row(asked))
        person = Erased(asked.tenant_id, body.erasure_id, numbers, asked.time.ToMilliseconds())
        self.persons.add([person])
        waiting = [one for one in self.room.of_tenant(person.tenant_id) if self._is_of(one)]
        removed = {"waiting_deliveries": max(len(waiting), row["removed"].get("waiting_deliveries", 0))}
        self.rows.counted(row, {**row["removed"], **removed})
        for delivery in waiting:
            self.room.remove(delivery)
            self.room.call_next(delivery, now_ms)
            self.drop(delivery)
        pattern = naming(numbers)
        like = "|".join(one.removeprefix("+") for one in numbers)
        blanked = self.answers.forget(person.tenant_id, lambda text: bool(pattern.search(text.encode())), like)
        removed["answers"] = max(blanked, row["removed"].get("answers", 0))
        self.rows.counted(row, removed)
        self._tell(person_erased(asked, SERVICE, now_ms, removed))

    def _is_of(self, delivery: Delivery) -> bool:
        return not delivery.members and self.persons.names(delivery.tenant_id, delivery.payload, delivery.created_ms)

    def _tell(self, answer: Event) -> None:
        publish_event(self.sender, answer, SERVICE).wait(ACKNOWLEDGE_SECONDS)

    def _person(self, row: Row) -> Erased | None:
        numbers = self.seal.open_or_none(row["tenant_id"], row["erasure_id"], row["sealed"])
        return Erased(row["tenant_id"], row["erasure_id"], numbers, row["before_ms"]) if numbers else None


def _row(asked: Event) -> Row:
    body = asked.person_erasure_requested
    return {
        "_id": f"{asked.tenant_id}/{body.erasure_id}",
        "tenant_id": asked.tenant_id,
        "erasure_id": body.erasure_id,
        "sealed": body.sealed_numbers,
        "before_ms": asked.time.ToMilliseconds(),
    }
