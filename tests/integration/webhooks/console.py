"""The console's half of a change of a document, on the same bus: its documents in memory, everything else is real."""

from pathlib import Path
from typing import Any

from services.console.adapters.memory import MemoryTenantStore
from services.console.changing import DocumentDesk
from services.console.domain.validation import sound_document
from services.console.publishing import Publisher
from services.console.tenancy import Tenancy
from services.shared.bus.topics import DOCUMENT_REQUESTS
from services.shared.chassis.clock import Clock
from tests.integration.webhooks.harness import Service

DEMO = Path(__file__).resolve().parents[3] / "local" / "demo" / "tenants" / "acme.yaml"


class Console:
    """The company acme's documents, and who changes them for the page of webhooks."""

    def __init__(self, service: Service) -> None:
        self.store = MemoryTenantStore()
        clock, sender = Clock(), service.bus.producer()
        self.tenancy = Tenancy(self.store, Publisher(self.store, sender, clock), clock)
        self.requests = service.bus.consumer(None, [DOCUMENT_REQUESTS], from_beginning=False)
        self.desk = DocumentDesk(self.requests, sender, self.tenancy, clock)

    def start(self, service: Service) -> None:
        service.supervisor.spawn("document requests", self.desk.run, service.supervisor.stopping)

    def fall_silent(self) -> None:
        """Leave requests where they are."""
        for place in self.requests.assignment():
            self.requests.pause(*place)

    def speak_again(self) -> None:
        """Answer what was asked since, and whatever comes."""
        for place in self.requests.assignment():
            self.requests.resume(*place)

    def apply(self, url: str, **parts: Any) -> None:
        """Put acme's document in force: that of the demo with the endpoints `crm` and `ends` alone."""
        document = sound_document(DEMO.read_text().replace("${RECEIVER_PORT}", "18109").encode())
        crm: dict[str, Any] = {"endpoint_id": "crm", "url": url, "secret_ref": "main"}
        ends = crm | {"endpoint_id": "ends", "events": ["call.ended"]}
        document |= {"webhooks": [crm, ends], "channels": [], "rules": [], **parts}
        self.tenancy.apply(document, "anna")

    def schedules(self) -> list[dict[str, Any]]:
        return list(self.document().get("schedules", ()))

    def document(self) -> dict[str, Any]:
        return self.tenancy.version("acme").document
