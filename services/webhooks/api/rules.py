from dataclasses import asdict
from typing import Any, Final, Protocol

from flask import Blueprint, Response
from gevent.lock import BoundedSemaphore

from services.shared.access import Action
from services.shared.bus.errors import BusUnavailable
from services.shared.chassis.description import body_of, described
from services.shared.chassis.problems import problem
from services.webhooks.api.answers import json_answer
from services.webhooks.api.deliveries import AWAY
from services.webhooks.api.models import MOST_HOURS, REHEARSAL, RULES, WANTED_REHEARSAL
from services.webhooks.directory import Directory
from services.webhooks.domain.rules.rule import BadRule, Rule, TenantRules, rule_of
from services.webhooks.domain.rules.words import rule_from_words, words_of
from services.webhooks.dry_run import DryRun

# Each reads a part of the log again.
MOST_AT_ONCE: Final = 2


class Gate(Protocol):
    """Knows who asks and about whom."""

    def tenant(self, action: Action) -> str:
        """Return the one tenant that is asked about; refuse who may not."""


def rule_routes(gate: Gate, directory: Directory, dry_run: DryRun) -> Blueprint:
    """Make the routes of rules: those in force, and what one would have done in the last hours (SPEC 7.4)."""
    api = Blueprint("rules", __name__, url_prefix="/v1/rules")
    rehearsing = BoundedSemaphore(MOST_AT_ONCE)

    @api.get("")
    @described("List the rules in force.", Action.READ_DOCUMENT, RULES)
    def listed() -> Response:
        rules = directory.rules(gate.tenant(Action.READ_DOCUMENT))
        words = words_of(rules)
        return json_answer({"rules": [_told(rule) | {"words": words[rule.rule_id]} for rule in rules.rules]})

    @api.post("/dry-run")
    @described(
        "Tell what a rule would have done in the last hours.",
        Action.READ_CALLS,
        REHEARSAL,
        body=WANTED_REHEARSAL,
        fails=AWAY | {404, 422},
    )
    def rehearse() -> Response:
        tenant_id = gate.tenant(Action.READ_CALLS)
        body = body_of(WANTED_REHEARSAL)
        hours = body.get("hours", MOST_HOURS)
        try:
            rules = _wanted(directory.rules(tenant_id), body)
        except BadRule as error:
            return problem(422, "bad-rule", str(error))
        if not rules.rules:
            return problem(404, "not-found", "The tenant's document has no such rule that is switched on.")
        if not rehearsing.acquire(blocking=False):
            return problem(503, "unavailable", "Others are rehearsing rules now; ask again.")
        try:
            return json_answer(asdict(dry_run.rehearse(rules, hours)))
        finally:
            rehearsing.release()

    @api.errorhandler(BusUnavailable)
    def unavailable(_error: BusUnavailable) -> Response:
        return problem(503, "unavailable", "The events can't be read now; ask again.")

    return api


def _wanted(in_force: TenantRules, body: dict[str, Any]) -> TenantRules:
    """Return the rule that is asked about: one in force by its id, or one as it would be written. Raises BadRule."""
    if isinstance(body.get("rule"), dict):
        words = {"rule_id": "draft", **body["rule"]}
        found: tuple[Rule, ...] = (rule_of(rule_from_words(words), in_force.time_zone, in_force.schedules),)
    else:
        found = tuple(rule for rule in in_force.rules if rule.rule_id == body.get("rule_id"))
    return TenantRules(in_force.tenant_id, in_force.time_zone, found)


def _told(rule: Rule) -> dict[str, Any]:
    trigger = next((name for name in ("window", "wait", "kpi") if getattr(rule, name) is not None), "event")
    return {
        "rule_id": rule.rule_id,
        "trigger": trigger,
        "events": list(rule.events),
        "condition": rule.condition.text if rule.condition is not None else "",
        "schedule_id": rule.schedule.schedule_id if rule.schedule is not None else "",
        "to": [action.to for action in rule.actions],
    }
