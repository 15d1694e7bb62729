import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.listener.adapters.append_log import AppendLog
from services.listener.adapters.spool import Spool, SpoolFull

RECORDS = st.lists(st.tuples(st.text(max_size=8), st.binary(max_size=60), st.integers(0, 2**40)), max_size=20)


def drained(spool: Spool, step: int = 3) -> list[tuple[str, bytes, int]]:
    """Read everything and note it as acknowledged."""
    found: list[tuple[str, bytes, int]] = []
    while batch := spool.read(step):
        found += [(each.key, each.value, each.timestamp_ms) for each in batch]
        spool.take(batch[-1])
    return found


@settings(max_examples=150, deadline=None)
@given(batches=st.lists(RECORDS, max_size=5), taken=st.integers(0, 30), torn=st.binary(max_size=40))
def test_what_was_spooled_comes_out_in_order_after_any_crash(
    batches: list[list[tuple[str, bytes, int]]], taken: int, torn: bytes
) -> None:
    """Segments of 200 bytes, so that records go over many; a torn tail is whatever a dying write left."""
    with tempfile.TemporaryDirectory() as name:
        spool = Spool(Path(name), 10**6, segment_bytes=200)
        expected = [record for batch in batches for record in batch]
        for batch in batches:
            spool.append(batch)
        head = spool.read(taken) if taken else []
        if head:
            spool.take(head[-1])
        spool.close()
        with max(Path(name).glob("*.spool")).open("ab") as file:
            file.write(torn)
        again = Spool(Path(name), 10**6, segment_bytes=200)
        found = drained(again)
        assert found[: len(expected) - len(head)] == expected[len(head) :]
        assert len(found) - (len(expected) - len(head)) <= len(torn) // 18  # a tail could spell records only whole
        again.close()


@settings(max_examples=150, deadline=None)
@given(records=RECORDS, cut=st.integers(0, 400))
def test_any_prefix_of_the_file_is_a_prefix_of_the_records(records: list[tuple[str, bytes, int]], cut: int) -> None:
    with tempfile.TemporaryDirectory() as name:
        spool = Spool(Path(name), 10**6)
        spool.append(records)
        spool.close()
        path = max(Path(name).glob("*.spool"))
        path.write_bytes(path.read_bytes()[:cut])
        again = Spool(Path(name), 10**6)
        found = drained(again)
        assert found == records[: len(found)]
        again.append([("after", b"x", 1)])
        assert drained(again) == [("after", b"x", 1)]
        again.close()


def test_a_flipped_byte_ends_its_segment_and_is_not_told(tmp_path: Path) -> None:
    spool = Spool(tmp_path, 10**6)
    spool.append([("a", b"one", 1), ("a", b"two", 2)])
    spool.close()
    path = max(tmp_path.glob("*.spool"))
    data = bytearray(path.read_bytes())
    data[-1] ^= 0xFF
    path.write_bytes(bytes(data))
    again = Spool(tmp_path, 10**6)
    assert drained(again) == [("a", b"one", 1)]
    again.close()


def test_a_full_spool_refuses_a_batch_whole(tmp_path: Path) -> None:
    spool = Spool(tmp_path, 100)
    spool.append([("a", b"x" * 40, 1)])
    with pytest.raises(SpoolFull):
        spool.append([("a", b"y" * 10, 2), ("a", b"z" * 60, 3)])
    assert drained(spool) == [("a", b"x" * 40, 1)]
    spool.close()


def test_room_comes_back_when_the_spool_is_drained(tmp_path: Path) -> None:
    spool = Spool(tmp_path, 1000, segment_bytes=100)
    while spool.has_room(100):
        spool.append([("a", b"x" * 60, 1)])
    drained(spool)
    assert spool.is_empty
    assert spool.has_room(900)
    spool.close()


@given(
    lines=st.lists(st.binary(max_size=20).map(lambda line: line.replace(b"\n", b" ")), max_size=10),
    cut=st.integers(0, 99),
)
def test_an_append_log_cut_anywhere_holds_its_first_whole_lines(lines: list[bytes], cut: int) -> None:
    with tempfile.TemporaryDirectory() as name:
        path = Path(name, "log")
        log = AppendLog(path)
        log.append(lines)
        log.close()
        data = path.read_bytes()[:cut]
        path.write_bytes(data)
        again = AppendLog(path)
        found = again.take_lines()
        assert found == lines[: len(found)]
        assert len(found) == data.count(b"\n")
        again.append([b"next"])
        again.close()
        assert AppendLog(path).take_lines() == [*found, b"next"]
