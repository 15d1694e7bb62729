"""What the shell measures of the core's outputs while it sends them."""

from collections.abc import Sequence
from typing import Any, cast

import pytest
from prometheus_client import REGISTRY

from services.router.domain.decide import Outputs
from services.router.domain.turn import Note
from services.router.outbox import Outbox, TooLarge
from services.shared.bus.ports import Outgoing
from services.shared.bus.record import LARGEST_VALUE, Record
from services.shared.bus.topics import CALLS, COMMANDS, DEAD_LETTERS, INPUTS, REPLIES
from services.shared.contracts.ringmaster.v1 import command_pb2 as cm
from services.shared.contracts.ringmaster.v1 import event_pb2 as ev
from services.shared.contracts.ringmaster.v1 import request_pb2 as rq
from services.shared.contracts.ringmaster.v1.input_pb2 import Input, PassedOn

NAME = "ringmaster_router_wait_estimate_error_seconds"


def _measured(queue_id: str) -> dict[str, float]:
    """Return the histogram of a queue's errors: upper bound → how many are not above it."""
    return {
        sample.labels["le"]: sample.value
        for metric in REGISTRY.collect()
        if metric.name == NAME
        for sample in metric.samples
        if sample.name == f"{NAME}_bucket" and sample.labels["queue"] == queue_id
    }


def _left(queue_id: str, exit_: "ev.QueueExit.ValueType", error_ms: int) -> ev.Event:
    left = ev.QueueLeft(queue_id=queue_id, exit=exit_, estimate_error_ms=error_ms)
    return ev.Event(event_id=f"{queue_id}/{error_ms}", tenant_id="acme", call_id="c1", queue_left=left)


def test_the_error_of_an_estimate_is_measured_for_who_was_answered_too_early_as_well_as_too_late() -> None:
    events = [
        _left("measured", ev.QUEUE_EXIT_ANSWERED, -45_000),
        _left("measured", ev.QUEUE_EXIT_ANSWERED, 20_000),
        _left("measured", ev.QUEUE_EXIT_ABANDONED, 250_000),
    ]
    outputs = Outputs([], events, [], [], [])
    Outbox().put(Record(INPUTS, 0, 1, 1, "acme", b"", {}), outputs, 1, 2)
    found = _measured("measured")
    assert (found["-60.0"], found["-30.0"], found["10.0"], found["30.0"], found["+Inf"]) == (0, 1, 1, 2, 2)


class _Sender:
    """Remembers which topics got something at once."""

    def __init__(self) -> None:
        self.rounds: list[set[str]] = [set()]

    def send_many(self, topic: str, _records: Sequence[Outgoing]) -> None:
        self.rounds[-1].add(topic)


def test_what_another_log_is_told_waits_for_the_events_before_it_and_hand_overs_wait_for_both() -> None:
    hand_over = cm.Command(hand_over_leg=cm.HandOverLeg(to_domain="north"))
    ring = cm.Command(originate_leg=cm.OriginateLeg())
    note = Note("north", PassedOn(ordinal=1))
    events = [_left("sales", ev.QUEUE_EXIT_ABANDONED, 0)]
    outbox, sender = Outbox(), cast("Any", _Sender())
    outbox.put(Record(INPUTS, 0, 1, 1, "acme", b"", {}), Outputs([hand_over, ring], events, [], [], [], [note]), 1, 2)
    outbox.send(sender)
    while outbox.release():
        sender.rounds.append(set())
        outbox.send(sender)
    assert sender.rounds == [{COMMANDS, CALLS}, {INPUTS}, {COMMANDS}]


class _Taking:
    """Keeps what it is given, topic by topic, in the order in which it came."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, Sequence[Outgoing]]] = []

    def send_many(self, topic: str, records: Sequence[Outgoing]) -> str:
        self.sent.append((topic, list(records)))
        return topic


def _sent(outbox: Outbox) -> dict[str, Sequence[Outgoing]]:
    sender = _Taking()
    outbox.send(cast("Any", sender))
    return dict(sender.sent)


RECORD = Record(INPUTS, 3, 7, 1_000, "acme/north", b"value")


def test_commands_go_first_then_replies_for_somebody_waits_for_them() -> None:
    outbox, sender = Outbox(), _Taking()
    event = _left("sales", ev.QUEUE_EXIT_ABANDONED, 0)
    reply = rq.Reply(request_id="r1")
    outbox.put_dead(RECORD, "no reason")
    outbox.put_input("acme", b"x", 5)
    outbox.put(RECORD, Outputs([cm.Command(node="fs1")], [event], [reply], [], []), 1, 2_000)
    outbox.send(cast("Any", sender))
    assert [topic for topic, _ in sender.sent] == [COMMANDS, REPLIES, CALLS, INPUTS, DEAD_LETTERS]
    assert _sent(outbox) == {}, "each goes once"


def test_each_output_goes_where_it_is_read_with_its_moment() -> None:
    event = _left("sales", ev.QUEUE_EXIT_ABANDONED, 0)
    event.time.FromMilliseconds(1_700)
    command, reply = cm.Command(node="fs1"), rq.Reply(request_id="r1")
    outbox = Outbox()
    outbox.put(RECORD, Outputs([command], [event], [reply], [], []), 12, 2_000)
    sent = _sent(outbox)
    assert [(key, at_ms) for key, _, at_ms, _ in sent[COMMANDS]] == [("fs1", 2_000)]
    assert [(key, at_ms) for key, _, at_ms, _ in sent[REPLIES]] == [("acme", 2_000)], "who asked waits by the company"
    assert [(key, at_ms) for key, _, at_ms, _ in sent[CALLS]] == [("acme", 1_700)]
    found = cm.Command.FromString(sent[COMMANDS][0][1])
    assert (found.fence_partition, found.fence_generation) == (3, 12)


def test_what_another_domain_is_told_goes_into_its_log() -> None:
    outbox = Outbox()
    notes = [Note("south", PassedOn(ordinal=1)), Note("", PassedOn(ordinal=2))]
    outbox.put(RECORD, Outputs([], [], [], [], [], notes), 1, 2_000)
    assert outbox.release()
    found = [(key, Input.FromString(value)) for key, value, *_ in _sent(outbox)[INPUTS]]
    assert [(key, given.tenant_id, given.domain, given.passed_on.ordinal) for key, given in found] == [
        ("acme/south", "acme", "south", 1),
        ("acme", "acme", "", 2),
    ]
    assert not outbox.release()


def test_a_dead_letter_says_where_it_stood_and_why_and_fits_a_record() -> None:
    outbox = Outbox()
    outbox.put_dead(RECORD, "x" * 2_000)
    outbox.put_dead(Record(INPUTS, 3, 8, 1_001, "", b"v" * (LARGEST_VALUE + 1)), "no key")
    first, second = _sent(outbox)[DEAD_LETTERS]
    headers = {"reason": "x" * 500, "topic": INPUTS, "partition": "3", "offset": "7"}
    assert first == ("acme/north", b"value", 1_000, headers)
    assert (second[0], len(second[1]), second[2]) == ("none", LARGEST_VALUE, 1_001)


def test_an_output_as_large_as_a_broker_takes_is_sent_and_a_larger_one_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    reply = rq.Reply(request_id="r1")
    monkeypatch.setattr("services.router.outbox.LARGEST_VALUE", len(reply.SerializeToString()))
    outbox = Outbox()
    outbox.put(RECORD, Outputs([], [], [reply], [], []), 1, 2_000)
    with pytest.raises(TooLarge):
        outbox.put(RECORD, Outputs([], [], [rq.Reply(request_id="r10")], [], []), 1, 2_000)
    assert len(_sent(outbox)[REPLIES]) == 1


def _value(name: str) -> float:
    return REGISTRY.get_sample_value(name) or 0.0


def test_events_and_the_age_of_their_input_are_measured_and_a_clock_ahead_makes_no_age_negative() -> None:
    names = "ringmaster_router_events_total", "ringmaster_router_input_age_seconds_sum"
    before = [_value(name) for name in names]
    outbox = Outbox()
    for now_ms in (3_000, 500):
        outbox.put(RECORD, Outputs([], [_left("sales", ev.QUEUE_EXIT_ABANDONED, 0)], [], [], []), 1, now_ms)
    assert [_value(name) - was for name, was in zip(names, before, strict=True)] == [2, pytest.approx(2.0)]
