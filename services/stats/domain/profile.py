"""What the statistics take from a tenant's document: names, thresholds, who serves which queue, the time zone."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from services.shared.contracts.ringmaster.v1 import tenant_pb2 as tn
from services.shared.contracts.ringmaster.v1.tenant_pb2 import TenantDocument
from services.stats.domain.kpi import Norm
from services.stats.domain.raport import Schedule
from services.stats.domain.tally import DEFAULT_THRESHOLD_SECONDS


@dataclass(frozen=True, slots=True)
class Profile:
    """One tenant's document, as far as it is shown. Without a document everything has its default."""

    tenant_id: str
    name: str = ""
    time_zone: str = "UTC"
    agents: dict[str, str] = field(default_factory=dict)
    """Name by id."""
    queues: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """The agents who serve a queue, by the queue's id, in the document's order."""
    thresholds: dict[str, int] = field(default_factory=dict)
    """Seconds, by the queue's id, of the queues whose document gives one."""
    lines: dict[str, str] = field(default_factory=dict)
    """The company's name for a line by its number, empty where it has none."""
    groups: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Agents, by the id of their group."""
    norms: tuple[Norm, ...] = ()
    raporty: tuple[Schedule, ...] = ()

    def threshold_seconds(self, queue_id: str) -> int:
        """Return the threshold T of a queue."""
        return self.thresholds.get(queue_id, DEFAULT_THRESHOLD_SECONDS)

    def is_in_time(self, queue_id: str, wait_ms: int, *, told: bool) -> bool:
        """Whether a wait was within the threshold.

        Where the document gives one the event's own word counts: it was said by the threshold in force then, so a
        rebuild from the log comes out the same after the document has changed.
        """
        return told if queue_id in self.thresholds else told or wait_ms <= DEFAULT_THRESHOLD_SECONDS * 1000


def profile_of(document: TenantDocument) -> Profile:
    """Return what is shown of a document."""
    return Profile(
        document.tenant_id,
        document.name,
        document.time_zone or "UTC",
        {agent.agent_id: agent.name or agent.agent_id for agent in document.agents},
        {queue.queue_id: tuple(tier.agent_id for tier in queue.tiers) for queue in document.queues},
        {queue.queue_id: queue.service_level_seconds for queue in document.queues if queue.service_level_seconds},
        {line.number: line.label for line in document.lines},
        {group.group_id: tuple(dict.fromkeys(group.agent_ids)) for group in document.groups},
        tuple(_norm(each) for each in document.kpis),
        tuple(_schedule(each) for each in document.raporty),
    )


def _norm(each: tn.KpiNorm) -> Norm:
    return Norm(
        each.kpi_id,
        each.metric,
        each.subject or "tenant",
        each.window_minutes or 15,
        each.at_least,
        each.norm,
        each.margin,
        each.least_count,
    )


def _schedule(each: tn.Raport) -> Schedule:
    groups, metrics = tuple(each.groups), tuple(each.metrics)
    every, at = each.every or "day", each.at or "07:00"
    recipients, formats = tuple(each.recipients), tuple(each.formats)
    return Schedule(each.raport_id, each.report, every, at, recipients, formats, each.language or "uk", groups, metrics)


def day_of(now_ms: int, time_zone: str) -> tuple[int, int]:
    """Return [midnight, next midnight) of the local day in ms since 1970 UTC: 23 or 25 hours where clocks change."""
    try:
        zone = ZoneInfo(time_zone)
    except (ZoneInfoNotFoundError, ValueError, OSError):  # `Europe` is a folder
        zone = ZoneInfo("UTC")
    today = datetime.fromtimestamp(now_ms / 1000, UTC).astimezone(zone).date()
    return _midnight_ms(today.year, today.month, today.day, zone), _midnight_ms(
        *(today + timedelta(days=1)).timetuple()[:3], zone
    )


def _midnight_ms(year: int, month: int, day: int, zone: ZoneInfo) -> int:
    return int(datetime(year, month, day, tzinfo=zone).timestamp() * 1000)
