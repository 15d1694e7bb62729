"""The dispatcher that one writes by the documentation of kafka-python, requests, standardwebhooks and pymongo.

It does what must be done and no more: no retries, no order, one try, and a log of it.
"""

from gevent import monkey

if __name__ == "__main__":
    monkey.patch_all()

import json
import os
from datetime import UTC, datetime
from typing import Any

import requests
from gevent.pool import Pool
from google.protobuf.json_format import MessageToDict
from kafka import KafkaConsumer
from pymongo import MongoClient
from standardwebhooks import Webhook

from services.shared.bus.events import event_type
from services.shared.bus.topics import CALLS, TENANTS
from services.shared.contracts.ringmaster.v1.event_pb2 import Event
from services.shared.contracts.ringmaster.v1.tenant_pb2 import TenantDocument

AT_ONCE = 50


class Dispatcher:
    """Posts each event to its tenant's endpoints."""

    def __init__(self) -> None:
        bootstrap, self.run_name = os.environ["RINGMASTER_KAFKA_BOOTSTRAP"], os.environ["BENCH_RUN"]
        self.urls = dict(self._tenants(bootstrap))
        self.consumer = KafkaConsumer(
            CALLS, bootstrap_servers=bootstrap, group_id=self.run_name, auto_offset_reset="earliest"
        )
        secrets = json.loads(open(os.environ["RINGMASTER_WEBHOOK_SECRETS"], encoding="utf-8").read())  # noqa: SIM115, PTH123 - as one writes it
        self.signers = {name.partition("/")[0]: Webhook(secret) for name, secret in secrets.items()}
        self.sessions = {tenant_id: requests.Session() for tenant_id in self.urls}
        self.log: Any = MongoClient(os.environ["RINGMASTER_MONGODB_URI"]).get_default_database()["deliveries"]

    def _tenants(self, bootstrap: str) -> list[tuple[str, str]]:
        reader = KafkaConsumer(
            TENANTS, bootstrap_servers=bootstrap, auto_offset_reset="earliest", consumer_timeout_ms=3000
        )
        found = [TenantDocument.FromString(message.value) for message in reader if message.value]
        return [(one.tenant_id, one.webhooks[0].url) for one in found if one.tenant_id.startswith(self.run_name)]

    def run(self) -> None:
        """Post what comes, for ever."""
        pool = Pool(AT_ONCE)
        for message in self.consumer:
            event = Event.FromString(message.value)
            if event.tenant_id in self.urls:
                pool.spawn(self.deliver, event)

    def deliver(self, event: Event) -> None:
        """Make one delivery."""
        kind = event_type(event)
        data = MessageToDict(getattr(event, event.WhichOneof("body") or ""), preserving_proto_field_name=True)
        body = json.dumps({"type": kind, "timestamp": event.time.ToJsonString(), "data": data})
        delivery_id, now = f"{event.event_id}.crm", datetime.now(UTC)
        headers = {
            "content-type": "application/json",
            "webhook-id": delivery_id,
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": self.signers[event.tenant_id].sign(delivery_id, now, body),
        }
        answer = self.sessions[event.tenant_id].post(self.urls[event.tenant_id], body, headers=headers, timeout=15)
        self.log.insert_one({"_id": delivery_id, "status": answer.status_code, "at": now})


if __name__ == "__main__":
    Dispatcher().run()
