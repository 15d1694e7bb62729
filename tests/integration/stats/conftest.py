import json
import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from services.shared.bus.events import publish_event
from services.shared.bus.producer import Producer
from services.shared.bus.topics import TENANTS
from services.shared.contracts.ringmaster.v1.event_pb2 import Event
from services.shared.contracts.ringmaster.v1.tenant_pb2 import TenantDocument
from services.shared.testing.document_store import document_store, free_port
from services.shared.testing.waiting import wait_until

ROOT = Path(__file__).resolve().parents[3]
ERASURE_SECRET = "an erasure secret of the statistics' tests"
START_SECONDS = 60.0
WAIT_SECONDS = 20.0


@pytest.fixture(scope="session")
def mongodb_uri(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of a document store of this run's own."""
    with document_store(tmp_path_factory.mktemp("documents")) as server:
        yield f"{server}/stats-tests"


class Floor:
    """A tenant of this test alone, whose events go to the true broker."""

    def __init__(self, bootstrap: str) -> None:
        self.tenant = f"acme-{uuid4().hex[:8]}"
        self._producer = Producer(bootstrap, "floor")

    def close(self) -> None:
        self._producer.close()

    def tell(self, *events: Event) -> None:
        receipts = [publish_event(self._producer, event) for event in events]
        for receipt in receipts:
            receipt.wait(10)

    def document(self, document: TenantDocument) -> None:
        document.tenant_id = self.tenant
        value = document.SerializeToString()
        self._producer.send(TENANTS, self.tenant, value, timestamp_ms=time.time_ns() // 1_000_000).wait(10)


class Stats:
    """The process. Its token `boss-<tenant>` is a supervisor's, `root` the platform's."""

    def __init__(self, bootstrap: str, mongodb_uri: str, folder: Path, tenant: str) -> None:
        self.port = free_port()
        self.log = folder / "stats.log"
        self.token = f"boss-{tenant}"
        holders = {self.token: (tenant, "supervisor"), "root": ("*", "admin")}
        tokens = {
            sha256(token.encode()).hexdigest(): {"tenant": owner, "role": role, "actor": "someone"}
            for token, (owner, role) in holders.items()
        }
        (folder / "tokens.json").write_text(json.dumps(tokens))
        self.environment = os.environ | {
            "PYTHONPATH": str(ROOT),
            "RINGMASTER_KAFKA_BOOTSTRAP": bootstrap,
            "RINGMASTER_MONGODB_URI": mongodb_uri,
            "RINGMASTER_API_TOKENS": str(folder / "tokens.json"),
            "RINGMASTER_ERASURE_SECRET": ERASURE_SECRET,
            "RINGMASTER_HTTP_PORT": str(self.port),
            "RINGMASTER_STATS_SNAPSHOT_SECONDS": "0.5",
            "RINGMASTER_STATS_FOLDER": str(folder / "report-tables"),
        }
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        with self.log.open("ab") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "services.stats"], cwd=ROOT, env=self.environment, stdout=output, stderr=output
            )
        wait_until(lambda: self.ask("/readyz")[0] == 200, f"the start of the statistics ({self.log})", START_SECONDS)

    def kill(self) -> None:
        self._end(signal.SIGKILL)

    def stop(self) -> int:
        return self._end(signal.SIGTERM)

    def ask(self, path: str) -> tuple[int, Any]:
        headers = {"Authorization": f"Bearer {self.token}"}
        request = urllib.request.Request(self.url + path, headers=headers)  # noqa: S310 - loopback only
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310 - the same
                text = answer.read()
                return answer.status, json.loads(text) if "json" in answer.headers["Content-Type"] else text.decode()
        except urllib.error.HTTPError as error:
            return error.code, None
        except OSError:
            return 0, None

    def live(self) -> dict[str, Any]:
        return dict(self.ask("/v1/live")[1])

    def _end(self, number: int) -> int:
        if self._process is None:
            return 0
        self._process.send_signal(number)
        code = self._process.wait(20)
        self._process = None
        return code


class Eye:
    """A headless Chromium behind a process of its own: playwright and gevent do not share one."""

    def __init__(self, chromium: str, folder: Path) -> None:
        command = [sys.executable, str(Path(__file__).with_name("eye.py")), chromium, str(folder)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)  # noqa: S603 - our own command

    def do(self, what: str, **arguments: object) -> Any:
        """Let it do something; fail the test with its words when it can't."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"do": what, **arguments}) + "\n")
        self._process.stdin.flush()
        answer = json.loads(self._process.stdout.readline() or '{"fault": "the browser is gone"}')
        if "fault" in answer:
            pytest.fail(f"{what} {arguments}: {answer['fault']}")
        return answer["is"]

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(20)


@pytest.fixture
def floor(kafka_bootstrap: str) -> Iterator[Floor]:
    floor = Floor(kafka_bootstrap)
    yield floor
    floor.close()


@pytest.fixture
def stats(kafka_bootstrap: str, mongodb_uri: str, tmp_path: Path, floor: Floor) -> Iterator[Stats]:
    stats = Stats(kafka_bootstrap, mongodb_uri, tmp_path, floor.tenant)
    yield stats
    stats.kill()


@pytest.fixture
def eye(tmp_path: Path) -> Iterator[Eye]:
    """A browser: CHROMIUM names its program, else one of PATH is taken."""
    names = [os.environ.get("CHROMIUM", ""), "chromium", "chromium-browser", "google-chrome"]
    chromium = next((found for name in names if name and (found := shutil.which(name))), None)
    if chromium is None:
        pytest.skip("no Chromium: install Debian's chromium, or name the program in CHROMIUM")
    eye = Eye(chromium, tmp_path)
    yield eye
    eye.close()
