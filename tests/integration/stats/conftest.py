import json
import os
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
from services.shared.chassis.clock import Clock
from services.shared.contracts.ringmaster.v1.event_pb2 import Event
from services.shared.contracts.ringmaster.v1.tenant_pb2 import TenantDocument
from services.shared.testing.document_store import document_store
from services.shared.testing.ports import free_port
from services.shared.testing.waiting import wait_until
from tests.browser.eye import Eye

__all__ = ["Eye"]  # whoever takes `eye` names it
ROOT = Path(__file__).resolve().parents[3]
ERASURE_SECRET = "an erasure secret of the statistics' tests"
START_SECONDS = 60.0
WAIT_SECONDS = 60.0
DAY_SECONDS, CLOCK_BEGINS_SECONDS = 86_400, (10 * 60 + 30) * 60


def midday() -> Clock:
    """Return a platform's clock that began at the last 10:30 UTC: what a test calls today has no edge near by.

    It is the middle of an hour and of a day in Kyiv and in Tokyo too, whatever the machine's own clock shows. The day
    is the machine's, or the one before: Kafka deletes what it takes for old.
    """
    wall = time.time()
    return Clock(epoch=wall - (wall - CLOCK_BEGINS_SECONDS) % DAY_SECONDS, wall0=wall)


CLOCK = midday()


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
            receipt.wait(60)

    def document(self, document: TenantDocument) -> None:
        document.tenant_id = self.tenant
        value = document.SerializeToString()
        self._producer.send(TENANTS, self.tenant, value, timestamp_ms=CLOCK.now_ms()).wait(60)


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
            "RINGMASTER_CLOCK_EPOCH": str(CLOCK.epoch),
            "RINGMASTER_CLOCK_WALL0": str(CLOCK.wall0),
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
            with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310 - the same
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
def eye(browser: Eye, tmp_path: Path) -> Eye:
    """Give a browser in which nobody has been yet."""
    browser.begin(tmp_path)
    return browser
