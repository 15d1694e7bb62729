"""The two forms of a tenant's document: words for people (YAML), and the contract that services read."""

from typing import Any

from google.protobuf.json_format import ParseDict

from services.console.domain.schema import SCHEMA
from services.console.domain.speech_schema import name_speech_enums
from services.shared.contracts.ringmaster.v1.tenant_pb2 import TenantDocument
from services.shared.json_schema import Schema

Document = dict[str, Any]


def complete(document: Document) -> Document:
    """Return a sound document with every default written out."""
    filled: Document = _filled(document, SCHEMA)
    for queue in filled["queues"]:
        for index, tier in enumerate(queue["tiers"]):
            tier.setdefault("position", index + 1)
    return filled


def to_contract(document: Document, version: int) -> TenantDocument:
    """Return a sound document as the contract; `version` counts from 1."""
    words = complete(document)
    for queue in words["queues"]:
        queue["strategy"] = f"STRATEGY_{queue['strategy'].upper()}"
        _name_callback_enums(queue.get("callbacks", {}))
        _name_recording_enums(queue)
    for line in words["lines"]:
        _name_recording_enums(line)
    for campaign in words.get("campaigns", ()):
        campaign["pacing"] = f"PACING_{campaign['pacing'].upper()}"
    _name_recording_enums(words)
    name_speech_enums(words)
    for flow in words["flows"]:
        _name_enums(flow)
    for channel in words.get("channels", ()):
        _name_channel_enums(channel)
    for rule in words.get("rules", ()):
        _name_rule_enums(rule)
    contract = ParseDict(words, TenantDocument())
    contract.version = version
    return contract


def _name_enums(flow: Document) -> None:
    for variable in flow.get("variables", ()):
        variable["type"] = f"VARIABLE_TYPE_{variable['type'].upper()}"
    for step in flow["steps"]:
        if "consent" in step:
            step["consent"]["mode"] = f"CONSENT_MODE_{step['consent']['mode'].upper()}"


def _name_recording_enums(holder: Document) -> None:
    policy = holder.get("recording")
    if policy is not None:
        policy["mode"] = f"RECORDING_MODE_{policy['mode'].upper()}"
        policy["format"] = f"RECORDING_FORMAT_{policy['format'].upper()}"


def _name_callback_enums(policy: Document) -> None:
    if "order" in policy:
        policy["order"] = f"CALLBACK_ORDER_{policy['order'].upper()}"
    if "after" in policy:
        policy["after"] = [f"LOST_CALL_{word.upper()}" for word in policy["after"]]


def _name_channel_enums(channel: Document) -> None:
    if "email" in channel:
        channel["email"]["security"] = f"MAIL_SECURITY_{channel['email']['security'].upper()}"
    if "feed" in channel:
        channel["feed"]["format"] = f"FEED_FORMAT_{channel['feed']['format'].upper()}"


def _name_rule_enums(rule: Document) -> None:
    if "window" in rule:
        rule["window"]["per"] = f"RULE_KEY_{rule['window']['per'].upper()}"
    if "kpi" in rule:
        rule["kpi"]["measure"] = f"RULE_MEASURE_{rule['kpi']['measure'].upper()}"


def _filled(value: Any, schema: Schema) -> Any:
    if isinstance(value, list):
        return [_filled(entry, schema.get("items", {})) for entry in value]
    if not isinstance(value, dict):
        return value
    properties: dict[str, Schema] = schema.get("properties", {})
    defaults = {name: part["default"] for name, part in properties.items() if "default" in part}
    return defaults | {name: _filled(entry, properties.get(name, {})) for name, entry in value.items()}
