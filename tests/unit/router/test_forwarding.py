"""Callers who are sent on to a number or a SIP address outside, and where none is dialled."""

import pytest

from services.shared.contracts.ringmaster.v1 import event_pb2 as ev
from services.shared.contracts.ringmaster.v1 import switch_pb2 as sw
from services.shared.contracts.ringmaster.v1 import tenant_pb2 as tn
from tests.unit.router.world import Log, document


def test_a_forward_connects_the_caller_with_the_outside_number() -> None:
    tenant = document()
    tenant.limits.allowed_prefixes.append("+44")
    log = Log(tenant)
    log.arrive("c1")
    log.press("c1", "2")
    originate = log.last_command("originate_leg")
    assert originate.originate_leg.number == "+442071000000"
    log.fact(originate.leg_id, "c1", leg_answered=sw.LegAnswered())
    log.fact(originate.leg_id, "c1", leg_bridged=sw.LegBridged(other_leg_id="c1"))
    log.hangs_up(originate.leg_id)
    log.hangs_up("c1")
    assert log.events("call_ended")[-1].call_ended.exit == ev.CALL_EXIT_FORWARDED
    assert log.state.timers.keys() <= {f"gone:{originate.leg_id}"}


def test_a_forward_outside_the_allowed_prefixes_is_never_dialled() -> None:
    tenant = document()
    del tenant.limits.allowed_prefixes[:]
    log = Log(tenant)
    log.arrive("c1")
    log.press("c1", "2")
    assert log.commands("originate_leg") == []
    assert log.events("limit_exceeded")[0].limit_exceeded.limit == "allowed_prefixes"


def _forwarding_to(sip: str, *hosts: str) -> Log:
    """Return a caller who chose to be sent to a SIP address."""
    tenant = document()
    step = next(step for step in tenant.flows[0].steps if step.step_id == "abroad")
    step.forward.CopyFrom(tn.ForwardStep(sip=sip, ring_timeout_seconds=20))
    tenant.limits.allowed_sip_hosts.extend(hosts)
    tenant.limits.outbound_spend_per_day = 1
    log = Log(tenant)
    log.arrive("c1")
    log.press("c1", "2")
    return log


@pytest.mark.parametrize("hosts", [["PBX.example"], ["*.example"], ["other.example", "pbx.example"]])
def test_a_forward_connects_the_caller_with_a_sip_address_whose_host_is_named(hosts: list[str]) -> None:
    log = _forwarding_to("desk@pbx.example:5070", *hosts)
    originate = log.last_command("originate_leg")
    assert originate.originate_leg.WhichOneof("destination") == "sip"
    assert originate.originate_leg.sip == "desk@pbx.example:5070"
    log.fact(originate.leg_id, "c1", leg_answered=sw.LegAnswered())
    log.fact(originate.leg_id, "c1", leg_bridged=sw.LegBridged(other_leg_id="c1"))
    log.hangs_up(originate.leg_id)
    log.hangs_up("c1")
    assert log.events("call_ended")[-1].call_ended.exit == ev.CALL_EXIT_FORWARDED
    assert log.state.metered == {}


@pytest.mark.parametrize(
    "host", ["pbx.example.org", "evilpbx.example", "example", "pbx.example;maddr=a.b", "pbx.example@b.c"]
)
def test_a_forward_to_a_host_that_is_not_named_goes_on_as_failed(host: str) -> None:
    log = _forwarding_to(f"desk@{host}", "pbx.example", "*.pbx.example", "*.b.d")
    assert log.commands("originate_leg") == []
    assert log.events("limit_exceeded")[0].limit_exceeded.limit == "allowed_sip_hosts"
