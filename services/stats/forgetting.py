"""The statistics' part in erasing a person: documents, then the word that it was done (SPEC 10.5, ADR 26)."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from services.shared.bus.errors import BusError
from services.shared.chassis.clock import Clock
from services.shared.contracts.ringmaster.v1.event_pb2 import Event
from services.shared.contracts.ringmaster.v1.input_pb2 import Input
from services.shared.erased import answer_to
from services.shared.person import NotReadable, PersonSeal
from services.stats.domain.facts.kept import CALLBACKS, CALLS, HAPPENINGS
from services.stats.domain.facts.legs import LEGS
from services.stats.store import Named, Store, StoreUnavailable

OF_EVENTS: Final = (CALLS, CALLBACKS, HAPPENINGS)
OF_INPUTS: Final = (LEGS,)
STATS, OF_LEGS = "stats", "legs"
"""As whom the two readers answer: they follow two logs, and each forgets where its own says so."""
KIND: Final = "erasures"


@dataclass(frozen=True, slots=True)
class Wish:
    """That a person is to be forgotten, where a log says so."""

    tenant_id: str
    erasure_id: str
    sealed_numbers: bytes
    revision: int
    """The offset after it: everything before it names the person no more."""
    service: str
    collections: tuple[str, ...]


def wish_of_events(asked: Event, revision: int) -> Wish:
    """Return what an event that asks for an erasure wants of the documents of events."""
    body = asked.person_erasure_requested
    return Wish(asked.tenant_id, body.erasure_id, body.sealed_numbers, revision, STATS, OF_EVENTS)


def wish_of_legs(given: Input, revision: int) -> Wish:
    """Return what the router's word that it has forgotten a person wants of the documents of legs."""
    told = given.person_forgotten
    return Wish(given.tenant_id, told.erasure_id, told.sealed_numbers, revision, OF_LEGS, OF_INPUTS)


class Forgetting:
    """Forgets persons in the documents. A kill between any two lines is made good when the log is read again."""

    def __init__(self, store: Store, seal: PersonSeal, publish: Callable[[Event], None], clock: Clock) -> None:
        """`publish` returns when the broker has an event; raises BusError."""
        self._store = store
        self._seal = seal
        self._publish = publish
        self._clock = clock

    def numbers(self, wish: Wish) -> tuple[str, ...]:
        """Return the person's numbers, none where they can't be read: the answer then says why."""
        return self._seal.open_or_none(wish.tenant_id, wish.erasure_id, wish.sealed_numbers)

    def forget(self, wish: Wish) -> None:
        """Do it and tell it. Raises StoreUnavailable, also where the broker does not take the answer: do it again."""
        try:
            removed, fault = forget_person(self._store, self._seal, wish), ""
        except NotReadable as error:
            removed, fault = {}, str(error)
        now_ms = self._clock.now_ms()
        try:
            self._publish(answer_to(wish.tenant_id, wish.erasure_id, wish.service, now_ms, removed, fault=fault))
        except BusError as error:
            raise StoreUnavailable(f"the broker does not take what was erased: {error}") from error


def forget_person(store: Store, seal: PersonSeal, wish: Wish) -> dict[str, int]:
    """Blank a person in documents, and return in how many calls, callbacks, happenings and legs it was.

    Raises StoreUnavailable, NotReadable.
    What was found is noted before it is gone: whoever does it again after a kill still knows how much there was.
    """
    numbers = seal.open(wish.tenant_id, wish.erasure_id, wish.sealed_numbers)
    found = store.naming(wish.tenant_id, numbers, wish.collections)
    counts = {name: sum(_size(each) for each in found if each.collection == name) for name in wish.collections}
    key = f"{wish.erasure_id}/{wish.service}"
    noted = next(iter(store.kept(KIND, wish.tenant_id, [key])), {})
    before = noted.get("removed", {})
    removed = {name: max(count, before.get(name, 0)) for name, count in counts.items()}
    store.keep(KIND, wish.tenant_id, key, {"removed": removed, "at_ms": wish.revision})
    store.forget_persons(wish.tenant_id, found, wish.revision)
    return removed


def _size(named: Named) -> int:
    """Return how many things a document tells of the person: legs share one, the others have one each."""
    return len({path.split(".")[1] for path in named.fields}) if named.collection == LEGS else 1
