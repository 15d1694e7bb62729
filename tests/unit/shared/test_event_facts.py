"""What conditions and texts know of public events."""

import pytest

from services.shared.contracts.ringmaster.v1.event_pb2 import Event
from services.shared.event_facts import MAX_TEXT, NAMES, PLACES, facts_of, one_line, places_of

BODIES = [field.name for field in Event.DESCRIPTOR.oneofs_by_name["body"].fields]


@pytest.mark.parametrize("name", BODIES)
def test_every_event_has_its_facts(name: str) -> None:
    event = Event(event_id="e", tenant_id="acme", call_id="c")
    getattr(event, name).SetInParent()
    facts = facts_of(event, "Europe/Kyiv")
    assert set(facts) == set(NAMES)
    assert set(places_of(facts)) <= PLACES
    assert all(isinstance(value, str | int | float | bool) for value in places_of(facts).values())


def test_hostile_text_is_one_line_of_bounded_length() -> None:
    assert one_line("Їжак\r\n\x00\u2028\u202e🦔") == "Їжак     🦔"
    assert len(one_line("x" * 10_000)) == MAX_TEXT


def test_a_time_zone_that_is_none_is_utc() -> None:
    event = Event(event_id="e", tenant_id="acme")
    event.call_started.SetInParent()
    assert facts_of(event, "../etc/passwd")["time"] == facts_of(event, "UTC")["time"] == "01.01.1970 00:00"
