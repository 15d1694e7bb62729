"""A tenant's rules as its document tells them, compiled once (SPEC 7.4)."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from services.shared.contracts.ringmaster.v1 import tenant_pb2 as tn
from services.shared.event_facts import NAMES, PLACES
from services.shared.expressions import BadExpression, Expression, Unanswered
from services.shared.opening_hours import schedule_exit
from services.shared.phone_number import is_callable
from services.shared.templates import BadTemplate, Template

LATE_MS: Final = 3_600_000
"""An event that is told so much later than its neighbours in the log is not counted any more."""
_KEYS: Final = {
    tn.RULE_KEY_CALLER: "caller",
    tn.RULE_KEY_AGENT: "agent",
    tn.RULE_KEY_QUEUE: "queue",
    tn.RULE_KEY_LINE: "line",
}


class BadRule(ValueError):
    """A rule can't be used: the author's fault, said in one sentence. Documents with one are refused before."""


@dataclass(frozen=True, slots=True)
class Action:
    """A message to send. `to` is a channel or a webhook endpoint."""

    to: str
    subject: Template
    text: Template


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule. Of `window`, `wait` and `kpi` at most one is there."""

    rule_id: str
    events: tuple[str, ...]
    condition: Expression | None
    schedule: tn.Schedule | None
    time_zone: str
    actions: tuple[Action, ...]
    window: tn.RuleWindow | None = None
    wait: tn.RuleWait | None = None
    kpi: tn.RuleKpi | None = None

    @property
    def span_ms(self) -> int:
        """Over how long it counts; nothing older has a say."""
        counted = self.window or self.wait or self.kpi
        return counted.seconds * 1000 if counted is not None else 0

    def wants(self, event_type: str, facts: dict[str, Any]) -> bool:
        """Whether an event of this type may trigger it; `facts` are those of the event."""
        if self.wait is not None or self.kpi is not None:
            return event_type == "kpi.violated" and facts["event"].get("kpi_id") == self.rule_id
        return any(pattern in (event_type, family_of(event_type)) for pattern in self.events)

    def holds(self, facts: dict[str, Any], at_ms: int) -> bool:
        """Whether schedule and condition let it; what has no answer does not hold."""
        if self.schedule is not None and schedule_exit(self.schedule, self.time_zone, at_ms) != "open":
            return False
        if self.condition is None:
            return True
        try:
            return self.condition.holds(facts)
        except Unanswered:
            return False

    def key_of(self, facts: dict[str, Any]) -> str:
        """Return what its window counts this event under, empty for an event that it does not count.

        Callers who withhold their number are nobody: carriers write one word for all of them.
        """
        per = self.window.per if self.window is not None else tn.RULE_KEY_TENANT
        if per == tn.RULE_KEY_CALLER and not is_callable(facts["caller"]):
            return ""
        return str(facts[_KEYS[per]]) if per in _KEYS else "*"


@dataclass(frozen=True, slots=True)
class TenantRules:
    """The rules of one tenant's document that are switched on."""

    tenant_id: str
    time_zone: str = "UTC"
    rules: tuple[Rule, ...] = ()
    schedules: Mapping[str, tn.Schedule] = field(default_factory=dict, compare=False)
    """All of the document's, for a rule that is tried before it is in force."""
    source: bytes = field(default=b"", repr=False)
    """What they were made of: equal sources make equal rules."""

    @property
    def reach_ms(self) -> int:
        """How far back the log says everything about their windows: twice the longest, and what may come late."""
        return 2 * max((rule.span_ms for rule in self.rules), default=0) + LATE_MS


def family_of(event_type: str) -> str:
    """Return `call.*` for call.started."""
    return event_type.partition(".")[0] + ".*"


def rules_of(document: tn.TenantDocument) -> TenantRules:
    """Return the rules of a tenant's document. Raises BadRule."""
    rules = [rule for rule in document.rules if not rule.disabled]
    source = source_of(document)
    schedules = {schedule.schedule_id: schedule for schedule in document.schedules}
    compiled = tuple(rule_of(rule, document.time_zone, schedules) for rule in rules)
    return TenantRules(document.tenant_id, document.time_zone, compiled, schedules, source)


def source_of(document: tn.TenantDocument) -> bytes:
    """Return the part of a document that its rules are made of."""
    part = tn.TenantDocument(
        tenant_id=document.tenant_id,
        time_zone=document.time_zone,
        rules=[rule for rule in document.rules if not rule.disabled],
        schedules=document.schedules,
    )
    return part.SerializeToString(deterministic=True)


def rule_of(rule: tn.Rule, time_zone: str, schedules: Mapping[str, tn.Schedule]) -> Rule:
    """Compile one rule. Raises BadRule."""
    if rule.schedule_id and rule.schedule_id not in schedules:
        raise BadRule(f"{rule.rule_id}: there is no schedule {rule.schedule_id}.")
    try:
        condition = Expression(rule.condition, NAMES) if rule.condition else None
        actions = tuple(_actions(rule))
    except (BadExpression, BadTemplate) as error:
        raise BadRule(f"{rule.rule_id}: {error}") from error
    trigger = rule.WhichOneof("trigger") or ""
    return Rule(
        rule.rule_id,
        tuple(rule.events),
        condition,
        schedules.get(rule.schedule_id),
        time_zone,
        actions,
        **({trigger: getattr(rule, trigger)} if trigger else {}),
    )


def _actions(rule: tn.Rule) -> Iterator[Action]:
    for action in rule.actions:
        yield Action(action.to, Template(action.subject, PLACES), Template(action.text, PLACES))
