import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

START_SECONDS = 30.0
ROOT = Path(__file__).resolve().parents[3]
TOKENS = {
    "admin": {"tenant": "*", "role": "admin", "actor": "root"},
    "acme-supervisor": {"tenant": "acme", "role": "supervisor", "actor": "sofia"},
    "acme-olena": {"tenant": "acme", "role": "agent", "actor": "olena"},
    "borealis-supervisor": {"tenant": "borealis", "role": "supervisor", "actor": "sam"},
}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_until_listening(port: int) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        if time.monotonic() > deadline:
            pytest.fail(f"nothing listens on {port} after {START_SECONDS:.0f} s")
        time.sleep(0.05)


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
        deadline = time.monotonic() + START_SECONDS
        while (answer := self.ask("GET", "/readyz"))[0] != 200:
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < deadline, f"{answer}\n{self.log.read_text()}"
            time.sleep(0.05)

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
            with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310 - loopback only
                return answer.status, _read(answer.read())
        except urllib.error.HTTPError as error:
            with error:
                return error.code, _read(error.read())
        except OSError:
            return 0, ""


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
    folder, port = tmp_path_factory.mktemp("documents"), free_port()
    program = str(Path(sys.executable).with_name("secantusd-py"))
    command = [program, "--host", "127.0.0.1", "--port", str(port), "--storage-path", str(folder), "--sync-on-commit"]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)  # noqa: S603 - the command is our own
    try:
        wait_until_listening(port)
        yield f"mongodb://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(20)


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
