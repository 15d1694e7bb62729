import random
import time
from collections.abc import Callable
from dataclasses import dataclass

import structlog

from services.shared.chassis.clock import Clock
from services.shared.contracts.ringmaster.v1.delivery_pb2 import Delivery
from services.shared.outbound.target import BadUrl, target_of
from services.webhooks import metrics
from services.webhooks.adapters.connection import EndpointConnection
from services.webhooks.adapters.secrets_file import SecretsFile
from services.webhooks.delivery_log import DeliveryLog
from services.webhooks.directory import Directory
from services.webhooks.domain.endpoint import Endpoint
from services.webhooks.domain.ladder import Ladder
from services.webhooks.domain.outcome import Attempt, Verdict
from services.webhooks.domain.signing import in_force, signatures
from services.webhooks.lanes import Job

CATCH_UP_SECONDS = 10.0

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Dispatcher:
    """Makes one try of a delivery and decides what comes after it. Has no state of its own."""

    directory: Directory
    secrets: SecretsFile
    ladder: Ladder
    clock: Clock
    delivery_log: DeliveryLog
    chance: Callable[[], float] = random.random
    unix_time: Callable[[], float] = time.time

    def attempt(self, job: Job, connection: EndpointConnection) -> None:
        """Try once and tell the delivery's origin how it ended."""
        delivery = job.delivery
        endpoint = self._find(delivery)
        if endpoint is None:
            self._give_up(job, "removed", "the endpoint is not in the tenant's document any more")
        elif endpoint.is_disabled:
            self._give_up(job, "disabled", "the endpoint is switched off")
        elif not self.directory.is_open(endpoint):
            self._give_up(job, "gone", "the endpoint has answered 410 before")
        else:
            self._settle(job, endpoint, self._post(delivery, endpoint, connection))

    def _find(self, delivery: Delivery) -> Endpoint | None:
        endpoint = self.directory.find(delivery.tenant_id, delivery.endpoint_id)
        if endpoint is None and self.directory.catch_up(CATCH_UP_SECONDS):
            # Another process may have seen a new document sooner than this one.
            endpoint = self.directory.find(delivery.tenant_id, delivery.endpoint_id)
        return endpoint

    def _post(self, delivery: Delivery, endpoint: Endpoint, connection: EndpointConnection) -> Attempt:
        try:
            target = target_of(endpoint.url)
        except BadUrl as error:
            return Attempt(0, 0, str(error))
        moment = self.unix_time()
        secrets = in_force(self.secrets.secrets_of(endpoint.tenant_id, endpoint.secret_ref), moment)
        if not secrets:
            return Attempt(0, 0, "the endpoint has no secret in force in the secret store")
        # Receivers compare the timestamp with their own clocks: it is real time, whatever the platform's clock says.
        timestamp = int(moment)
        headers = (
            "Content-Type: application/json\r\nUser-Agent: Ringmaster-Webhooks/1\r\n"
            f"Content-Length: {len(delivery.payload)}\r\n"
            f"webhook-id: {delivery.delivery_id}\r\nwebhook-timestamp: {timestamp}\r\n"
            f"webhook-signature: {signatures(secrets, delivery.delivery_id, timestamp, delivery.payload)}\r\n"
        )
        return connection.post(target, headers, delivery.payload)

    def _settle(self, job: Job, endpoint: Endpoint, attempt: Attempt) -> None:
        delivery = job.delivery
        delivery.attempts += 1
        delivery.last_error = attempt.error
        metrics.ATTEMPTS.labels(delivery.tenant_id, attempt.outcome).inc()
        metrics.ATTEMPT_SECONDS.observe(attempt.milliseconds / 1000)
        if attempt.verdict is Verdict.DELIVERED:
            metrics.DELIVERED.labels(delivery.tenant_id).inc()
            self.delivery_log.write(delivery, attempt, "delivered", self.clock.now_ms())
            job.origin.delivered(delivery)
        elif attempt.verdict is Verdict.GONE:
            self.directory.mark_gone(endpoint, self.clock.now_ms())
            log.warning("endpoint_gone", tenant_id=endpoint.tenant_id, endpoint_id=endpoint.endpoint_id)
            self._give_up(job, "gone", "the endpoint answered 410", attempt)
        else:
            self._try_again(job, attempt)

    def _try_again(self, job: Job, attempt: Attempt) -> None:
        delivery = job.delivery
        # What a receiver asks for is real seconds; all waits here are platform time.
        asked = None if attempt.retry_after is None else attempt.retry_after * self.clock.speed
        wait = self.ladder.wait_before_next(delivery.attempts, self.chance(), asked)
        if wait is None:
            self._give_up(job, "exhausted", delivery.last_error, attempt)
            return
        delivery.due_ms = self.clock.now_ms() + int(wait * 1000)
        self.delivery_log.write(delivery, attempt, "waiting", self.clock.now_ms())
        job.origin.put_off(delivery)

    def _give_up(self, job: Job, reason: str, error: str, attempt: Attempt | None = None) -> None:
        delivery = job.delivery
        delivery.last_error = error
        metrics.GIVEN_UP.labels(delivery.tenant_id, reason).inc()
        self.delivery_log.write(delivery, attempt, "dead", self.clock.now_ms())
        job.origin.give_up(delivery)
