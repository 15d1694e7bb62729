"""Legs: from a tenant's log of inputs into documents and reports, through kills and rebuilds."""

import random
from collections.abc import Iterator
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import gevent
import pytest
from gevent.event import Event as Flag
from hypothesis import given
from hypothesis import strategies as st

from services.shared.bus.events import publish_event
from services.shared.bus.positions import SPAN
from services.shared.bus.topics import CALLS, INPUTS, partition_of
from services.shared.chassis.clock import Clock
from services.shared.contracts.ringmaster.v1 import switch_pb2 as sw
from services.shared.contracts.ringmaster.v1.input_pb2 import Input, PersonForgotten
from services.shared.person import PersonSeal
from services.shared.testing.memory_bus import MemoryBus
from services.stats.adapters.memory import MemoryStore
from services.stats.documents import add_leg_to
from services.stats.domain.board import Board
from services.stats.domain.facts.legs import LEGS, MARK, change_of_leg
from services.stats.domain.profile import Profile
from services.stats.legs import Legs
from services.stats.logs import Logs
from services.stats.rebuild import Target, rebuild
from services.stats.store import REVISION, FactFields
from services.stats.writing import Writer
from tests.unit.stats.events import TENANT, answered_call, leg_over
from tests.unit.stats.report_house import House

NOW_MS = 1_795_435_200_000
AT = NOW_MS - 3_600_000
IN, OUT = sw.DIRECTION_INBOUND, sw.DIRECTION_OUTBOUND
TOLD = [
    leg_over("c1", AT, 1_000, 60_000, caller_number="+380501", line="+380441", network_address="192.0.2.7"),
    leg_over("a1", AT + 5_000, 4_000, 52_000, "c1", direction=OUT, callee="olena", network_address="198.51.100.9"),
    leg_over("a2", AT + 1_000, 20_000, None, "c1", direction=OUT, callee="taras", cause="USER_BUSY", sip_status=486),
    leg_over("c2", AT, 9_000, 30_000, "c2", direction=OUT, callee="+380502", gateway="kyivstar", network_address="x"),
    leg_over("c3", AT, 3_000, None, "c3", direction=OUT, callee="+380503", gateway="kyivstar", sip_status=503,
             cause="NETWORK_OUT_OF_ORDER"),
    leg_over("o1", AT, 2_000, 10_000, "c1", direction=OUT, callee="+380504", gateway="vega"),
]  # fmt: skip


@pytest.fixture
def house() -> Iterator[House]:
    house = House(NOW_MS, Profile(TENANT, "Acme", "Europe/Kyiv"))
    yield house
    house.columns.close()


def by(house: House, report: str, *groups: str, **options: Any) -> dict[Any, dict[str, Any]]:
    rows = house.run(report, groups=list(groups), **options)["rows"]
    return {tuple(row["cell"].values()): row["values"] for row in rows}


def test_providers_are_gateways_and_where_there_is_none_addresses_of_callers(house: House) -> None:
    house.tell_legs(TOLD)
    found = by(house, "providers", "provider", "direction")
    assert found.keys() == {("192.0.2.7", "inbound"), ("kyivstar", "outbound"), ("vega", "outbound")}
    kyivstar = found["kyivstar", "outbound"]
    wanted = {"legs": 2, "legs_answered": 1, "leg_asr": 0.5, "leg_ner": 0.5, "legs_refused": 1, "leg_dur": 30}
    assert kyivstar | wanted | {"leg_acd": 30, "leg_ring": 9} == kyivstar


def test_sip_statuses_are_counted_by_whose_leg_it_was(house: House) -> None:
    house.tell_legs(TOLD)
    found = by(house, "sip_codes", "sip_status", "leg_role")
    assert {key: row["legs"] for key, row in found.items()} == {
        (0, "customer"): 2,
        (0, "agent"): 1,
        (0, "outside"): 1,
        (486, "agent"): 1,
        (503, "customer"): 1,
    }


def test_a_leg_is_one_row_however_often_and_in_whatever_order_it_is_told(house: House) -> None:
    for _ in range(2):
        house.tell_legs(reversed(TOLD))
        rows = house.run("leg_log")["rows"]
        assert sorted(row["values"]["call"] for row in rows) == ["c1", "c1", "c1", "c1", "c2", "c3"]
    busy = next(row["values"] for row in rows if row["values"]["sip_status"] == 486)
    assert busy | {"leg_role": "agent", "callee": "taras", "ring": 20.0, "billed": 0.0, "provider": ""} == busy


def test_calls_and_legs_come_from_two_logs_and_neither_hides_the_other(house: House) -> None:
    house.tell(answered_call("c1", AT, 4_000, 60_000))  # five events: the other log's offsets are lower
    assert house.run("inbound")["totals"]["calls_in"] == 1
    house.tell_legs(TOLD[:1])
    assert house.run("providers")["totals"]["legs"] == 1
    house.tell_legs(TOLD[1:])
    house.tell(answered_call("c9", AT, 4_000, 60_000))
    assert house.run("sip_codes")["totals"]["legs"] == len(TOLD)
    assert house.run("inbound")["totals"]["calls_in"] == 2


def generated(count: int, seed: int) -> list[Input]:
    dice = random.Random(seed)
    found = []
    for number in range(count):
        at, is_in = NOW_MS - dice.randrange(5 * 86_400_000), dice.random() < 0.5
        over: dict[str, Any] = {"cause": dice.choice(CAUSES), "sip_status": dice.choice((0, 200, 404, 486, 503))}
        over |= {"direction": IN, "network_address": dice.choice(("192.0.2.7", "2001:db8::7"))} if is_in else {
            "direction": OUT, "gateway": dice.choice(("", "kyivstar", "vega")),
        }  # fmt: skip
        call = "" if is_in else dice.choice((f"l{number}", "c1"))
        billed = dice.choice((None, dice.randrange(600_000)))
        found.append(leg_over(f"l{number}", at, dice.randrange(40_000), billed, call, **over))
    return found


CAUSES = ("NORMAL_CLEARING", "USER_BUSY", "NO_ANSWER", "NETWORK_OUT_OF_ORDER", "LOSE_RACE", "UNALLOCATED_NUMBER")
PERSONS = {"NORMAL_CLEARING", "USER_BUSY", "NO_ANSWER", "LOSE_RACE"}


def oracle(legs: list[Input]) -> dict[str, float | None]:
    """Count by looking at everything, from SPEC 8.2's ASR (E.411), NER (E.425), DUR, ACD."""
    ends = [leg.fact.leg_hung_up for leg in legs]
    answered = [end for end in ends if end.answered_us]
    by_people = [end for end in ends if not end.answered_us and end.cause in PERSONS]
    dur = sum(end.ended_us - end.answered_us for end in answered) / 1e6
    ring = sum(end.answered_us - end.created_us for end in answered) / 1e6
    return {
        "legs": len(ends),
        "legs_answered": len(answered),
        "legs_refused": sum(end.sip_status >= 400 for end in ends),
        "leg_asr": len(answered) / len(ends),
        "leg_ner": (len(answered) + len(by_people)) / len(ends),
        "leg_dur": dur,
        "leg_acd": dur / len(answered) if answered else None,
        "leg_ring": ring / len(answered) if answered else None,
    }


def test_every_metric_of_legs_agrees_with_an_oracle_over_days_of_legs_told_badly(house: House) -> None:
    legs, dice = generated(700, 3), random.Random(4)
    badly = [leg for leg in legs for _ in range(2 if dice.random() < 0.2 else 1)]
    dice.shuffle(badly)
    for start in range(0, len(badly), 100):
        house.tell_legs(badly[start : start + 100])
        house.run("sip_codes", period="today")
    days: dict[str, list[Input]] = {}
    for leg in legs:
        at = datetime.fromtimestamp(leg.fact.leg_hung_up.created_us / 1e6, ZoneInfo("Europe/Kyiv"))
        days.setdefault(at.date().isoformat(), []).append(leg)
    found = by(house, "sip_codes", "day", metrics=list(oracle(legs)), period="last_30_days")
    found |= by(house, "sip_codes", "day", metrics=list(oracle(legs)), period="today")
    shown = {values["day"]: {name: values[name] for name in oracle(legs)} for values in found.values()}
    assert shown == {day: pytest.approx(oracle(own), rel=1e-5, abs=1e-3) for day, own in days.items()}


def test_other_inputs_and_hostile_ids_are_no_field_of_a_document() -> None:
    assert change_of_leg(sw.SwitchFact(leg_id="x", leg_answered=sw.LegAnswered())) is None
    assert change_of_leg(sw.SwitchFact(leg_hung_up=sw.LegHungUp())) is None
    hostile = change_of_leg(leg_over("a.b$c%d", AT, 0, None).fact)
    assert hostile is not None
    assert [name.count(".") for name in hostile.fields] == [1]


@given(st.text(), st.text(), st.integers(0, 2**62), st.integers(0, 2**31 - 1), st.text())
def test_every_last_fact_bears_the_mark(tenant_id: str, leg_id: str, at_us: int, status: int, cause: str) -> None:
    over = sw.LegHungUp(cause=cause, sip_status=status, ended_us=at_us)
    fact = sw.SwitchFact(leg_id=leg_id, occurred_us=at_us, leg_hung_up=over)
    assert MARK in Input(tenant_id=tenant_id, fact=fact).SerializeToString()


@given(st.text(), st.binary(min_size=1))
def test_the_word_of_an_erased_person_bears_it_too(erasure_id: str, sealed: bytes) -> None:
    forgotten = PersonForgotten(erasure_id=erasure_id, sealed_numbers=sealed)
    assert MARK in Input(tenant_id=TENANT, person_forgotten=forgotten).SerializeToString()


@given(st.text())
def test_no_text_of_a_caller_bears_it_and_no_other_fact(text: str) -> None:
    assert MARK not in text.encode()
    for field in sw.SwitchFact.DESCRIPTOR.oneofs_by_name["fact"].fields:
        fact = sw.SwitchFact(leg_id="l1", node="fs-1")
        getattr(fact, field.name).SetInParent()
        marked = MARK in Input(tenant_id=TENANT, fact=fact).SerializeToString()
        assert marked == (field.name == "leg_hung_up")


@pytest.mark.parametrize("others", [0, 1, 300])
def test_what_is_no_leg_is_passed_over_and_its_offset_is_committed_all_the_same(
    others: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.stats.legs.POLL_SECONDS", 0.01)
    bus, store = MemoryBus(), MemoryStore()
    told(bus, TOLD[:2])
    told(bus, [Input(tenant_id=TENANT, fact=sw.SwitchFact(leg_id="x", leg_answered=sw.LegAnswered()))] * others)
    follower = Follower(bus, store)
    with gevent.Timeout(60):
        while not (follower.legs.is_current and len(legs_of(store)) == 2):
            gevent.sleep(0.002)
        place = (INPUTS, partition_of(TENANT, bus.partitions))
        while follower.writer.written.get(place) != 2 + others:
            gevent.sleep(0.002)
    follower.kill()


class Follower:
    """One life of the follower."""

    def __init__(self, bus: MemoryBus, store: MemoryStore) -> None:
        self.board, self.writer = Board(), Writer(store, 0.0)
        self.legs = Legs(self.board, self.writer, Logs(store), Clock())
        reader = bus.consumer(
            "stats-legs", [INPUTS], wanted=MARK, on_assigned=lambda places: self.legs.assigned(list(places))
        )
        stopping = Flag()
        self._greenlets = [
            gevent.spawn(self.writer.run, stopping),
            gevent.spawn(self.legs.run, stopping, reader),
        ]

    def kill(self) -> None:
        gevent.killall(self._greenlets)


def told(bus: MemoryBus, inputs: list[Input]) -> None:
    for each in inputs:
        bus.producer().send(INPUTS, TENANT, each.SerializeToString(), timestamp_ms=AT)


def legs_of(store: MemoryStore) -> set[str]:
    documents = [each for (name, _, _), each in store.facts.items() if name == "legs"]
    return {fact["leg_id"] for each in documents for fact in each["facts"].values()}


@pytest.mark.parametrize("cut", range(len(TOLD) + 1))
def test_a_kill_at_any_leg_loses_none(cut: int) -> None:
    bus, store = MemoryBus(), MemoryStore()
    first = Follower(bus, store)
    told(bus, TOLD[:cut])
    with gevent.Timeout(60):
        while len(legs_of(store)) < cut:
            gevent.sleep(0.002)
    first.kill()
    told(bus, TOLD[max(0, cut - 1) :])
    bus.producer().send(INPUTS, TENANT, b"\xff\xff" + MARK, timestamp_ms=AT)
    second = Follower(bus, store)
    with gevent.Timeout(60):
        while not (second.legs.is_current and second.board.are_legs_whole and len(legs_of(store)) == len(TOLD)):
            gevent.sleep(0.002)
    second.kill()


def test_legs_of_a_log_that_was_begun_anew_are_above_every_mark_of_the_former_one() -> None:
    bus, store = MemoryBus(), MemoryStore()
    bus.topic_ids[INPUTS] = "0a7e"
    told(bus, TOLD[:4])
    first = Follower(bus, store)
    with gevent.Timeout(60):
        while len(legs_of(store)) < 4:
            gevent.sleep(0.002)
    first.kill()
    mark = store.mark(TENANT, LEGS)
    bus.logs.clear()
    bus.offsets.clear()
    bus.topic_ids[INPUTS] = "f3c1"
    told(bus, TOLD[4:])
    second = Follower(bus, store)
    with gevent.Timeout(60):
        while len(legs_of(store)) < len(TOLD):
            gevent.sleep(0.002)
    changed = [fact["leg_id"] for each in store.changed(TENANT, LEGS, mark) for fact in each["facts"].values()]
    assert {"c3", "o1"} <= set(changed)
    assert store.mark(TENANT, LEGS) % SPAN == 2
    second.kill()


def test_documents_rebuilt_from_both_logs_are_the_same_and_older_ones_are_kept() -> None:
    bus, store = MemoryBus(), MemoryStore()
    for event in answered_call("c1", AT, 4_000, 60_000):
        publish_event(bus.producer(), event)
    told(bus, TOLD)
    readers = [lambda topic=topic: bus.consumer(None, [topic]) for topic in (CALLS, INPUTS)]
    assert rebuild(Target(store, PersonSeal("")), readers[0](), readers[1](), None, lambda _: None) == 5 + len(TOLD)
    before = (dict(store.calls), dict(store.facts))
    assert legs_of(store) == {"c1", "a1", "a2", "c2", "c3", "o1"}
    rebuild(Target(store, PersonSeal("")), readers[0](), readers[1](), TENANT, lambda _: None)
    assert (store.calls, store.facts) == before
    # Retention takes the whole log of inputs away: what is in the documents stays.
    place = (INPUTS, partition_of(TENANT, bus.partitions))
    bus.begins[place] = len(bus.logs[place])
    rebuild(Target(store, PersonSeal("")), readers[0](), readers[1](), TENANT, lambda _: None)
    assert (store.calls, store.facts) == before


def test_of_a_split_company_only_the_tenants_own_log_tells_legs() -> None:
    told = Input(tenant_id="acme")
    facts: FactFields = {}
    told.fact.leg_id, told.fact.occurred_us = "leg-1", 1_700_000_000_000_000
    told.fact.leg_hung_up.cause = "NORMAL_CLEARING"
    told.domain = "north"
    add_leg_to(told, 900, facts)
    assert facts == {}
    told.ClearField("domain")
    add_leg_to(told, 7, facts)
    [fields] = facts.values()
    assert fields[REVISION] == 7
