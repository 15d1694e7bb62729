"""What connectors do beside logging calls: limits, who calls, tasks of rules, how a talk was (SPEC 7.4, 7.5)."""

import orjson

from services.shared.contracts.ringmaster.v1 import tenant_pb2 as tn
from services.shared.contracts.ringmaster.v1.event_pb2 import Event
from services.webhooks.domain.outcome import Verdict
from services.webhooks.domain.rules.messages import payload_for
from services.webhooks.domain.rules.rule import rules_of
from services.webhooks.domain.rules.watch import TenantWatch
from tests.contract.connectors.tenant import NUMBER, Crm, ended, is_delivered, transcript

LINKS = {
    "kommo": "https://acme.kommo.com/contacts/detail/1",
    "zoho": "https://crm.zoho.com/crm/tab/Contacts/1",
    "leadvertex": "https://acme.leadvertex.ru/admin/order-1.html",
    "hubspot": "https://app.hubspot.com/contacts/77/record/0-1/1",
    "bitrix24": "https://acme.bitrix24.eu/crm/contact/details/1/",
    "salesforce": "https://acme.my.salesforce.com/003",
    "my_crm": "https://acme.my_crm.example/contacts/1",
}


def test_what_an_interface_says_in_its_own_way_of_too_many_requests_is_waited(crm: Crm) -> None:
    """HubSpot's day, Salesforce's 403, Bitrix24's 503: the whole connection rests, no other call is tried meanwhile."""
    crm.fake.over_limit = True
    before = len(crm.fake.requests)
    attempt = crm.carry(ended(1))
    wait = crm.fake.OVER_LIMIT[2]
    assert (attempt.status, attempt.retry_after or 0.0, attempt.verdict) == (429, wait, Verdict.RETRY)
    assert not wait or attempt.error.endswith("takes no more requests for a while")
    assert len(crm.fake.requests) == before + 1
    crm.fake.over_limit = False
    assert is_delivered(crm.carry(ended(1)))


def test_a_customer_is_found_however_a_person_has_written_the_number(crm: Crm) -> None:
    written = "380671112233" if crm.name in ("leadvertex", "zoho") else "(067) 111-22-33"
    crm.fake.know(written, "42")
    assert crm.carry(ended(1)).error == ""
    assert len(crm.fake.contacts()) == 1


def test_a_screen_shows_who_calls_with_the_way_there_and_whose_customer_it_is(crm: Crm) -> None:
    crm.fake.know("380671112233" if crm.name in ("leadvertex", "zoho") else "(067) 111-22-33", "42")
    assert crm.endpoint.channel is not None
    if crm.name == "hubspot":
        assert "contact_url" not in crm.engine.look_up(crm.endpoint, NUMBER, crm.connection)
        crm.endpoint.channel.crm.settings["portal"] = "77"
    known = crm.engine.look_up(crm.endpoint, NUMBER, crm.connection)
    assert known["contact_name"] == "Відома"
    assert known["contact_url"] == LINKS[crm.name]
    assert known.get("agent") == (None if crm.name == "leadvertex" else "olena")
    crm.endpoint.channel.crm.users["olena"] = "43"
    assert "agent" not in crm.engine.look_up(crm.endpoint, NUMBER, crm.connection)


def fired(event: Event, text: str, caller: str = NUMBER) -> bytes:
    """Return what a rule's action sends to a CRM, made by the rules themselves."""
    rule = tn.Rule(rule_id="vip", events=["offer.missed"], actions=[tn.RuleAction(to="crm", text=text)])
    watch = TenantWatch(rules_of(tn.TenantDocument(tenant_id="acme", rules=[rule])))
    began = Event(event_id="b", tenant_id="acme", call_id=event.call_id)
    began.call_started.caller.number, began.call_started.caller.name = caller, "Олена"
    watch.take(began, 1)
    [firing] = watch.take(event, 2).firings
    return payload_for(firing.rule.actions[0], firing, kind="crm")


def missed(number: int) -> Event:
    event = Event(event_id=f"m{number}", tenant_id="acme", call_id=f"0a1b-{number}")
    event.time.FromMilliseconds(1_767_607_300_000)
    event.offer_missed.agent_id, event.offer_missed.queue_id = "olena", "sales"
    return event


def test_a_rules_text_becomes_a_task_of_the_customer_once(crm: Crm) -> None:
    payload = fired(missed(1), "{agent} missed {caller_name} {caller}")
    assert crm.send("offer.missed", payload, "m1.vip0.crm").error == ""
    assert crm.fake.contacts() == [NUMBER]
    [told] = crm.fake.told()
    assert told.startswith(f"olena missed Олена {NUMBER}")
    for lost in range(len(crm.fake.requests)):
        again = Crm(crm.name)
        again.fake.lose = lost
        assert not is_delivered(again.send("offer.missed", payload, "m1.vip0.crm")), lost
        again.restart(forgets=True)
        assert is_delivered(again.send("offer.missed", payload, "m1.vip0.crm")), lost
        assert is_delivered(again.send("offer.missed", payload, "m1.vip0.crm")), lost
        assert (again.fake.contacts(), again.fake.told()) == ([NUMBER], [told]), lost
        again.connection.close()
        again.fake.stop()


def test_a_rules_text_about_nobody_whom_a_crm_could_know_goes_nowhere(crm: Crm) -> None:
    payload = fired(missed(1), "{agent} missed a call", caller="anonymous")
    assert is_delivered(crm.send("offer.missed", payload, "m1.vip0.crm"))
    assert crm.fake.requests == []


def test_an_event_that_a_connector_knows_nothing_of_is_said_in_the_log(crm: Crm) -> None:
    attempt = crm.carry(missed(1), "offer.missed")
    assert attempt.verdict is Verdict.DELIVERED
    assert attempt.error.startswith("nothing was done: ")
    assert crm.fake.requests == []


def test_a_long_text_of_a_rule_fits_where_a_crm_has_little_room(crm: Crm) -> None:
    assert crm.send("offer.missed", fired(missed(1), "x" * 990), "m1.vip0.crm").error == ""


def test_of_a_call_without_a_number_the_transcript_is_not_looked_for_for_days(crm: Crm) -> None:
    assert is_delivered(crm.carry(ended(1, caller="anonymous")))
    assert is_delivered(crm.carry(transcript(1), "transcript.completed"))
    assert crm.fake.requests == []


def test_a_transcripts_note_says_how_the_talk_was(crm: Crm) -> None:
    event = transcript(1)
    event.transcript_completed.customer_sentiment = -0.42
    event.transcript_completed.customer_sentiment_at_end = 0.31
    event.transcript_completed.scores.add(card_id="greeting", percent=85)
    event.transcript_completed.gist = "customer: Мені привезли\r\nне те. | agent: Замінимо {{call.id}}."
    assert is_delivered(crm.carry(ended(1)))
    assert is_delivered(crm.carry(event, "transcript.completed"))
    bodies = orjson.dumps([request.body for request in crm.fake.requests]).decode()
    told = "customer: Мені привезли  не те. | agent: Замінимо {{call.id}}."
    felt = "customer's mood -0.4, at the end +0.3"
    assert f"uk, 321 words; {felt}; greeting 85 %; {told}: https://calls.example/recordings/r1" in bodies
