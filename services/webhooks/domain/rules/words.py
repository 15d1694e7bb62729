"""A rule in the words of a tenant's document, for a dry run before it is in one."""

from collections.abc import Mapping
from typing import Any

from google.protobuf.json_format import ParseDict, ParseError

from services.shared.contracts.ringmaster.v1 import tenant_pb2 as tn
from services.webhooks.domain.rules.rule import BadRule

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


def _with_enums(words: Mapping[str, Any]) -> dict[str, Any]:
    written = dict(words)
    if isinstance(written.get("window"), dict) and "per" in written["window"]:
        written["window"] = written["window"] | {"per": f"RULE_KEY_{str(written['window']['per']).upper()}"}
    if isinstance(written.get("kpi"), dict) and "measure" in written["kpi"]:
        written["kpi"] = written["kpi"] | {"measure": f"RULE_MEASURE_{str(written['kpi']['measure']).upper()}"}
    return written
