"""A rule in the words of a tenant's document: to show it, and for a dry run before it is in one."""

from collections.abc import Mapping
from typing import Any

from google.protobuf.json_format import MessageToDict, ParseDict, ParseError

from services.shared.contracts.ringmaster.v1 import tenant_pb2 as tn
from services.webhooks.domain.rules.rule import BadRule, TenantRules

LONGEST_SECONDS = 86_400
MOST_COUNTED = 100


def rule_from_words(words: Mapping[str, Any]) -> tn.Rule:
    """Return the rule; raise BadRule with one sentence."""
    try:
        rule = ParseDict(_with_enums(words), tn.Rule())
    except (ParseError, AttributeError, TypeError, ValueError) as error:
        raise BadRule(f"This is no rule: {str(error)[:200]}.") from error
    counted = getattr(rule, rule.WhichOneof("trigger") or "window")
    if counted.seconds > LONGEST_SECONDS or rule.window.count > MOST_COUNTED:
        raise BadRule(f"A rule looks back {LONGEST_SECONDS} seconds and counts to {MOST_COUNTED} at most.")
    if rule.WhichOneof("trigger") and not counted.seconds:
        raise BadRule("The rule's seconds are missing: over how long does it count?")
    return rule


def words_of(rules: TenantRules) -> dict[str, dict[str, Any]]:
    """Return each rule as its document has it, by its id."""
    document = tn.TenantDocument.FromString(rules.source)
    return {rule.rule_id: _in_words(rule) for rule in document.rules}


def _in_words(rule: tn.Rule) -> dict[str, Any]:
    words: dict[str, Any] = MessageToDict(rule, preserving_proto_field_name=True)
    for part, name, prefix in (("window", "per", "RULE_KEY_"), ("kpi", "measure", "RULE_MEASURE_")):
        if name in words.get(part, {}):
            words[part][name] = words[part][name].removeprefix(prefix).lower()
    return words


def _with_enums(words: Mapping[str, Any]) -> dict[str, Any]:
    written = dict(words)
    if isinstance(written.get("window"), dict) and "per" in written["window"]:
        written["window"] = written["window"] | {"per": f"RULE_KEY_{str(written['window']['per']).upper()}"}
    if isinstance(written.get("kpi"), dict) and "measure" in written["kpi"]:
        written["kpi"] = written["kpi"] | {"measure": f"RULE_MEASURE_{str(written['kpi']['measure']).upper()}"}
    return written
