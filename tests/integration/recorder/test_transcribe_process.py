"""The whole role `transcribe` beside a true broker, object store and document store."""

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from google.protobuf.message import Message

from services.shared.bus.consumer import Consumer
from services.shared.bus.events import publish_event
from services.shared.bus.producer import Producer
from services.shared.bus.topics import CALLS, CLIPS, INPUTS, TENANTS
from services.shared.contracts.ringmaster.v1 import tenant_pb2 as tn
from services.shared.contracts.ringmaster.v1.event_pb2 import Event, RecordingMasked, RecordingStarted, RecordingStored
from services.shared.contracts.ringmaster.v1.input_pb2 import Input
from services.shared.contracts.ringmaster.v1.recognition_pb2 import ClipRecognised, RecogniseClip, RecognitionOutcome
from services.shared.testing.ports import free_port
from services.shared.testing.waiting import wait_until
from tests.contract.speech_servers import Script, openai_server
from tests.integration.recorder.conftest import ACCESS_KEY, SECRET_KEY, Objects
from tests.integration.recorder.test_transcribe_kills import recording

ROOT = Path(__file__).parents[3]
SAID = "please leave your message"
RECORDED_US = 1_795_399_051_000_000
TOKEN = "boss"

pytestmark = [pytest.mark.kafka, pytest.mark.stack]


@dataclass
class Platform:
    """What is around the process, and the process."""

    bootstrap: str
    objects: Objects
    tenant_id: str
    url: str
    process: "subprocess.Popen[bytes]"
    producer: Producer

    def tell(self, body: Message, field: str, event_id: str, at_us: int) -> None:
        event = Event(event_id=event_id, tenant_id=self.tenant_id, call_id="call-1", subject="call-1")
        event.time.FromMicroseconds(at_us)
        getattr(event, field).CopyFrom(body)
        publish_event(self.producer, event, "recorder").wait(60)

    def store(self, recording_id: str, language: str = "") -> None:
        body = recording()
        key = f"{self.tenant_id}/{recording_id}.wav"
        self.objects.client().put_object(Bucket=self.objects.bucket, Key=key, Body=body)
        started = RecordingStarted(recording_id=recording_id, agent_id="olena", queue_id="sales", language=language)
        self.tell(started, "recording_started", f"start-{recording_id}", RECORDED_US)
        stored = RecordingStored(
            recording_id=recording_id,
            bucket=self.objects.bucket,
            key=key,
            size_bytes=len(body),
            sha256=hashlib.sha256(body).hexdigest(),
            duration_ms=4_000,
            channels=2,
            media_type="audio/wav",
        )
        self.tell(stored, "recording_stored", f"stored-{recording_id}", RECORDED_US + 5_000_000)

    def ask(self, path: str) -> Any:
        request = urllib.request.Request(self.url + path, headers={"Authorization": f"Bearer {TOKEN}"})  # noqa: S310 - our own loopback address
        with urllib.request.urlopen(request, timeout=5) as answer:  # noqa: S310 - the same
            return json.load(answer)


@pytest.fixture
def platform(tmp_path: Path, kafka_bootstrap: str, objects: Objects, documents_uri: str) -> Iterator[Platform]:
    tenant_id = f"t-{uuid4().hex[:8]}"
    objects.client().create_bucket(Bucket=objects.bucket)
    port = free_port()
    tokens = {hashlib.sha256(TOKEN.encode()).hexdigest(): {"tenant": tenant_id, "role": "supervisor", "actor": "boss"}}
    (tmp_path / "tokens.json").write_text(json.dumps(tokens), encoding="utf-8")
    producer = Producer(kafka_bootstrap, f"test-{tenant_id}")
    document = tn.TenantDocument(tenant_id=tenant_id, version=1, languages=["en", "uk"])
    document.transcription.mode, document.transcription.language = tn.TRANSCRIPTION_MODE_ALL, "en"
    document.speech_rules.add(rule_id="message", phrases=["leave message"], near=["please"])
    producer.send(TENANTS, tenant_id, document.SerializeToString(), timestamp_ms=1).wait(60)
    with openai_server(Script(SAID.split())) as base:
        environment = {
            "RINGMASTER_NODE": f"tr-{tenant_id}",
            "RINGMASTER_KAFKA_BOOTSTRAP": kafka_bootstrap,
            "RINGMASTER_MONGODB_URI": documents_uri,
            "RINGMASTER_S3_ENDPOINT": objects.endpoint,
            "RINGMASTER_S3_BUCKET": objects.bucket,
            "RINGMASTER_S3_ACCESS_KEY": ACCESS_KEY,
            "RINGMASTER_S3_SECRET_KEY": SECRET_KEY,
            "RINGMASTER_HTTP_PORT": str(port),
            "RINGMASTER_API_TOKENS": str(tmp_path / "tokens.json"),
            "RINGMASTER_TRANSCRIBE_ENGINE": f"openai:{base}#whisper-1",
            "RINGMASTER_TRANSCRIBE_MODELS": str(tmp_path),
        }
        command = [sys.executable, "-m", "services.recorder", "transcribe"]
        process = subprocess.Popen(command, cwd=ROOT, env={**os.environ, **environment})  # noqa: S603 - our own command
        yield Platform(kafka_bootstrap, objects, tenant_id, f"http://127.0.0.1:{port}", process, producer)
        process.kill()
        process.wait(30)
    producer.close()


def read(bootstrap: str, topic: str, key: str, is_enough: Any) -> list[Any]:
    """Read a tenant's records of a topic from its beginning until there is enough."""
    reader = Consumer(bootstrap, None, [topic], f"test-{uuid4().hex[:6]}")
    kind = Input if topic == INPUTS else Event
    found: list[Any] = []

    def has_come() -> bool:
        found.extend(kind.FromString(record.value) for record in reader.poll(0.5) if record.key == key)
        return bool(is_enough(found))

    try:
        wait_until(has_come, f"enough of {topic}")
    finally:
        reader.close()
    return found


def test_a_stored_recording_becomes_a_transcript_that_is_told_shown_and_found(platform: Platform) -> None:
    platform.store("rec-1")
    # The agent masks from the fourth second on: what is said on the right lies before and behind.
    platform.tell(
        RecordingMasked(recording_id="rec-2", actor="olena"), "recording_masked", "mask-1", RECORDED_US + 10_000
    )
    platform.store("rec-2", language="uk")  # as the caller chose in the menu

    def both(events: list[Event]) -> bool:
        return sum(event.WhichOneof("body") == "transcript_completed" for event in events) >= 2

    events = read(platform.bootstrap, CALLS, platform.tenant_id, both)
    completed = {e.transcript_completed.recording_id: e.transcript_completed for e in events}
    assert (completed["rec-1"].words, completed["rec-1"].language) == (8, "en")
    assert completed["rec-2"].language == "uk"
    assert (completed["rec-1"].queue_id, completed["rec-1"].agent_id) == ("sales", "olena")
    matches = [e.analysis_rule_matched for e in events if e.WhichOneof("body") == "analysis_rule_matched"]
    assert {(match.recording_id, match.rule_id, match.phrase) for match in matches} == {
        ("rec-1", "message", "leave message")
    }
    told = platform.ask("/v1/transcripts/rec-1")
    assert [turn["text"] for turn in told["turns"]] == [SAID, SAID]
    masked = platform.ask("/v1/transcripts/rec-2")
    assert {word["text"] for turn in masked["turns"] for word in turn["words"]} == {"[masked]"}
    found = platform.ask("/v1/transcripts/search?q=messages")["results"]
    assert [result["recording_id"] for result in found] == ["rec-1"]
    platform.process.send_signal(signal.SIGTERM)
    assert platform.process.wait(30) == 0


def test_a_clip_of_a_menu_is_answered_on_the_tenants_log(platform: Platform) -> None:
    clip = RecogniseClip(
        clip_id="c-1",
        tenant_id=platform.tenant_id,
        call_id="call-1",
        leg_id="leg-1",
        sound=recording(),
        language="en",
        phrases=["sales", "leave message"],
        deadline_ms=int(time.time() * 1000) + 60_000,
    )
    platform.producer.send(CLIPS, platform.tenant_id, clip.SerializeToString(), timestamp_ms=1).wait(60)
    answers: list[ClipRecognised] = []

    def is_answered(inputs: list[Input]) -> bool:
        answers[:] = [given.clip_recognised for given in inputs if given.HasField("clip_recognised")]
        return bool(answers)

    read(platform.bootstrap, INPUTS, platform.tenant_id, is_answered)
    (answer,) = answers
    assert (answer.clip_id, answer.outcome) == ("c-1", RecognitionOutcome.RECOGNITION_OUTCOME_HEARD)
    assert (answer.text, answer.phrase) == (SAID, 1)
