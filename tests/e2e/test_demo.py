"""The main job from first ring to delivered webhook, as `make demo` plays it, only shorter."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from services.shared.testing.ports import free_range

ROOT = Path(__file__).resolve().parents[2]
PLAY_SECONDS = 800


def _play(report: Path, **environment: str) -> dict[str, object]:
    variables = {**os.environ, "DEMO_REPORT": str(report), "RINGMASTER_BASE_PORT": str(free_range()), **environment}
    done = subprocess.run(
        [sys.executable, "-m", "local.stack", "demo"],
        check=False,
        cwd=ROOT,
        env=variables,
        capture_output=True,
        text=True,
        timeout=PLAY_SECONDS,
    )
    assert report.exists(), done.stdout + done.stderr
    document: dict[str, object] = json.loads(report.read_text(encoding="utf-8"))
    assert document["balanced"], done.stdout
    assert done.returncode == 0
    return document


@pytest.mark.stack
@pytest.mark.kafka
@pytest.mark.timeout(PLAY_SECONDS + 20)
def test_the_books_of_ten_minutes_balance(tmp_path: Path) -> None:
    document = _play(tmp_path / "demo.json", DEMO_MINUTES="10", DEMO_SPEED="15")
    rows = {row["what"]: row["found"] for row in document["rows"]}  # type: ignore[attr-defined]  # plain JSON
    assert rows["calls in"] > 20
    assert rows["answered"] > 10


@pytest.mark.stack
@pytest.mark.kafka
@pytest.mark.timeout(PLAY_SECONDS + 20)
def test_the_books_balance_although_router_and_listener_are_killed(tmp_path: Path) -> None:
    document = _play(tmp_path / "demo.json", DEMO_MINUTES="6", DEMO_SPEED="8", DEMO_KILL="router,listener")
    assert document["killed"] == ["router", "listener"]
