"""Reads custom_resources.yaml: a short way of writing a strict schema."""

from pathlib import Path
from typing import Any

import yaml

_PLAIN: dict[str, dict[str, Any]] = {
    "any": {},
    "strings": {"type": "object", "additionalProperties": {"type": "string"}},
}


def schemas() -> dict[str, dict[str, Any]]:
    """Return the JSON Schema of each kind's spec, by apiVersion/kind."""
    text = Path(__file__).with_suffix(".yaml").read_text(encoding="utf-8")
    return {kind: _schema(short) for kind, short in yaml.safe_load(text).items()}


def _schema(short: Any) -> dict[str, Any]:
    """A name is a type; a map an object of just these fields; a list of one a list of such, of more words a choice."""
    if isinstance(short, str):
        return _PLAIN.get(short, {"type": short})
    if isinstance(short, dict):
        return {
            "type": "object",
            "additionalProperties": False,
            "properties": {name: _schema(part) for name, part in short.items()},
        }
    if len(short) == 1 and (not isinstance(short[0], str) or short[0] in ("string", "integer")):
        return {"type": "array", "items": _schema(short[0])}
    return {"enum": short}
