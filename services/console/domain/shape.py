"""What is wrong with the shape of a document: the schema's verdict in sentences for a person."""

import difflib
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any, Final

from jsonschema import Draft202012Validator, ValidationError

from services.console.domain.fault import Fault, path_of
from services.console.domain.schema import SCHEMA
from services.shared.json_schema import validator_of
from services.shared.sentence import Sentence, sentence

MAX_FAULTS: Final = 500
MOST_GUESSED: Final = 50
"""Of unknown fields in one place: to compare a name with all that are known takes a part of a millisecond."""
_ONE_LINE: Final = 12
_ALL_KNOWN: Final = " It must be one of {known}."
"""Said where the values are so few that they fit a line."""
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
    say = _SENTENCES.get(str(error.validator))
    if error.validator == "required":
        yield from _missing(error)
    elif error.validator == "additionalProperties":
        yield from _unknown(error)
    elif error.validator == "oneOf":
        choices = [choice["required"][0] for choice in _as_any(error.validator_value)]
        yield Fault(
            path_of(error.absolute_path), sentence("must have exactly one of {choices}.", choices=", ".join(choices))
        )
    else:
        yield Fault(path_of(error.absolute_path), say(error) if say else f"{error.message[:200]}.")


def _missing(error: ValidationError) -> Iterator[Fault]:
    # One error a missing field, each of which lists all required ones.
    required: list[str] = _as_any(error.validator_value)
    for name in required:
        if name not in _as_any(error.instance):
            yield Fault(path_of([*error.absolute_path, name]), sentence("is missing."))


def _unknown(error: ValidationError) -> Iterator[Fault]:
    known = error.schema.get("properties", {})  # type: ignore[union-attr]  # a schema of ours is always a mapping
    unknown = (name for name in _as_any(error.instance) if name not in known)
    for number, name in enumerate(islice(unknown, MAX_FAULTS)):
        close = _close(name, list(known)) if number < MOST_GUESSED else ""
        hinted = sentence("is not a field. Did you mean {hint}?", hint=close) if close else sentence("is not a field.")
        yield Fault(path_of([*error.absolute_path, _short(name)]), hinted)


def _as_any(value: Any) -> Any:
    """Let go of the type: jsonschema gives these values once it has found an error."""
    return value


def _close(word: object, known: list[str]) -> str:
    return next(iter(difflib.get_close_matches(str(word)[:64], known, 1)), "")


def _short(value: object) -> str:
    text = str(value)
    text = text if text.isprintable() else repr(text)
    return text if len(text) <= 60 else text[:57] + "..."  # noqa: PLR2004 - the length of a readable quotation


def _of_enum(error: ValidationError) -> Sentence:
    known = [str(value) for value in _as_any(error.validator_value)]
    values = {"value": _short(error.instance), "hint": _close(error.instance, known), "known": ", ".join(known)}
    hint = " Did you mean {hint}?" if values["hint"] else ""
    return sentence("{value} is not known." + hint + (_ALL_KNOWN if len(known) <= _ONE_LINE else ""), **values)


def _of_pattern(error: ValidationError) -> Sentence:
    meaning = error.schema.get("description", "of another form")  # type: ignore[union-attr]  # ours is a mapping
    return sentence("{value} must be {meaning}.", value=_short(error.instance), meaning=meaning)


def _counted(template: str) -> Callable[[ValidationError], Sentence]:
    return lambda error: sentence(template, count=error.validator_value)


_SENTENCES: Final[dict[str, Callable[[ValidationError], Sentence]]] = {
    "enum": _of_enum,
    "pattern": _of_pattern,
    "type": lambda error: sentence(
        "must be {what}.", what=_TYPES.get(str(error.validator_value), error.validator_value)
    ),
    "minimum": _counted("must be at least {count}."),
    "maximum": _counted("must be at most {count}."),
    "minItems": _counted("needs at least {count}."),
    "maxItems": _counted("has more than {count} entries."),
    "maxProperties": _counted("has more than {count} entries."),
    "minLength": _counted("needs at least {count} characters."),
    "maxLength": _counted("has more than {count} characters."),
    "uniqueItems": lambda _error: sentence("names something twice."),
}
_TENANT: Final = validator_of(SCHEMA)
