"""What requests and answers look like: one JSON Schema each, for the check of a request and for the API's description.

OpenAPI 3.1 describes bodies in the JSON Schema (2020-12) that requests are checked with, so nothing is written twice.
"""

from dataclasses import Field, fields
from typing import Any, Final

from services.shared.chassis.description import Model
from services.shared.chassis.openapi import PROBLEM as BARE_PROBLEM
from services.shared.json_schema import Schema, mapping, sequence

LISTED: Final = 100
MOST_LISTED: Final = 500
_TYPES: Final[dict[Any, Schema]] = {str: {"type": "string"}, int: {"type": "integer"}, bool: {"type": "boolean"}}


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
_TOLD: Final[Schema] = {"faults": {"type": "array", "items": FAULT.ref}, "request_id": {"type": "string"}}
PROBLEM: Final = Model(
    BARE_PROBLEM.name,
    BARE_PROBLEM.schema | {"properties": BARE_PROBLEM.schema["properties"] | _TOLD},
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
        erasure_id={"type": "string", "description": "Of the erasure that a request has begun."},
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
