"""JSON Schema (2020-12) as it is meant, for whoever holds documents or requests to one."""

import re
from typing import Any

from jsonschema import Draft202012Validator


def validator_of(schema: dict[str, Any]) -> Draft202012Validator:
    """Return a validator. A pattern's $ means the end of the text in JSON Schema; Python takes a new line before it."""
    return Draft202012Validator(_with_python_ends(schema))


def _with_python_ends(schema: Any) -> Any:
    if isinstance(schema, list):
        return [_with_python_ends(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        name: re.sub(r"\$\Z", r"\\Z", part) if name == "pattern" and isinstance(part, str) else _with_python_ends(part)
        for name, part in schema.items()
    }
