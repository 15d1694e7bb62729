"""A person is forgotten in documents, live numbers and snapshots; who is rebuilt from the log stays forgotten."""

import zlib
from collections.abc import Callable, Sequence
from typing import Any

import gevent
import pytest
from gevent.event import Event as Flag

from services.shared.bus.errors import BusUnavailable
from services.shared.bus.events import publish_event
from services.shared.bus.topics import CALLS, INPUTS, TENANTS
from services.shared.chassis.clock import Clock
from services.shared.contracts.ringmaster.v1 import event_pb2 as ev
from services.shared.contracts.ringmaster.v1 import switch_pb2 as sw
from services.shared.contracts.ringmaster.v1.input_pb2 import Input, PersonForgotten
from services.shared.contracts.ringmaster.v1.tenant_pb2 import TenantDocument
from services.shared.person import NotReadable, PersonSeal
from services.shared.testing.memory_bus import MemoryBus
from services.stats import legs as legs_module
from services.stats import rebuild as rebuild_module
from services.stats.adapters.memory import MemoryStore
from services.stats.bootstrap import Parts, build
from services.stats.domain.facts.forgetting import without_person
from services.stats.following import profiles
from services.stats.rebuild import Target, rebuild
from services.stats.store import Named
from tests.unit.stats.events import TENANT, answered_call, columns_here, leg_over
from tests.unit.stats.test_following import NOW_MS, until

SEAL = PersonSeal("an erasure secret for the statistics' tests")
PERSON, OTHER = "+380501112233", "+380509999999"
NUMBERS = (PERSON, "380501112233", "0501112233")
AT = NOW_MS - 3_600_000
OUT = sw.DIRECTION_OUTBOUND


def _of(number: str, call_id: str, at_ms: int = AT) -> list[ev.Event]:
    """Return a call of a person who is transferred, tells a secret, and is recorded under the number."""
    events = answered_call(call_id, at_ms, 3_000, 10_000)
    for event in events:
        body = getattr(event, event.WhichOneof("body") or "")
        if "caller" in body.DESCRIPTOR.fields_by_name:
            body.caller.number, body.caller.name = number, "Maria Client"
    more = [
        ev.Event(recording_stored=ev.RecordingStored(recording_id="r1", key=f"acme/{number}.opus", duration_ms=9)),
        ev.Event(
            form_answered=ev.FormAnswered(
                form_id="disposition", answers={"disposition": "sold", "notes": "lives in Lviv", "nps": "5"}
            )
        ),
        ev.Event(flow_step_left=ev.FlowStepLeft(step_id="ask", exit="1", why=f"{number} pressed 1234")),
    ]
    for place, event in enumerate(more):
        event.tenant_id, event.call_id, event.subject = TENANT, call_id, call_id
        event.event_id, event.sequence = f"{call_id}-more-{place}", 100 + place
        event.time.FromMilliseconds(at_ms + 60_000)
    return [*events, *more]


def _others() -> list[ev.Event]:
    """Return what else names the person: another's call that is sent on to the number, a callback, a list."""
    sent_on = ev.Event(call_id="of other", call_transferred=ev.CallTransferred(from_agent_id="olena", to_number=PERSON))
    callback = ev.Event(
        subject="callback:b1",
        callback_requested=ev.CallbackRequested(callback_id="b1", number=PERSON, queue_id="sales"),
    )
    vip = ev.Event(client_vip_called=ev.ClientVipCalled(caller=ev.Party(number="0501112233", name="Maria Client")))
    for place, event in enumerate((sent_on, callback, vip)):
        event.tenant_id, event.event_id, event.sequence = TENANT, f"other-{place}", 50 + place
        event.time.FromMilliseconds(AT)
    return [sent_on, callback, vip]


def _asked(erasure_id: str = "er-1") -> ev.Event:
    event = ev.Event(event_id=f"asked-{erasure_id}", tenant_id=TENANT, subject=f"erasure:{erasure_id}", sequence=1)
    event.time.FromMilliseconds(NOW_MS)
    body = event.person_erasure_requested
    body.erasure_id, body.sealed_numbers = erasure_id, SEAL.seal(TENANT, erasure_id, NUMBERS)
    return event


def _legs(bus: MemoryBus) -> None:
    told = [
        leg_over("c1", AT, 1_000, 60_000, caller_number=PERSON, line="+380441", sip_call_id="trace-me"),
        leg_over("a1", AT + 5_000, 4_000, 52_000, "c1", direction=OUT, caller_number=PERSON, callee="olena"),
        leg_over("o1", AT, 2_000, 10_000, "of other", direction=OUT, callee=PERSON, gateway="vega"),
        leg_over("x1", AT, 2_000, 10_000, caller_number=OTHER),
    ]
    for given in told:
        bus.producer().send(INPUTS, TENANT, given.SerializeToString(), timestamp_ms=AT)
    forgotten = PersonForgotten(erasure_id="er-1", sealed_numbers=SEAL.seal(TENANT, "er-1", NUMBERS))
    value = Input(tenant_id=TENANT, person_forgotten=forgotten).SerializeToString()
    bus.producer().send(INPUTS, TENANT, value, timestamp_ms=NOW_MS)


def _told(bus: MemoryBus, events: Sequence[ev.Event]) -> None:
    for event in events:
        publish_event(bus.producer(), event)


class Dying(MemoryStore):
    """A store before which the process dies, or which is away, at one of the erasure's steps."""

    def __init__(self) -> None:
        super().__init__()
        self.dies_at = ""

    def _step(self, name: str) -> None:
        if self.dies_at == name:
            raise gevent.GreenletExit

    def keep(self, kind: str, tenant_id: str, key: str, fields: dict[str, Any]) -> None:
        self._step("noting")
        super().keep(kind, tenant_id, key, fields)

    def forget_persons(self, tenant_id: str, found: Sequence[Named], revision: int) -> None:
        self._step("forgetting")
        if self.dies_at == "half way":
            super().forget_persons(tenant_id, found[:1], revision)
            raise gevent.GreenletExit
        super().forget_persons(tenant_id, found, revision)


def _publisher(bus: MemoryBus) -> Callable[[ev.Event], None]:
    def publish(event: ev.Event) -> None:
        publish_event(bus.producer(), event, "stats")

    return publish


class Life:
    """One life of the process."""

    def __init__(self, bus: MemoryBus, store: MemoryStore, publish: Callable[[ev.Event], None] | None = None) -> None:
        tell = publish or _publisher(bus)
        clock = Clock(wall=lambda: NOW_MS / 1000)
        self.parts: Parts = build(store, clock, 3600.0, columns_here(), 0.0, seal=SEAL, publish=tell)
        self.stopping = Flag()
        events, legs = self.parts.events, self.parts.legs
        calls = bus.consumer("stats", [CALLS], on_assigned=lambda places: events.assigned(list(places)))
        inputs = bus.consumer("stats-legs", [INPUTS], on_assigned=lambda places: legs.assigned(list(places)))
        known = profiles(lambda: bus.consumer(None, [TENANTS]), self.parts.board, self.parts.feed.notify)
        self.greenlets = [
            gevent.spawn(self.parts.writer.run, self.stopping),
            gevent.spawn(known.run, self.stopping),
            gevent.spawn(events.run, self.stopping, calls, known.current),
            gevent.spawn(legs.run, self.stopping, inputs),
        ]

    def end(self) -> None:
        gevent.killall(self.greenlets)


@pytest.fixture
def bus(monkeypatch: pytest.MonkeyPatch) -> MemoryBus:
    monkeypatch.setattr(legs_module, "POLL_SECONDS", 0.01)
    monkeypatch.setattr(rebuild_module, "POLL_SECONDS", 0.01)
    bus = MemoryBus()
    document = TenantDocument(tenant_id=TENANT).SerializeToString()
    bus.producer().send(TENANTS, TENANT, document, timestamp_ms=AT)
    return bus


def _answers(bus: MemoryBus) -> dict[str, dict[str, int]]:
    events = [ev.Event.FromString(record.value) for record in bus.records(CALLS)]
    told = [event.person_erased for event in events if event.HasField("person_erased")]
    return {one.service: dict(one.removed) for one in told}


def _kept(store: MemoryStore) -> str:
    snapshots = [zlib.decompress(one.data).decode() for one in store._tenants.values()]
    return repr((store.calls, store.facts, store.own, snapshots))


def _assert_nobody_is_left(store: MemoryStore) -> None:
    kept = _kept(store)
    for trace in (*NUMBERS, "Maria", "Lviv", "1234", "trace-me"):
        assert trace not in kept.replace(OTHER, "").replace("Maria Other", "")


REMOVED = {"stats": {"calls": 3, "callbacks": 1, "happenings": 1}, "legs": {"legs": 3}}


def _story(bus: MemoryBus) -> None:
    _told(bus, [*_of(PERSON, "c1"), *_of("0501112233", "c2", AT + 100_000), *_others()])
    _legs(bus)
    _told(bus, [_asked()])


def test_documents_live_numbers_and_snapshots_name_the_person_no_more_and_totals_stay(bus: MemoryBus) -> None:
    store = Dying()
    _story(bus)
    life = Life(bus, store)
    until(lambda: _answers(bus) == REMOVED)
    _assert_nobody_is_left(store)
    assert all(call.caller == ("", "") for call in life.parts.board.live(TENANT).calls.values())
    found = store.summary(TENANT)
    assert (found["calls_in"], found["answered"], found["recordings_stored"]) == (2, 2, 2)
    answers = dict(store.calls[TENANT, "c1"]["facts"]["00101"]["answers"])
    assert answers == {"disposition": "sold", "notes": "", "nps": "5"}
    assert store.mark(TENANT) >= store.calls[TENANT, "c1"]["rev"] == len(bus.logs[_place(bus)]) - len(REMOVED)
    life.end()


def test_who_calls_again_after_the_erasure_is_known_again(bus: MemoryBus) -> None:
    store = MemoryStore()
    _story(bus)
    _told(bus, _of(PERSON, "new", NOW_MS - 1_000))
    life = Life(bus, store)
    until(lambda: _answers(bus) == REMOVED and store.calls.get((TENANT, "new"), {}).get("ended"))
    assert store.calls[TENANT, "new"]["caller_number"] == PERSON
    assert store.calls[TENANT, "c1"]["caller_number"] == ""
    life.end()


@pytest.mark.parametrize("step", ["noting", "forgetting", "half way", "answer"])
def test_a_kill_at_any_step_is_made_good_by_the_next_life_with_the_same_answer(bus: MemoryBus, step: str) -> None:
    store, told = Dying(), list[ev.Event]()
    _story(bus)
    store.dies_at = step

    def dies(event: ev.Event) -> None:
        told.append(event)
        raise gevent.GreenletExit

    first = Life(bus, store, dies)
    until(first.greenlets[0].ready)
    first.end()
    assert not _answers(bus)
    store.dies_at = ""
    second = Life(bus, store)
    until(lambda: _answers(bus) == REMOVED)
    _assert_nobody_is_left(store)
    assert {event.event_id for event in told} <= {ev.Event.FromString(r.value).event_id for r in bus.records(CALLS)}
    second.end()


def test_a_broker_that_is_away_delays_the_answer_alone(bus: MemoryBus, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.stats.writing.RETRY_SECONDS", 0.01)
    store, tries = MemoryStore(), list[ev.Event]()
    _story(bus)

    def away(event: ev.Event) -> None:
        tries.append(event)
        if len(tries) < 3:
            raise BusUnavailable("away")
        publish_event(bus.producer(), event, "stats")

    life = Life(bus, store, away)
    until(lambda: _answers(bus) == REMOVED)
    assert len({event.event_id for event in tries}) == len(REMOVED)
    life.end()


def test_a_rebuilding_from_the_log_does_not_bring_the_person_back(bus: MemoryBus) -> None:
    store, rebuilt = MemoryStore(), MemoryStore()
    _story(bus)
    _told(bus, _of(PERSON, "new", NOW_MS - 1_000))
    life = Life(bus, store)
    until(lambda: _answers(bus) == REMOVED and store.calls.get((TENANT, "new"), {}).get("ended"))
    life.end()
    readers = [bus.consumer(None, [topic]) for topic in (CALLS, INPUTS)]
    rebuild(Target(rebuilt, SEAL), readers[0], readers[1], None, lambda _: None)
    assert (rebuilt.calls, rebuilt.facts) == (store.calls, store.facts)
    readers = [bus.consumer(None, [topic]) for topic in (CALLS, INPUTS)]
    with pytest.raises(NotReadable):
        rebuild(Target(rebuilt, PersonSeal("")), readers[0], readers[1], None, lambda _: None)


def test_a_service_without_the_secret_says_so_and_goes_on(bus: MemoryBus) -> None:
    store = MemoryStore()
    _story(bus)
    _told(bus, _of(OTHER, "later"))
    told: list[ev.Event] = []
    clock = Clock(wall=lambda: NOW_MS / 1000)
    parts = build(store, clock, 3600.0, columns_here(), 0.0, publish=told.append)
    events = parts.events
    reader = bus.consumer("stats", [CALLS], on_assigned=lambda places: events.assigned(list(places)))
    known = profiles(lambda: bus.consumer(None, [TENANTS]), parts.board, parts.feed.notify)
    stopping = Flag()
    greenlets = [
        gevent.spawn(parts.writer.run, stopping),
        gevent.spawn(known.run, stopping),
        gevent.spawn(events.run, stopping, reader, known.current),
    ]
    until(lambda: told and store.calls.get((TENANT, "later"), {}).get("ended"))
    assert "RINGMASTER_ERASURE_SECRET" in told[0].person_erased.fault
    gevent.killall(greenlets)


def test_a_call_that_is_merely_sent_on_to_the_person_keeps_its_own_caller() -> None:
    facts = {"1": {"k": "call_transferred", "to_number": PERSON}, "2": {"k": "call_started", "client": OTHER}}
    document = {"caller_number": OTHER, "facts": facts, "trace": {"00001": {"text": "x"}}}
    assert without_person("calls", document, NUMBERS) == {"facts.1.to_number": ""}


def _place(bus: MemoryBus) -> tuple[str, int]:
    return next(place for place, log in bus.logs.items() if place[0] == CALLS and log)
