import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import structlog

from services.shared.chassis.clock import Clock
from services.shared.contracts.ringmaster.v1.delivery_pb2 import Delivery
from services.shared.outbound.target import BadUrl, target_of
from services.webhooks import metrics
from services.webhooks.adapters.channels.carrier import Carriers
from services.webhooks.adapters.connection import EndpointConnection
from services.webhooks.adapters.identities import Identities
from services.webhooks.batching import Batching
from services.webhooks.call_order import CallOrder
from services.webhooks.delivery_log import DeliveryLog
from services.webhooks.directory import Directory
from services.webhooks.domain.batch import members_of
from services.webhooks.domain.endpoint import Endpoint
from services.webhooks.domain.erased import ErasedPersons
from services.webhooks.domain.examples import is_example
from services.webhooks.domain.header import BadHeader, header_lines
from services.webhooks.domain.identity import NoIdentity
from services.webhooks.domain.ladder import Ladder
from services.webhooks.domain.outcome import HTTP_TOO_MANY, HTTP_UNAUTHORIZED, HTTP_UNAVAILABLE, Attempt, Verdict
from services.webhooks.domain.signing import in_force, signatures
from services.webhooks.erasing import FORGOTTEN
from services.webhooks.health import Health
from services.webhooks.lanes import Job
from services.webhooks.notices import NoticeKind
from services.webhooks.secret_book import SecretBook
from services.webhooks.waiting import FAILED_FOR_DAYS, SAID_GONE, StoreUnavailable, WaitingRoom

CATCH_UP_SECONDS = 10.0
# A delivery that only ever waited for its endpoint's rests to end is given up after the ladder's length, but never
# sooner than this.
LEAST_KEEP_SECONDS = 3600.0
# Rests from this length on are written into the waiting room, milliseconds of platform time.
HOLD_FROM_MS = 30_000
EXAMPLE_HEADER = "webhook-example: true\r\n"
PAUSING = (HTTP_TOO_MANY, HTTP_UNAVAILABLE)

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Dispatcher:
    """Makes one try of a delivery and decides what comes after it."""

    directory: Directory
    secrets: SecretBook
    ladder: Ladder
    clock: Clock
    delivery_log: DeliveryLog
    health: Health
    order: CallOrder
    batching: Batching
    room: WaitingRoom
    identities: Identities
    carriers: Carriers = field(default_factory=Carriers)
    persons: ErasedPersons = field(default_factory=ErasedPersons)
    chance: Callable[[], float] = random.random
    unix_time: Callable[[], float] = time.time

    def attempt(self, jobs: Sequence[Job], connection: EndpointConnection) -> None:
        """Try once, if its turn has come, and tell each delivery's origin how it ended. Several make one message."""
        jobs = self._written(self._of_nobody_erased(jobs))
        if not jobs:
            return
        endpoint = self._find(jobs[0].delivery)
        job: Job | None = jobs[0]
        if len(jobs) > 1 or (endpoint is not None and endpoint.batch is not None and not jobs[0].delivery.members):
            job = self.batching.message_of(jobs)
        if job is not None:
            self._attempt(job, endpoint, connection)

    def _attempt(self, job: Job, endpoint: Endpoint | None, connection: EndpointConnection) -> None:
        delivery = job.delivery
        if endpoint is None:
            self._give_up(job, "removed", "the endpoint is not in the tenant's document any more")
        elif endpoint.is_disabled:
            self._give_up(job, "disabled", "the endpoint is switched off")
        elif not self.directory.is_open(endpoint):
            self._give_up(job, "gone", self.directory.why_closed(endpoint))
        elif not job.leads and self.order.is_kept(delivery) and not self.order.is_next(job):
            metrics.BEHIND.labels(delivery.tenant_id).inc()
        elif not self.health.admits(endpoint):
            self._rest(job, endpoint)
        else:
            self._settle(job, endpoint, self._post(delivery, endpoint, connection))

    def _of_nobody_erased(self, jobs: Sequence[Job]) -> list[Job]:
        """Return what may be sent; what names a person who was erased meanwhile has ended."""
        left = []
        for job in jobs:
            delivery = job.delivery
            if delivery.members or not self.persons.names(delivery.tenant_id, delivery.payload, delivery.created_ms):
                left.append(job)
                continue
            self.drop(delivery)
            job.origin.delivered(delivery)
        return left

    def _written(self, jobs: Sequence[Job]) -> list[Job]:
        """Return what has a body; give up what could not be written, by a template or for its length."""
        unwritten = [job for job in jobs if not job.delivery.payload and job.delivery.last_error]
        for job in unwritten:
            self._give_up(job, "unwritable", job.delivery.last_error)
        return [job for job in jobs if job not in unwritten] if unwritten else list(jobs)

    def drop(self, delivery: Delivery) -> None:
        """Note that a delivery is sent no more, because it names a person who was erased."""
        delivery.last_error = FORGOTTEN
        metrics.GIVEN_UP.labels(delivery.tenant_id, "erased").inc()
        self.delivery_log.write(delivery, None, "dead", self.clock.now_ms())

    def _find(self, delivery: Delivery) -> Endpoint | None:
        endpoint = self.directory.find(delivery.tenant_id, delivery.endpoint_id)
        if endpoint is None and self.directory.catch_up(CATCH_UP_SECONDS):
            # Another process may have seen a new document sooner than this one.
            endpoint = self.directory.find(delivery.tenant_id, delivery.endpoint_id)
        return endpoint

    def _post(self, delivery: Delivery, endpoint: Endpoint, connection: EndpointConnection) -> Attempt:
        if endpoint.channel is not None:
            return self.carriers.carry(delivery, endpoint, connection)
        try:
            target = target_of(endpoint.url)
            theirs = header_lines(endpoint.headers)
            tls, proof = self.identities.tls_for(endpoint), self.identities.authorization_for(endpoint)
        except (BadUrl, BadHeader, NoIdentity) as error:
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
            f"{EXAMPLE_HEADER if is_example(delivery.delivery_id) else ''}{theirs}{proof}"
        )
        attempt = connection.post(target, headers, delivery.payload, total_seconds=endpoint.timeout_seconds, tls=tls)
        if proof and attempt.status == HTTP_UNAUTHORIZED:
            self.identities.refused(endpoint)
        return attempt

    def _settle(self, job: Job, endpoint: Endpoint, attempt: Attempt) -> None:
        delivery = job.delivery
        delivery.attempts += 1
        delivery.last_error = attempt.error
        metrics.ATTEMPTS.add(delivery.tenant_id, attempt.outcome)
        metrics.ATTEMPT_SECONDS.observe(attempt.milliseconds / 1000)
        if attempt.verdict is Verdict.DELIVERED:
            metrics.DELIVERED.add(delivery.tenant_id, count=len(members_of(delivery)))
            self.delivery_log.write(delivery, attempt, "delivered", self.clock.now_ms())
            job.origin.delivered(delivery)
            self.health.succeed(endpoint)
        elif attempt.verdict is Verdict.GONE:
            self._close(endpoint, NoticeKind.GONE, SAID_GONE)
            self._give_up(job, "gone", "the endpoint answered 410", attempt)
        else:
            self._try_again(job, endpoint, attempt)

    def _try_again(self, job: Job, endpoint: Endpoint, attempt: Attempt) -> None:
        delivery = job.delivery
        # What a receiver asks for is real seconds; all waits here are platform time.
        asked = None if attempt.retry_after is None else attempt.retry_after * self.clock.speed
        wait = self._ladder_of(endpoint).wait_before_next(delivery.attempts, self.chance(), asked)
        if wait is None:
            self._give_up(job, "exhausted", delivery.last_error, attempt)
        else:
            delivery.due_ms = self.clock.now_ms() + int(wait * 1000)
            self.delivery_log.write(delivery, attempt, "waiting", self.clock.now_ms())
            job.origin.put_off(delivery)
        self._note_failure(endpoint, attempt, asked)

    def _note_failure(self, endpoint: Endpoint, attempt: Attempt, asked: float | None) -> None:
        pause_ms = int(asked * 1000) if asked and attempt.status in PAUSING else 0
        until_ms = self.health.fail(endpoint, pause_ms, attempt.error)
        if until_ms is not None and until_ms - self.clock.now_ms() >= HOLD_FROM_MS:
            self._hold(endpoint, until_ms)
        if self.health.failed_too_long(endpoint):
            self._close(endpoint, NoticeKind.DISABLED, FAILED_FOR_DAYS)

    def _hold(self, endpoint: Endpoint, until_ms: int) -> None:
        """Let nothing of an endpoint come due before its long rest ends: else each look would find all of it due.

        For a short rest that is too dear: it writes on everything that waits.
        """
        try:
            self.room.hold(endpoint.key, until_ms)
        except StoreUnavailable as error:
            metrics.STORE_FAILURES.inc()
            log.warning("resting_endpoint_not_held", reason=str(error))

    def _close(self, endpoint: Endpoint, kind: NoticeKind, reason: str) -> None:
        at_ms = self.clock.now_ms()
        self.directory.close(endpoint, at_ms, reason)
        log.warning("endpoint_closed", tenant_id=endpoint.tenant_id, endpoint_id=endpoint.endpoint_id, kind=kind.value)
        self.health.disabled(endpoint, at_ms, kind)

    def _rest(self, job: Job, endpoint: Endpoint) -> None:
        """Put a delivery off without a try: its endpoint rests. It costs no rung, but not for ever either."""
        delivery, now_ms = job.delivery, self.clock.now_ms()
        keep_ms = int(max(self._ladder_of(endpoint).length_seconds, LEAST_KEEP_SECONDS) * 1000)
        if delivery.created_ms and now_ms - delivery.created_ms > keep_ms:
            self._give_up(job, "exhausted", delivery.last_error or "the endpoint has failed all the time")
            return
        delivery.due_ms = max(delivery.due_ms, self.health.retry_at_ms(endpoint))
        metrics.SPARED.labels(delivery.tenant_id).inc()
        job.origin.put_off(delivery)

    def _ladder_of(self, endpoint: Endpoint) -> Ladder:
        return Ladder.of_waits(endpoint.retry_wait_seconds) if endpoint.retry_wait_seconds else self.ladder

    def _give_up(self, job: Job, reason: str, error: str, attempt: Attempt | None = None) -> None:
        delivery = job.delivery
        delivery.last_error = error
        metrics.GIVEN_UP.labels(delivery.tenant_id, reason).inc(len(members_of(delivery)))
        self.delivery_log.write(delivery, attempt, "dead", self.clock.now_ms())
        job.origin.give_up(delivery)
