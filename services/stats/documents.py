"""What one event writes into the documents: the call log's fields, its trace, and the facts that reports come from.

The same for the last fact of a leg, which comes from the tenant's log of inputs.
"""

from datetime import UTC, datetime

from services.shared.contracts.ringmaster.v1.event_pb2 import Event
from services.shared.contracts.ringmaster.v1.input_pb2 import Input
from services.stats.domain.call_log import fields_of
from services.stats.domain.facts.kept import CALLS, Change, Fields, change_of
from services.stats.domain.facts.legs import change_of_leg
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
        _add(facts, event.tenant_id, change, own)


def add_leg_to(given: Input, revision: int, facts: FactFields) -> None:
    """Add the fields of a leg's last fact; any other input has none. `revision` is the offset after it in its log.

    Of a company that is split by routing domains the tenant's own log has the last of each leg as well (ADR 33): only
    there, so revisions come from one log.
    """
    change = change_of_leg(given.fact) if given.HasField("fact") and not given.domain else None
    if change is None:
        return
    ((_, fact),) = change.fields.items()
    moment = datetime.fromtimestamp(fact["t"] / 1000, UTC)
    _add(facts, given.tenant_id, change, {**change.fields, REVISION: revision, RETAINED_FROM: moment})


def _add(facts: FactFields, tenant_id: str, change: Change, own: Fields) -> None:
    place = (change.collection, tenant_id, change.key)
    facts[place] = merged(facts.get(place, {}), own)


def merged(fields: Fields, more: Fields) -> Fields:
    """Return the fields of both; what may only rise takes the higher."""
    both = fields | more
    for name in RISING:
        if name in fields and name in more:
            both[name] = max(fields[name], more[name])
    return both
