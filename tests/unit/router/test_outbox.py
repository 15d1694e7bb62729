"""What the shell measures of the core's outputs while it sends them."""

from prometheus_client import REGISTRY

from services.router.domain.decide import Outputs
from services.router.outbox import Outbox
from services.shared.bus.record import Record
from services.shared.bus.topics import INPUTS
from services.shared.contracts.ringmaster.v1 import event_pb2 as ev

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
