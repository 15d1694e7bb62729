import re
from collections.abc import Iterator
from typing import Any

from services.console.domain.fault import Fault, path_of
from services.console.domain.url import complaint_about_url
from services.shared.contracts.ringmaster.v1.event_pb2 import Event
from services.shared.payload_templates import BadTemplate, places_of, template_of
from services.shared.sentence import sentence

# RFC 9110, 5.1.
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,100}", re.ASCII)
# What the delivery's request itself consists of, and what its signature covers.
_PLATFORM_HEADERS = frozenset(
    (
        *("connection", "content-encoding", "content-length", "content-type", "expect", "host", "keep-alive", "te"),
        *("trailer", "transfer-encoding", "upgrade", "user-agent"),
        *("webhook-example", "webhook-id", "webhook-signature", "webhook-timestamp"),
    )
)
_MIN_TIMEOUT_MS = 500
# What `data` holds in some event: fields of bodies, what every event has, and what is told of endpoints themselves.
_DATA = frozenset(
    field.name
    for body in Event.DESCRIPTOR.oneofs_by_name["body"].fields
    if body.message_type is not None
    for field in body.message_type.fields
) | {"event_id", "tenant_id", "call_id", "sequence", "endpoint_id", "since"}


def webhook_faults(hook: dict[str, Any], index: int) -> Iterator[Fault]:
    """Find what one endpoint asks for and can't get (SPEC 7.3)."""
    at: list[str | int] = ["webhooks", index]
    if 0 < hook.get("timeout_ms", 0) < _MIN_TIMEOUT_MS:
        words = "is too short: give a try at least {least} ms, or 0 for the platform's time."
        yield Fault(path_of([*at, "timeout_ms"]), sentence(words, least=_MIN_TIMEOUT_MS))
    if hook.get("batch_wait_ms") and not hook.get("batch_events"):
        alone = sentence("means nothing alone: say batch_events, how many come together.")
        yield Fault(path_of([*at, "batch_wait_ms"]), alone)
    if "template" in hook:
        yield from _template_faults(hook, at)
    if "oauth" in hook:
        yield from _oauth_faults(hook, at)
    names: set[str] = set()
    for name in hook.get("headers", {}):
        yield from _header_faults(name, names, [*at, "headers", name])
        names.add(name.lower())


def _oauth_faults(hook: dict[str, Any], at: list[str | int]) -> Iterator[Fault]:
    complaint = complaint_about_url(hook["oauth"]["token_url"])
    if complaint or not hook["oauth"]["token_url"].startswith("https://"):
        plain = sentence("must begin with https://: a secret goes there.")
        yield Fault(path_of([*at, "oauth", "token_url"]), complaint or plain)
    if any(name.lower() == "authorization" for name in hook.get("headers", {})):
        both = sentence("and oauth exclude each other: leave one of them out.")
        yield Fault(path_of([*at, "headers", "Authorization"]), both)


def _template_faults(hook: dict[str, Any], at: list[str | int]) -> Iterator[Fault]:
    if hook.get("thin"):
        yield Fault(path_of([*at, "thin"]), sentence("and a template exclude each other: leave one of them out."))
    if not hook["template"]:
        return
    try:
        template_of(hook["template"])
    except BadTemplate as error:
        yield Fault(path_of([*at, "template"]), error.sentence)
        return
    for place in sorted(places_of(hook["template"])):
        if not _is_known(place):
            words = "there is no {{{{{place}}}}} in an event: see the fields in docs/events.md."
            yield Fault(path_of([*at, "template"]), sentence(words, place=place))


def _is_known(place: str) -> bool:
    """Whether some event has what a place names, as far as its first two names say it."""
    first, *inner = place.split(".")
    return (first in ("type", "timestamp") and not inner) or (first == "data" and (not inner or inner[0] in _DATA))


def _header_faults(name: str, earlier: set[str], at: list[str | int]) -> Iterator[Fault]:
    if not _HEADER_NAME.fullmatch(name):
        yield Fault(path_of(at), sentence("is no header name: use letters, digits and hyphens."))
    elif name.lower() in _PLATFORM_HEADERS:
        yield Fault(path_of(at), sentence("is set by the platform itself: leave it out."))
    elif name.lower() in earlier:
        yield Fault(path_of(at), sentence("is there twice: header names don't tell capitals from small letters."))
