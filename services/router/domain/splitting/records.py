"""Records of the state on their way from one log of a tenant to another, as JSON."""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any, TypeVar

T = TypeVar("T")


def built(kind: type[T], record: Mapping[str, Any]) -> T:
    """Build a record; what a newer version of the core knows more is left out."""
    known = {field.name for field in fields(kind)}  # type: ignore[arg-type]  # every kind is a dataclass
    return kind(**{name: value for name, value in record.items() if name in known})
