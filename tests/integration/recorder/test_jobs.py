"""The queue of transcriptions in a real document store, under a clock of the test's own."""

from dataclasses import dataclass, field
from typing import Any

import pytest
from pymongo.database import Database

from services.recorder.adapters.jobs import Jobs
from services.recorder.domain.transcript.job import MOST_ATTEMPTS, Claim, Job, JobState, Source
from services.recorder.domain.transcript.policy import Wishes
from services.recorder.domain.transcript.transcript import Subject

LEASE_SECONDS = 60.0
SOURCE = Source("b", "k", 1, "0" * 64, "audio/wav", 2)


@dataclass
class Queue:
    """The queue and its clock."""

    database: Database[dict[str, Any]]
    now: float = 1_000.0
    jobs: Jobs = field(init=False)

    def __post_init__(self) -> None:
        self.jobs = Jobs(self.database, LEASE_SECONDS, lambda: self.now)

    def put(self, recording_id: str, tenant_id: str = "acme", priority: int = 0, duration_ms: int = 60_000) -> bool:
        subject = Subject(tenant_id, "call", recording_id, duration_ms, 1)
        self.now += 1
        return self.jobs.put(Job(subject, SOURCE, Wishes(priority=priority)), int(self.now))

    def claim(self) -> Claim:
        claim = self.jobs.claim()
        assert claim is not None
        return claim

    def next(self) -> str:
        return self.claim().job.subject.recording_id

    def state(self, recording_id: str) -> str:
        state = self.jobs.state("acme", recording_id)
        assert state is not None
        return str(state["state"])


@pytest.fixture
def queue(database: Database[dict[str, Any]]) -> Queue:
    return Queue(database)


def test_a_job_comes_back_as_it_was_put_and_only_once(queue: Queue) -> None:
    assert queue.put("r")
    assert not queue.put("r")
    claim = queue.claim()
    assert (claim.job.subject.recording_id, claim.job.source, claim.attempt) == ("r", SOURCE, 1)
    assert queue.jobs.claim() is None
    assert queue.jobs.finish(claim)
    assert not queue.put("r"), "the same recording again is no new job"
    assert queue.jobs.counts()[JobState.WAITING] == 0


def test_a_higher_priority_comes_first_then_who_waits_longest(queue: Queue) -> None:
    for name, priority in (("a", 0), ("b", 5), ("c", 0), ("d", -1)):
        queue.put(name, priority=priority)
    assert [queue.next() for _ in range(4)] == ["b", "a", "c", "d"]


def test_a_tenant_with_a_thousand_recordings_does_not_hold_up_another(queue: Queue) -> None:
    for number in range(6):
        queue.put(f"big-{number}", "big", priority=9)
    queue.put("small-0", "small", priority=-9)
    assert "small-0" in {queue.next(), queue.next()}


def test_long_recordings_count_for_more_than_short_ones(queue: Queue) -> None:
    for number in range(4):
        queue.put(f"long-{number}", "long", duration_ms=600_000)
        queue.put(f"short-{number}", "short", duration_ms=60_000)
    first = [queue.next().partition("-")[0] for _ in range(5)]
    assert first.count("short") == 4


def test_a_claim_is_kept_while_it_is_renewed_and_lost_when_it_is_not(queue: Queue) -> None:
    queue.put("r")
    claim = queue.claim()
    for _ in range(5):
        queue.now += LEASE_SECONDS / 2
        assert queue.jobs.renew(claim)
        assert queue.jobs.claim() is None
    queue.now += LEASE_SECONDS + 1
    second = queue.claim()
    assert second.attempt == 2
    # Whoever comes back late can do nothing any more.
    assert not queue.jobs.renew(claim)
    assert not queue.jobs.finish(claim)
    assert not queue.jobs.fail(claim, "too late", None)
    assert queue.jobs.progress(second, 5, 10)
    state = queue.jobs.state("acme", "r")
    assert state is not None
    assert (state["done_ms"], state["speech_ms"], state["state"]) == (5, 10, "running")


def test_a_failed_job_waits_its_pause_and_one_given_up_waits_for_a_person(queue: Queue) -> None:
    queue.put("r")
    queue.jobs.fail(queue.claim(), "the store is away", 30.0)
    assert queue.jobs.claim() is None
    queue.now += 31
    queue.jobs.fail(queue.claim(), "it is no sound", None)
    queue.now += 10_000
    assert queue.jobs.claim() is None
    assert not queue.jobs.revive("other", "r")
    assert queue.jobs.revive("acme", "r")
    assert queue.claim().attempt == 1


def test_a_recording_over_which_workers_die_is_put_aside(queue: Queue) -> None:
    queue.put("poison")
    for _ in range(MOST_ATTEMPTS):
        assert queue.claim().attempt <= MOST_ATTEMPTS
        queue.now += LEASE_SECONDS + 1
    assert queue.jobs.claim() is None
    (lost,) = queue.jobs.lost_for_good()
    assert queue.jobs.fail(lost, "too many workers have died over it", None)
    assert queue.state("poison") == "dead"
    assert queue.jobs.lost_for_good() == []


def test_another_tenants_progress_is_not_shown(queue: Queue) -> None:
    queue.put("r")
    assert queue.jobs.state("other", "r") is None
