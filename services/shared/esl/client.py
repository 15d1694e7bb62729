"""The pair of connections to one FreeSWITCH: events drained into a bounded queue, commands pipelined."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TypeAlias

from services.shared.esl.commands import Command
from services.shared.esl.decoder import Event
from services.shared.esl.errors import ConnectionEnded

Spawn: TypeAlias = Callable[[str, Callable[[], None]], object]
"""How the client starts its greenlets: (name, function). Pass the supervisor's; the default is gevent.spawn."""


@dataclass(frozen=True, slots=True)
class Target:
    """Where FreeSWITCH listens. `host` may be a name, an IPv4 or an IPv6 address."""

    host: str
    port: int
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Subscription:
    """Which events to ask for. HEARTBEAT and BACKGROUND_JOB are added; subclasses are those of CUSTOM events."""

    events: tuple[str, ...]
    subclasses: tuple[str, ...] = ()
    form: str = "plain"


@dataclass(frozen=True, slots=True)
class Connected:
    """Both connections are up and subscribed; every event after this item belongs to this session."""

    core_uuid: str
    version: str
    at: float
    """Unix time, seconds."""


@dataclass(frozen=True, slots=True)
class Disconnected:
    """A session ended (`was_connected`) or an attempt to make one failed; the next try comes by itself."""

    error: ConnectionEnded
    was_connected: bool
    retry_in_seconds: float
    at: float
    """Unix time, seconds."""


Item: TypeAlias = Event | Connected | Disconnected


class PendingReply:
    """A command that is on its way."""

    def get(self, timeout: float) -> "Reply":
        """Wait for the reply. Raises NotSent, ReplyTimeout or OutcomeUnknown."""
        raise NotImplementedError


@dataclass(frozen=True, slots=True)
class Reply:
    """What FreeSWITCH answered: the Reply-Text of a command, or the body of an api or background job."""

    text: str

    @property
    def ok(self) -> bool:
        """False when FreeSWITCH says -ERR, -USAGE or the like. `+OK` to sendmsg means queued only."""
        raise NotImplementedError


@dataclass(frozen=True, slots=True)
class ClientStats:
    """Figures for metrics; counters grow for the life of the client."""

    connected: bool
    events_received: int
    bytes_received: int
    sessions: int
    overloads: int
    queued_events: int
    queued_bytes: int
    oldest_queued_seconds: float


class EslClient:
    """See the package docstring for the contract."""

    def __init__(self, target: Target, subscription: Subscription, *, spawn: Spawn | None = None) -> None:
        raise NotImplementedError

    def start(self) -> None:
        """Begin to connect in the background; never blocks, never raises for an absent switch."""
        raise NotImplementedError

    def stop(self, timeout: float = 5.0) -> None:
        """Close both connections; `events()` ends once what is queued has been taken."""
        raise NotImplementedError

    def events(self) -> Iterator[list[Item]]:
        """Batches of at most 64 items in wire order. One consumer. Lets other greenlets run about every 4 ms."""
        raise NotImplementedError

    def execute(self, command: Command, timeout: float) -> Reply:
        """Send and wait for the reply. Raises NotSent, ReplyTimeout, OutcomeUnknown."""
        raise NotImplementedError

    def submit(self, command: Command) -> PendingReply:
        """Send without waiting; replies keep the order of the submits."""
        raise NotImplementedError

    def bgapi(self, command: Command, timeout: float) -> Reply:
        """Send a `commands.bgapi`/`originate` and wait for its BACKGROUND_JOB. Raises like `execute`."""
        raise NotImplementedError

    @property
    def stats(self) -> ClientStats:
        """A snapshot of the figures."""
        raise NotImplementedError
