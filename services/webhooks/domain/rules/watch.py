"""What rules make of a tenant's log: a plain function of its events, with the windows' memory (SPEC 7.4)."""

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any, Final

from services.shared.contracts.ringmaster.v1 import tenant_pb2 as tn
from services.shared.contracts.ringmaster.v1.event_pb2 import Event
from services.shared.contracts.ringmaster.v1.switch_pb2 import DIRECTION_OUTBOUND
from services.shared.event_facts import facts_of
from services.shared.phone_number import as_known
from services.webhooks.domain.rules.counting import MOST_ENTRIES, MOST_VISITS, Counts, Recent
from services.webhooks.domain.rules.norms import Change, Norm
from services.webhooks.domain.rules.rule import LATE_MS, Rule, TenantRules
from services.webhooks.domain.rules.waits import Waits

MOST_CALLS: Final = 20_000
MOST_IDS: Final = 2_000
_CARRIED: Final = ("caller", "caller_name", "line", "queue")
"""What an event of a call says of it by what earlier ones said."""


@dataclass(frozen=True, slots=True)
class Firing:
    """A rule fires on an event. `facts` fill its texts."""

    rule: Rule
    event: Event
    facts: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Findings:
    """What an event leads to: rules that fire, and public events that follow from it."""

    firings: tuple[Firing, ...] = ()
    events: tuple[Event, ...] = ()


@dataclass(slots=True)
class TenantWatch:
    """One tenant's rules at work. Fed the same log from anywhere within `rules.reach_ms`, it finds the same."""

    rules: TenantRules
    _counts: dict[str, Counts] = field(default_factory=dict)
    _norms: dict[str, Norm] = field(default_factory=dict)
    _waits: dict[str, Waits] = field(default_factory=dict)
    _calls: dict[str, dict[str, Any]] = field(default_factory=dict)
    _ids: dict[str, None] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Begin with empty windows."""
        for rule in self.rules.rules:
            keep_ms = 2 * rule.span_ms + LATE_MS
            if rule.window is not None:
                recent = Recent[Any](MOST_ENTRIES - 1, keep_ms)
                self._counts[rule.rule_id] = Counts(rule.window.count, rule.span_ms, rule.window.repeats, recent)
            elif rule.kpi is not None:
                self._norms[rule.rule_id] = Norm(rule.kpi, Recent(MOST_VISITS - 1, keep_ms))
            elif rule.wait is not None:
                self._waits[rule.rule_id] = Waits(rule.rule_id, rule.wait)

    def take(self, event: Event, at_ms: int, *, is_late: bool = False) -> Findings:
        """Take the next event of the tenant's log. One that comes too late is counted by no window."""
        if event.event_id in self._ids:
            return Findings()
        self._ids[event.event_id] = None
        if len(self._ids) > MOST_IDS:
            del self._ids[next(iter(self._ids))]
        facts = self._facts(event)
        followed = [] if is_late else self._follow(event, at_ms, facts)
        firings = []
        for rule in self.rules.rules:
            firing, told = self._try(rule, event, at_ms, facts, is_late=is_late)
            firings += [firing] if firing is not None else []
            followed += told
        return Findings(tuple(firings), tuple(followed))

    def forget(self, numbers: Collection[str]) -> None:
        """Count a person who was erased no more, and remember of no call that it was the person's."""
        for counts in self._counts.values():
            for number in numbers:
                counts.recent.forget(number)
        for call_id in [name for name, facts in self._calls.items() if facts["caller"] in numbers]:
            del self._calls[call_id]

    def due(self, now_ms: int) -> list[Event]:
        """Return what has become true by time alone: who waits for too long. It counts once it is in the log."""
        return [event for waits in self._waits.values() for event in waits.due(self.rules.tenant_id, now_ms)]

    def told(self, event: Event) -> None:
        """Note that one of `due` is in the log, further on."""
        if event.WhichOneof("body") == "kpi_violated" and event.kpi_violated.kpi_id in self._waits:
            self._waits[event.kpi_violated.kpi_id].told(event.call_id)

    def _try(
        self, rule: Rule, event: Event, at_ms: int, facts: dict[str, Any], *, is_late: bool
    ) -> tuple[Firing | None, list[Event]]:
        if not rule.wants(facts["type"], facts):
            return None, []
        if rule.wait is not None:
            # kpi.violated names it as its value: how long somebody waits, who waits still.
            facts = facts | {"waited": int(facts["event"].get("value", 0))}
        if not rule.holds(facts, at_ms):
            return None, []
        if rule.window is None:
            return Firing(rule, event, facts), []
        key = "" if is_late else rule.key_of(facts)
        count = self._counts[rule.rule_id].add(key, event.event_id, at_ms) if key else None
        if count is None:
            return None, []
        told = _repeated(rule, event, count) if _is_by_client(event) and rule.window.per == tn.RULE_KEY_CALLER else []
        return Firing(rule, event, facts | {"count": count}), told

    def _follow(self, event: Event, at_ms: int, facts: dict[str, Any]) -> list[Event]:
        """Let waits and norms see an event; return the public events that follow."""
        found: list[Event] = []
        for waits in self._waits.values():
            found += waits.take(event, at_ms)
        if facts["type"] == "queue.left":
            for rule_id, norm in self._norms.items():
                change = norm.add(event.event_id, at_ms, facts)
                found += [_changed(rule_id, event, facts["queue"], change)] if change is not None else []
        return found

    def _facts(self, event: Event) -> dict[str, Any]:
        """Return an event's facts, with what earlier events of its call have said."""
        facts = facts_of(event, self.rules.time_zone)
        if not event.call_id:
            return facts
        known = self._calls.get(event.call_id, {})
        for name in _CARRIED:
            if not facts[name] and name in known:
                facts[name] = known[name]
        if facts["type"] == "call.ended":
            self._calls.pop(event.call_id, None)
        else:
            self._calls[event.call_id] = {name: facts[name] for name in _CARRIED}
            if len(self._calls) > MOST_CALLS:
                del self._calls[next(iter(self._calls))]
        return facts


def follower(kind: str, rule_id: str, cause: Event) -> Event:
    """Return an event that follows from another one by a rule, with an id of its own that is always the same."""
    event = Event(event_id=f"{kind}-{rule_id}-{cause.event_id}", tenant_id=cause.tenant_id, call_id=cause.call_id)
    event.time.CopyFrom(cause.time)
    return event


def _is_by_client(event: Event) -> bool:
    """Whether a client has called, and was not called."""
    return event.WhichOneof("body") == "call_started" and event.call_started.direction != DIRECTION_OUTBOUND


def _repeated(rule: Rule, cause: Event, count: int) -> list[Event]:
    event = follower("repeated", rule.rule_id, cause)
    event.subject = cause.call_id
    body = event.client_repeated_calls
    body.caller.CopyFrom(cause.call_started.caller)
    body.caller.number = as_known(body.caller.number, cause.call_started.line)
    body.calls, body.window_seconds = count, rule.span_ms // 1000
    return [event]


def _changed(rule_id: str, cause: Event, queue_id: str, change: Change) -> Event:
    event = follower("violated" if change.is_violated else "recovered", rule_id, cause)
    event.call_id, event.subject = "", f"queue:{queue_id}"
    body = event.kpi_violated if change.is_violated else event.kpi_recovered
    body.kpi_id, body.subject = rule_id, f"queue:{queue_id}"
    body.value, body.norm = change.value, change.norm
    return event
