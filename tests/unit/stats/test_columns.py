"""Report tables on a disk that failed: they are a mirror, so nothing in them stands in the way of filling them."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from services.stats.adapters.columns import Columns
from tests.unit.stats.events import columns_here


def _garbled(path: Path) -> None:
    data = bytearray(path.read_bytes())
    half = len(data) // 2
    data[half:] = bytes(each ^ 0x5A for each in data[half:])
    path.write_bytes(data)


def _of_something_else(path: Path) -> None:
    path.write_bytes(b"x" * 20_000)


@pytest.mark.parametrize(("which", "spoil"), [("*.wal", _garbled), ("*.duckdb", _of_something_else)])
def test_a_file_or_a_journal_that_cannot_be_read_is_begun_anew(
    tmp_path: Path, which: str, spoil: Callable[[Path], None]
) -> None:
    killed = columns_here()
    killed.put("acme", "calls", {"steps": [{"call_id": "c1", "started_ms": 1, "at_ms": 1}]}, 7)
    for path in killed._folder.glob("acme*"):
        shutil.copy(path, tmp_path)
    killed.close()
    (spoilt,) = tmp_path.glob(which)
    spoil(spoilt)
    columns = Columns(tmp_path)
    assert columns.revision("acme", "calls") == 0
    columns.put("acme", "calls", {}, 8)
    columns.close()
    assert Columns(tmp_path).revision("acme", "calls") == 8


def test_what_another_version_left_is_thrown_away_and_what_is_not_ours_is_not(tmp_path: Path) -> None:
    mine = Columns(tmp_path)
    mine.put("acme", "calls", {}, 7)
    mine.close()
    for name in ("acme.822b33ad87c1.v1.duckdb", "acme.822b33ad87c1.v1.duckdb.wal", "notes.txt"):
        (tmp_path / name).write_text("+380501112233")
    assert Columns(tmp_path).revision("acme", "calls") == 7
    left = [path.name for path in tmp_path.iterdir() if path.is_file() and "v1" in path.name]
    assert left == []
    assert (tmp_path / "notes.txt").exists()
