from collections.abc import Iterable
from contextlib import suppress

import gevent
import structlog
from gevent.event import Event as Flag
from google.protobuf.message import DecodeError

from services.shared.bus.backlog import Backlog
from services.shared.bus.errors import BusUnavailable
from services.shared.bus.ports import Reader
from services.shared.bus.record import Record
from services.shared.bus.topics import TENANTS
from services.shared.chassis.insisting import Stopped
from services.shared.contracts.ringmaster.v1.tenant_pb2 import TenantDocument
from services.webhooks import metrics
from services.webhooks.domain.endpoint import Endpoint, EndpointKey, endpoints_of
from services.webhooks.domain.rules.rule import BadRule, TenantRules, rules_of, source_of
from services.webhooks.insisting import insist_on_store
from services.webhooks.waiting import Gone, GoneEndpoints, StoreUnavailable

POLL_SECONDS = 0.25
PAUSE_SECONDS = 1.0
# So long the beginning waits for the endpoints that are closed, seconds. Where the store does not answer the others are
# served without: at worst one that is closed is asked once more, and says 410 again.
CLOSED_SECONDS = 3.0

log = structlog.get_logger()


class Directory:
    """The endpoints of all tenants, as the compacted topic of tenant documents tells them, less those that said 410."""

    def __init__(self, reader: Reader, gone: GoneEndpoints) -> None:
        self._reader = reader
        self._gone_store = gone
        self._endpoints: dict[str, dict[str, Endpoint]] = {}
        self._rules: dict[str, TenantRules] = {}
        self._gone: dict[EndpointKey, Gone] = {}
        self._positions: dict[tuple[str, int], int] = {}
        self._waiting: list[Flag] = []
        self._closed_are_known = Flag()
        self.is_current = False

    def run(self, stopping: Flag) -> None:
        """Follow the topic until stopped."""
        gevent.wait([self._closed_are_known, stopping], count=1, timeout=CLOSED_SECONDS)
        while not stopping.is_set():
            try:
                self._follow()
            except BusUnavailable as error:
                log.warning("tenants_unreadable", reason=str(error))
                stopping.wait(PAUSE_SECONDS)
        # Nobody answers them any more, and the end of the service must not wait for that.
        for caught_up in self._waiting:
            caught_up.set()

    def catch_up(self, timeout_seconds: float) -> bool:
        """Wait until all that was in the topic when this was asked is known; False when it takes longer."""
        caught_up = Flag()
        self._waiting.append(caught_up)
        return bool(caught_up.wait(timeout_seconds))

    def knows(self, tenant_id: str) -> bool:
        """Whether a document of this tenant was read."""
        return tenant_id in self._endpoints

    def rules(self, tenant_id: str) -> TenantRules:
        """Return the tenant's rules; the same object as long as nothing of them changes."""
        return self._rules.get(tenant_id) or TenantRules(tenant_id)

    def all_rules(self) -> list[TenantRules]:
        """Return the rules of every tenant that has some."""
        return [rules for rules in self._rules.values() if rules.rules]

    def endpoints(self, tenant_id: str) -> list[Endpoint]:
        """Return the tenant's endpoints that take deliveries."""
        return [endpoint for endpoint in self._endpoints.get(tenant_id, {}).values() if self.is_open(endpoint)]

    def known(self, tenant_id: str) -> list[Endpoint]:
        """Return all of the tenant's endpoints, whatever their state."""
        return list(self._endpoints.get(tenant_id, {}).values())

    def tenant_ids(self) -> list[str]:
        """Return the tenants whose documents were read."""
        return sorted(self._endpoints)

    def find(self, tenant_id: str, endpoint_id: str) -> Endpoint | None:
        """Return one endpoint, whatever its state."""
        return self._endpoints.get(tenant_id, {}).get(endpoint_id)

    def is_open(self, endpoint: Endpoint) -> bool:
        """Whether it is neither switched off by hand nor gone."""
        return not endpoint.is_disabled and not self.why_closed(endpoint)

    def why_closed(self, endpoint: Endpoint) -> str:
        """Return why an endpoint takes nothing any more under its URL; nothing when it does."""
        gone = self._gone.get(endpoint.key)
        return gone.reason if gone is not None and gone.url == endpoint.url else ""

    def close(self, endpoint: Endpoint, at_ms: int, reason: str) -> None:
        """Deliver nothing more to an endpoint until its URL changes."""
        gone = Gone(endpoint.key, endpoint.url, at_ms, reason)
        self._gone[endpoint.key] = gone
        try:
            self._gone_store.mark(gone)
        except StoreUnavailable as error:
            # It will say 410 again after the next start.
            metrics.STORE_FAILURES.inc()
            log.warning("gone_endpoint_not_kept", endpoint=endpoint.key, reason=str(error))

    def reopen(self, endpoint: Endpoint) -> None:
        """Let an endpoint that was closed take deliveries again. Raises StoreUnavailable."""
        self._gone_store.forget(endpoint.key)
        self._gone.pop(endpoint.key, None)

    def refresh_closed(self) -> None:
        """Learn what other processes have closed and reopened. Raises StoreUnavailable."""
        self._gone = {gone.key: gone for gone in self._gone_store.all()}

    def remember_closed(self, stopping: Flag) -> None:
        """Learn which endpoints former processes have closed; returns when that is known."""
        with suppress(Stopped):
            left = insist_on_store(self._gone_store.all, stopping, "gone_endpoints_unreadable")
            self._gone |= {gone.key: gone for gone in left}
            self._closed_are_known.set()

    def _follow(self) -> None:
        asked = list(self._waiting)
        if asked:
            backlog = Backlog(self._reader, positions=self._positions)
            while not backlog.is_read:
                self._take_all(backlog.poll(POLL_SECONDS))
        else:
            self._take_all(self._reader.poll(POLL_SECONDS))
        for caught_up in asked:
            self._waiting.remove(caught_up)
            caught_up.set()
        self.is_current = self.is_current or bool(asked)

    def _take_all(self, records: Iterable[Record]) -> None:
        for record in records:
            self._take(record)

    def _take(self, record: Record) -> None:
        self._positions[record.topic, record.partition] = record.offset + 1
        if not record.value:
            self._endpoints.pop(record.key, None)
            self._rules.pop(record.key, None)
            return
        try:
            document = TenantDocument.FromString(record.value)
        except DecodeError:
            metrics.INVALID.labels(TENANTS).inc()
            log.warning("tenant_document_unreadable", tenant_id=record.key, offset=record.offset)
            return
        self._endpoints[record.key] = {endpoint.endpoint_id: endpoint for endpoint in endpoints_of(document)}
        self._take_rules(record.key, document)

    def _take_rules(self, tenant_id: str, document: TenantDocument) -> None:
        former = self._rules.get(tenant_id)
        if former is not None and former.source == source_of(document):
            return
        try:
            self._rules[tenant_id] = rules_of(document)
        except BadRule as error:
            self._rules[tenant_id] = TenantRules(tenant_id)
            log.error("rules_unusable", tenant_id=tenant_id, reason=str(error))  # noqa: TRY400 - a sentence, not a trace
