"""The listener as a process: each trouble at its start is one clear sentence and an exit code."""

import os
import socket
import subprocess
import sys
from pathlib import Path

from tests.integration.listener.conftest import ROOT

SETTINGS_EXIT = 2


def run(folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    given = {
        "RINGMASTER_NODE": "node-1",
        "RINGMASTER_ESL_PASSWORD": "secret-word",
        "RINGMASTER_KAFKA_BOOTSTRAP": "127.0.0.1:1",
        "RINGMASTER_SPOOL_DIR": str(folder),
        "RINGMASTER_RECORDINGS_DIR": "/var/recordings",
        "RINGMASTER_HTTP_PORT": "0",
    }
    clean = {name: value for name, value in os.environ.items() if not name.startswith("RINGMASTER_")}
    return subprocess.run(
        [sys.executable, "-m", "services.listener"],
        cwd=ROOT,
        env={**clean, **given, **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_bad_settings_are_all_named(tmp_path: Path) -> None:
    ended = run(tmp_path, RINGMASTER_NODE="a b", RINGMASTER_RECORDINGS_DIR="relative", RINGMASTER_SPOOL_MAX_BYTES="1")
    assert ended.returncode == SETTINGS_EXIT
    for name in ("RINGMASTER_NODE", "RINGMASTER_RECORDINGS_DIR", "RINGMASTER_SPOOL_MAX_BYTES"):
        assert name in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_port_in_use_is_said_with_its_address(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ended = run(tmp_path, RINGMASTER_HTTP_PORT=str(port))
    assert ended.returncode == SETTINGS_EXIT
    assert f"can't listen on 127.0.0.1:{port}" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_spool_folder_that_is_no_folder_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    ended = run(tmp_path / "file")
    assert ended.returncode == SETTINGS_EXIT
    assert "listener_not_started" in ended.stderr
    assert "secret-word" not in ended.stderr
