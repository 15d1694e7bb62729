"""The directory of lines and domains, kept from ringmaster.tenants and on disk for a start without Kafka."""

from collections.abc import Iterable
from pathlib import Path

import orjson
import structlog
from gevent.event import Event as Flag
from google.protobuf.message import DecodeError

from services.listener.adapters.bus import Bus, ClosingReader
from services.listener.domain.directory import Directory, TenantEntry, entry_of
from services.shared.bus.errors import BusError
from services.shared.bus.record import Record
from services.shared.bus.topics import TENANTS
from services.shared.contracts.ringmaster.v1.tenant_pb2 import TenantDocument

log = structlog.get_logger()
POLL_SECONDS = 1.0
RETRY_SECONDS = 1.0


class TenantReader:
    """Follows the compacted topic. `loaded` is set once the directory can be trusted: read to its end, or from disk."""

    def __init__(self, bus: Bus, directory: Directory, path: Path, stopping: Flag) -> None:
        self._bus = bus
        self._directory = directory
        self._path = path
        self._stopping = stopping
        self.loaded = Flag()

    def load(self) -> None:
        """Take the directory of the former life, if there is one."""
        try:
            rows = orjson.loads(self._path.read_bytes())
            for row in rows:
                self._directory.put(TenantEntry(**{**row, "lines": tuple(row["lines"])}))
        except FileNotFoundError:
            return
        except (ValueError, TypeError, KeyError) as error:
            log.warning("directory_file_ignored", reason=str(error))
            return
        if self._directory.tenants:
            self.loaded.set()

    def run(self) -> None:
        """Read until stopped; connect again whenever Kafka was away."""
        said = ""
        while not self._stopping.is_set():
            try:
                reader = self._bus.consumer(None, [TENANTS])
                try:
                    said = ""
                    self._follow(reader)
                finally:
                    reader.close()
            except BusError as error:
                if str(error) != said:
                    log.warning("tenants_not_read", reason=str(error), known=len(self._directory.tenants))
                    said = str(error)
                self._stopping.wait(RETRY_SECONDS)

    def _follow(self, reader: ClosingReader) -> None:
        left = {place: end for place in reader.assignment() if (end := reader.end_offset(*place)) > 0}
        while not self._stopping.is_set():
            records = reader.poll(POLL_SECONDS)
            if records:
                self._apply(records)
            for record in records:
                place = (record.topic, record.partition)
                if left.get(place, 0) <= record.offset + 1:
                    left.pop(place, None)
            if not left and not self.loaded.is_set():
                log.info("directory_loaded", tenants=len(self._directory.tenants))
                self.loaded.set()

    def _apply(self, records: Iterable[Record]) -> None:
        for record in records:
            if not record.value:
                self._directory.remove(record.key)
                continue
            try:
                document = TenantDocument.FromString(record.value)
            except DecodeError:
                log.warning("tenant_document_unreadable", tenant_id=record.key, offset=record.offset)
                continue
            if document.tenant_id != record.key:
                log.warning("tenant_document_misplaced", tenant_id=record.key, offset=record.offset)
                continue
            self._directory.put(entry_of(document))
        self._save()

    def _save(self) -> None:
        rows = [
            {
                "tenant_id": each.tenant_id,
                "version": each.version,
                "lines": each.lines,
                "domain": each.domain,
                "language": each.language,
            }
            for each in self._directory.entries
        ]
        beside = self._path.with_suffix(".new")
        try:
            beside.write_bytes(orjson.dumps(rows))
            beside.replace(self._path)
        except OSError as error:
            log.warning("directory_not_written", reason=str(error), advice="free disk space; calls go on")
