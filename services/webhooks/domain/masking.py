"""What a log may show of what was sent and what came back: personal data and secrets masked, unless policy allows."""

import re
from enum import Enum
from typing import Any

import orjson

# So many last digits of a number stay, enough to recognise one that is known.
SHOWN_DIGITS = 2
MASK = "•••"
_NUMBER = re.compile(r"\+?\d(?:[\s().-]{0,3}\d){6,}", re.ASCII)
_MAIL = re.compile(r"[^\s@\"'<>,;]{1,64}@[^\s@\"'<>,;]{1,255}")
_SECRET = re.compile(
    r"(?:whsec_|whsk_|Bearer\s+|Basic\s+|sk_|xox[a-z]-|eyJ)[A-Za-z0-9+/=_.~-]{8,}|[A-Fa-f0-9]{32,}|[A-Za-z0-9_-]{40,}"
)
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
# Texts that people wrote or said, whatever their values look like.
_PERSONAL = frozenset(("name", "notes", "text", "email", "transcript", "comment", "digits", "answer", "answers"))
# What the platform itself made, or is the company's own, and a person needs to find things again.
_IDENTIFIERS = ("_id", "_ids", "_at", "_ms", "timestamp", "type", "sequence", "line")


class BodyPolicy(Enum):
    """How bodies are shown: not at all, with personal data masked, or as they are."""

    NONE = "none"
    MASKED = "masked"
    FULL = "full"


def shown_payload(payload: bytes, policy: BodyPolicy) -> Any:
    """Return a body that we sent, as JSON; None where policy shows none."""
    if policy is BodyPolicy.NONE:
        return None
    try:
        document = orjson.loads(payload)
    except orjson.JSONDecodeError:
        return None
    return document if policy is BodyPolicy.FULL else _masked(document, "")


def shown_answer(body: bytes, policy: BodyPolicy) -> str:
    """Return the beginning of what a receiver answered: it is a stranger's text, and may repeat what it got."""
    if policy is BodyPolicy.NONE:
        return ""
    text = _CONTROL.sub(" ", body.decode("utf-8", errors="replace")).strip()
    return text if policy is BodyPolicy.FULL else masked_text(text)


def masked_text(text: str) -> str:
    """Return a text without secrets, addresses and the numbers of people."""
    text = _SECRET.sub(MASK, text)
    return _NUMBER.sub(lambda found: MASK + found[0][-SHOWN_DIGITS:], _MAIL.sub(MASK, text))


def _masked(value: Any, name: str) -> Any:
    if isinstance(value, dict):
        return {each: _masked(inner, each) for each, inner in value.items()}
    if isinstance(value, list):
        return [_masked(inner, name) for inner in value]
    if not isinstance(value, str) or name.endswith(_IDENTIFIERS):
        return value
    if name in _PERSONAL:
        return MASK if value else value
    return masked_text(value)
