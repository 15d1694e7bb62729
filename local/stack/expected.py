from typing import Any

import yaml

from local.stack.layout import Layout
from services.shared.bus.consumer import Consumer
from services.shared.bus.events import event_type
from services.shared.bus.topics import CALLS
from services.shared.contracts.ringmaster.v1.event_pb2 import Event

QUIET_SECONDS = 1.0


def expected_deliveries(layout: Layout) -> int:
    """Count the deliveries that are due, from the topic itself and the documents as written: event x endpoint."""
    endpoints = _endpoints(layout)
    due: set[tuple[str, str]] = set()
    consumer = Consumer(layout.address("kafka"), None, [CALLS], "balance")
    try:
        while records := consumer.poll(QUIET_SECONDS):
            for record in records:
                event = Event.FromString(record.value)
                due |= {
                    (event.event_id, endpoint["endpoint_id"])
                    for endpoint in endpoints.get(event.tenant_id, ())
                    if _wants(endpoint, event_type(event))
                }
    finally:
        consumer.close()
    return len(due)


def _endpoints(layout: Layout) -> dict[str, list[dict[str, Any]]]:
    documents = [yaml.safe_load(path.read_text(encoding="utf-8")) for path in layout.folder.glob("tenants/*.yaml")]
    return {document["tenant_id"]: document.get("webhooks", []) for document in documents}


def _wants(endpoint: dict[str, Any], kind: str) -> bool:
    wanted = endpoint.get("events") or []
    family, _, _ = kind.partition(".")
    return not wanted or kind in wanted or f"{family}.*" in wanted
