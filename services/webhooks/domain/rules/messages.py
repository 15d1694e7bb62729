"""What a rule's action sends."""

from typing import Any

import orjson

from services.shared.event_facts import places_of
from services.webhooks.domain.payload import EVERYTHING, PayloadForm, payload_of
from services.webhooks.domain.rules.rule import Action
from services.webhooks.domain.rules.watch import Firing


def message_of(action: Action, facts: dict[str, Any]) -> dict[str, Any]:
    """Return a message for people: subject, text, and the customer's number and address for who answers to these."""
    places = places_of(facts)
    return {
        "subject": action.subject.filled(places),
        "text": action.text.filled(places),
        "customer": facts["caller"],
        "customer_email": facts["event"].get("email", ""),
    }


def payload_for(action: Action, firing: Firing, *, is_spoken: bool, form: PayloadForm = EVERYTHING) -> bytes:
    """Return what is delivered: a message for people, or the event as other endpoints get it."""
    if is_spoken:
        return orjson.dumps(message_of(action, firing.facts))
    return payload_of(firing.event, firing.facts["type"], form)
