"""A rolling restart while calls come in, as `make drill` does it, with fewer calls."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from services.shared.testing.ports import free_range

ROOT = Path(__file__).resolve().parents[2]
DRILL_SECONDS = 500
NAMES = ["console", "stats", "webhooks", "recorder", "router", "listener", "router-2"]


@pytest.mark.stack
@pytest.mark.kafka
@pytest.mark.timeout(DRILL_SECONDS + 20)
def test_no_call_and_no_event_is_lost_while_one_service_after_the_other_starts_anew(tmp_path: Path) -> None:
    report = tmp_path / "drill.json"
    variables = {
        "RINGMASTER_BASE_PORT": str(free_range()),
        "DRILL_CALLS": "5",
        "DRILL_WARM_UP": "3",
        "DRILL_BETWEEN": "1",
        "DRILL_REPORT": str(report),
    }
    done = subprocess.run(
        [sys.executable, "-m", "local.stack", "drill"],
        check=False,
        cwd=ROOT,
        env=os.environ | variables,
        capture_output=True,
        text=True,
        timeout=DRILL_SECONDS,
    )
    assert report.exists(), done.stdout + done.stderr
    document = json.loads(report.read_text(encoding="utf-8"))
    assert document["holds"], done.stdout
    assert [stop["service"] for stop in document["stops"]] == NAMES
    assert {row["what"]: row["found"] for row in document["rows"]}["calls in"] > 50
