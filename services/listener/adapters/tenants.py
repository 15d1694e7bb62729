"""The directory of lines and domains, kept from ringmaster.tenants and on disk for a start without Kafka."""

from pathlib import Path

import orjson
import structlog

from services.listener.adapters.bus import Bus
from services.listener.domain.directory import Directory, TenantEntry, entry_of
from services.shared.bus.follower import Follower
from services.shared.bus.tenants import into_documents
from services.shared.bus.topics import TENANTS

log = structlog.get_logger()


class TenantReader:
    """Follows the compacted topic. `loaded` is set once the directory can be trusted: read to its end, or from disk."""

    def __init__(self, bus: Bus, directory: Directory, path: Path) -> None:
        self._directory = directory
        self._path = path
        take = into_documents(lambda document: directory.put(entry_of(document)), directory.remove)
        follower = Follower(lambda: bus.consumer(None, [TENANTS]), take, taken=self._save)
        self.run = follower.run
        self.loaded = follower.current

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
