"""What the JSON Schema of a tenant's document is made of."""

from typing import Final

from services.shared.destinations import HOST_PATTERN, SIP_PATTERN
from services.shared.json_schema import Schema, count, mapping, sequence


def enum_words(names: list[str], prefix: str) -> list[str]:
    """Return `longest_idle` for STRATEGY_LONGEST_IDLE, without the one that is never valid."""
    return [name.removeprefix(prefix).lower() for name in names if not name.endswith("_UNSPECIFIED")]


ID: Final[Schema] = {
    "type": "string",
    "pattern": "^[A-Za-z0-9][A-Za-z0-9_-]{0,62}$",
    "description": "letters, digits, hyphens and underscores, at most 63",
}
TENANT_ID: Final[Schema] = {
    "type": "string",
    "pattern": "^[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?$",
    "description": "lower-case letters, digits and hyphens, at most 40",
}
E164: Final[Schema] = {
    "type": "string",
    "pattern": r"^\+[1-9][0-9]{4,14}$",
    "description": "a number in E.164 with +, for example +380441234567",
}
WORDS: Final[Schema] = {
    "type": "string",
    "minLength": 1,
    "maxLength": 120,
    "pattern": r"^[^\u0000-\u001f\u007f]*$",
    "description": "text of one line, at most 120 characters",
}
TIME_OF_DAY: Final[Schema] = {
    "type": "string",
    "pattern": "^(([01][0-9]|2[0-3]):[0-5][0-9]|24:00)$",
    "description": "a time of day as HH:MM",
}
DOMAIN: Final[Schema] = {
    "type": "string",
    "maxLength": 253,
    "pattern": r"^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$",
    "description": "a domain name in lower case",
}
SIP_ADDRESS: Final[Schema] = {
    "type": "string",
    "maxLength": 320,
    "pattern": f"^{SIP_PATTERN}$",
    "description": "a SIP address as user@host or user@host:port, without sip:",
}
SIP_HOST: Final[Schema] = {
    "type": "string",
    "maxLength": 253,
    "pattern": rf"^(\*\.)?{HOST_PATTERN}$",
    "description": "a host of SIP addresses, or *.domain for all names below it",
}


PRIORITY: Final[Schema] = count(-1_000, 1_000, 0)
NEEDS: Final[Schema] = sequence(mapping(["skill"], skill=ID, min_proficiency=count(1, 100, 1)), 20)
LANGUAGE: Final[Schema] = {
    "type": "string",
    "pattern": "^[a-z]{2,3}(-[A-Z][a-z]{3})?(-[A-Z]{2})?$",
    "description": "a language",
}
SPOKEN: Final[Schema] = {
    "type": "string",
    "minLength": 1,
    "maxLength": 1_000,
    "pattern": r"^[^\u0000-\u0009\u000b-\u001f\u007f]*$",
    "description": "text of at most 1000 characters, without control characters",
}
