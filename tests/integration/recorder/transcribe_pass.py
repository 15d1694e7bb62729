"""A transcriber that works until nothing waits, with real stores, a real scribe, and perhaps its own end by SIGKILL.

Its arguments are one JSON object. What it tells others goes to a file, one line each, so that it outlives the process.
"""

from gevent import monkey

monkey.patch_all()

# ruff: noqa: E402 - the sockets must be gevent's before anything imports them
import os
import signal
import sys
from pathlib import Path
from typing import Any

import gevent

from services.recorder.adapters.jobs import Jobs
from services.recorder.adapters.s3 import ObjectStore
from services.recorder.adapters.scribes import Scribe, ScribeSettings
from services.recorder.adapters.transcript_events import completed_event, matched_events
from services.recorder.adapters.transcripts import Transcripts
from services.recorder.domain.analytics.analysis import Analyst
from services.recorder.domain.transcript.transcript import Subject
from services.recorder.transcribing import Desk, Transcribing
from services.shared.chassis.clock import Clock
from services.shared.chassis.documents import open_database
from services.shared.chassis.logs import configure_logs
from services.shared.contracts.ringmaster.v1 import tenant_pb2 as tn

LEASE_SECONDS = 0.5
STEP_SECONDS = 60.0


class WrittenEvents:
    """Appends the ids of what is told to a file."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def completed(self, document: dict[str, Any]) -> None:
        """Say that a transcript is there."""
        for event in (completed_event(document), *matched_events(document)):
            self._write(f"{event.WhichOneof('body')} {event.event_id} {event.time.ToMicroseconds()}")

    def failed(self, subject: Subject, reason: str, at_us: int) -> None:
        """Say that there will be none."""
        del at_us
        self._write(f"failed {subject.recording_id} {reason}")

    def _write(self, line: str) -> None:
        with self._path.open("a", encoding="utf-8") as file:
            file.write(line + "\n")


def tenant_of(tenant_id: str) -> tn.TenantDocument:
    """Return a tenant who looks for what the clip says."""
    tenant = tn.TenantDocument(tenant_id=tenant_id)
    tenant.speech_rules.add(rule_id="asks_for_message", phrases=["leave your message"])
    return tenant


def main(given: dict[str, Any]) -> None:
    """Work until no job waits or runs; print the names of the steps."""
    configure_logs("recorder")  # standard output is for the steps
    steps: list[str] = []

    def on_step(name: str) -> None:
        steps.append(name)
        sys.stdout.write(f"{name}\n")
        sys.stdout.flush()
        if len(steps) == given.get("die_at"):
            os.kill(os.getpid(), signal.SIGKILL)
        if len(steps) == given.get("delete_at"):
            jobs.forget("rec-1")
            desk.transcripts.delete("rec-1")

    clock = Clock()
    database = open_database(given["mongodb_uri"], "test")
    jobs = Jobs(database, LEASE_SECONDS, clock.wall)
    store = ObjectStore(given["endpoint"], given["bucket"], given["access_key"], given["secret_key"], "us-east-1")
    events = WrittenEvents(Path(given["told"]))
    desk = Desk(jobs, Transcripts(database), store, events, tenant_of, clock, 10**7)
    scribe = Scribe(ScribeSettings(given["engine"], given["cache"], 1, 2 * 1024**3), STEP_SECONDS)
    worker = Transcribing(desk, scribe, Analyst(), on_step)
    stopping = gevent.event.Event()
    keeper = gevent.spawn(worker.keep_lease, stopping, LEASE_SECONDS / 3)
    while any(count for state, count in jobs.counts().items() if state.value != "dead"):
        if not worker.work_once():
            gevent.sleep(0.05)
    stopping.set()
    keeper.join()
    scribe.kill()
