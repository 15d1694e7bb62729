"""Looks into the recordings folder again and again: a lost event loses no recording."""

import os
import time
from pathlib import Path

import structlog
from gevent.event import Event

from services.recorder import metrics
from services.recorder.adapters.disk import in_thread
from services.recorder.adapters.folder import Contents, Quarantine, Stray, list_folder, remove_empty
from services.recorder.dispatch import Dispatcher
from services.recorder.domain.backoff import Stillness
from services.recorder.errors import FolderFailed
from services.recorder.settings import Settings
from services.recorder.storing import Storing

log = structlog.get_logger()


class Scanner:
    """Finds files for the dispatcher, strays for quarantine, empty folders to remove, and measures the disk."""

    def __init__(self, settings: Settings, storing: Storing, dispatcher: Dispatcher, stillness: Stillness) -> None:
        self._root: Path = settings.recordings_dir
        self._settings = settings
        self._storing = storing
        self._dispatcher = dispatcher
        self._stillness = stillness
        self._quarantine = Quarantine(self._root)
        self._above: dict[str, bool] = {}
        self._stopped_in = ""
        self._failure = "the recordings folder was not looked at yet"

    @property
    def trouble(self) -> str:
        """Why the folder can't be read, one sentence; empty when it can."""
        return self._failure

    def run(self, stopping: Event) -> None:
        """Scan until the service stops."""
        while not stopping.is_set():
            try:
                self.scan()
                self._failure = ""
            except (FolderFailed, OSError) as error:
                self._failure = str(error)
                log.error("folder_scan_failed", reason=str(error))  # noqa: TRY400 - the reason is the whole story
            stopping.wait(self._settings.recorder_scan_seconds)

    def scan(self) -> None:
        """Look once. Raises FolderFailed."""
        contents = in_thread(list_folder, self._root, self._settings.recorder_queue_files, self._stopped_in)
        self._stopped_in = contents.stopped_in
        self._offer(contents)
        self._put_strays_aside(contents.strays)
        in_thread(self._clean_up, contents)
        self._measure(contents)

    def _offer(self, contents: Contents) -> None:
        now = time.monotonic()
        for waiting in contents.waiting:
            still = self._stillness.observe(waiting.location, waiting.look, now)
            # A file that grew since the last look is not even opened: most files here are calls in progress.
            if max(still, time.time() - waiting.modified_seconds) >= self._quiet_seconds():
                self._dispatcher.offer(waiting.location)
        if contents.stopped_in:
            return  # who was not looked at is not gone
        here = {waiting.location for waiting in contents.waiting}
        self._stillness.keep_only(here)
        self._dispatcher.keep_only(here)

    def _quiet_seconds(self) -> float:
        return min(self._settings.recorder_scan_seconds, self._settings.recorder_settle_seconds)

    def _put_strays_aside(self, strays: list[Stray]) -> None:
        for stray in strays:
            if time.time() - stray.modified_seconds < self._settings.recorder_settle_seconds:
                continue
            self._storing.put_stray_aside(stray)
            metrics.UPLOADS.labels("stray").inc()
            log.warning("stray_put_aside", reason=stray.reason, path=ascii(stray.path))

    def _clean_up(self, contents: Contents) -> None:
        self._storing.forget_finished()
        for path, modified in contents.empty_folders:
            # FreeSWITCH makes a call's folder just before it opens the file: a fresh one is never taken from under it.
            if time.time() - modified >= self._settings.recorder_empty_folder_seconds:
                remove_empty(self._root, path)

    def _measure(self, contents: Contents) -> None:
        metrics.FILES_WAITING.set(len(contents.waiting))
        metrics.BYTES_WAITING.set(sum(waiting.look.size_bytes for waiting in contents.waiting))
        oldest = min((waiting.modified_seconds for waiting in contents.waiting), default=None)
        metrics.OLDEST_WAITING_SECONDS.set(0 if oldest is None else max(0.0, time.time() - oldest))
        metrics.FILES_QUARANTINED.set(in_thread(self._quarantine.count))
        self._measure_disk()

    def _measure_disk(self) -> None:
        disk = os.statvfs(self._root)
        used_ratio = 1 - disk.f_bavail / disk.f_blocks if disk.f_blocks else 0.0
        metrics.DISK_FREE_BYTES.set(disk.f_bavail * disk.f_frsize)
        metrics.DISK_USED_RATIO.set(used_ratio)
        marks = (
            ("high", self._settings.recorder_disk_high_ratio),
            ("critical", self._settings.recorder_disk_critical_ratio),
        )
        for name, ratio in marks:
            is_above = used_ratio >= ratio
            metrics.DISK_ABOVE_WATERMARK.labels(name).set(is_above)
            if is_above and not self._above.get(name, False):
                log.error("disk_above_watermark", watermark=name, used_ratio=round(used_ratio, 3))
            self._above[name] = is_above
