from itertools import permutations

from services.shared.contracts.ringmaster.v1.event_pb2 import CallExit, Event
from services.stats.domain.call_log import fields_of
from services.stats.domain.facts.kept import change_of
from tests.unit.stats.events import call_taken_back


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


def test_a_document_keeps_what_a_router_told_so_one_rebuilt_from_an_older_log_is_the_same() -> None:
    *_, older = call_taken_back("c1", 1_795_435_200_000, is_older=True)
    *_, newer = call_taken_back("c1", 1_795_435_200_000, is_older=False)
    changes = change_of(older), change_of(newer)
    assert changes[0]
    assert changes[1]
    ((_, fact),), ((_, fresh),) = changes[0].fields.items(), changes[1].fields.items()
    assert (fact["exit"], "fell_back" in fact) == ("fallback", False)
    assert (fresh["exit"], fresh["fell_back"]) == ("answered", True)
    fields, more = fields_of(older) or {}, fields_of(newer) or {}
    assert (fields["exit"], fields["trace.00005"]["text"]) == ("fallback", "ended as fallback, without a cause")
    assert more["trace.00005"]["text"] == "ended as answered, without a cause, taken back by the switch after the talk"


def test_an_event_of_no_call_is_not_of_the_call_log() -> None:
    event = Event(tenant_id="acme")
    event.agent_status_changed.agent_id = "olena"
    assert fields_of(event) is None
