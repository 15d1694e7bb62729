"""What a service of deliveries is made of: its stores, its settings, and what is outside."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from services.shared.bus.readings import Readings
from services.shared.chassis.clock import Clock
from services.shared.chassis.watch import Watch
from services.shared.outbound.dial import Outside
from services.shared.person import PersonSeal
from services.webhooks.adapters.broker import Bus
from services.webhooks.adapters.channel_secrets import ChannelSecrets
from services.webhooks.adapters.channels.telegram import BOT_API
from services.webhooks.adapters.connectors.engine import MemorySteps, Steps
from services.webhooks.adapters.connectors.library import CONNECTORS, GATEWAYS, library
from services.webhooks.adapters.connectors.sign_in import MemoryTokenStore, TokenStore
from services.webhooks.api.deliveries import Journal
from services.webhooks.delivery_log import LogStore
from services.webhooks.domain.breaker import BreakerRules
from services.webhooks.domain.connectors.description import Connector
from services.webhooks.domain.ladder import Ladder
from services.webhooks.domain.masking import BodyPolicy
from services.webhooks.erasing import Answers, ErasureRows, MemoryErasureRows
from services.webhooks.health import FailingEndpoints
from services.webhooks.notices import MemoryNoticeStore, NoticeStore
from services.webhooks.replays import ReplayStore
from services.webhooks.retries import LEASE_SECONDS
from services.webhooks.secret_book import SecretBook
from services.webhooks.waiting import GoneEndpoints, WaitingRoom

DAY_MS = 86_400_000


class Log(LogStore, Journal, Answers, Protocol):
    """The delivery log, written and read."""


@dataclass(frozen=True, slots=True)
class Stores:
    """What outlives the process beside Kafka."""

    room: WaitingRoom
    gone: GoneEndpoints
    log: Log
    failing: FailingEndpoints
    replays: ReplayStore
    steps: Steps = field(default_factory=MemorySteps)
    tokens: TokenStore = field(default_factory=MemoryTokenStore)
    erasures: ErasureRows = field(default_factory=MemoryErasureRows)
    notices: NoticeStore = field(default_factory=MemoryNoticeStore)


@dataclass(frozen=True, slots=True)
class Parts:
    """What a service of deliveries is made of."""

    bus: Bus
    stores: Stores
    secrets: SecretBook
    outside: Outside
    ladder: Ladder
    clock: Clock
    name: str = "webhooks"
    """The same after a restart, another one for each process side by side."""
    concurrency: int = 8
    queue_limit: int = 512
    lease_seconds: float = LEASE_SECONDS
    tenant_concurrency: int = 64
    """Workers beyond the first of each endpoint: so many for a tenant's quick endpoints, as many for its slow ones."""
    disable_after_ms: int = 5 * DAY_MS
    breaker: BreakerRules = field(default_factory=BreakerRules)
    watches: tuple[Watch, ...] = ()
    readings: Readings = field(default_factory=Readings)
    channel_secrets: ChannelSecrets = field(default_factory=lambda: ChannelSecrets(None))
    telegram_api: str = BOT_API
    library: Mapping[str, Connector] = field(default_factory=lambda: library(CONNECTORS, GATEWAYS))
    recording_link: str = ""
    ca_file: str | None = None
    kept_answer_bytes: int = 0
    policy: BodyPolicy = BodyPolicy.MASKED
    seal: PersonSeal = field(default_factory=lambda: PersonSeal(""))
