from itertools import permutations

from services.shared.contracts.ringmaster.v1.event_pb2 import CallExit, Event
from services.stats.domain.call_log import fields_of


def _events() -> list[Event]:
    started, answered, ended, stored = (Event(tenant_id="acme", call_id="c1") for _ in range(4))
    started.call_started.line = "+380441000001"
    answered.call_answered.agent_id = "olena"
    ended.call_ended.exit = CallExit.CALL_EXIT_ANSWERED
    stored.recording_stored.recording_id = "r.1"
    return [started, answered, ended, stored]


def test_a_call_reads_the_same_in_whatever_order_its_events_come() -> None:
    documents = []
    for order in permutations(_events()):
        document: dict[str, object] = {}
        for event in [*order, order[0]]:
            document |= fields_of(event) or {}
        documents.append(document)
    assert all(document == documents[0] for document in documents)
    assert documents[0]["exit"] == "answered"
    assert documents[0]["answered_by"] == "olena"


def test_an_event_of_no_call_is_not_of_the_call_log() -> None:
    event = Event(tenant_id="acme")
    event.agent_status_changed.agent_id = "olena"
    assert fields_of(event) is None
