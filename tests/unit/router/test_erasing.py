"""A person is forgotten by number: the core's part, and when the shell says that no snapshot has it (ADR 26)."""

import gevent
import orjson
import pytest

from services.router.adapters.snapshots import MemorySnapshots, SnapshotsUnavailable, TenantSnapshot
from services.router.domain.decide import decide
from services.router.domain.snapshot import from_snapshot, to_snapshot
from services.router.domain.state import TenantState
from services.router.domain.turn import Position
from services.router.shell import Session
from services.shared.bus.topics import CALLS
from services.shared.contracts.ringmaster.v1 import request_pb2 as rq
from services.shared.contracts.ringmaster.v1 import tenant_pb2 as tn
from services.shared.contracts.ringmaster.v1.event_pb2 import Event
from services.shared.contracts.ringmaster.v1.input_pb2 import Input, PersonForgotten
from tests.unit.router.test_shell import SELDOM, Killed, TestBus
from tests.unit.router.world import LINE, TENANT, Log, document

PERSON = "+380501112233"
OTHER = "+380509999999"
WRITTEN = (PERSON, "380501112233", "0501112233")


def _asked(erasure_id: str = "er-1", numbers: tuple[str, ...] = WRITTEN) -> rq.ErasePerson:
    return rq.ErasePerson(erasure_id=erasure_id, numbers=numbers, person="ab12", sealed_numbers=b"\x00sealed\xff")


def _told_afterwards(log: Log) -> bytes:
    """Return the whole state as it is kept."""
    return orjson.dumps(to_snapshot(log.state))


def _known_person() -> Log:
    made = document()
    made.queues[0].sticky.agent_seconds = 10
    made.queues[0].resume_seconds = 600
    made.queues[0].callbacks.after.append(tn.LOST_CALL_ABANDONED)
    made.queues[0].callbacks.first_after_seconds = 60  # nobody is forgotten who is being called back
    made.limits.allowed_prefixes.append("+380")
    made.campaigns.add(campaign_id="autumn", queue_id="sales", line=LINE)
    log = Log(made)
    log.ready("olena")
    log.queue("talked")
    log.hangs_up(log.talk("talked").leg_id)
    log.hangs_up("talked")
    log.queue("gave-up")
    log.wait(7)
    log.hangs_up("gave-up", "ORIGINATOR_CANCEL")
    for command in log.commands("originate_leg", "gave-up"):
        log.hangs_up(command.leg_id, "ORIGINATOR_CANCEL")
    contacts = [rq.Contact(number=PERSON, name="Maria"), rq.Contact(number=OTHER, name="Petro")]
    log.request("list", add_contacts=rq.AddContacts(campaign_id="autumn", contacts=contacts))
    return log


def test_nothing_of_a_person_is_left_in_the_state_and_the_other_services_are_told() -> None:
    log = _known_person()
    assert PERSON.encode() in _told_afterwards(log)
    assert b"Maria" in _told_afterwards(log)
    assert log.request("erase", erase_person=_asked()).accepted
    kept = _told_afterwards(log)
    for written in (*WRITTEN, "Maria", "Client"):
        assert written.encode() not in kept
    assert OTHER.encode() in kept
    (told,) = log.events("person_erasure_requested")
    body = told.person_erasure_requested
    assert (body.erasure_id, body.person, body.sealed_numbers, body.actor) == (
        "er-1",
        "ab12",
        b"\x00sealed\xff",
        "olena",
    )
    assert not any(written.encode() in told.SerializeToString() for written in WRITTEN)
    assert [event.callback_cancelled.reason for event in log.events("callback_cancelled")] == ["erased"]
    assert not log.events("person_erased"), "a snapshot may know the person yet"


def test_that_the_router_itself_has_forgotten_is_told_once_and_says_what_it_removed() -> None:
    log = _known_person()
    log.request("erase", erase_person=_asked())
    for _ in range(2):
        log.feed(Input(tenant_id=TENANT, person_forgotten=PersonForgotten(erasure_id="er-1")))
    (told,) = log.events("person_erased")
    removed = {"callbacks": 1, "campaign_contacts": 1, "last_agents": 1, "kept_places": 1, "ended_calls": 2}
    assert (told.person_erased.service, dict(told.person_erased.removed)) == ("router", removed)
    assert "erasure:er-1" not in log.state.sequences


def test_a_person_on_the_line_is_not_erased_until_the_last_leg_of_the_call_is_gone() -> None:
    log = Log(document())
    log.ready("olena")
    log.queue("now", "0501112233")
    agents_leg = log.talk("now").leg_id
    assert log.request("first", erase_person=_asked()).problem == "person-on-the-line"
    log.hangs_up("now")
    assert log.request("second", erase_person=_asked()).problem == "person-on-the-line"
    log.hangs_up(agents_leg)
    assert log.request("third", erase_person=_asked()).accepted
    assert len(log.events("person_erasure_requested")) == 1


def test_what_is_said_of_a_call_after_an_erasure_does_not_name_the_person() -> None:
    log = Log(document())
    log.ready("olena")
    log.queue("over")
    log.hangs_up(log.talk("over").leg_id)
    log.hangs_up("over")
    log.request("erase", erase_person=_asked())
    before = len(log.outputs)
    log.request("note", set_disposition=rq.SetDisposition(call_id="over", disposition="sold"))
    log.request("write", write_to_caller=rq.WriteToCaller(call_id="over", channel="sms", text="Hello"))
    log.wait(3_600)
    later = b"".join(event.SerializeToString() for out in log.outputs[before:] for event in out.events)
    assert b"sold" in later
    assert not any(written.encode() in later for written in WRITTEN)


def test_an_erasure_is_one_however_often_it_is_asked_for_and_needs_a_number() -> None:
    log = _known_person()
    assert log.request("erase", erase_person=_asked()).accepted
    assert log.request("erase", erase_person=_asked()).accepted
    assert log.request("other request", erase_person=_asked()).accepted
    assert len(log.events("person_erasure_requested")) == 1
    assert log.request("none", erase_person=_asked("er-2", ())).problem == "not-a-number"


def test_the_same_log_gives_the_same_outputs_with_a_snapshot_at_any_input() -> None:
    log = _known_person()
    log.request("erase", erase_person=_asked())
    log.feed(Input(tenant_id=TENANT, person_forgotten=PersonForgotten(erasure_id="er-1")))
    log.queue("back again")
    told = [[event.SerializeToString() for event in out.events] for out in log.outputs]
    for cut in range(len(log.inputs)):
        state = TenantState(TENANT)
        for number, (at_ms, given) in enumerate(log.inputs):
            if number == cut:
                state = from_snapshot(orjson.loads(orjson.dumps(to_snapshot(state))))
            out = decide(state, Position(0, number), at_ms, given)
            assert [event.SerializeToString() for event in out.events] == told[number]


@pytest.mark.parametrize("sends_before_the_end", range(-4, 4))
def test_the_router_says_that_it_forgot_only_when_no_snapshot_knows_the_person(sends_before_the_end: int) -> None:
    """The process is killed at any send, and another goes on from what is kept and committed."""
    bus, snapshots, log = TestBus(), MemorySnapshots(), _known_person()
    first = _session(bus, snapshots)
    _decided(bus, first, log)
    first.snapshot()
    assert PERSON.encode() in snapshots.load(0).tenants[0].data
    log.request("erase", erase_person=_asked())
    bus.put(log.inputs[-1][1], log.now_ms)
    bus.hands.sends_left = 4 + sends_before_the_end
    try:
        _go_on(_session(bus, snapshots))
    except Killed:
        bus.hands.sends_left = 10**9
    _go_on(_session(bus, snapshots))
    answers = [event for event in bus.sent(CALLS, Event) if event.HasField("person_erased")]
    assert len({event.event_id for event in answers}) == 1
    (kept,) = snapshots.load(0).tenants
    assert not any(written.encode() in kept.data for written in WRITTEN)


def test_a_document_store_that_is_away_delays_the_word_that_the_router_forgot() -> None:
    bus, snapshots, log = TestBus(), _AwaySnapshots(), _known_person()
    log.request("erase", erase_person=_asked())
    session = _session(bus, snapshots)
    _decided(bus, session, log)
    assert not [event for event in bus.sent(CALLS, Event) if event.HasField("person_erased")]
    snapshots.is_away = False
    session.snapshot()
    _go_on(session)
    assert [event.person_erased.service for event in bus.sent(CALLS, Event) if event.HasField("person_erased")]


class _AwaySnapshots(MemorySnapshots):
    is_away = True

    def save_tenants(self, partition: int, changed: list[TenantSnapshot]) -> None:
        if self.is_away:
            raise SnapshotsUnavailable("away")
        super().save_tenants(partition, changed)


def _session(bus: TestBus, snapshots: MemorySnapshots) -> Session:
    return Session(bus, snapshots, bus.hands.clock(), SELDOM)


def _decided(bus: TestBus, session: Session, log: Log) -> None:
    for at_ms, given in log.inputs:
        bus.put(given, at_ms)
    _go_on(session)


def _go_on(session: Session) -> None:
    for _ in range(8):
        session.step(0)
        gevent.sleep(0)  # the greenlet that keeps snapshots gets its turn
    session.settle()
