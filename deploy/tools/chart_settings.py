"""Which settings the chart gives by itself, and which it lets an operator give: read off the services."""

import importlib
import re
from dataclasses import fields
from pathlib import Path
from types import UnionType
from typing import Any, Final, Union, get_args, get_origin, get_type_hints

from services.shared.chassis.broker_access import BrokerAccess

ROOT: Final = Path(__file__).resolve().parents[2]
SERVICES: Final = ("listener", "router", "recorder", "webhooks", "stats", "console")
WITH_ROLES: Final = (*SERVICES, "transcribe")
_ROLES: Final = {"transcribe": ("services.recorder.transcribe_settings", "TranscribeSettings")}
BY_THE_CHART: Final = {
    "api_tokens",
    "call_records",
    "channel_secrets",
    "directory_password",
    "erasure_secret",
    "esl_host",
    "esl_password",
    "esl_port",
    "http_host",
    "http_port",
    "kafka_bootstrap",
    "kafka_ca_file",
    "kafka_password",
    "kafka_user",
    "mongodb_uri",
    "node",
    "phone_secret",
    "prompts_dir",
    "recordings_dir",
    "router_name",
    "s3_access_key",
    "s3_bucket",
    "s3_endpoint",
    "s3_region",
    "s3_secret_key",
    "smtp_password_file",
    "spool_dir",
    "stats_folder",
    "transcribe_models",
    "webhook_secrets",
    "webhooks_name",
}
"""What follows from where a pod runs, and secrets: no operator writes it among the settings."""
SWITCH_BY_THE_CHART: Final = {
    "call_records_dir",
    "console_url",
    "directory_password",
    "drain_seconds",
    "esl_password",
    "esl_port",
    "external_address",
    "gateways_dir",
    "music_dir",
    "phone_tls",
    "sip_address",
    "tls_dir",
}
_KINDS: Final[dict[Any, dict[str, Any]]] = {
    bool: {"type": "boolean"},
    int: {"type": "integer"},
    float: {"type": "number"},
    str: {"type": "string"},
    Path: {"type": "string", "pattern": "^/"},
}
_BROKER_KINDS: Final = tuple(get_type_hints(BrokerAccess).values())
_VARIABLE: Final = re.compile(r'cmd="env-set" data="(\w+)=\$RINGMASTER_(\w+)"')
_IN_A_PROGRAM: Final = re.compile(r"\$\{?RINGMASTER_(\w+)")
_NUMBER: Final = re.compile(r"_(port|sessions|second|seconds)$")


def settings_of(service: str) -> dict[str, Any]:
    """Return a service's fields by name, each with its plain type; among them what each client of the broker reads."""
    module, name = _ROLES.get(service, (f"services.{service}.settings", "Settings"))
    settings = getattr(importlib.import_module(module), name)
    hints = get_type_hints(settings)
    own = {field.name: _plain(hints[field.name]) for field in fields(settings)}
    return own | {field.name: _plain(kind) for field, kind in zip(fields(BrokerAccess), _BROKER_KINDS, strict=True)}


def switch_variables() -> set[str]:
    """Return what freeswitch/conf/vars.xml and the programs beside it read from the environment, as fields."""
    folder = ROOT / "freeswitch"
    text = (folder / "conf" / "vars.xml").read_text(encoding="utf-8")
    programs = "".join((folder / name).read_text(encoding="utf-8") for name in ("ask", "drain", "start"))
    found = [variable for _, variable in _VARIABLE.findall(text)] + _IN_A_PROGRAM.findall(programs)
    return {variable.lower() for variable in found}


def settings_schema(service: str) -> dict[str, Any]:
    """Return the JSON Schema of `<service>.settings`."""
    given = {name: kind for name, kind in settings_of(service).items() if name not in BY_THE_CHART}
    return _object({name: _KINDS[kind] for name, kind in given.items()})


def switch_schema() -> dict[str, Any]:
    """Return the JSON Schema of `freeswitch.settings`."""
    port = {"type": "integer", "minimum": 1, "maximum": 65535}
    whole = {"type": "integer", "minimum": 1}
    given = sorted(switch_variables() - SWITCH_BY_THE_CHART)
    kinds: dict[str, dict[str, Any]] = {
        name: port if name.endswith("_port") else whole if _NUMBER.search(name) else {"type": "string"}
        for name in given
    }
    kinds["phone_srtp"] = {"enum": ["", "optional", "mandatory"]}
    kinds["carrier_network"] = {"type": "string", "pattern": "^[0-9a-f.:]+/[0-9]{1,3}(,[0-9a-f.:]+/[0-9]{1,3})*$"}
    return _object(kinds)


def _object(properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "additionalProperties": False, "properties": dict(sorted(properties.items()))}


def _plain(hint: Any) -> Any:
    if get_origin(hint) in (Union, UnionType):
        return next(part for part in get_args(hint) if part is not type(None))
    return hint
