"""Opening hours, in the schedule's own time zone or the tenant's (SPEC 2.1)."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from services.shared.contracts.ringmaster.v1 import tenant_pb2 as tn


def schedule_exit(schedule: tn.Schedule, time_zone: str, now_ms: int) -> str:
    """Return open, closed or holiday. A holiday counts before the hours; an opening over midnight needs two entries.

    `time_zone` is the tenant's; a schedule's own goes before it. Raises ZoneInfoNotFoundError for one that does not
    exist.
    """
    local = datetime.fromtimestamp(now_ms // 1000, UTC).astimezone(ZoneInfo(schedule.time_zone or time_zone or "UTC"))
    if local.date().isoformat() in schedule.holidays:
        return "holiday"
    clock = local.strftime("%H:%M")
    day = local.isoweekday()
    for hours in schedule.open:
        if day in hours.days and getattr(hours, "from") <= clock < hours.until:
            return "open"
    return "closed"
