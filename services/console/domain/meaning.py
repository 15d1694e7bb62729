"""What is wrong with the meaning of a document whose shape is sound: names that lead nowhere, numbers that are none."""

import re
from collections.abc import Callable, Iterable, Iterator
from datetime import date
from itertools import islice
from typing import Any, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import phonenumbers

from services.console.domain.callback_rules import faults_of_callbacks
from services.console.domain.fault import Fault, path_of
from services.console.domain.flow_graph import (
    Surroundings,
    faults_of_flow,
    faults_of_nesting,
    kind_of,
    restless_flows,
)
from services.console.domain.flow_words import faults_of_words, steps_of
from services.console.domain.queue_rules import faults_of_queues
from services.console.domain.routing_domains import faults_of_domains
from services.console.domain.rule_words import faults_of_rules
from services.console.domain.speech_rules import faults_of_speech
from services.console.domain.url import complaint_about_url
from services.console.domain.webhook_wishes import webhook_faults
from services.shared.contracts.ringmaster.v1 import tenant_pb2 as tn
from services.shared.destinations import is_high_risk, may_reach

Document = dict[str, Any]

MAX_FAULTS: Final = 1_000
_PLACEHOLDER: Final = re.compile(r"\{([^{}]*)\}")
NAME_PLACEHOLDERS: Final = frozenset(
    {"date", "time", "queue", "agent", "caller", "line", "call_id", "recording_id", "tenant_id"}
)


# What a step of this type names in its field <thing>_id.
_THINGS: Final = {
    "schedule": "schedule",
    "check_list": "list",
    "queue": "queue",
    "callback": "queue",
    "agent": "agent",
    "subflow": "flow",
}


def faults_of_meaning(document: Document) -> list[Fault]:
    """Return every fault of a document that has passed the schema; at most MAX_FAULTS."""
    return sorted(set(islice((fault for rule in _RULES for fault in rule(document)), MAX_FAULTS)))


def _unique(document: Document) -> Iterator[Fault]:
    for collection, key in (
        ("lines", "number"),
        ("queues", "queue_id"),
        ("agents", "agent_id"),
        ("agents", "phone"),
        ("flows", "flow_id"),
        ("schedules", "schedule_id"),
        ("lists", "list_id"),
        ("groups", "group_id"),
        ("campaigns", "campaign_id"),
        ("prompts", "prompt_id"),
        ("webhooks", "endpoint_id"),
        ("speech_rules", "rule_id"),
        ("score_cards", "card_id"),
        ("channels", "channel_id"),
        ("rules", "rule_id"),
        ("kpis", "kpi_id"),
        ("raporty", "raport_id"),
    ):
        yield from _repeated(document.get(collection, ()), key, [collection])
    for index, queue in enumerate(document["queues"]):
        yield from _repeated(queue["tiers"], "agent_id", ["queues", index, "tiers"])
    for index, flow in enumerate(document["flows"]):
        yield from _repeated(flow["steps"], "step_id", ["flows", index, "steps"])


def _repeated(entries: Iterable[Document], key: str, at: list[str | int]) -> Iterator[Fault]:
    first: dict[str, int] = {}
    for index, entry in enumerate(entries):
        earlier = first.setdefault(entry[key], index)
        if earlier != index:
            yield Fault(path_of([*at, index, key]), f"{entry[key]} is the same as in {path_of([*at, earlier])}.")


def _references(document: Document) -> Iterator[Fault]:
    known = {
        "flow": _ids(document, "flows", "flow_id"),
        "agent": _ids(document, "agents", "agent_id"),
        "queue": _ids(document, "queues", "queue_id"),
        "schedule": _ids(document, "schedules", "schedule_id"),
        "list": _ids(document, "lists", "list_id"),
    }
    for thing, name, at in _named(document):
        if name not in known[thing]:
            yield Fault(path_of(at), f"there is no {thing} {name}.")


def _named(document: Document) -> Iterator[tuple[str, str, list[str | int]]]:
    """Yield each place of a document that names a thing of it: what kind, which one, where."""
    for index, line in enumerate(document["lines"]):
        yield "flow", line["flow"], ["lines", index, "flow"]
    for index, queue in enumerate(document["queues"]):
        for number, tier in enumerate(queue["tiers"]):
            yield "agent", tier["agent_id"], ["queues", index, "tiers", number, "agent_id"]
    for step, at in steps_of(document):
        kind = kind_of(step)
        thing = _THINGS.get(kind)
        if thing:
            field = f"{thing}_id"
            yield thing, step[kind][field], [*at, kind, field]


def _flows(document: Document) -> Iterator[Fault]:
    schedules = frozenset(one["schedule_id"] for one in document.get("schedules", ()) if one.get("holidays"))
    limited = frozenset(queue["queue_id"] for queue in document["queues"] if queue.get("max_wait_seconds"))
    bounded = frozenset(queue["queue_id"] for queue in document["queues"] if queue.get("capacity"))
    flows = document["flows"]
    around = Surroundings(schedules, limited, bounded, restless_flows(flows))
    for index, flow in enumerate(flows):
        yield from faults_of_flow(flow, index, around)
    yield from faults_of_nesting(flows)


def _numbers(document: Document) -> Iterator[Fault]:
    for index, line in enumerate(document["lines"]):
        yield from _number(line["number"], ["lines", index, "number"])
    for number, at in _outside_numbers(document):
        yield from _number(number, at)


def _number(number: str, at: list[str | int]) -> Iterator[Fault]:
    try:
        parsed = phonenumbers.parse(number, None)
    except phonenumbers.NumberParseException:
        yield Fault(path_of(at), f"{number} is not a number: no country begins like this.")
        return
    if not phonenumbers.is_possible_number(parsed):
        yield Fault(path_of(at), f"{number} has too few or too many digits for its country.")
    elif phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164) != number:
        yield Fault(path_of(at), f"{number} is not written as E.164 writes it.")


def _outside_numbers(document: Document) -> Iterator[tuple[str, list[str | int]]]:
    if "fallback_number" in document:
        yield document["fallback_number"], ["fallback_number"]
    for step, at in steps_of(document):
        if "number" in step.get("forward", {}):
            yield step["forward"]["number"], [*at, "forward", "number"]


def _sip_addresses(document: Document) -> Iterator[Fault]:
    """Name the SIP addresses whose hosts the tenant's own limits don't name."""
    limits = tn.Limits(allowed_sip_hosts=document.get("limits", {}).get("allowed_sip_hosts", ()))
    for step, at in steps_of(document):
        address = step.get("forward", {}).get("sip", "")
        if address and not may_reach(limits, address):
            yield Fault(path_of([*at, "forward", "sip"]), f"{address} lies on no host of limits.allowed_sip_hosts.")


def _destinations(document: Document) -> Iterator[Fault]:
    """Name the outside numbers that the tenant's own limits forbid, or that would call the tenant itself."""
    limits = document.get("limits", {})
    allowed = tuple(limits.get("allowed_prefixes", ()))
    denied = tuple(limits.get("denied_prefixes", ()))
    dear = tuple(limits.get("high_risk_prefixes", ()))
    priced = tuple(tariff["prefix"] for tariff in limits.get("tariffs", ()))
    must_have_price = bool(limits.get("outbound_spend_per_day"))
    lines = {line["number"] for line in document["lines"]}
    for number, at in _outside_numbers(document):
        if number in lines:
            yield Fault(path_of(at), f"{number} is a line of this tenant: the call would come back.")
        if not number.startswith(allowed):
            yield Fault(path_of(at), f"{number} begins with no prefix of limits.allowed_prefixes.")
        if number.startswith(denied):
            yield Fault(path_of(at), f"{number} begins with a prefix of limits.denied_prefixes.")
        if is_high_risk(number) and not number.startswith(dear):
            sentence = (
                f"{number} is a premium-rate, shared-cost or satellite number; limits.high_risk_prefixes must allow it."
            )
            yield Fault(path_of(at), sentence)
        if must_have_price and not number.startswith(priced):
            yield Fault(path_of(at), f"{number} has no price in limits.tariffs, and the day's spend is limited.")


def _prices(document: Document) -> Iterator[Fault]:
    """Name tariffs of one prefix, and a limit of spend without any price: nothing could be dialled."""
    limits = document.get("limits", {})
    known: set[str] = set()
    for index, tariff in enumerate(limits.get("tariffs", ())):
        if tariff["prefix"] in known:
            yield Fault(path_of(["limits", "tariffs", index, "prefix"]), f"{tariff['prefix']} has a price already.")
        known.add(tariff["prefix"])
    if limits.get("outbound_spend_per_day") and not known:
        sentence = "without limits.tariffs no number has a price, and nothing would be dialled."
        yield Fault(path_of(["limits", "outbound_spend_per_day"]), sentence)


def _times(document: Document) -> Iterator[Fault]:
    yield from _time_zone(document["time_zone"], ["time_zone"])
    for index, schedule in enumerate(document.get("schedules", ())):
        if "time_zone" in schedule:
            yield from _time_zone(schedule["time_zone"], ["schedules", index, "time_zone"])
        for number, hours in enumerate(schedule["open"]):
            if hours["from"] >= hours["until"]:
                yield Fault(path_of(["schedules", index, "open", number, "until"]), "must be later than from.")
        for number, day in enumerate(schedule.get("holidays", ())):
            try:
                date.fromisoformat(day)
            except ValueError:
                yield Fault(path_of(["schedules", index, "holidays", number]), f"{day} is not a day.")


def _time_zone(name: str, at: list[str | int]) -> Iterator[Fault]:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        yield Fault(path_of(at), f"{name[:60]} is not an IANA time zone.")


def _addresses(document: Document) -> Iterator[Fault]:
    for index, hook in enumerate(document.get("webhooks", ())):
        complaint = complaint_about_url(hook["url"])
        if complaint:
            yield Fault(path_of(["webhooks", index, "url"]), complaint)
        yield from webhook_faults(hook, index)


def _recording_policies(document: Document) -> Iterator[Fault]:
    """Judge the company's policy, and those of lines and queues, which replace it."""
    holders: list[tuple[list[str | int], Document]] = [([], document)]
    for collection in ("lines", "queues"):
        holders += [([collection, index], entry) for index, entry in enumerate(document[collection])]
    for place, holder in holders:
        if "recording" in holder:
            yield from _recording_policy(path_of([*place, "recording"]), holder["recording"])


def _recording_policy(place: str, policy: Document) -> Iterator[Fault]:
    if (policy["mode"] == "percent") != ("percent" in policy):
        yield Fault(f"{place}.percent", "belongs to mode percent, and only to it.")
    template, at = policy.get("name_template", ""), f"{place}.name_template"
    for name in _PLACEHOLDER.findall(template):
        if name not in NAME_PLACEHOLDERS:
            yield Fault(at, f"{{{name[:40]}}} is not known; known are {', '.join(sorted(NAME_PLACEHOLDERS))}.")
    if template and "{recording_id}" not in template:
        yield Fault(at, "must hold {recording_id}: without it two recordings could have one name.")
    plain = _PLACEHOLDER.sub("", template)
    if not re.fullmatch(r"[A-Za-z0-9 _./-]*", plain) or ".." in template or template.startswith("/"):
        yield Fault(at, "may hold letters, digits, spaces, _ . - and / between names only.")


def _ids(document: Document, collection: str, key: str) -> set[str]:
    return {entry[key] for entry in document.get(collection, ())}


_RULES: Final[tuple[Callable[[Document], Iterator[Fault]], ...]] = (
    _unique,
    _references,
    _flows,
    _numbers,
    _destinations,
    _sip_addresses,
    _prices,
    _times,
    _addresses,
    _recording_policies,
    faults_of_queues,
    faults_of_domains,
    faults_of_callbacks,
    faults_of_words,
    faults_of_speech,
    faults_of_rules,
)
