"""A caller is one person, however the carrier writes the number: in lists, memories and all that is told."""

from collections.abc import Iterator
from typing import Any

import pytest

from services.shared.contracts.ringmaster.v1 import switch_pb2 as sw
from services.shared.contracts.ringmaster.v1 import tenant_pb2 as tn
from services.shared.contracts.ringmaster.v1.event_pb2 import Event
from tests.unit.router.world import LINE, Log, document

CLIENT = "+380671112233"
SPELLINGS = ["+380671112233", "380671112233", "00380671112233", "0671112233"]


def _numbers(log: Log) -> Iterator[tuple[str, str]]:
    """Yield each number of a caller that is told, with the event's type."""
    for event in log.all_events():
        name = event.WhichOneof("body") or ""
        told: Any = getattr(event, name)
        if "caller" in told.DESCRIPTOR.fields_by_name:
            yield name, told.caller if isinstance(told.caller, str) else told.caller.number


def _tenant() -> tn.TenantDocument:
    made = document()
    made.recording.mode = tn.RECORDING_MODE_ALL
    return made


@pytest.mark.parametrize("written", SPELLINGS)
def test_each_event_tells_a_caller_in_one_spelling(written: str) -> None:
    log = Log(_tenant())
    log.ready("olena")
    log.queue("c1", written)
    originate = log.talk("c1")
    recorded = log.last_command("start_recording", "c1").start_recording
    log.fact("c1", recording_began=sw.RecordingBegan(recording_id=recorded.recording_id))
    log.hangs_up("c1")
    told = list(_numbers(log))
    kinds = {name for name, _ in told}
    assert {"call_started", "queue_joined", "call_answered", "call_ended", "recording_started"} <= kinds
    assert {number for _, number in told} == {CLIENT}
    assert originate.originate_leg.caller_number == CLIENT


@pytest.mark.parametrize("written", ["", "anonymous", "101"])
def test_what_is_no_number_is_told_as_it_came(written: str) -> None:
    log = Log(_tenant())
    log.queue("c1", written)
    log.hangs_up("c1")
    assert {number for _, number in _numbers(log)} == {written}


@pytest.mark.parametrize("written", [*SPELLINGS, "+38 067 111-22-33"])
def test_a_black_list_is_passed_by_no_spelling(written: str) -> None:
    made = _tenant()
    made.lists.add(list_id="black", numbers=[CLIENT])
    made.black_lists.append("black")
    log = Log(made)
    log.arrive("c1", written, LINE)
    (told,) = log.events("client_blacklisted")
    assert isinstance(told, Event)
    assert told.client_blacklisted.caller.number == CLIENT
