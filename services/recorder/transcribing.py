"""One try of one recording: from the object store to a transcript that is stored, told and searchable.

Each step may be the last one of this worker. What is heard is kept chunk by chunk, the transcript is written once, its
events have derived ids, and the job ends last: a kill between any two lines costs what was being recognised at once.
"""

import random
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from enum import Enum
from pathlib import Path
from typing import Any, Protocol

import structlog
from gevent.event import Event as Flag

from services.recorder import metrics
from services.recorder.adapters.fetching import Objects, fetch
from services.recorder.adapters.jobs import Jobs
from services.recorder.adapters.scribes import ScribeFailed
from services.recorder.adapters.transcripts import Parts, Transcripts
from services.recorder.domain.analytics.analysis import Analyst
from services.recorder.domain.backoff import retry_delay_seconds
from services.recorder.domain.transcript.job import MOST_ATTEMPTS, Claim
from services.recorder.domain.transcript.masking import masked_ranges
from services.recorder.domain.transcript.redaction import redact
from services.recorder.domain.transcript.transcript import (
    SPEAKERS,
    Subject,
    Track,
    Transcript,
    to_document,
    turns_of,
)
from services.recorder.domain.transcript.words import Word
from services.recorder.errors import TryAgain
from services.recorder.scribe import Heard, Order, Side
from services.shared.chassis.clock import Clock
from services.shared.contracts.ringmaster.v1.tenant_pb2 import TenantDocument

IDLE_SECONDS = 2.0
"""How often an idle worker looks for work."""
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 5.0, 600.0
LANGUAGE_UNKNOWN = "und"
"""BCP 47 for a language that nobody knows: a recording without a word."""

log = structlog.get_logger()


class Scribes(Protocol):
    """What writes sounds down."""

    engine: str

    def start(self) -> None:
        """Be ready. Raises NoScribe, ScribeFailed."""

    def write_down(self, order: Order) -> Iterator[dict[str, Any]]:
        """Yield steps. Raises ScribeFailed, NoScribe."""

    def kill(self) -> None:
        """Stop at once."""


class Announcements(Protocol):
    """What tells the others."""

    def completed(self, document: dict[str, Any]) -> None:
        """Say that a transcript is there. Raises NotAnnounced."""

    def failed(self, subject: Subject, reason: str, at_us: int) -> None:
        """Say that there will be none. Raises NotAnnounced."""


class Outcome(Enum):
    """How a try ended."""

    DONE = "done"
    AGAIN = "again"
    DEAD = "dead"
    LOST = "lost"


class LostClaim(Exception):
    """Somebody else has the job: this worker was away for too long. It stops and leaves everything as it is."""


@dataclass(frozen=True, slots=True)
class Desk:
    """Everything around a worker."""

    jobs: Jobs
    transcripts: Transcripts
    objects: Objects
    announcements: Announcements
    documents: Callable[[str], TenantDocument]
    clock: Clock
    longest_ms: int


def ignore_step(_step: str) -> None:
    """Watch nothing."""


class Transcribing:
    """A worker: takes the next job, writes it down, takes the next."""

    def __init__(
        self, desk: Desk, scribe: Scribes, analyst: Analyst, on_step: Callable[[str], None] = ignore_step
    ) -> None:
        """`on_step` hears the name of each step that is done."""
        self._desk = desk
        self._scribe = scribe
        self._analyst = analyst
        self._on_step = on_step
        self._claim: Claim | None = None
        self.trouble = ""
        """Why nothing can be written down now, one sentence; empty when all is well."""

    def run(self, stopping: Flag) -> None:
        """Work until the service stops. What is under way then is left: another worker goes on with it."""
        while not stopping.is_set():
            try:
                worked = self.work_once()
                self.trouble = ""
            except (TryAgain, ScribeFailed) as error:
                if self.trouble != str(error):
                    log.warning("transcription_interrupted", reason=str(error))
                self.trouble = str(error)
                worked = False
            if not worked:
                stopping.wait(IDLE_SECONDS)

    def keep_lease(self, stopping: Flag, every_seconds: float) -> None:
        """Renew the claim of what is worked on, until the service stops; a lost one ends the work."""
        while not stopping.wait(every_seconds):
            claim = self._claim
            try:
                if claim is not None and not self._desk.jobs.renew(claim) and self._claim is claim:
                    self._scribe.kill()
            except TryAgain as error:
                log.warning("lease_not_renewed", reason=str(error))

    def work_once(self) -> bool:
        """Take one job to its end; False when there is none.

        Raises TryAgain where not even that can be kept, ScribeFailed where no recogniser starts.
        """
        self._scribe.start()
        for lost in self._desk.jobs.lost_for_good():
            self._give_up(lost, "too many workers have died over it")
        claim = self._desk.jobs.claim()
        if claim is None:
            return False
        self._on_step("claimed")
        self._claim = claim
        try:
            outcome = self._try(claim)
        finally:
            self._claim = None
        metrics.TRANSCRIPTIONS.labels(outcome.value).inc()
        return True

    def _try(self, claim: Claim) -> Outcome:
        names = {"tenant_id": claim.job.subject.tenant_id, "recording_id": claim.job.subject.recording_id}
        try:
            document = self._desk.transcripts.find(claim.job.subject.recording_id) or self._written(claim)
            self._desk.announcements.completed(document)
            self._on_step("told")
            self._desk.transcripts.forget_parts(claim.job.subject.recording_id)
            self._on_step("tidied")
            is_mine = self._desk.jobs.finish(claim)
            self._on_step("finished")
        except LostClaim:
            return self._lost(claim)
        except ScribeFailed as error:
            return self._failed(claim, str(error), is_final=error.is_final)
        except TryAgain as error:
            return self._failed(claim, str(error), is_final=False)
        log.info("transcript_done", words=document["words"], engine=document["engine"], **names)
        return Outcome.DONE if is_mine else Outcome.LOST

    def _lost(self, claim: Claim) -> Outcome:
        self._drop_unwanted(claim.job.subject)
        log.info("claim_lost", tenant_id=claim.job.subject.tenant_id, recording_id=claim.job.subject.recording_id)
        return Outcome.LOST

    def _failed(self, claim: Claim, reason: str, *, is_final: bool) -> Outcome:
        if not self._desk.jobs.renew(claim):
            return self._lost(claim)
        if is_final or claim.attempt >= MOST_ATTEMPTS:
            self._give_up(claim, reason)
            return Outcome.DEAD
        chance = random.random()  # noqa: S311 - spreads retries, keeps no secret
        pause = retry_delay_seconds(claim.attempt, FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS, chance)
        is_mine = self._desk.jobs.fail(claim, reason, pause)
        log.warning("transcription_failed_for_now", reason=reason, attempt=claim.attempt, again_in_seconds=round(pause))
        return Outcome.AGAIN if is_mine else Outcome.LOST

    def _give_up(self, claim: Claim, reason: str) -> None:
        # The event first: after a kill in between, the same one is sent again.
        self._desk.announcements.failed(claim.job.subject, reason, self._desk.clock.now_us())
        self._desk.transcripts.forget_heard(claim.job.subject.recording_id)  # unredacted, and for how long nobody knows
        self._desk.jobs.fail(claim, reason, None)
        log.error("transcription_given_up", recording_id=claim.job.subject.recording_id, reason=reason)

    def _written(self, claim: Claim) -> dict[str, Any]:
        subject = claim.job.subject
        parts = self._desk.transcripts.parts(subject.recording_id)
        with tempfile.TemporaryDirectory(prefix="transcribe-") as folder:
            path = Path(folder) / "sound"
            fetch(self._desk.objects, claim.job.source, path)
            self._on_step("fetched")
            self._hear(claim, parts, path)
        transcript = self._told(claim, parts)
        tenant = self._desk.documents(subject.tenant_id)
        analysed = replace(transcript, analysis=self._analyst.analyse(transcript, tenant))
        document = to_document(analysed) | {
            "terms": self._analyst.terms(analysed),
            "made_us": self._desk.clock.now_us(),
        }
        kept = self._desk.transcripts.write(document)
        self._on_step("written")
        if not self._desk.jobs.renew(claim):
            raise LostClaim
        return kept

    def _drop_unwanted(self, subject: Subject) -> None:
        """Take everything back that was heard in a recording which was deleted meanwhile: then its job is gone."""
        if self._desk.jobs.state(subject.tenant_id, subject.recording_id) is None:
            self._desk.transcripts.delete(subject.recording_id)

    def _hear(self, claim: Claim, parts: Parts, path: Path) -> None:
        order = self._order(claim, parts, path)
        for step in self._scribe.write_down(order):
            self._desk.transcripts.keep_part(claim.job.subject.recording_id, step)
            if step["told"] == "plan":
                parts.plan = step
            else:
                parts.chunks[step["channel"], step["number"]] = step
                metrics.TRANSCRIBED_SPEECH_SECONDS.inc(step["speech_ms"] / 1000)
            self._on_step("heard")
            done_ms = sum(chunk["speech_ms"] for chunk in parts.chunks.values())
            if not self._desk.jobs.progress(claim, done_ms, _speech_ms(parts.plan)):
                raise LostClaim

    def _order(self, claim: Claim, parts: Parts, path: Path) -> Order:
        source, wishes = claim.job.source, claim.job.wishes
        wanted = [(number, side) for number, side in enumerate(SPEAKERS) if number < source.channels]
        return Order(
            path,
            source.media_type,
            tuple(Side(number, wishes.language, wishes.languages) for number, side in wanted if side in wishes.sides),
            self._desk.longest_ms,
            plan=_heard(parts.plan) if parts.plan else None,
            done=frozenset(parts.chunks),
        )

    def _told(self, claim: Claim, parts: Parts) -> Transcript:
        plan = parts.plan or {"sides": [], "duration_ms": claim.job.subject.duration_ms}
        context = self._desk.transcripts.context(claim.job.subject.recording_id)
        started_us = context.started_us or claim.job.started_us
        masked = masked_ranges(started_us, context.marks, plan["duration_ms"])
        tracks, spoken = [], []
        for heard in _heard(plan):
            speaker = SPEAKERS[heard.channel]
            language = heard.language or LANGUAGE_UNKNOWN
            tracks.append(Track(heard.channel, speaker, language, heard.is_detected, heard.speech))
            spoken.append((speaker, redact(_words(parts, heard.channel), claim.job.wishes.keeps, masked)))
        subject = replace(claim.job.subject, duration_ms=plan["duration_ms"])
        return Transcript(subject, self._scribe.engine, tuple(tracks), turns_of(spoken))


def _heard(plan: Mapping[str, Any]) -> tuple[Heard, ...]:
    return tuple(
        Heard(
            side["channel"],
            tuple((start, end) for start, end in side["speech"]),
            side["language"],
            is_detected=side["is_detected"],
        )
        for side in plan["sides"]
    )


def _words(parts: Parts, channel: int) -> list[Word]:
    return [
        Word(text, start_ms, end_ms, confidence)
        for place in sorted(parts.chunks)
        if place[0] == channel
        for text, start_ms, end_ms, confidence in parts.chunks[place]["words"]
    ]


def _speech_ms(plan: Mapping[str, Any] | None) -> int:
    return sum(end - start for side in (plan or {"sides": ()})["sides"] for start, end in side["speech"])
