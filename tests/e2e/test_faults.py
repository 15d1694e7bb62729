"""What a person sees when something is wrong: one clear sentence, a way to end, and nothing forgotten."""

import json
import os
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Self

import pytest

from local.broker import kafka
from local.stack.layout import Layout
from local.stack.part import LATER, Part, PartFailed, listens, takes_requests, uninterrupted
from local.stack.stack import Stack, stop_former
from local.topics import definitions
from services.shared.bus.admin import ensure_topics
from services.shared.testing.ports import free_port, free_range
from services.shared.testing.waiting import wait_until

pytestmark = pytest.mark.stack

ROOT = Path(__file__).resolve().parents[2]
ACME = ROOT / "local" / "demo" / "tenants" / "acme.yaml"
NOBODY = "127.0.0.1:1"
SECONDS = 40.0
# How long a service that can't run may take to say so and end, in the time that it has.
PROMPTLY_SECONDS = 20.0


def environment(folder: Path, **given: object) -> dict[str, str]:
    """Return an environment in which every service could start, but for what is `given`; None takes one away."""
    folder.mkdir(exist_ok=True)
    for name, content in (("tokens.json", "{}"), ("webhooks.json", "{}")):
        (folder / name).write_text(content, encoding="utf-8")
    (folder / "recordings").mkdir(exist_ok=True)
    settings: dict[str, object] = {
        "KAFKA_BOOTSTRAP": NOBODY,
        "MONGODB_URI": f"mongodb://{NOBODY}",
        "S3_ENDPOINT": f"http://{NOBODY}",
        "S3_BUCKET": "recordings",
        "S3_ACCESS_KEY": "key",
        "S3_SECRET_KEY": "secret",
        "NODE": "fs-1",
        "RECORDINGS_DIR": folder / "recordings",
        "API_TOKENS": folder / "tokens.json",
        "WEBHOOK_SECRETS": folder / "webhooks.json",
        "HTTP_PORT": free_port(),
    } | given
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("RINGMASTER_")}
    return inherited | {f"RINGMASTER_{name}": str(value) for name, value in settings.items() if value is not None}


@dataclass
class Service:
    """A service's process and what it says."""

    name: str
    environment: dict[str, str]
    log: Path
    process: "subprocess.Popen[bytes]" = field(init=False)

    def __enter__(self) -> Self:
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(  # noqa: S603 - our own program
                [sys.executable, "-m", f"services.{self.name}"], cwd=ROOT, env=self.environment, stdout=log, stderr=log
            )
        return self

    def __exit__(self, *_exception: object) -> None:
        self.process.kill()
        self.process.wait()

    def said(self) -> str:
        return self.log.read_text(encoding="utf-8")

    def events(self, name: str) -> list[dict[str, Any]]:
        lines = [json.loads(line) for line in self.said().splitlines() if line.startswith("{")]
        return [line for line in lines if line["event"] == name]

    def readiness(self) -> tuple[int, str]:
        """Return the status and words of /readyz; 0 while nothing listens."""
        url = f"http://127.0.0.1:{self.environment['RINGMASTER_HTTP_PORT']}/readyz"
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:
                return int(answer.status), answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()
        except OSError:
            return 0, ""

    def ends(self, seconds: float) -> int:
        """Wait for its end and return its code."""
        wait_until(lambda: self.process.poll() is not None, f"the end of the {self.name}", seconds)
        return self.process.wait()

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.ends(SECONDS)


@pytest.mark.parametrize(
    ("name", "given", "sentence"),
    [
        ("router", {"KAFKA_BOOTSTRAP": None}, "RINGMASTER_KAFKA_BOOTSTRAP is not set"),
        ("router", {"CLOCK_SPEED": "fast"}, "RINGMASTER_CLOCK_SPEED must be a number, not 'fast'"),
        ("webhooks", {"MONGODB_URI": "nonsense://here"}, "RINGMASTER_MONGODB_URI is no address of a document store"),
        ("webhooks", {"HTTP_PORT": "70000"}, "RINGMASTER_HTTP_PORT must be a port"),
        ("recorder", {"RECORDINGS_DIR": "/nowhere"}, "RINGMASTER_RECORDINGS_DIR: /nowhere is not a folder"),
        ("console", {"HTTP_PORT": "eighty"}, "RINGMASTER_HTTP_PORT must be a whole number, not 'eighty'"),
    ],
)
def test_a_setting_that_can_not_work_is_named_in_one_line_and_the_process_ends(
    name: str, given: dict[str, str], sentence: str, tmp_path: Path
) -> None:
    with Service(name, environment(tmp_path / "data", **given), tmp_path / "log") as service:
        assert service.ends(PROMPTLY_SECONDS) == 2
        assert sentence in service.said()
        assert len(service.said().splitlines()) == 1


@pytest.mark.parametrize("name", ["router", "recorder"])
def test_a_port_in_use_is_named_with_its_setting_and_the_process_ends(name: str, tmp_path: Path) -> None:
    with socket.socket() as occupant:
        occupant.bind(("127.0.0.1", 0))
        occupant.listen()
        port = occupant.getsockname()[1]
        given = environment(tmp_path / "data", HTTP_PORT=port)
        with Service(name, given, tmp_path / "log") as service:
            assert service.ends(PROMPTLY_SECONDS) == 2
            assert f"127.0.0.1:{port} (RINGMASTER_HTTP_HOST, RINGMASTER_HTTP_PORT): Address already" in service.said()
            assert len(service.said().splitlines()) == 1


def _bad_documents() -> dict[str, tuple[bytes, str]]:
    acme = ACME.read_text(encoding="utf-8").replace("${RECEIVER_PORT}", "8080")
    wrong_type = acme.replace("wrap_up_seconds: 10", "wrap_up_seconds: soon", 1)
    twice = acme.replace("+380441000002", "+380441000001")
    bomb = "a0: &a0 [x, x]\n" + "".join(f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]\n" for n in range(1, 30))
    return {
        "syntax": (f"{acme}\nqueues: [".encode(), "not YAML: line"),
        "unknown_key": (f"{acme}\ncolour: red\n".encode(), "colour: is not a field."),
        "wrong_type": (wrong_type.encode(), "].wrap_up_seconds: must be a whole number."),
        "twice": (twice.encode(), "lines[1].number: +380441000001 is the same"),
        "bomb": (bomb.encode(), "holds more than"),
        "huge": (b"tenant_id: acme\nx: " + b"y" * 50 * 1024**2, "longer than 1048576 bytes"),
        "binary": (bytes(range(256)) * 40, "not UTF-8: byte"),
        "characters": (b"tenant_id: ac\x00me", "control characters are not allowed"),
        "empty": (b"", "The text is empty."),
    }


def test_bad_tenant_documents_are_refused_each_with_its_path_before_the_store_is_touched(tmp_path: Path) -> None:
    files = {"missing": tmp_path / "missing.yaml"}
    wanted = {"missing": "can't be read: No such file"}
    for name, (content, sentence) in _bad_documents().items():
        files[name], wanted[name] = tmp_path / f"{name}.yaml", sentence
        files[name].write_bytes(content)
    command = [sys.executable, "-m", "services.console", "apply", *map(str, files.values())]
    # No store answers here: one that was asked would have made this exit code 3.
    done = subprocess.run(  # noqa: S603 - our own program
        command,
        cwd=ROOT,
        env=environment(tmp_path / "data"),
        capture_output=True,
        text=True,
        check=False,
        timeout=SECONDS,
    )
    assert done.returncode == 1, done.stderr
    lines = done.stderr.splitlines()
    for name, sentence in wanted.items():
        (line,) = [line for line in lines if line.startswith(f"{files[name]}: ")]
        assert sentence in line
    assert len(lines) == len(wanted)


def test_a_recording_stays_on_the_disk_while_the_object_store_is_away(tmp_path: Path) -> None:
    given = environment(
        tmp_path / "data",
        RECORDER_SETTLE_SECONDS=0.2,
        RECORDER_SCAN_SECONDS=0.1,
        RECORDER_RETRY_FIRST_SECONDS=0.1,
        RECORDER_RETRY_LONGEST_SECONDS=0.2,
    )
    call, recording = "0d8ee1ac-7a4a-4c5e-9f0c-6d2a4a3b1c01", "0d8ee1ac-7a4a-4c5e-9f0c-6d2a4a3b1c02"
    path = Path(given["RINGMASTER_RECORDINGS_DIR"]) / "acme" / call / f"{recording}.wav"
    path.parent.mkdir(parents=True)
    path.write_bytes(_wav())
    with Service("recorder", given, tmp_path / "log") as service:
        wait_until(lambda: service.events("recording_failed_for_now"), "a failed try", SECONDS)
        wait_until(lambda: service.readiness()[0] == 503, "the recorder's unreadiness", SECONDS)
        reasons = ("does not answer", "no broker answers")
        wait_until(lambda: any(each in service.readiness()[1] for each in reasons), "why it is not ready", SECONDS)
        assert path.read_bytes() == _wav()
        assert "Traceback" not in service.said()
        assert service.stop() == 0
    assert path.read_bytes() == _wav()


def _wav() -> bytes:
    data = bytes(8_000 * 2 * 2)
    shape = (1).to_bytes(2, "little") + (2).to_bytes(2, "little") + (8_000).to_bytes(4, "little")
    shape += (32_000).to_bytes(4, "little") + (4).to_bytes(2, "little") + (16).to_bytes(2, "little")
    body = b"WAVEfmt " + (16).to_bytes(4, "little") + shape + b"data" + len(data).to_bytes(4, "little") + data
    return b"RIFF" + len(body).to_bytes(4, "little") + body


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Part]:
    """Give a broker of the test's own: it is stopped in mid-run. Its address is its name."""
    try:
        kafka.ensure_jars()
    except kafka.BrokerMissing as missing:
        pytest.skip(str(missing))
    address = f"127.0.0.1:{free_port()}"
    command = kafka.prepare(tmp_path / "broker", int(address.split(":")[1]), free_port())
    broker = Part(address, command, lambda: takes_requests(address), tmp_path / "broker.log")
    broker.start()
    try:
        broker.wait_until_ready()
        ensure_topics(address, definitions())
        yield broker
    finally:
        broker.kill()


@pytest.mark.kafka
def test_a_broker_that_freezes_in_mid_run_is_told_once_and_its_return_too(broker: Part, tmp_path: Path) -> None:
    given = environment(tmp_path / "data", KAFKA_BOOTSTRAP=broker.name)
    with Service("recorder", given, tmp_path / "log") as service:
        wait_until(lambda: service.readiness()[0], "the recorder's start", SECONDS)
        assert broker.process is not None
        broker.process.send_signal(signal.SIGSTOP)
        wait_until(lambda: "no broker answers" in service.readiness()[1], "the recorder's notice", SECONDS)
        frozen = [line for line in service.events("dependency_away") if line["dependency"] == "broker"]
        assert len(frozen) == 1
        assert f"{broker.name}: no answer in time" in frozen[0]["reason"]
        broker.process.send_signal(signal.SIGCONT)
        wait_until(lambda: service.events("dependency_back"), "the recorder's word of its return", SECONDS)
        assert "no broker answers" not in service.readiness()[1]
        assert "Traceback" not in service.said()
        assert service.stop() == 0


def test_a_part_that_dies_at_its_start_is_named_with_its_last_words(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "print('the cellar is flooded'); raise SystemExit(3)"]
    part = Part("cellar", command, lambda: False, tmp_path / "cellar.log")
    part.start()
    with pytest.raises(PartFailed, match=r"cellar ended with code 3(.|\n)*the cellar is flooded"):
        part.wait_until_ready()


def test_a_full_disk_is_named_when_a_part_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("local.stack.part.shutil.disk_usage", lambda _path: SimpleNamespace(free=4096))
    part = Part("cellar", [sys.executable, "-c", "raise SystemExit(3)"], lambda: False, tmp_path / "cellar.log")
    part.start()
    with pytest.raises(PartFailed, match=r"The disk under .* is full, 0 MB are free"):
        part.wait_until_ready()


def test_a_part_that_ignores_its_end_is_killed_with_all_that_it_has_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("local.stack.part.STOP_SECONDS", 0.2)
    port = free_port()
    serve = f"import socket, time; s = socket.create_server(('127.0.0.1', {port})); time.sleep(300)"
    deaf = (
        "import signal, subprocess, sys; signal.signal(signal.SIGTERM, signal.SIG_IGN); "
        f'subprocess.run([sys.executable, "-c", "{serve}"])'
    )
    part = Part("deaf", [sys.executable, "-c", deaf], lambda: listens(port), tmp_path / "deaf.log")
    part.start()
    part.wait_until_ready()
    part.stop()
    assert part.exit_code == -signal.SIGKILL
    wait_until(lambda: not listens(port), "the port's release", 3)


def test_a_part_that_gives_way_does_so_among_all_sessions_of_the_machine(tmp_path: Path) -> None:
    sleeps = [sys.executable, "-c", "import time; time.sleep(60)"]
    part = Part("patient", sleeps, lambda: True, tmp_path / "patient.log", gives_way=True)
    part.start()
    try:
        assert part.process is not None
        pid = part.process.pid
        assert os.getpriority(os.PRIO_PROCESS, pid) == LATER
        shares = Path(f"/proc/{pid}/autogroup")
        if shares.exists():  # Linux may share time out by sessions, and then looks at nothing else between them
            assert shares.read_text(encoding="ascii").split()[-1] == str(LATER)
    finally:
        part.stop()


def test_a_ctrl_c_while_a_part_is_being_started_waits_until_it_is_written_down() -> None:
    started: list[str] = []

    def start() -> None:
        with uninterrupted():
            os.kill(os.getpid(), signal.SIGINT)
            started.append("part")

    with pytest.raises(KeyboardInterrupt):
        start()
    assert started == ["part"]


def test_a_stack_whose_port_is_taken_says_which_and_starts_nothing(tmp_path: Path) -> None:
    with socket.socket() as occupant:
        occupant.bind(("127.0.0.1", 0))
        occupant.listen()
        layout = Layout(tmp_path / "stack", occupant.getsockname()[1])
        stack = Stack(layout, {}, tmp_path / "scenario.yaml", lambda _line: None)
        with pytest.raises(PartFailed, match=f"Port {layout.base_port} .kafka. is in use"):
            _start(stack)
    assert stack.parts == []


def test_a_folder_that_can_not_be_written_is_told_plainly(tmp_path: Path) -> None:
    (tmp_path / "stack").write_text("a file where the stack's folder should be", encoding="utf-8")
    layout = Layout(tmp_path / "stack", free_range())
    stack = Stack(layout, {}, tmp_path / "scenario.yaml", lambda _line: None)
    with pytest.raises(PartFailed, match=r"refuses something the stack needs: .*stack"):
        _start(stack)


@pytest.mark.kafka
def test_ctrl_c_in_the_middle_of_the_start_ends_all_that_was_started(tmp_path: Path) -> None:
    layout = Layout(tmp_path / "stack", free_range())
    with _up(layout) as stack:
        said = _read_until(stack, "broker      ready")
        stack.send_signal(signal.SIGINT)
        rest, _ = stack.communicate(timeout=4 * SECONDS)
    assert stack.returncode == 130
    assert "Traceback" not in said + rest


@pytest.mark.kafka
def test_a_stack_that_runs_elsewhere_is_stopped_by_who_keeps_it_running(tmp_path: Path) -> None:
    layout = Layout(tmp_path / "stack", free_range())
    told: list[str] = []
    with _up(layout) as stack:
        _read_until(stack, "objects     ready")
        assert stop_former(layout, told.append) == 1
        rest, _ = stack.communicate(timeout=4 * SECONDS)
    assert told == ["  stack       stopping"]
    assert "starting it again" not in rest
    assert not any(listens(port) for port in layout.ports().values())


def _up(layout: Layout) -> "subprocess.Popen[str]":
    """Start what `make up` starts, in another process."""
    try:
        kafka.ensure_jars()
    except kafka.BrokerMissing as missing:
        pytest.skip(str(missing))
    program = (
        "import sys; from pathlib import Path; from local.stack import __main__ as stack; "
        "from local.stack.layout import Layout; "
        f"stack.Layout.from_environment = lambda: Layout(Path({str(layout.folder)!r}), {layout.base_port}); "
        "sys.argv = ['stack', 'up']; sys.exit(stack.main())"
    )
    return subprocess.Popen(  # noqa: S603 - our own program
        [sys.executable, "-c", program], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def _read_until(stack: "subprocess.Popen[str]", words: str) -> str:
    assert stack.stdout is not None
    said = ""
    for line in stack.stdout:
        said += line
        if words in line:
            return said
    raise AssertionError(f"the stack ended before it said {words!r}: {said}")


def _start(stack: Stack) -> None:
    """Start what should not start, and leave nothing behind where it does."""
    try:
        stack.start()
    finally:
        for part in reversed(stack.parts):
            part.stop()
