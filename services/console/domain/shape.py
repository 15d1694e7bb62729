"""What is wrong with the shape of a document: the schema's verdict in sentences for a person."""

import difflib
from collections.abc import Callable, Iterator
from typing import Any, Final

from jsonschema import Draft202012Validator, ValidationError

from services.console.domain.fault import Fault, path_of
from services.console.domain.schema import SCHEMA
from services.shared.json_schema import validator_of

MAX_FAULTS: Final = 500
_TYPES: Final = {
    "string": "a text",
    "integer": "a whole number",
    "array": "a list",
    "object": "a mapping",
    "boolean": "true or false",
}


def faults_of_shape(document: Any, validator: Draft202012Validator | None = None) -> list[Fault]:
    """Return every way in which a document breaks the tenants' schema, or another one; at most MAX_FAULTS."""
    faults: list[Fault] = []
    for error in (validator or _TENANT).iter_errors(document):
        faults += _faults(error)
        if len(faults) >= MAX_FAULTS:
            break
    return sorted(set(faults))


def _faults(error: ValidationError) -> Iterator[Fault]:
    sentence = _SENTENCES.get(str(error.validator))
    if error.validator == "required":
        yield from _missing(error)
    elif error.validator == "additionalProperties":
        yield from _unknown(error)
    elif error.validator == "oneOf":
        choices = [choice["required"][0] for choice in _as_any(error.validator_value)]
        yield Fault(path_of(error.absolute_path), f"must have exactly one of {', '.join(choices)}.")
    else:
        yield Fault(path_of(error.absolute_path), sentence(error) if sentence else f"{error.message[:200]}.")


def _missing(error: ValidationError) -> Iterator[Fault]:
    # One error a missing field, each of which lists all required ones.
    required: list[str] = _as_any(error.validator_value)
    for name in required:
        if name not in _as_any(error.instance):
            yield Fault(path_of([*error.absolute_path, name]), "is missing.")


def _unknown(error: ValidationError) -> Iterator[Fault]:
    known = error.schema.get("properties", {})  # type: ignore[union-attr]  # a schema of ours is always a mapping
    for name in _as_any(error.instance):
        if name not in known:
            yield Fault(path_of([*error.absolute_path, _short(name)]), "is not a field." + _hint(name, list(known)))


def _as_any(value: Any) -> Any:
    """Let go of the type: jsonschema gives these values once it has found an error."""
    return value


def _hint(word: object, known: list[str]) -> str:
    close = difflib.get_close_matches(str(word)[:64], known, 1)
    return f" Did you mean {close[0]}?" if close else ""


def _short(value: object) -> str:
    text = str(value)
    text = text if text.isprintable() else repr(text)
    return text if len(text) <= 60 else text[:57] + "..."  # noqa: PLR2004 - the length of a readable quotation


def _of_enum(error: ValidationError) -> str:
    known = [str(value) for value in _as_any(error.validator_value)]
    shown = f" It must be one of {', '.join(known)}." if len(known) <= 12 else ""  # noqa: PLR2004 - one line
    return f"{_short(error.instance)} is not known.{_hint(error.instance, known)}{shown}"


def _of_pattern(error: ValidationError) -> str:
    meaning = error.schema.get("description", "of another form")  # type: ignore[union-attr]  # ours is a mapping
    return f"{_short(error.instance)} must be {meaning}."


_SENTENCES: Final[dict[str, Callable[[ValidationError], str]]] = {
    "enum": _of_enum,
    "pattern": _of_pattern,
    "type": lambda error: f"must be {_TYPES.get(str(error.validator_value), error.validator_value)}.",
    "minimum": lambda error: f"must be at least {error.validator_value}.",
    "maximum": lambda error: f"must be at most {error.validator_value}.",
    "minItems": lambda error: f"needs at least {error.validator_value}.",
    "maxItems": lambda error: f"has more than {error.validator_value} entries.",
    "maxProperties": lambda error: f"has more than {error.validator_value} entries.",
    "minLength": lambda error: f"needs at least {error.validator_value} characters.",
    "maxLength": lambda error: f"has more than {error.validator_value} characters.",
    "uniqueItems": lambda _error: "names something twice.",
}
_TENANT: Final = validator_of(SCHEMA)
