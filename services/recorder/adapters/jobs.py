"""The queue of recordings to be written down, in the document store. Any number of workers share it.

A claim is one conditional write; it is kept by a lease that the worker renews. A worker that dies lets its lease run
out, and the job waits again. Leases are wall time: a clock that jumps costs a second transcription at worst, and that
one writes the same documents under the same ids.
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any, Final

from pymongo import ASCENDING, DESCENDING
from pymongo.collection import Collection
from pymongo.database import Database
from pymongo.errors import DuplicateKeyError

from services.recorder.adapters.database import as_documents_failed
from services.recorder.domain.transcript.job import (
    MOST_ATTEMPTS,
    Claim,
    Job,
    JobState,
    Source,
    next_tenants,
    served_after,
)
from services.recorder.domain.transcript.policy import Wishes
from services.recorder.domain.transcript.transcript import Speaker, Subject
from services.recorder.domain.transcript.words import Personal

COLLECTION: Final = "transcription_jobs"
SHARES: Final = "transcription_shares"
_SCALE: Final = "*"
"""The share that no tenant has: where the scale of served sound stands."""
_CANDIDATES: Final = 5
Document = dict[str, Any]


class Jobs:
    """The queue. Every method raises DocumentsFailed when the document store is away or refuses."""

    def __init__(self, database: Database[Document], lease_seconds: float, wall: Callable[[], float]) -> None:
        self._database = database
        self._lease_seconds = lease_seconds
        self._wall = wall
        self._has_index = False

    def put(self, job: Job, created_us: int) -> bool:
        """Queue a job; False when it is known already, whatever became of it."""
        with as_documents_failed():
            try:
                self._jobs().insert_one(
                    {
                        "_id": job.subject.recording_id,
                        "tenant_id": job.subject.tenant_id,
                        "job": _job_document(job),
                        "priority": job.wishes.priority,
                        "state": JobState.WAITING.value,
                        "attempts": 0,
                        "created_us": created_us,
                        "not_before": 0.0,
                        "lease_until": 0.0,
                        "done_ms": 0,
                        "speech_ms": 0,
                        "reason": "",
                    }
                )
            except DuplicateKeyError:
                return False
        return True

    def claim(self) -> Claim | None:
        """Return the job that is next, by fairness between tenants and then by priority; None when none waits."""
        with as_documents_failed():
            self._take_back()
            shares = {row["_id"]: row["served_ms"] for row in self._database[SHARES].find({})}
            now_ms = shares.get(_SCALE, 0.0)
            waiting = self._jobs().distinct("tenant_id", self._waiting())
            for tenant_id in next_tenants({tenant: shares.get(tenant, 0.0) for tenant in waiting}, now_ms):
                claim = self._claim_of(tenant_id)
                if claim is not None:
                    self._charge(tenant_id, shares.get(tenant_id, 0.0), now_ms, claim.job.subject.duration_ms)
                    return claim
        return None

    def renew(self, claim: Claim) -> bool:
        """Keep a claim for another lease; False when somebody else has it."""
        return self._change(claim, {"lease_until": self._wall() + self._lease_seconds})

    def progress(self, claim: Claim, done_ms: int, speech_ms: int) -> bool:
        """Tell how much of the speech is written down, and renew the claim; False when somebody else has it."""
        news = {"done_ms": done_ms, "speech_ms": speech_ms, "lease_until": self._wall() + self._lease_seconds}
        return self._change(claim, news)

    def finish(self, claim: Claim) -> bool:
        """Mark a job done; False when somebody else has it."""
        return self._change(claim, {"state": JobState.DONE.value, "reason": ""})

    def fail(self, claim: Claim, reason: str, again_in_seconds: float | None) -> bool:
        """Let a job wait for another try, or put it aside for good (None)."""
        if again_in_seconds is None:
            return self._change(claim, {"state": JobState.DEAD.value, "reason": reason})
        not_before = self._wall() + again_in_seconds
        return self._change(claim, {"state": JobState.WAITING.value, "reason": reason, "not_before": not_before})

    def revive(self, tenant_id: str, recording_id: str) -> bool:
        """Let a job that was put aside wait again, on a person's wish; False when there is none."""
        with as_documents_failed():
            answer = self._jobs().update_one(
                {"_id": recording_id, "tenant_id": tenant_id, "state": JobState.DEAD.value},
                {"$set": {"state": JobState.WAITING.value, "attempts": 0, "not_before": 0.0}},
            )
        return bool(answer.modified_count)

    def state(self, tenant_id: str, recording_id: str) -> Mapping[str, Any] | None:
        """Return how far a recording is: state, attempts, done_ms of speech_ms, reason."""
        with as_documents_failed():
            row = self._jobs().find_one({"_id": recording_id, "tenant_id": tenant_id})
        names = ("state", "attempts", "done_ms", "speech_ms", "reason")
        return {name: row[name] for name in names} if row else None

    def forget(self, recording_id: str) -> None:
        """Drop a job, its recording is deleted."""
        with as_documents_failed():
            self._jobs().delete_one({"_id": recording_id})

    def counts(self) -> dict[JobState, int]:
        """Return how many jobs are in each state but done: for the gauges."""
        states = (JobState.WAITING, JobState.RUNNING, JobState.DEAD)
        with as_documents_failed():
            return {state: self._jobs().count_documents({"state": state.value}) for state in states}

    def _take_back(self) -> None:
        """Let jobs wait whose workers have died, and put those aside that too many have died over."""
        lost = {"state": JobState.RUNNING.value, "lease_until": {"$lt": self._wall()}}
        self._jobs().update_many(
            lost | {"attempts": {"$lt": MOST_ATTEMPTS}},
            {"$set": {"state": JobState.WAITING.value, "reason": "its worker has died"}},
        )

    def _waiting(self) -> Document:
        return {"state": JobState.WAITING.value, "not_before": {"$lte": self._wall()}}

    def _claim_of(self, tenant_id: str) -> Claim | None:
        order = [("priority", DESCENDING), ("created_us", ASCENDING)]
        rows = self._jobs().find(self._waiting() | {"tenant_id": tenant_id}).sort(order).limit(_CANDIDATES)
        for row in rows:
            attempt = row["attempts"] + 1
            answer = self._jobs().update_one(
                {"_id": row["_id"], "state": JobState.WAITING.value, "attempts": row["attempts"]},
                {
                    "$set": {
                        "state": JobState.RUNNING.value,
                        "attempts": attempt,
                        "lease_until": self._wall() + self._lease_seconds,
                    }
                },
            )
            if answer.modified_count:
                return Claim(_job(row["job"]), attempt)
        return None

    def lost_for_good(self) -> list[Claim]:
        """Return claims of dead workers over jobs that have had all their attempts; whoever asks fails them."""
        with as_documents_failed():
            rows = self._jobs().find(
                {
                    "state": JobState.RUNNING.value,
                    "lease_until": {"$lt": self._wall()},
                    "attempts": {"$gte": MOST_ATTEMPTS},
                }
            )
            return [Claim(_job(row["job"]), row["attempts"]) for row in rows]

    def _charge(self, tenant_id: str, served_ms: float, now_ms: float, cost_ms: int) -> None:
        """Count what a tenant is served. Lost in a crash, or done twice at once, it costs a little fairness."""
        after = served_after(served_ms, now_ms, cost_ms)
        shares = self._database[SHARES]
        shares.update_one({"_id": tenant_id}, {"$set": {"served_ms": after}}, upsert=True)
        shares.update_one({"_id": _SCALE}, {"$max": {"served_ms": max(served_ms, now_ms)}}, upsert=True)

    def _change(self, claim: Claim, news: Document) -> bool:
        place = {
            "_id": claim.job.subject.recording_id,
            "state": JobState.RUNNING.value,
            "attempts": claim.attempt,
        }
        with as_documents_failed():
            return bool(self._jobs().update_one(place, {"$set": news}).matched_count)

    def _jobs(self) -> Collection[Document]:
        jobs = self._database[COLLECTION]
        if not self._has_index:
            jobs.create_index([("state", ASCENDING), ("tenant_id", ASCENDING), ("priority", DESCENDING)])
            self._has_index = True
        return jobs


def _job_document(job: Job) -> Document:
    wishes = job.wishes
    return {
        "subject": asdict(job.subject),
        "source": asdict(job.source),
        "wishes": {
            "sides": [side.value for side in wishes.sides],
            "language": wishes.language,
            "languages": list(wishes.languages),
            "keeps": sorted(kind.value for kind in wishes.keeps),
            "priority": wishes.priority,
        },
        "started_us": job.started_us,
    }


def _job(document: Document) -> Job:
    wishes = document["wishes"]
    return Job(
        Subject(**document["subject"]),
        Source(**document["source"]),
        Wishes(
            tuple(Speaker(side) for side in wishes["sides"]),
            wishes["language"],
            tuple(wishes["languages"]),
            frozenset(Personal(kind) for kind in wishes["keeps"]),
            wishes["priority"],
        ),
        document["started_us"],
    )
