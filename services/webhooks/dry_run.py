import time
from dataclasses import dataclass, field
from typing import Any, Final

from services.shared.chassis.clock import Clock
from services.webhooks.domain.erased import ErasedPersons
from services.webhooks.domain.rules.messages import message_of
from services.webhooks.domain.rules.rule import LATE_MS, TenantRules
from services.webhooks.domain.rules.watch import Firing, TenantWatch
from services.webhooks.hearing import read_event
from services.webhooks.history import History

MOST_SHOWN: Final = 200
# A person waits for the answer. What was not read by then is said.
MOST_SECONDS: Final = 20.0
_LOOK_EVERY: Final = 500


@dataclass(slots=True)
class Rehearsal:
    """What rules would have done. `fired` counts all, `firings` shows the first MOST_SHOWN of them."""

    since_ms: int
    until_ms: int = 0
    events: int = 0
    fired: int = 0
    is_whole: bool = True
    firings: list[dict[str, Any]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class DryRun:
    """Runs rules over a tenant's past events; nothing is sent and nothing is remembered (SPEC 7.4)."""

    history: History
    clock: Clock
    persons: ErasedPersons = field(default_factory=ErasedPersons)

    def rehearse(self, rules: TenantRules, hours: int) -> Rehearsal:
        """Return what these rules would have done in the last hours. Raises BusUnavailable.

        Waits count as told at the first event after their time: a past has no clock of its own.
        """
        now_ms = self.clock.now_ms()
        found = Rehearsal(now_ms - hours * 3_600_000, until_ms=now_ms)
        watch, newest_ms, deadline = TenantWatch(rules), 0, time.monotonic() + MOST_SECONDS
        for number, record in enumerate(self.history.since(rules.tenant_id, found.since_ms - rules.reach_ms)):
            if number % _LOOK_EVERY == 0 and time.monotonic() > deadline:
                found.is_whole, found.until_ms = False, newest_ms
                break
            event = read_event(record)
            if event is None or self.persons.names(rules.tenant_id, record.value, record.timestamp_ms):
                continue
            newest_ms = max(newest_ms, record.timestamp_ms)
            own = {rule.rule_id for rule in rules.rules}
            if event.WhichOneof("body") == "kpi_violated" and event.kpi_violated.kpi_id in own:
                continue  # what the true rules of these names have told; ours tell it again
            firings = [firing for due in watch.due(newest_ms) for firing in _fed(watch, due)]
            is_late = record.timestamp_ms < newest_ms - LATE_MS
            result = watch.take(event, record.timestamp_ms, is_late=is_late)
            firings += result.firings
            firings += [firing for told in result.events for firing in _fed(watch, told)]
            if record.timestamp_ms >= found.since_ms:
                found.events += 1
                _note(found, firings)
        return found


def _fed(watch: TenantWatch, event: Any) -> list[Firing]:
    """Return what fires when an event of the rules' own comes back out of the log."""
    return list(watch.take(event, event.time.ToMilliseconds()).firings)


def _note(found: Rehearsal, firings: list[Firing]) -> None:
    found.fired += len(firings)
    for firing in firings[: max(0, MOST_SHOWN - len(found.firings))]:
        facts = firing.facts
        found.firings.append(
            {
                "rule_id": firing.rule.rule_id,
                "event_id": firing.event.event_id,
                "event_type": facts["type"],
                "at_ms": firing.event.time.ToMilliseconds(),
                "call_id": facts["call_id"],
                "count": facts["count"],
                "messages": [{"to": action.to} | _message(action, facts) for action in firing.rule.actions],
            }
        )


def _message(action: Any, facts: dict[str, Any]) -> dict[str, str]:
    message = message_of(action, facts)
    return {"subject": message["subject"], "text": message["text"]}
