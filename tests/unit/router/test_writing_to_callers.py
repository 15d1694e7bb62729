"""What agents write to the callers that they talk to, or have just talked to."""

import pytest

from services.shared.contracts.ringmaster.v1 import request_pb2 as rq
from services.shared.contracts.ringmaster.v1 import tenant_pb2 as tn
from services.shared.contracts.ringmaster.v1.input_pb2 import Input
from tests.unit.router.world import LINE, TENANT, Log, document


def test_what_an_agent_writes_to_the_caller_is_told_with_the_number() -> None:
    log = Log(document())
    log.ready("olena")
    log.queue("c1")
    log.talk("c1")
    wish = rq.WriteToCaller(call_id="c1", channel="sms", text="Order 7\nis on its way")
    assert log.request("w1", write_to_caller=wish).accepted
    log.request("w1", write_to_caller=wish)
    (event,) = log.events("message_requested")
    told = event.message_requested
    assert (event.call_id, told.agent_id, told.actor, told.channel) == ("c1", "olena", "olena", "sms")
    assert (told.caller.number, told.text) == ("+380501112233", "Order 7\nis on its way")


def test_it_may_be_written_in_the_wrap_up_too_but_not_for_ever() -> None:
    log = Log(document())
    log.queue("c1")
    log.hangs_up("c1")
    wish = rq.WriteToCaller(call_id="c1", text="Sorry that we missed you")
    assert log.request("w1", write_to_caller=wish).accepted
    assert log.events("message_requested")[0].message_requested.line == LINE
    log.wait(16 * 60)
    log.queue("c2")
    assert log.request("w2", write_to_caller=wish).problem == "call-not-found"


def knowing(email: str) -> Log:
    """Return a log in which a caller with that address in the company's CRM talked with olena, and left."""
    made = document()
    made.flows[0].variables.add(name="name", type=tn.VARIABLE_TYPE_TEXT, initial="not@an.address.variable")
    made.flows[0].variables.add(name="second", type=tn.VARIABLE_TYPE_EMAIL)
    made.flows[0].variables.add(name="client_email", type=tn.VARIABLE_TYPE_EMAIL)
    made.flows[0].start = "crm"
    results = [tn.LookupResult(path="mail", variable="client_email")]
    crm = made.flows[0].steps.add(step_id="crm", lookup=tn.LookupStep(url="https://crm.example/", results=results))
    crm.exits.update({"next": "ask", "failed": "ask"})
    log = Log(made)
    log.ready("olena")
    log.arrive("c1", "")
    found = rq.TakeLookup(call_id="c1", lookup_id=log.state.calls["c1"].lookup[2], status=200)
    found.values["client_email"] = email
    log.feed(Input(tenant_id=TENANT, request=rq.Request(request_id="looked-up", take_lookup=found)))
    log.press("c1", "1")
    return log


def test_a_mail_to_the_caller_goes_to_the_address_that_the_crm_knows_also_after_the_call() -> None:
    log = knowing("ivan.franko@example.com")
    log.talk("c1")
    wish = rq.WriteToCaller(call_id="c1", channel="email", text="Your invoice")
    assert log.request("w1", write_to_caller=wish).accepted
    log.hangs_up("c1")
    assert log.request("w2", write_to_caller=wish).accepted
    told = [event.message_requested for event in log.events("message_requested")]
    assert [(one.channel, one.email) for one in told] == [("email", "ivan.franko@example.com")] * 2


def test_a_mail_goes_to_the_address_that_the_caller_told_the_agent_before_any_other() -> None:
    log = knowing("ivan.franko@example.com")
    log.talk("c1")
    wish = rq.WriteToCaller(call_id="c1", channel="email", text="Your invoice", email="franko@example.org")
    assert log.request("w1", write_to_caller=wish).accepted
    assert log.events("message_requested")[0].message_requested.email == "franko@example.org"


@pytest.mark.parametrize("found", ["", "franko", "a@b.example, evil@c.example", "a@b.example\r\nBcc: c@d.example"])
def test_what_the_crm_calls_an_address_and_is_none_is_nobodys_address(found: str) -> None:
    log = knowing(found)
    assert "client_email" not in log.state.calls["c1"].variables
    wish = rq.WriteToCaller(call_id="c1", channel="email", text="Your invoice")
    assert log.request("w1", write_to_caller=wish).problem == "address-unknown"
    if found:
        wish.email = found
        assert log.request("w2", write_to_caller=wish).problem == "bad-address"
    assert log.events("message_requested") == []


def test_nothing_is_written_without_a_text_or_a_number() -> None:
    log = Log(document())
    log.queue("c1", "")
    for text, problem in (
        ("", "bad-message"),
        (" \n", "bad-message"),
        ("x" * 1_001, "bad-message"),
        ("x", "number-withheld"),
    ):
        wish = rq.WriteToCaller(call_id="c1", text=text)
        assert log.request(f"w{len(log.inputs)}", write_to_caller=wish).problem == problem
    assert log.events("message_requested") == []
