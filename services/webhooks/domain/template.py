"""Payload templates: JSON whose texts hold {{data.line}} where a value of the event goes.

Values are put into the document, not into its text: whatever a caller is named, the result stays JSON, and there is no
program in a template that could loop or look at anything but the event.
"""

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import orjson

MAX_TEMPLATE = 16_384
_PLACE = re.compile(r"\{\{\s*([A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z0-9_]+)*)\s*\}\}", re.ASCII)


class BadTemplate(ValueError):
    """A template is no JSON, or too long. Documents with one are refused before they come here."""


@lru_cache(maxsize=1024)
def template_of(text: str) -> Any:
    """Read a template; raise BadTemplate."""
    if len(text) > MAX_TEMPLATE:
        raise BadTemplate(f"a template has at most {MAX_TEMPLATE} signs")
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise BadTemplate(f"a template must be JSON: {error}") from error


def filled(template: Any, document: Mapping[str, Any]) -> Any:
    """Return the template with the document's values.

    A text that is one place alone becomes the value itself, a number or a list too; among other words it becomes text.
    What the document does not have is null, or nothing among other words.
    """
    if isinstance(template, str):
        return _text(template, document)
    if isinstance(template, list):
        return [filled(entry, document) for entry in template]
    if isinstance(template, dict):
        return {name: filled(entry, document) for name, entry in template.items()}
    return template


def _text(template: str, document: Mapping[str, Any]) -> Any:
    if alone := _PLACE.fullmatch(template):
        return _value(alone[1], document)
    return _PLACE.sub(lambda place: _as_text(_value(place[1], document)), template)


def _value(path: str, document: Any) -> Any:
    for name in path.split("."):
        if isinstance(document, list) and name.isdigit() and int(name) < len(document):
            document = document[int(name)]
        elif isinstance(document, Mapping) and name in document:
            document = document[name]
        else:
            return None
    return document


def _as_text(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else orjson.dumps(value).decode()
