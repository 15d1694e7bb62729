import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

import structlog

from services.shared.chassis.clock import Clock
from services.webhooks import metrics
from services.webhooks.domain.breaker import Breaker, BreakerRules
from services.webhooks.domain.endpoint import Endpoint, EndpointKey
from services.webhooks.notices import NoticeKind
from services.webhooks.waiting import StoreUnavailable

# An endpoint that comes and goes gives notice of its trouble no more often than this, milliseconds of platform time.
DAMP_MS = 900_000

log = structlog.get_logger()


class FailingEndpoints(Protocol):
    """Since when endpoints fail; outlives the process, so that a start does not begin their time anew."""

    def begin(self, key: EndpointKey, since_ms: int) -> None:
        """Remember a beginning; an earlier one stays. Raises StoreUnavailable."""

    def end(self, key: EndpointKey) -> None:
        """Forget it. Raises StoreUnavailable."""

    def all(self) -> dict[EndpointKey, int]:
        """Return what is remembered, platform time in milliseconds. Raises StoreUnavailable."""


Tell = Callable[[Endpoint, NoticeKind, int, str], None]
"""Gives notice of an endpoint's state: the moment its trouble began, and what its last try met."""


@dataclass(slots=True)
class Health:
    """How the endpoints are: who rests, who has failed for so long that it is switched off."""

    store: FailingEndpoints
    tell: Tell
    clock: Clock
    disable_after_ms: int
    rules: BreakerRules
    chance: Callable[[], float] = random.random
    _breakers: dict[EndpointKey, Breaker] = field(default_factory=dict)
    _since: dict[EndpointKey, int] = field(default_factory=dict)
    _told_ms: dict[EndpointKey, int] = field(default_factory=dict)
    _untold: set[EndpointKey] = field(default_factory=set)
    _why: dict[EndpointKey, str] = field(default_factory=dict)

    def remember(self) -> None:
        """Read what former processes knew. Raises StoreUnavailable."""
        self._since = self.store.all() | self._since

    def admits(self, endpoint: Endpoint) -> bool:
        """Whether a delivery may be tried now; whoever is admitted tells how it ended."""
        breaker = self._breakers.get(endpoint.key)
        return breaker is None or breaker.admits(self.clock.now_ms())

    def retry_at_ms(self, endpoint: Endpoint) -> int:
        """Return when to ask again, platform time in milliseconds."""
        return self._breakers[endpoint.key].retry_at_ms(self.clock.now_ms())

    def resting(self) -> list[EndpointKey]:
        """Return the endpoints that take nothing now."""
        now_ms = self.clock.now_ms()
        return [key for key, breaker in self._breakers.items() if breaker.holds(now_ms)]

    def is_half_open(self, key: EndpointKey) -> bool:
        """Whether one delivery alone may find out if an endpoint is back."""
        breaker = self._breakers.get(key)
        return breaker is not None and not breaker.is_closed

    def failing_since_ms(self, key: EndpointKey) -> int | None:
        """Return since when it fails without a success, None when it does not; platform time."""
        return self._since.get(key)

    def why_failing(self, key: EndpointKey) -> str:
        """Return what the last try of an endpoint that fails has met; nothing where this process has tried none."""
        return self._why.get(key, "")

    def succeed(self, endpoint: Endpoint) -> None:
        """Note a delivery."""
        breaker = self._breakers.pop(endpoint.key, None)
        if breaker is None:
            return
        self._why.pop(endpoint.key, None)
        if breaker.succeed():
            metrics.BREAKERS_OPEN.dec()
        since_ms = self._since.pop(endpoint.key, None)
        if since_ms is not None:
            self._store(lambda: self.store.end(endpoint.key))
            if endpoint.key in self._untold:
                self._untold.discard(endpoint.key)
            else:
                self.tell(endpoint, NoticeKind.RECOVERED, since_ms, "")

    def fail(self, endpoint: Endpoint, asked_ms: int = 0, why: str = "") -> int | None:
        """Note a failure. Return the moment until which the endpoint rests from now on, None when it does not."""
        now_ms = self.clock.now_ms()
        self._why[endpoint.key] = why
        breaker = self._breakers.setdefault(endpoint.key, Breaker(self.rules))
        was_closed = breaker.is_closed
        if not breaker.fail(now_ms, self.chance(), asked_ms):
            return None
        if was_closed:
            metrics.BREAKERS_OPEN.inc()
        if not asked_ms and endpoint.key not in self._since:
            self._since[endpoint.key] = now_ms
            self._untold.add(endpoint.key)
            self._store(lambda: self.store.begin(endpoint.key, now_ms))
        self._tell_failing(endpoint, now_ms)
        return breaker.until_ms

    def _tell_failing(self, endpoint: Endpoint, now_ms: int) -> None:
        """Give notice of a trouble once, and not soon after the one before: then it has to last for as long."""
        told_ms, since_ms = self._told_ms.get(endpoint.key), self._since.get(endpoint.key)
        is_soon = told_ms is not None and now_ms - told_ms < DAMP_MS
        # While its beginning was written, a success of another delivery may have ended it.
        if since_ms is None or endpoint.key not in self._untold or is_soon:
            return
        self._told_ms[endpoint.key] = now_ms
        self._untold.discard(endpoint.key)
        self.tell(endpoint, NoticeKind.FAILING, since_ms, self.why_failing(endpoint.key))

    def failed_too_long(self, endpoint: Endpoint) -> bool:
        """Whether it has failed without a success for so long that it is to be switched off."""
        since_ms = self._since.get(endpoint.key)
        return since_ms is not None and self.clock.now_ms() - since_ms >= self.disable_after_ms

    def disabled(self, endpoint: Endpoint, at_ms: int, kind: NoticeKind) -> None:
        """Forget an endpoint that is switched off, and give notice."""
        breaker = self._breakers.pop(endpoint.key, None)
        if breaker is not None and not breaker.is_closed:
            metrics.BREAKERS_OPEN.dec()
        since_ms = self._since.pop(endpoint.key, None)
        self._untold.discard(endpoint.key)
        if since_ms is not None:
            self._store(lambda: self.store.end(endpoint.key))
        self.tell(endpoint, kind, since_ms or at_ms, self._why.pop(endpoint.key, ""))

    def _store(self, write: Callable[[], None]) -> None:
        try:
            write()
        except StoreUnavailable as error:
            # At worst a start begins the endpoint's time anew, or gives its notice once more with the same id.
            metrics.STORE_FAILURES.inc()
            log.warning("endpoint_health_not_kept", reason=str(error))


class MemoryFailingEndpoints:
    """The same contract in memory, for tests."""

    def __init__(self) -> None:
        self._since: dict[EndpointKey, int] = {}

    def begin(self, key: EndpointKey, since_ms: int) -> None:
        """Remember a beginning."""
        self._since.setdefault(key, since_ms)

    def end(self, key: EndpointKey) -> None:
        """Forget it."""
        self._since.pop(key, None)

    def all(self) -> dict[EndpointKey, int]:
        """Return what is remembered."""
        return dict(self._since)
