"""What requests and answers look like: one JSON Schema each, for the check of a request and for the API's description.

OpenAPI 3.1 describes bodies in the JSON Schema (2020-12) that requests are checked with, so nothing is written twice.
"""

from dataclasses import Field, dataclass, fields
from functools import cached_property
from typing import Any, Final

from jsonschema import Draft202012Validator

from services.console.domain.schema_parts import Schema, mapping, sequence
from services.shared.json_schema import validator_of

LISTED: Final = 100
MOST_LISTED: Final = 500
_TYPES: Final[dict[Any, Schema]] = {str: {"type": "string"}, int: {"type": "integer"}, bool: {"type": "boolean"}}


@dataclass(frozen=True)
class Model:
    """A named shape. `parts` are the models that its schema refers to."""

    name: str
    schema: Schema
    parts: tuple["Model", ...] = ()

    @property
    def ref(self) -> Schema:
        """Return the reference to it in the API's description."""
        return {"$ref": f"#/components/schemas/{self.name}"}

    @property
    def is_needed(self) -> bool:
        """Whether a body that is left out, which counts as {}, can't be right."""
        return bool(self.schema.get("required") or self.schema.get("minProperties"))

    @cached_property
    def validator(self) -> Draft202012Validator:
        """What checks a request's body; for a model without parts."""
        return validator_of(self.schema)


def record(name: str, kind: type, /, **more: Schema) -> Model:
    """Return the model of a record of ours as it is shown, every field always, with more fields put before."""
    known = {each.name: _schema_of(each) for each in fields(kind)}
    return Model(name, mapping([*more, *known], **more, **known))


def page(name: str, items: str, one: Model | Schema, /, **more: Schema) -> Model:
    """Return the model of a page of a list: entries, the cursor of the next page or null, and what else is told."""
    parts, schema = ((one,), one.ref) if isinstance(one, Model) else ((), one)
    cursor: Schema = {"type": ["string", "null"], "description": "Of the next page; null after the last."}
    return Model(
        name, mapping([items, "cursor", *more], **{items: sequence(schema, MOST_LISTED)}, cursor=cursor, **more), parts
    )


def _schema_of(each: Field[Any]) -> Schema:
    # What a record can't be shown with fails here, when the application is built.
    return _TYPES[each.type]


FAULT: Final = Model("Fault", mapping(["path", "message"], path={"type": "string"}, message={"type": "string"}))
PROBLEM: Final = Model(
    "Problem",
    {
        "type": "object",
        "description": "RFC 9457.",
        "required": ["type", "title", "status", "detail"],
        "properties": {
            "type": {"type": "string", "pattern": "^urn:ringmaster:problem:[a-z0-9-]+$"},
            "title": {"type": "string"},
            "status": {"type": "integer", "minimum": 400, "maximum": 599},
            "detail": {"type": "string"},
            "faults": {"type": "array", "items": FAULT.ref},
            "request_id": {"type": "string"},
        },
    },
    (FAULT,),
)
NOTHING: Final = Model("Nothing", mapping([]))
ASKED: Final = Model(
    "Asked",
    mapping(
        ["accepted", "request_id"],
        accepted={"type": ["boolean", "null"], "description": "null: written down, the router has not answered yet."},
        request_id={"type": "string"},
        callback_id={"type": "string", "description": "Of the task that a request for a callback has made."},
    ),
)
CHANGES: Final = Model(
    "Changes",
    mapping(
        ["changes"],
        changes={
            "type": "array",
            "items": mapping(["path", "before", "after"], path={"type": "string"}, before={}, after={}),
        },
    ),
)
