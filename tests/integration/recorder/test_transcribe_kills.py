"""A transcriber that is killed anywhere loses nothing, tells nothing twice, and hears hardly anything twice."""

import hashlib
import json
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pymongo.database import Database

from local.voices.clips import find_speech
from services.recorder.adapters.jobs import Jobs
from services.recorder.adapters.transcripts import Transcripts
from services.recorder.domain.transcript.job import Job, JobState, Source
from services.recorder.domain.transcript.policy import Wishes
from services.recorder.domain.transcript.transcript import Subject
from services.recorder.domain.transcript.words import Personal
from tests.contract.speech_servers import Script, openai_server
from tests.integration.recorder.conftest import ACCESS_KEY, SECRET_KEY, Objects
from tests.integration.recorder.nursery import Nursery, Pass
from tests.unit.recorder.sounds import wav

SAID = "please leave your message my card is 4111 1111 1111 1111"
KEPT = "please leave your message my card is [card]"


@dataclass
class Hall:
    """Stores with recordings in them, and a recogniser."""

    objects: Objects
    documents_uri: str
    database: Database[dict[str, Any]]
    engine: str
    folder: Path
    nursery: Nursery

    def add(self, recording_id: str, tenant_id: str = "acme", content: bytes | None = None) -> None:
        body = recording() if content is None else content
        key = f"{tenant_id}/{recording_id}"
        self.objects.client().put_object(Bucket=self.objects.bucket, Key=key, Body=body)
        digest = hashlib.sha256(body).hexdigest()
        source = Source(self.objects.bucket, key, len(body), digest, "audio/wav", 2)
        subject = Subject(tenant_id, "call-1", recording_id, 4_000, 1_795_399_051_000_000)
        self.jobs.put(Job(subject, source, Wishes(language="en", keeps=frozenset({Personal.PHONE}))), 1)

    def start(self, **more: object) -> Pass:
        given = {
            "endpoint": self.objects.endpoint,
            "bucket": self.objects.bucket,
            "access_key": ACCESS_KEY,
            "secret_key": SECRET_KEY,
            "mongodb_uri": self.documents_uri,
            "engine": self.engine,
            "cache": str(self.folder),
            "told": str(self.folder / "told"),
            **more,
        }
        return self.nursery.start("transcribe_pass", given)

    def run(self, **more: object) -> tuple[int, list[str]]:
        return self.nursery.end(self.start(**more))

    @property
    def jobs(self) -> Jobs:
        return Jobs(self.database, 1.0, lambda: 0.0)

    def told(self) -> list[str]:
        path = self.folder / "told"
        return path.read_text(encoding="utf-8").splitlines() if path.exists() else []

    def check_written_once(self, recording_id: str) -> None:
        document = Transcripts(self.database).find_for("acme", recording_id)
        assert document is not None
        assert [turn["text"] for turn in document["turns"]] == [KEPT, KEPT]
        assert [match["rule_id"] for match in document["analysis"]["matches"]] == ["asks_for_message"] * 2
        assert "4111" not in json.dumps(document, default=str)
        assert self.database["transcripts"].count_documents({"_id": recording_id}) == 1
        assert self.database["transcription_parts"].count_documents({}) == 0
        state = self.jobs.state("acme", recording_id)
        assert state is not None
        assert state["state"] == JobState.DONE.value


@pytest.fixture
def hall(
    tmp_path: Path, objects: Objects, documents_uri: str, database: Database[dict[str, Any]], nursery: Nursery
) -> Iterator[Hall]:
    objects.client().create_bucket(Bucket=objects.bucket)
    with openai_server(Script(SAID.split())) as base:
        yield Hall(objects, documents_uri, database, f"openai:{base}#whisper-1", tmp_path, nursery)


@cache
def recording() -> bytes:
    """Return somebody who speaks on the left, then on the right: the voice detector takes nothing else for speech."""
    clip = next((clip for clip in find_speech().clips if clip.text), None)
    if clip is None:
        pytest.skip("there is no speech on this machine: install asterisk-core-sounds-en-wav, or espeak-ng")
    silence = np.zeros_like(clip.samples)
    stereo = np.stack([np.concatenate([clip.samples, silence]), np.concatenate([silence, clip.samples])])
    return wav(stereo.T.astype("<i2").tobytes())


def test_a_recording_is_written_down_step_by_step(hall: Hall) -> None:
    hall.add("rec-1")
    code, steps = hall.run()
    assert code == 0
    assert steps == ["claimed", "fetched", *["heard"] * 3, "written", "told", "tidied", "finished"]
    hall.check_written_once("rec-1")
    assert len(hall.told()) == 3


@pytest.mark.parametrize("step", [1, 3, 4, 6, 7, 8, 9])
def test_a_kill_behind_each_step_is_made_good(hall: Hall, step: int) -> None:
    hall.add("rec-1")
    code, before = hall.run(die_at=step)
    assert code == -signal.SIGKILL
    code, after = hall.run()
    assert code == 0
    hall.check_written_once("rec-1")
    assert len(set(hall.told())) == 3, "a fact was told under two ids or two times"
    # The plan and each chunk are kept as soon as they are heard: none of them is heard again.
    assert before.count("heard") + after.count("heard") == 3


@pytest.mark.parametrize("step", [2, 4, 6])
def test_nothing_is_left_of_a_recording_that_is_deleted_while_it_is_written_down(hall: Hall, step: int) -> None:
    hall.add("rec-1")
    assert hall.run(delete_at=step)[0] == 0
    assert hall.told() == []
    for collection in ("transcripts", "transcription_parts", "transcription_jobs", "recording_contexts"):
        assert hall.database[collection].count_documents({}) == 0, collection


def test_two_workers_write_each_recording_down_once(hall: Hall) -> None:
    for number in range(4):
        hall.add(f"rec-{number}")
    both = [hall.start(), hall.start()]
    ends = [hall.nursery.end(each) for each in both]
    assert [code for code, _ in ends] == [0, 0]
    assert sum(words.count("written") for _, words in ends) == 4
    assert len(hall.told()) == len(set(hall.told())) == 12
    for number in range(4):
        hall.check_written_once(f"rec-{number}")


def test_what_is_no_sound_is_given_up_with_a_reason_and_harms_no_other(hall: Hall) -> None:
    hall.add("rec-bad", content=b"RIFF nothing of the kind")
    hall.add("rec-1")
    assert hall.run()[0] == 0
    hall.check_written_once("rec-1")
    state = hall.jobs.state("acme", "rec-bad")
    assert state is not None
    assert state["state"] == JobState.DEAD.value
    assert "can't be decoded" in state["reason"]
    assert any(line.startswith("failed rec-bad the sound can't be decoded") for line in hall.told())
    assert hall.database["transcripts"].count_documents({}) == 1
