"""A step that asks the company's CRM (SPEC 2.1)."""

from typing import Any

import orjson
import pytest

from services.router.domain import flow
from services.router.domain.snapshot import from_snapshot, to_snapshot
from services.shared.contracts.ringmaster.v1 import request_pb2 as rq
from services.shared.contracts.ringmaster.v1 import tenant_pb2 as tn
from services.shared.contracts.ringmaster.v1.input_pb2 import Input
from tests.unit.router.flow_log import (
    heard,
    left,
    log_of,
    step,
    told,
)
from tests.unit.router.world import TENANT, Log


def asking_the_crm(**more: Any) -> Log:
    wish = tn.LookupStep(
        url="https://crm.example/of/{caller}?n={caller_name}",
        timeout_ms=2_000,
        results=[tn.LookupResult(path="id", variable="account"), tn.LookupResult(path="s.0", variable="score")],
        **more,
    )
    log = log_of(
        step("look", {"next": "hear", "failed": "sorry"}, lookup=wish), told("hear", "on"), told("sorry", "sorry")
    )
    log.arrive("c1")
    return log


def brought(log: Log, **found: Any) -> None:
    lookup_id = log.state.calls["c1"].step_phase
    request = rq.Request(actor="system", take_lookup=rq.TakeLookup(call_id="c1", lookup_id=lookup_id, **found))
    assert not log.feed(Input(tenant_id=TENANT, request=request)).replies


def test_lookup_asks_once_with_values_that_stay_one_piece_of_the_url() -> None:
    log = asking_the_crm()
    lookups = [lookup for out in log.outputs for lookup in out.lookups]
    assert [lookup.url for lookup in lookups] == ["https://crm.example/of/%2B380501112233?n=Client"]
    assert flow.pending(log.state) == lookups
    brought(log, status=200, duration_ms=35, values={"account": "A7", "score": "12"})
    assert heard(log) == ["on"]
    assert log.state.calls["c1"].variables == {"account": "A7", "score": 12}
    assert left(log, "look") == ("next", "it answered 200 in 35 ms, with 2 values to keep")
    assert flow.pending(log.state) == []


@pytest.mark.parametrize("how", ["fault", "too_late"])
def test_lookup_without_an_answer_takes_its_fallback(how: str) -> None:
    log = asking_the_crm()
    if how == "fault":
        brought(log, fault="the address is not public", duration_ms=3)
    else:
        log.wait(3)
    assert heard(log) == ["sorry"]
    assert left(log, "look")[0] == "failed"


def test_an_answer_that_comes_again_or_too_late_changes_nothing() -> None:
    log = asking_the_crm()
    late = rq.TakeLookup(call_id="c1", lookup_id=log.state.calls["c1"].step_phase, values={"score": "9"})
    log.wait(3)
    out = log.feed(Input(tenant_id=TENANT, request=rq.Request(actor="system", take_lookup=late)))
    assert (out.events, out.commands) == ([], [])
    late.call_id = "gone"
    log.feed(Input(tenant_id=TENANT, request=rq.Request(actor="system", take_lookup=late)))
    assert log.state.calls["c1"].variables["score"] == 3


def test_values_that_do_not_fit_leave_their_variables() -> None:
    log = asking_the_crm(fields={"who": "{caller}", "is": 'a "{vars.score}"'})
    assert log.outputs[-1].lookups[0].body == b'{"is": "a \\"3\\"", "who": "+380501112233"}'
    brought(log, status=200, values={"score": "many"})
    assert log.state.calls["c1"].variables == {"score": 3}
    assert heard(log) == ["on"]


def test_a_pending_lookup_outlives_a_snapshot() -> None:
    log = asking_the_crm()
    resumed = from_snapshot(orjson.loads(orjson.dumps(to_snapshot(log.state))))
    assert flow.pending(resumed) == flow.pending(log.state) != []
