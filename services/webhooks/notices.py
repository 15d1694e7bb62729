from collections import deque
from contextlib import suppress
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Final, Protocol

import orjson
import structlog
from gevent.event import Event as Flag

from services.shared.bus.topics import DELIVERIES
from services.shared.chassis.clock import Clock
from services.shared.chassis.insisting import Stopped
from services.shared.contracts.ringmaster.v1.delivery_pb2 import Delivery
from services.webhooks import metrics
from services.webhooks.directory import Directory
from services.webhooks.domain.endpoint import Endpoint, delivery_id_of
from services.webhooks.domain.moments import moment_of
from services.webhooks.domain.trickle import Trickle
from services.webhooks.domain.trouble import Troubles
from services.webhooks.handing_over import HandOver
from services.webhooks.insisting import insist_on_store
from services.webhooks.waiting import FAILED_FOR_DAYS, SAID_GONE, StoreUnavailable

EACH_MS: Final = 10
"""Of many notices a hundred a second go: a sixtieth of what a core sends."""
AT_ONCE_MS: Final = 5_000
"""Five hundred of them go at once."""
LOOK_SECONDS: Final = 0.25

log = structlog.get_logger()


class NoticeKind(Enum):
    """What a notice says of an endpoint; its event type."""

    FAILING = "endpoint.failing"
    RECOVERED = "endpoint.recovered"
    DISABLED = "endpoint.disabled"
    GONE = "endpoint.gone"


_CLOSED: Final = {NoticeKind.DISABLED: FAILED_FOR_DAYS, NoticeKind.GONE: SAID_GONE}


@dataclass(frozen=True, slots=True)
class Notice:
    """How an endpoint is since a moment, told at another one; milliseconds of platform time."""

    tenant_id: str
    endpoint_id: str
    kind: NoticeKind
    since_ms: int
    at_ms: int
    why: str = ""
    """What its last try has met, as the delivery log says it."""

    @property
    def event_id(self) -> str:
        """Its id: told twice of the same trouble it is the same."""
        return f"{self.kind.value}-{self.endpoint_id}-{self.since_ms}"


class NoticeStore(Protocol):
    """Keeps this process's notices that wait for their moment."""

    def put(self, notice: Notice) -> None:
        """Keep one. Raises StoreUnavailable."""

    def remove(self, notice: Notice) -> None:
        """Forget one that was sent. Raises StoreUnavailable."""

    def all(self) -> list[Notice]:
        """Return what is kept, oldest first. Raises StoreUnavailable."""


@dataclass(slots=True)
class Notices:
    """Tells a tenant's other endpoints how one of them is: they take `endpoint.*` like any other event.

    Where a thousand endpoints fail together, each to be told to fifty others, their notices would stand before the
    events of everybody. So a few go at once; of the rest each trouble is kept, as one, until its deliveries go.
    """

    directory: Directory
    hand_over: HandOver
    store: NoticeStore
    clock: Clock
    troubles: Troubles
    _waiting: deque[tuple[int, Notice]] = field(default_factory=deque)
    _trickle: Trickle = field(init=False)

    def __post_init__(self) -> None:
        """Measure the trickle in platform time."""
        self._trickle = Trickle(EACH_MS * self.clock.speed, int(AT_ONCE_MS * self.clock.speed))

    def tell(self, about: Endpoint, kind: NoticeKind, since_ms: int, why: str) -> None:
        """Send a notice, or keep it for its moment."""
        now_ms = self.clock.now_ms()
        notice = Notice(about.tenant_id, about.endpoint_id, kind, since_ms, now_ms, why)
        receivers = self._receivers(notice)
        if not receivers:
            return
        due_ms = self._trickle.moment(len(receivers), now_ms)
        if due_ms == now_ms and not self._waiting:
            self._send(notice, receivers)
            return
        self._waiting.append((due_ms, notice))
        try:
            self.store.put(notice)
        except StoreUnavailable as error:
            # It goes all the same, unless this process is killed before.
            metrics.STORE_FAILURES.inc()
            log.warning("notice_not_kept", endpoint=about.key, reason=str(error))

    def run(self, stopping: Flag) -> None:
        """Send what waits, each at its moment, what a killed process of this name has left first; until stopped."""
        self._take_up(stopping)
        while not stopping.wait(LOOK_SECONDS):
            self.send_due(stopping)

    def send_due(self, stopping: Flag) -> None:
        """Send what is due, in the order in which it was told."""
        while self._waiting and self._waiting[0][0] <= self.clock.now_ms() and not stopping.is_set():
            _, notice = self._waiting[0]
            if not self._send(notice, self._receivers(notice)):
                return
            self._waiting.popleft()
            try:
                self.store.remove(notice)
            except StoreUnavailable as error:
                # The next process sends it again, under the same ids.
                metrics.STORE_FAILURES.inc()
                log.warning("notice_not_forgotten", reason=str(error))

    def _take_up(self, stopping: Flag) -> None:
        with suppress(Stopped):
            left = insist_on_store(self.store.all, stopping, "notices_unreadable")
            ours = {notice for _, notice in self._waiting}
            self._waiting.extendleft((0, notice) for notice in reversed(left) if notice not in ours)

    def _receivers(self, notice: Notice) -> list[Endpoint]:
        others = self.directory.endpoints(notice.tenant_id)
        return [one for one in others if one.endpoint_id != notice.endpoint_id and one.wants(notice.kind.value)]

    def _send(self, notice: Notice, receivers: list[Endpoint]) -> bool:
        """Hand a notice's deliveries to the broker; False when the service stops first."""
        payload = _payload(notice, self.troubles)
        deliveries = [
            Delivery(
                delivery_id=delivery_id_of(notice.event_id, endpoint.endpoint_id),
                tenant_id=notice.tenant_id,
                endpoint_id=endpoint.endpoint_id,
                event_type=notice.kind.value,
                payload=payload,
                created_ms=notice.at_ms,
            )
            for endpoint in receivers
        ]
        return self.hand_over.to(DELIVERIES, *deliveries) if deliveries else True


def _payload(notice: Notice, troubles: Troubles) -> bytes:
    """Return a notice's JSON: `reason` says in two languages why it is closed, `last_error` what its last try met."""
    data: dict[str, Any] = {"event_id": notice.event_id, "tenant_id": notice.tenant_id}
    data["endpoint_id"] = notice.endpoint_id
    reasons = {"reason": _CLOSED.get(notice.kind, ""), "last_error": notice.why}
    data |= {name: troubles.of(text).told(with_advice=True) for name, text in reasons.items() if text}
    moments = {"timestamp": moment_of(notice.at_ms), "data": data | {"since": moment_of(notice.since_ms)}}
    return orjson.dumps({"type": notice.kind.value} | moments)


class MemoryNoticeStore:
    """The same contract in memory, for tests."""

    def __init__(self) -> None:
        self.kept: dict[Notice, None] = {}

    def put(self, notice: Notice) -> None:
        """Keep one."""
        self.kept[notice] = None

    def remove(self, notice: Notice) -> None:
        """Forget one."""
        self.kept.pop(notice, None)

    def all(self) -> list[Notice]:
        """Return what is kept."""
        return list(self.kept)
