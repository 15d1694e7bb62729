"""What one event writes into the documents: the call log's fields, its trace, and the facts that reports come from."""

from datetime import UTC, datetime

from services.shared.contracts.ringmaster.v1.event_pb2 import Event
from services.stats.domain.call_log import fields_of
from services.stats.domain.facts.kept import CALLS, Fields, change_of
from services.stats.store import RETAINED_FROM, REVISION, RISING, CallFields, FactFields


def add_to(event: Event, revision: int, calls: CallFields, facts: FactFields) -> None:
    """Add an event's fields. `revision` is the offset after the event: it says what changed since somebody looked."""
    fields = fields_of(event)
    if fields is not None:
        key = (event.tenant_id, event.call_id)
        calls[key] = calls.get(key, {}) | fields
    change = change_of(event)
    if change is None:
        return
    own = {**change.fields, REVISION: revision, RETAINED_FROM: datetime.fromtimestamp(event.time.seconds, UTC)}
    if change.collection == CALLS:
        key = (event.tenant_id, change.key)
        calls[key] = merged(calls.get(key, {}), own)
    else:
        place = (change.collection, event.tenant_id, change.key)
        facts[place] = merged(facts.get(place, {}), own)


def merged(fields: Fields, more: Fields) -> Fields:
    """Return the fields of both; what may only rise takes the higher."""
    both = fields | more
    for name in RISING:
        if name in fields and name in more:
            both[name] = max(fields[name], more[name])
    return both
