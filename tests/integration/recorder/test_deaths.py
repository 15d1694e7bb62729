"""SIGKILL before and after each request, command, rename, deletion and word: nothing is lost, nothing doubled."""

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from pymongo.database import Database

from tests.integration.recorder.conftest import ACCESS_KEY, SECRET_KEY, Objects
from tests.unit.recorder.sounds import cut, frames_of, sound, wav
from tests.unit.recorder.test_encoding import decoded

ROOT = Path(__file__).parents[3]
LEAST_KILLS = 30
SERIES_SECONDS = 240

KILLED, SILENCE = wav(sound(3000, seed=2)), wav(sound(2000, peak=0))


def series(tmp_path: Path, objects: Objects, documents_uri: str) -> list[dict[str, Any]]:
    template = tmp_path / "template"
    template.mkdir()
    for name, content in (("killed", cut(KILLED)), ("silence", SILENCE)):
        (template / f"{name}.wav").write_bytes(content)
    given = {
        "folder": str(tmp_path),
        "template": str(template),
        "announcements": str(tmp_path / "announcements"),
        "endpoint": objects.endpoint,
        "bucket": objects.bucket,
        "access_key": ACCESS_KEY,
        "secret_key": SECRET_KEY,
        "mongodb_uri": documents_uri,
    }
    command = [sys.executable, "-m", "tests.integration.recorder.dying", json.dumps(given)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=SERIES_SECONDS, check=False)  # noqa: S603 - ours
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def told(tmp_path: Path) -> dict[str, set[str]]:
    """Return what was said of each recording; a word that was said twice counts once."""
    said: dict[str, set[str]] = {}
    for line in (tmp_path / "announcements").read_text(encoding="utf-8").splitlines():
        kind, recording, *_ = line.split()
        said.setdefault(recording, set()).add(line if kind == "stored" else kind)
    return said


@pytest.mark.timeout(300)
def test_a_kill_at_any_deed_loses_nothing_doubles_nothing_and_deletes_nothing_early(
    tmp_path: Path, objects: Objects, documents_uri: str, database: Database[dict[str, Any]]
) -> None:
    rows = series(tmp_path, objects, documents_uri)
    killed = [row for row in rows if row["killed"]]
    assert len(killed) >= LEAST_KILLS
    assert not rows[-1]["killed"], "the series ended before a recorder lived"
    assert all(row["recovered"] for row in rows)
    assert all(row["files"] == [] for row in rows), "something is left on a node's disk"

    stored = objects.contents()
    by_recording = Counter(Path(key).stem for key in stored)
    rows_kept = {row["_id"]: row for row in database["recordings"].find()}
    said = told(tmp_path)
    for row in rows:
        number = row["number"]
        killed_one, silent = f"killed-{number}", f"silence-{number}"
        assert by_recording[killed_one] == 1, row
        assert by_recording[silent] == 0, row
        body = next(body for key, body in stored.items() if Path(key).stem == killed_one)
        assert decoded(body).tobytes() == frames_of(KILLED)[2], row
        assert len(said[killed_one]) == 1, (row, said[killed_one])
        assert {line.split()[0] for line in said[silent]} == {"stored", "deleted"}, (row, said[silent])
        assert len(said[silent]) == 2, row
        assert not rows_kept[killed_one]["deleted_us"]
        assert rows_kept[silent]["delete_reason"] == "silent"
    assert len(rows_kept) == 2 * len(rows)
    uploads = objects.client().list_multipart_uploads(Bucket=objects.bucket)
    assert not uploads.get("Uploads")
