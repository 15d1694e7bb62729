"""Looks whether those who write into the log have the time that we have."""

from time import monotonic

import structlog

from services.router import metrics
from services.shared.bus.record import Record
from services.shared.contracts.ringmaster.v1.input_pb2 import Input

TOLERATED_MS = 2_000
TELL_SECONDS = 60.0

log = structlog.get_logger()


class ClockWatch:
    """Counts what comes from the future, and tells once a minute who has written it.

    The company's time goes by the furthest input: its hours and its events' times are wrong by as much, its timers are
    not (`partition.py`). A broker refuses what is an hour ahead (message.timestamp.after.max.ms).
    """

    def __init__(self) -> None:
        self._told: dict[str, float] = {}

    def look(self, record: Record, now_ms: int) -> None:
        """Look at an input that was decided just now; what our own timers bring back is in its log's time."""
        ahead_ms = record.timestamp_ms - now_ms
        if ahead_ms <= TOLERATED_MS:
            return
        given = Input.FromString(record.value)
        if given.HasField("timer"):
            return
        metrics.INPUTS_AHEAD.inc()
        writer = given.fact.node or given.command_result.node or (given.WhichOneof("input") or "nothing")
        if monotonic() >= self._told.get(writer, 0.0):
            self._told[writer] = monotonic() + TELL_SECONDS
            log.warning(
                "clock_ahead",
                tenant_id=record.key,
                writer=writer,
                seconds=round(ahead_ms / 1000, 1),
                advice="set the clock of the switch's machine, or of ours (chrony)",
            )
