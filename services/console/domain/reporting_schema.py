"""The part of a tenant's document about KPI norms and mailed reports (SPEC 8.5, 8.6)."""

from typing import Final

from services.console.domain.schema_parts import ID, TIME_OF_DAY
from services.shared.json_schema import Schema, count, mapping, sequence

_WORD: Final[Schema] = {
    "type": "string",
    "pattern": "^[a-z][a-z0-9_]{0,62}$",
    "description": "a name of the dictionary",
}
_EMAIL: Final[Schema] = {
    "type": "string",
    "maxLength": 254,
    "pattern": r"^[A-Za-z0-9._+'-]{1,64}@([A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)+[A-Za-z]{2,63}$",
    "description": "an e-mail address",
}
KPIS: Final = sequence(
    mapping(
        ["kpi_id", "metric", "norm"],
        kpi_id=ID,
        metric=_WORD,
        subject={
            "type": "string",
            "pattern": "^(tenant|(queue|agent):[A-Za-z0-9][A-Za-z0-9_-]{0,62})$",
            "default": "tenant",
            "description": "tenant, queue:<id> or agent:<id>",
        },
        window_minutes=count(1, 1_440, 15),
        at_least={"type": "boolean", "default": True},
        norm={"type": "number", "minimum": 0, "maximum": 1_000_000},
        margin={"type": "number", "minimum": 0, "maximum": 1_000_000, "default": 0},
        least_count=count(0, 100_000, 5),
    ),
    100,
)
RAPORTY: Final = sequence(
    mapping(
        ["raport_id", "report", "recipients"],
        raport_id=ID,
        report=_WORD,
        every={"enum": ["day", "week", "month"], "default": "day"},
        at={**TIME_OF_DAY, "default": "07:00"},
        recipients=sequence(_EMAIL, 50, 1),
        formats=sequence({"enum": ["xlsx", "pdf", "csv-excel", "csv-sheets", "json", "html", "parquet"]}, 7),
        language={"enum": ["en", "uk"], "default": "uk"},
        groups=sequence(_WORD, 5),
        metrics=sequence(_WORD, 40),
    ),
    50,
)
