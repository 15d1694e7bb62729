"""JSON Schema (2020-12): what schemas are made of, and what holds documents and requests to them."""

import re
from collections.abc import Sequence
from typing import Any

from jsonschema import Draft202012Validator

Schema = dict[str, Any]


def count(least: int, most: int, default: int | None = None) -> Schema:
    """Return the schema of a whole number."""
    schema: Schema = {"type": "integer", "minimum": least, "maximum": most}
    return schema if default is None else schema | {"default": default}


def mapping(required: Sequence[str] | None = None, /, **properties: Schema) -> Schema:
    """Return the schema of an object of these fields alone; all are always there where `required` is not said."""
    needed = list(properties if required is None else required)
    return {"type": "object", "additionalProperties": False, "required": needed, "properties": properties}


def sequence(items: Schema, most: int, least: int = 0) -> Schema:
    """Return the schema of a list."""
    schema: Schema = {"type": "array", "items": items, "maxItems": most}
    return schema | {"minItems": least} if least else schema


def validator_of(schema: Schema) -> Draft202012Validator:
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
