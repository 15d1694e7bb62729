"""FreeSWITCH's file of call records, followed to its end over rotations and restarts."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.listener.adapters.call_records import GRACE_SECONDS, CallRecordAudit, RecordFile
from services.listener.domain.call_records import Auditor, CallRecord, read_record
from services.listener.domain.directory import Directory, entry_of
from services.listener.domain.facts import FactBuilder
from services.listener.domain.legs import LegTable
from services.listener.domain.normaliser import Normaliser
from services.shared.contracts.ringmaster.v1.input_pb2 import Input
from services.shared.contracts.ringmaster.v1.tenant_pb2 import Line, TenantDocument
from services.shared.esl.client import Reply

LINE = "+442079460001"


def line(leg_id: str, *, fell_back: str = "", other: str = "", caller: str = "+380501112233") -> bytes:
    return f"ringmaster1,{leg_id},{LINE},1000000,0,9000000,ORIGINATOR_CANCEL,{other},{fell_back},{caller}\n".encode()


@dataclass
class Answer:
    def get(self, timeout: float) -> Reply:
        assert timeout > 0
        return Reply("+OK")


class Disk:
    """The node's folder, FreeSWITCH's hand that writes, and a listener's life that reads."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "Master.csv"
        self.mark = folder / "mark"
        self.legs = LegTable()
        self.told: list[Input] = []
        self.now = 100.0
        self.rotations = 0
        self.file: RecordFile | None = None
        self.begin()

    def begin(self) -> None:
        directory = Directory()
        directory.put(entry_of(TenantDocument(tenant_id="acme", version=1, lines=[Line(number=LINE, flow="main")])))
        normaliser = Normaliser(FactBuilder("fs-1"), directory, self.legs, "/rec", lambda: None)
        self.close()
        self.file = RecordFile(self.path, self.mark)
        self.audit = CallRecordAudit(self.file, Auditor(normaliser), self.told.extend, lambda: True, self)

    def close(self) -> None:
        if self.file is not None:
            self.file.close()

    def write(self, data: bytes) -> None:
        with self.path.open("ab") as file:
            file.write(data)

    def rotate(self) -> None:
        self.rotations += 1
        self.path.rename(self.path.with_name(f"Master.csv.2026-01-01-00-00-0{self.rotations}"))
        self.path.touch()

    def submit(self, command: bytes) -> Answer:
        assert b"cdr_csv rotate" in command
        self.rotate()
        return Answer()

    def bgapi(self, command: bytes, timeout: float) -> Reply:
        raise AssertionError(f"{command!r} within {timeout}")

    def exists(self, leg_id: str, timeout: float) -> bool:
        raise AssertionError(f"{leg_id} within {timeout}")

    def look(self, seconds: float = 0.0) -> list[str]:
        """Return the legs told of since the last look, after some seconds."""
        self.told.clear()
        self.now += seconds
        self.audit.look(self.now)
        return [told.fact.leg_id for told in self.told if told.fact.HasField("leg_hung_up")]


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    disk = Disk(tmp_path)
    yield disk
    disk.close()


def test_a_call_nobody_heard_of_is_told_after_the_grace_and_only_once(disk: Disk) -> None:
    disk.write(line("a"))
    assert disk.look() == []
    assert disk.look(GRACE_SECONDS) == ["a"]
    assert disk.look(60) == []
    disk.begin()
    assert disk.look(60) == []


def test_a_half_written_line_waits_for_its_rest(disk: Disk) -> None:
    disk.write(line("a") + line("b")[:30])
    disk.look()
    assert disk.look(GRACE_SECONDS) == ["a"]
    disk.write(line("b")[30:])
    disk.look()
    assert disk.look(GRACE_SECONDS) == ["b"]


def test_a_last_line_that_was_torn_by_a_full_disk_does_not_end_the_reading(disk: Disk) -> None:
    disk.write(line("a") + line("b")[:30])
    disk.look()
    disk.rotate()
    disk.write(line("c"))
    disk.look()
    assert disk.look(GRACE_SECONDS) == ["a", "c"]


def test_what_was_not_settled_before_a_kill_is_looked_at_again(disk: Disk) -> None:
    disk.write(line("a"))
    disk.look()
    disk.begin()
    disk.look()
    assert disk.look(GRACE_SECONDS) == ["a"]


def test_without_a_former_life_the_calls_of_before_are_nobodys(tmp_path: Path) -> None:
    (tmp_path / "Master.csv").write_bytes(line("old"))
    disk = Disk(tmp_path)
    disk.write(line("new"))
    disk.look()
    assert disk.look(GRACE_SECONDS) == ["new"]
    disk.close()


@pytest.mark.parametrize("is_running", [True, False])
def test_a_rotation_loses_and_repeats_nothing(disk: Disk, *, is_running: bool) -> None:
    disk.write(line("a"))
    disk.look()
    disk.look(GRACE_SECONDS)
    disk.write(line("b"))
    disk.rotate()
    disk.write(line("c"))
    if not is_running:
        disk.begin()
    disk.look()
    assert disk.look(GRACE_SECONDS) == ["b", "c"]


def test_a_long_file_is_rotated_once_it_is_told_and_the_old_ones_go(
    disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.listener.adapters.call_records.LARGE_BYTES", 100)
    for name in "abcd":
        disk.write(line(name))
        disk.look()
        assert disk.look(GRACE_SECONDS) == [name]
    assert disk.rotations >= 2
    assert len(list(disk.path.parent.glob("Master.csv.*"))) == 1


def test_of_a_call_whose_end_was_missed_only_the_end_is_told(disk: Disk) -> None:
    disk.write(line("a", fell_back="true"))
    disk.look()
    disk.look(GRACE_SECONDS)
    kinds = [told.fact.WhichOneof("fact") for told in disk.told]
    assert kinds == ["leg_created", "leg_fell_back", "leg_hung_up"]
    ended = disk.legs.find("a")
    assert ended is not None
    disk.legs.add(ended)
    disk.write(line("a", fell_back="true"))
    disk.look()
    disk.look(GRACE_SECONDS)
    assert [told.fact.WhichOneof("fact") for told in disk.told] == ["leg_hung_up"]


def test_a_bridge_that_began_and_ended_unseen_is_told_before_the_end(disk: Disk) -> None:
    disk.write(line("a", other="agent-leg"))
    assert disk.audit.of_ended(["b"]) == []
    told = disk.audit.of_ended(["a"])
    assert [each.fact.WhichOneof("fact") for each in told] == ["leg_created", "leg_bridged", "leg_hung_up"]
    assert told[1].fact.leg_bridged.other_leg_id == "agent-leg"
    assert disk.look(GRACE_SECONDS) == []


def test_the_record_of_a_line_that_is_nobodys_tells_nothing(disk: Disk) -> None:
    disk.write(line("a").replace(LINE.encode(), b"+15550000000"))
    disk.look()
    assert disk.look(GRACE_SECONDS) == []


@given(st.binary(max_size=120))
def test_any_line_is_read_or_refused(text: bytes) -> None:
    record = read_record(text)
    assert record is None or isinstance(record, CallRecord)


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"ringmaster1,a,,1,0,2,X,,,",
        b"ringmaster1,a,+1,x,0,2,X,,,",
        b"ringmaster1,a,+1,9999999999999999999,0,2,X,,,",
        b"other,a,+1,1,0,2,X,,,",
        b"ringmaster1,a,+1,1,0,2,X,,,5,6",
    ],
)
def test_a_line_that_is_not_of_a_customer_is_no_record(text: bytes) -> None:
    assert read_record(text) is None
