from collections.abc import Mapping
from dataclasses import MISSING, Field, fields
from math import isfinite
from pathlib import Path
from types import UnionType
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

PREFIX = "RINGMASTER_"
HIGHEST_PORT = 65_535
TRUE_WORDS = {"1", "true", "yes", "on"}
FALSE_WORDS = {"0", "false", "no", "off"}
SettingsType = TypeVar("SettingsType")


class SettingsError(ValueError):
    """The environment can't start this service; each fault is one sentence. `__main__` catches it and exits with 2."""

    def __init__(self, faults: list[str]) -> None:
        super().__init__("; ".join(faults))
        self.faults = faults


def read_settings(settings: type[SettingsType], environ: Mapping[str, str]) -> SettingsType:
    """Build a settings dataclass from the environment: field `http_port` is read from RINGMASTER_HTTP_PORT.

    Types are str, int, float, bool and Path, each perhaps `| None`; a whole number named `*_port` must be a port.
    Raises SettingsError with every fault at once.
    """
    hints = get_type_hints(settings)
    values: dict[str, Any] = {}
    faults: list[str] = []
    for field in fields(settings):  # type: ignore[arg-type]  # a dataclass by contract
        try:
            _read_field(field, hints[field.name], environ, values)
        except ValueError as error:
            faults.append(str(error))
    if faults:
        raise SettingsError(faults)
    return settings(**values)


def _read_field(field: Field[Any], hint: Any, environ: Mapping[str, str], values: dict[str, Any]) -> None:
    variable = PREFIX + field.name.upper()
    text = environ.get(variable)
    if text is None or text == "":
        if field.default is MISSING and field.default_factory is MISSING:
            raise ValueError(f"{variable} is not set")
        return
    values[field.name] = _parse(variable, text, _plain_type(hint))


def _plain_type(hint: Any) -> Any:
    """Return int for `int | None`."""
    if get_origin(hint) in (Union, UnionType):
        return next(part for part in get_args(hint) if part is not type(None))
    return hint


def _parse(variable: str, text: str, kind: Any) -> Any:
    if kind is bool:
        word = text.lower()
        if word in TRUE_WORDS or word in FALSE_WORDS:
            return word in TRUE_WORDS
        raise ValueError(f"{variable} must be true or false, not {text[:40]!r}")
    if kind in (int, float):
        return _number(variable, text, kind)
    if kind is Path:
        return Path(text)
    return text


def _number(variable: str, text: str, kind: type[int] | type[float]) -> int | float:
    try:
        number = kind(text)
    except ValueError:
        raise ValueError(f"{variable} must be a {'whole ' if kind is int else ''}number, not {text[:40]!r}") from None
    if not isfinite(number):
        raise ValueError(f"{variable} must be a number with an end")
    if variable.endswith("_PORT") and not 0 <= number <= HIGHEST_PORT:
        raise ValueError(f"{variable} must be a port, 0 to {HIGHEST_PORT}, not {number}")
    return number
