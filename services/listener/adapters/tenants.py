"""The directory of lines and domains, kept from ringmaster.tenants and on disk for a start without Kafka."""

from pathlib import Path

import orjson
import structlog

from services.listener.adapters.bus import Bus
from services.listener.domain.directory import Directory, TenantEntry, entry_of
from services.shared.bus.follower import Follower
from services.shared.bus.tenants import into_documents
from services.shared.bus.topics import TENANTS
from services.shared.contracts.ringmaster.v1.tenant_pb2 import TenantDocument

log = structlog.get_logger()


class TenantReader:
    """Follows the compacted topic. `loaded` is set once the directory can be trusted: read to its end, or from disk.

    What the disk says stands until the log is read to its end, and no longer: a tenant that was given up while nobody
    listened has no record there any more, for compaction takes the one that said so, too.
    """

    def __init__(self, bus: Bus, directory: Directory, path: Path) -> None:
        self._directory = directory
        self._path = path
        self._of_disk: set[str] = set()
        take = into_documents(self._put, self._remove)
        follower = Follower(
            lambda: bus.consumer(None, [TENANTS]), take, taken=self._save, reached=self._forget_unconfirmed
        )
        self.run = follower.run
        self.loaded = follower.current

    def load(self) -> None:
        """Take the directory of the former life, if there is one."""
        try:
            rows = orjson.loads(self._path.read_bytes())
            for row in rows:
                entry = TenantEntry(**{**row, "lines": tuple(row["lines"])})
                self._directory.put(entry)
                self._of_disk.add(entry.tenant_id)
        except FileNotFoundError:
            return
        except (ValueError, TypeError, KeyError) as error:
            log.warning("directory_file_ignored", reason=str(error))
            return
        if self._directory.tenants:
            self.loaded.set()

    def _put(self, document: TenantDocument) -> None:
        # Who was given up and comes back begins with version 1 again.
        if document.tenant_id in self._of_disk:
            self._remove(document.tenant_id)
        self._directory.put(entry_of(document))

    def _remove(self, tenant_id: str) -> None:
        self._of_disk.discard(tenant_id)
        self._directory.remove(tenant_id)

    def _forget_unconfirmed(self) -> None:
        gone = sorted(self._of_disk)
        for tenant_id in gone:
            log.info("tenant_given_up", tenant_id=tenant_id)
            self._remove(tenant_id)
        if gone:
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
