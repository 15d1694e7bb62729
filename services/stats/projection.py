import structlog
from google.protobuf.message import DecodeError

from services.shared.bus.errors import BusUnavailable
from services.shared.bus.ports import Reader
from services.shared.bus.record import Record
from services.shared.chassis.supervisor import Supervisor
from services.shared.contracts.ringmaster.v1.event_pb2 import Event
from services.stats.adapters.mongo import CallLog
from services.stats.domain.call_log import fields_of

POLL_SECONDS = 0.5

log = structlog.get_logger()


def follow(supervisor: Supervisor, reader: Reader, calls: CallLog) -> None:
    """Write public events to the call log; the offset follows, so a kill repeats only what changes nothing."""
    while not supervisor.stopping.is_set():
        try:
            records = reader.poll(POLL_SECONDS)
            calls.write([update for record in records for update in _updates(record)])
            if records:
                reader.commit({(record.topic, record.partition): record.offset + 1 for record in records})
        except BusUnavailable as error:
            log.warning("bus_unavailable", reason=str(error))
            supervisor.stopping.wait(POLL_SECONDS)


def _updates(record: Record) -> list[tuple[str, str, dict[str, object]]]:
    try:
        event = Event.FromString(record.value)
    except DecodeError:
        log.warning("event_unreadable", partition=record.partition, offset=record.offset)
        return []
    fields = fields_of(event)
    return [] if fields is None else [(event.tenant_id, event.call_id, fields)]
