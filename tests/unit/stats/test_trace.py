"""The answer to "why did this call go there": from the router's own events, in whatever order they are written."""

from itertools import permutations

from services.router.domain.decide import Outputs
from services.shared.contracts.ringmaster.v1 import event_pb2 as ev
from services.stats.adapters.memory import MemoryStore
from services.stats.domain.call_log import fields_of
from services.stats.domain.trace import MOST_EVENTS, record_of, told
from tests.unit.router.world import Log, document
from tests.unit.stats.events import event


def _story() -> list[ev.Event]:
    log = Log(document())
    log.ready("olena", "taras")
    log.queue("c1")
    log.now_ms += 2_000
    log.hangs_up(log.rings("c1").leg_id, "USER_BUSY")
    log.talk("c1")
    log.hangs_up("c1")
    outputs: list[Outputs] = log.outputs
    return [event for out in outputs for event in out.events if event.call_id == "c1"]


def test_a_calls_trace_tells_each_step_and_offer_with_its_reason() -> None:
    store = MemoryStore()
    for one in [*_story(), *_story()]:
        fields = fields_of(one)
        if fields:
            store.write({("acme", "c1"): fields})
    call = store.call("acme", "c1")
    assert call is not None
    texts = [record["text"] for record in told(call)]
    assert texts[:6] == [
        "reached line +380441000001, which starts flow main",
        "flow main (version 1): into step ask, a menu",
        "chose 1 in ask",
        "out of step ask by 1 to wait after 0 ms, because the caller pressed a digit",
        "flow main (version 1): into step wait, a queue",
        "into queue sales at place 1 of 1",
    ]
    assert texts[6] == "offered to olena of queue sales by longest_idle, first of 2"
    assert texts[7:] == [
        "olena refused: USER_BUSY",
        "offered to taras of queue sales by longest_idle, first of 1",
        "taras answered after 0 ms of ringing",
        "out of queue sales by answered after 2000 ms",
        "talks with taras",
        "ended as answered, NORMAL_CLEARING",
    ]
    second = [record["offer"] for record in told(call) if "offer" in record][1]
    assert {"agent_id": "olena", "reason": "refused"} in second["filtered"]
    assert told(call)[-1]["after_ms"] == 2_000


def test_the_order_of_writing_does_not_matter() -> None:
    story = _story()[:5]
    found = []
    for order in permutations(story):
        store = MemoryStore()
        for one in order:
            store.write({("acme", "c1"): fields_of(one) or {}})
        found.append(told(store.calls["acme", "c1"]))
    assert all(one == found[0] for one in found)


def test_a_call_without_end_has_a_trace_of_bounded_size() -> None:
    joined = ev.QueueJoined(queue_id="sales")
    assert record_of(event(1, MOST_EVENTS, "c1", queue_joined=joined)) is not None
    assert record_of(event(1, MOST_EVENTS + 1, "c1", queue_joined=joined)) is None
    assert record_of(event(1, 0, "c1", queue_joined=joined)) is None


def test_a_call_that_is_not_known_has_an_empty_trace() -> None:
    assert told({}) == []


def test_a_callbacks_event_of_the_same_number_takes_nobodys_place() -> None:
    store = MemoryStore()
    started = event(1_000, 1, "c1", call_started=ev.CallStarted(line="+380441000001", flow_id="main"))
    asked = event(1_500, 1, "c1", callback_requested=ev.CallbackRequested(queue_id="sales", reason="abandoned"))
    asked.subject = "callback:b1"
    over = event(900, 2, "c1", call_ended=ev.CallEnded(hangup_cause="NORMAL_CLEARING"))  # its clock went back
    for one in (asked, over, started, asked):
        fields = fields_of(one)
        assert fields
        store.write({("acme", "c1"): fields})
    call = store.call("acme", "c1")
    assert call is not None
    assert [record["what"] for record in told(call)] == ["call.started", "call.ended", "callback.requested"]
