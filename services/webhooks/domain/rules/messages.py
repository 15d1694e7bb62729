"""What a rule's action sends."""

import re
from typing import Any, Final

import orjson

from services.shared.event_facts import places_of
from services.shared.expressions import Value
from services.webhooks.domain.endpoint import SPOKEN
from services.webhooks.domain.payload import EVERYTHING, PayloadForm, payload_of
from services.webhooks.domain.rules.rule import Action
from services.webhooks.domain.rules.watch import Firing

# An @ that begins a word: those of mail addresses stay.
_MENTION: Final = re.compile(r"(?<![\w.%+-])@(?=\w)")
_WORD_JOINER: Final = "\u2060"


def message_of(action: Action, facts: dict[str, Any], kind: str = "") -> dict[str, Any]:
    """Return a message for people: subject, text, and the customer's number and address for who answers to these."""
    places = places_of(facts)
    if kind == "telegram":
        places = {name: _calling_nobody(value) for name, value in places.items()}
    return {
        "subject": action.subject.filled(places),
        "text": action.text.filled(places),
        "customer": facts["caller"],
        "customer_email": facts["event"].get("email", ""),
    }


def _calling_nobody(value: Value) -> Value:
    """Take from what a caller wrote that it rings at somebody: Telegram calls whoever an @name names."""
    return _MENTION.sub(f"@{_WORD_JOINER}", value) if isinstance(value, str) else value


def payload_for(action: Action, firing: Firing, *, kind: str = "", form: PayloadForm = EVERYTHING) -> bytes:
    """Return what is delivered to an endpoint of this kind: a message for people, or the event as endpoints get it.

    A CRM gets the event, and beside it, as `rule`, the text that is to be somebody's task. Raises Unwritable.
    """
    if kind in SPOKEN:
        return orjson.dumps(message_of(action, firing.facts, kind))
    whole = payload_of(firing.event, firing.facts["type"], form)
    if kind != "crm":
        return whole
    told = message_of(action, firing.facts) | {"customer_name": firing.facts["caller_name"]}
    return orjson.dumps(orjson.loads(whole) | {"rule": told}) if told["text"].strip() else whole
