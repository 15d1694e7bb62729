import json
import os
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from services.shared.testing.document_store import document_store
from services.shared.testing.ports import free_port
from services.shared.testing.waiting import wait_until

ROOT = Path(__file__).resolve().parents[3]
TOKENS = {
    "admin": {"tenant": "*", "role": "admin", "actor": "root"},
    "acme-supervisor": {"tenant": "acme", "role": "supervisor", "actor": "sofia"},
    "acme-olena": {"tenant": "acme", "role": "agent", "actor": "olena"},
    "borealis-supervisor": {"tenant": "borealis", "role": "supervisor", "actor": "sam"},
}


@dataclass
class RunningConsole:
    """A console process with its store and broker."""

    environment: dict[str, str]
    port: int
    log: Path
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "services.console"], env=self.environment, cwd=ROOT, stderr=log
            )
        wait_until(self._is_ready, f"the console is ready ({self.log})")

    def _is_ready(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, self.log.read_text()
        return self.ask("GET", "/readyz")[0] == 200

    def stop(self, *, kill: bool = False) -> None:
        if self.process is not None:
            if kill:
                self.process.kill()
            else:
                self.process.terminate()
            self.process.wait(20)
            self.process = None

    def command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(  # noqa: S603 - the command is our own
            [sys.executable, "-m", "services.console", *arguments],
            env=self.environment,
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

    def ask(
        self, method: str, path: str, body: bytes | None = None, token: str = "", **headers: str
    ) -> tuple[int, Any]:
        """Return (status, JSON or text); (0, "") when nobody answers."""
        headers = {name.replace("_", "-"): value for name, value in headers.items()}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}{path}", data=body, headers=headers, method=method
        )
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310 - loopback only
                return answer.status, _read(answer.read())
        except urllib.error.HTTPError as error:
            with error:
                return error.code, _read(error.read())
        except OSError:
            return 0, ""

    def logged(self, method: str, path: str, body: bytes, token: str, *, key: str) -> tuple[int, Any]:
        """Return the same once the broker has the request: the console waits two seconds for that, and for a reply."""
        return self._until_not({0, 503}, method, path, body, token, key)

    def answered(self, method: str, path: str, body: bytes, token: str, *, key: str) -> tuple[int, Any]:
        """Return the same once the router has answered too."""
        return self._until_not({0, 503, 202}, method, path, body, token, key)

    def _until_not(self, late: set[int], method: str, path: str, body: bytes, token: str, key: str) -> tuple[int, Any]:
        def answer() -> tuple[int, Any] | None:
            found = self.ask(method, path, body, token, Idempotency_Key=key)
            return None if found[0] in late else found

        return wait_until(answer, f"the answer to {method} {path}")


def _read(raw: bytes) -> Any:
    try:
        return json.loads(raw)
    except ValueError:
        return raw.decode()


@pytest.fixture(scope="session")
def mongodb_uri(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of a document store: MONGODB_URI, or one that is started for this run."""
    given = os.environ.get("MONGODB_URI")
    if given:
        yield given
        return
    with document_store(tmp_path_factory.mktemp("documents")) as server:
        yield server


@pytest.fixture
def console(tmp_path: Path, kafka_bootstrap: str, mongodb_uri: str) -> Iterator[RunningConsole]:
    """Give a console process that is not started yet, with a database of its own."""
    tokens = {sha256(token.encode()).hexdigest(): entry for token, entry in TOKENS.items()}
    (tmp_path / "tokens.json").write_text(json.dumps(tokens))
    port = free_port()
    environment = {
        **os.environ,
        "RINGMASTER_KAFKA_BOOTSTRAP": kafka_bootstrap,
        "RINGMASTER_MONGODB_URI": f"{mongodb_uri}/console_{port}",
        "RINGMASTER_API_TOKENS": str(tmp_path / "tokens.json"),
        "RINGMASTER_HTTP_PORT": str(port),
        "RINGMASTER_DIRECTORY_PASSWORD": "directory-password",
        "RINGMASTER_PHONE_SECRET": "phone-secret-of-the-tests-0123456789",
    }
    running = RunningConsole(environment, port, tmp_path / "console.log")
    yield running
    running.stop()
