import re
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import yaml

from local.stack.layout import Layout
from services.shared.bus.consumer import Consumer
from services.shared.bus.errors import BusUnavailable
from services.shared.bus.events import event_type
from services.shared.bus.record import Record
from services.shared.bus.topics import CALLS, feed_topic
from services.shared.contracts.ringmaster.v1.event_pb2 import Event
from services.shared.contracts.ringmaster.v1.switch_pb2 import DIRECTION_INBOUND

QUIET_SECONDS = 1.0
BROKER_SECONDS = 60.0
NOBODY_TOOK_IT = "DESTINATION_OUT_OF_ORDER"
NUMBER = re.compile(r"\+?[0-9]{5,17}")
Told = list[tuple[str, Event]]
"""The events of one tenant with their types, each once, in the order of the log."""


@dataclass(frozen=True, slots=True)
class Due:
    """What the topic of events and the documents as written ask for, and what the tenants' own topics hold."""

    deliveries: int
    fed: int
    found_in_feeds: int
    unreached: frozenset[str] = frozenset()
    """Calls to customers that are told as failed because nobody took the order to dial: broker or routers were away."""


def due_now(layout: Layout) -> Due:
    """Count what is due, by other means than the platform's."""
    documents = _documents(layout)
    events: dict[str, Told] = defaultdict(list)
    seen: set[str] = set()
    for record in _records(layout, CALLS):
        event = Event.FromString(record.value)
        if event.event_id not in seen:
            seen.add(event.event_id)
            events[event.tenant_id].append((event_type(event), event))
    deliveries = sum(_wanted(document, events[document["tenant_id"]]) for document in documents)
    feeds = [
        (document, channel) for document in documents for channel in document.get("channels", []) if "feed" in channel
    ]
    fed = sum(_wants(channel, kind) for document, channel in feeds for kind, _ in events[document["tenant_id"]])
    held = sum(_distinct(layout, document["tenant_id"]) for document, _ in feeds)
    unreached = {
        event.call_id
        for told in events.values()
        for kind, event in told
        if kind == "callback.failed" and event.callback_failed.cause == NOBODY_TOOK_IT
    }
    return Due(deliveries, fed, held, frozenset(unreached))


def _wanted(document: dict[str, Any], told: Told) -> int:
    """Count one tenant's deliveries: event x endpoint, and what rules send to an endpoint."""
    hooks = document.get("webhooks", [])
    plain = sum(_wants(hook, kind) for hook in hooks for kind, _ in told)
    ids = {hook["endpoint_id"] for hook in hooks}
    by_rules = sum(
        sum(action["to"] in ids for action in rule["actions"]) * _firings(rule, told)
        for rule in document.get("rules", [])
    )
    return plain + by_rules


def _firings(rule: dict[str, Any], told: Told) -> int:
    """Count how often a rule with a window by caller (who calls) or agent fires, or one that watches waits."""
    if "wait" in rule:
        return sum(kind == "kpi.violated" and event.kpi_violated.kpi_id == rule["rule_id"] for kind, event in told)
    window = rule["window"]
    former: dict[str, list[tuple[int, bool]]] = defaultdict(list)
    count = 0
    for kind, event in told:
        key = _key(window["per"], event) if kind in rule["events"] else ""
        if not key:
            continue
        at_ms = event.time.ToMilliseconds()
        since_ms = at_ms - window["seconds"] * 1000
        often = 1 + sum(since_ms < past <= at_ms for past, _ in former[key]) >= window["count"]
        count += often and not (former[key] and former[key][-1][1] and former[key][-1][0] > since_ms)
        former[key].append((at_ms, often))
    return count


def _key(per: str, event: Event) -> str:
    body = getattr(event, event.WhichOneof("body") or "")
    if per == "agent":
        return str(body.agent_id)
    if body.direction != DIRECTION_INBOUND or not NUMBER.fullmatch(body.caller.number):
        return ""  # whoever withholds the number is nobody whose calls could be counted
    return str(body.caller.number)


def _distinct(layout: Layout, tenant_id: str) -> int:
    return len({record.headers["ce_id"] for record in _records(layout, feed_topic(tenant_id))})


def _records(layout: Layout, topic: str) -> Iterator[Record]:
    consumer = _opened(layout, topic)
    try:
        while records := consumer.poll(QUIET_SECONDS):
            yield from records
    finally:
        consumer.close()


def _opened(layout: Layout, topic: str) -> Consumer:
    """Return a reader, patiently: a broker that was just killed is on its way back."""
    deadline = time.monotonic() + BROKER_SECONDS
    while True:
        try:
            return Consumer(layout.address("kafka"), None, [topic], "balance")
        except BusUnavailable:
            if time.monotonic() > deadline:
                raise
            time.sleep(1)


def _documents(layout: Layout) -> list[dict[str, Any]]:
    return [yaml.safe_load(path.read_text(encoding="utf-8")) for path in layout.folder.glob("tenants/*.yaml")]


def _wants(subscriber: dict[str, Any], kind: str) -> bool:
    wanted = subscriber.get("events") or []
    family, _, _ = kind.partition(".")
    return not wanted or kind in wanted or f"{family}.*" in wanted
