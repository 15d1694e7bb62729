"""The JSON Schema of channels and rules in a tenant's document (SPEC 7.4-7.6)."""

from typing import Final

from services.console.domain.schema_parts import DOMAIN, E164, ID, WORDS, enum_words
from services.shared.contracts.ringmaster.v1.tenant_pb2 import FeedFormat, MailSecurity, RuleKey, RuleMeasure
from services.shared.json_schema import Schema, count, mapping, sequence
from services.shared.mail_address import ADDRESS_PATTERN

CHANNEL_KINDS: Final = ("telegram", "slack", "email", "sms", "feed", "crm")
TRIGGERS: Final = ("window", "wait", "kpi")
_DAY_SECONDS: Final = 86_400
_OFF: Final[Schema] = {"type": "boolean", "default": False}
_ADDRESS: Final[Schema] = {
    "type": "string",
    "maxLength": 254,
    "pattern": f"^{ADDRESS_PATTERN}$",
    "description": "an address like shift@example.com, a foreign domain in its ASCII form (xn--…)",
}
_HOST: Final[Schema] = DOMAIN | {
    "pattern": r"^([A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)*[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?$",
    "description": "a host's name or address",
}
_TEXT: Final[Schema] = {
    "type": "string",
    "minLength": 1,
    "maxLength": 1_000,
    "pattern": r"^[^\u0000-\u0009\u000b-\u001f\u007f]*$",
    "description": "text of at most 1000 characters, without control characters but line ends",
}
_NUMBER: Final[Schema] = {"type": "number", "minimum": 0, "maximum": 1_000_000}
_NAME: Final[Schema] = {
    "type": "string",
    "pattern": "^[a-z][a-z0-9_]{0,62}$",
    "description": "a name of small letters, digits and underscores",
}
_SHORT: Final[Schema] = {
    "type": "string",
    "maxLength": 500,
    "pattern": r"^[^\u0000-\u001f\u007f]*$",
    "description": "text of one line, at most 500 characters",
}


def channels_schema(events: list[str]) -> Schema:
    """Return the schema of `channels`; exactly one of CHANNEL_KINDS is asked for by their meaning."""
    return sequence(
        mapping(
            ["channel_id"],
            channel_id=ID,
            secret_ref=ID,
            disabled=_OFF,
            retry_wait_seconds=sequence(count(0, 30 * _DAY_SECONDS), 30),
            events=sequence({"enum": events}, 200),
            telegram=mapping(
                ["chat_id"],
                chat_id={
                    "type": "string",
                    "pattern": r"^(-?[1-9][0-9]{0,18}|@[A-Za-z][A-Za-z0-9_]{4,31})$",
                    "description": "a chat's number like -1001234567890, or @name of a public channel",
                },
            ),
            slack=mapping([]),
            email=mapping(
                ["host", "sender"],
                host=_HOST,
                port=count(0, 65_535, 0),
                security={"enum": enum_words(MailSecurity.keys(), "MAIL_SECURITY_"), "default": "starttls"},
                sender=_ADDRESS,
                sender_name=WORDS,
                recipients=sequence(_ADDRESS, 50),
            ),
            sms=mapping(
                [],
                gateway=_NAME,
                smpp=mapping(["host"], host=_HOST, port=count(0, 65_535, 0), tls=_OFF),
                sender={"type": "string", "pattern": "^[A-Za-z0-9+ ._-]{1,20}$", "description": "a sender's name"},
                recipients=sequence(E164, 50),
            ),
            feed=mapping([], format={"enum": enum_words(FeedFormat.keys(), "FEED_FORMAT_"), "default": "json"}),
            crm=mapping(
                ["connector"],
                connector=_NAME,
                settings={
                    "type": "object",
                    "maxProperties": 50,
                    "propertyNames": _NAME,
                    "additionalProperties": _SHORT,
                },
                users={"type": "object", "maxProperties": 5_000, "propertyNames": ID, "additionalProperties": _SHORT},
            ),
        ),
        50,
    )


def rules_schema(events: list[str]) -> Schema:
    """Return the schema of `rules`."""
    return sequence(
        mapping(
            ["rule_id", "actions"],
            rule_id=ID,
            name=WORDS,
            disabled=_OFF,
            events=sequence({"enum": events}, 50),
            condition={"type": "string", "minLength": 1, "maxLength": 1_000},
            schedule_id=ID,
            window=mapping(
                ["count", "seconds"],
                count=count(2, 100),
                seconds=count(1, _DAY_SECONDS),
                per={"enum": enum_words(RuleKey.keys(), "RULE_KEY_"), "default": "tenant"},
                repeats=_OFF,
            ),
            wait=mapping(["seconds"], seconds=count(1, _DAY_SECONDS), queue_id=ID),
            kpi=mapping(
                ["measure", "seconds"],
                measure={"enum": enum_words(RuleMeasure.keys(), "RULE_MEASURE_")},
                at_least=_NUMBER,
                at_most=_NUMBER,
                seconds=count(60, _DAY_SECONDS),
                least_visits=count(1, 1_000, 10),
                queue_id=ID,
            ),
            actions=sequence(mapping(["to"], to=ID, subject=WORDS, text=_TEXT), 20),
        ),
        100,
    )
