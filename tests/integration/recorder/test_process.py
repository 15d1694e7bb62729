"""The whole recorder process beside a true broker, object store and document store, killed again and again."""

import hashlib
import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from services.shared.bus.backlog import Backlog
from services.shared.bus.consumer import Consumer
from services.shared.bus.topics import CALLS
from services.shared.contracts.ringmaster.v1.event_pb2 import Event
from services.shared.testing.ports import free_port
from services.shared.testing.waiting import wait_until
from tests.integration.recorder.conftest import ACCESS_KEY, SECRET_KEY, Objects
from tests.unit.recorder.sounds import cut, sound, wav

ROOT = Path(__file__).parents[3]
FILES = 24
KILLS = 3

pytestmark = [pytest.mark.kafka, pytest.mark.stack]


class Process:
    """The recorder as a container runs it."""

    def __init__(self, environment: dict[str, str], log: Path) -> None:
        self._environment = {**os.environ, **environment}
        self._log = log
        self.url = f"http://127.0.0.1:{environment['RINGMASTER_HTTP_PORT']}"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "services.recorder"], cwd=ROOT, env=self._environment, stderr=log
            )
        wait_until(lambda: self.get("/healthz") is not None, "the recorder's start")

    def end(self, how: signal.Signals) -> int:
        assert self._process is not None
        self._process.send_signal(how)
        return self._process.wait(30)

    def get(self, path: str) -> str | None:
        try:
            with urllib.request.urlopen(self.url + path, timeout=5) as answer:  # noqa: S310 - our own loopback address
                return str(answer.read().decode())
        except (urllib.error.URLError, ConnectionError):
            return None


@pytest.fixture
def recorder(tmp_path: Path, kafka_bootstrap: str, objects: Objects, documents_uri: str) -> Iterator[Process]:
    (tmp_path / "recordings").mkdir()
    port = free_port()
    process = Process(
        {
            "RINGMASTER_NODE": f"fs-{uuid4().hex[:6]}",
            "RINGMASTER_RECORDINGS_DIR": str(tmp_path / "recordings"),
            "RINGMASTER_KAFKA_BOOTSTRAP": kafka_bootstrap,
            "RINGMASTER_MONGODB_URI": documents_uri,
            "RINGMASTER_S3_ENDPOINT": objects.endpoint,
            "RINGMASTER_S3_BUCKET": objects.bucket,
            "RINGMASTER_S3_ACCESS_KEY": ACCESS_KEY,
            "RINGMASTER_S3_SECRET_KEY": SECRET_KEY,
            "RINGMASTER_HTTP_PORT": str(port),
            "RINGMASTER_RECORDER_SETTLE_SECONDS": "1",
            "RINGMASTER_RECORDER_SCAN_SECONDS": "0.2",
        },
        tmp_path / "recorder.log",
    )
    yield process
    process.end(signal.SIGKILL)


def announced(bootstrap: str, tenant: str) -> list[Event]:
    """Read all recording events of a tenant, from the beginning."""
    reader = Consumer(bootstrap, None, [CALLS], f"test-{uuid4().hex[:6]}")
    found: list[Event] = []
    try:
        backlog = Backlog(reader)
        while not backlog.is_read:
            found += [Event.FromString(record.value) for record in backlog.poll(0.5) if record.key == tenant]
    finally:
        reader.close()
    return found


def test_a_recorder_that_is_killed_again_and_again_stores_everything_once(
    recorder: Process, tmp_path: Path, kafka_bootstrap: str, objects: Objects
) -> None:
    tenant = f"t-{uuid4().hex[:8]}"
    root = tmp_path / "recordings"
    wanted: dict[str, bytes] = {}
    for number in range(FILES):
        whole = wav(sound(2000, seed=number))
        wanted[f"rec-{number}"] = whole
        path = root / tenant / f"call-{number}" / f"rec-{number}.wav"
        path.parent.mkdir(parents=True)
        path.write_bytes(cut(whole) if number % 4 == 0 else whole)
    (root / tenant / "call-0" / "empty.wav").touch()
    recorder.start()
    for kill in range(KILLS):
        wanted_on_disk = FILES - kill * (FILES // (KILLS + 1))
        wait_until(lambda: len(list(root.glob("*/*/*.wav"))) < wanted_on_disk, "progress")  # noqa: B023 - used at once
        recorder.end(signal.SIGKILL)
        recorder.start()
    wait_until(lambda: not list(root.glob("*/*/*.wav")), "the last recording")
    wait_until(
        lambda: recorder.get("/readyz") == "ready\n", "a recorder that is ready: it may be done before it answers"
    )
    assert "ringmaster_recorder_files_quarantined 1.0" in (recorder.get("/metrics") or "")
    assert recorder.end(signal.SIGTERM) == 0

    stored = {key.rsplit("/", 1)[1].removesuffix(".wav"): body for key, body in objects.contents().items()}
    assert stored == wanted
    events = announced(kafka_bootstrap, tenant)
    told = [event.recording_stored for event in events if event.WhichOneof("body") == "recording_stored"]
    assert {each.recording_id: each.sha256 for each in told} == {
        name: hashlib.sha256(body).hexdigest() for name, body in wanted.items()
    }
    assert len({event.event_id for event in events}) == FILES + 1
    assert {event.recording_failed.recording_id for event in events} - {""} == {"empty"}


def test_a_setting_that_is_missing_ends_the_start_with_one_sentence(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "services.recorder"],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "RINGMASTER_RECORDINGS_DIR": str(tmp_path / "nowhere")},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2
    assert "RINGMASTER_NODE is not set" in done.stderr
    assert "Traceback" not in done.stderr
