"""The disk under the spool is full while Kafka is away: said, survived, told as a gap, and reconciled."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from services.listener import metrics
from services.shared.bus.errors import BusUnavailable
from services.shared.testing.waiting import wait_until
from tests.integration.listener import conftest
from tests.integration.listener.conftest import MemoryBusOfListener, Platform, SwitchProcess

TMPFS_BYTES = 1024 * 1024


class LeavingBus(MemoryBusOfListener):
    """A bus whose producers can't be had for a while."""

    is_away = True

    def producer(self) -> Any:
        if LeavingBus.is_away:
            raise BusUnavailable("no broker answers")
        return super().producer()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of one megabyte where the spool will be."""
    folder = tmp_path / "spool"
    folder.mkdir()
    options = f"size={TMPFS_BYTES}"
    try:
        mounted = subprocess.run(  # noqa: S603 - a folder of this test
            ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)],  # noqa: S607 - wherever mount lives
            check=False,
            capture_output=True,
        )
    except FileNotFoundError:
        pytest.skip("mount is not installed")
    if mounted.returncode:
        pytest.skip("only root can mount a small file system")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)  # noqa: S603, S607 - the folder above


def _fill(folder: Path) -> Path:
    filler = folder / "filler"
    with filler.open("wb", buffering=0) as file:
        for size in (65536, 4096, 1):
            try:
                while file.write(b"x" * size):
                    pass
            except OSError:
                continue
    return filler


def _room(folder: Path) -> int:
    found = os.statvfs(folder)
    return found.f_bavail * found.f_frsize


@pytest.mark.stack
def test_a_full_disk_becomes_an_honest_gap(
    small_disk: Path, platform: Platform, switch: SwitchProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(conftest, "MemoryBusOfListener", LeavingBus)
    monkeypatch.setattr(LeavingBus, "is_away", True)
    listener = platform.start()
    wait_until(listener.pump.ready.is_set, "a reconciled session")
    before = switch.call()
    wait_until(lambda: before in listener.legs.live, "the first call is seen")
    wait_until(lambda: listener.publisher.is_settled, "it is on disk")
    filler = _fill(small_disk)
    assert _room(small_disk) == 0
    discarded = metrics.EVENTS_DISCARDED._value.get
    started = discarded()
    wait_until(lambda: switch.call(patience=0.2) and discarded() > started, "events are discarded")
    wait_until(lambda: switch.status()["legs"] == 1, "those callers have left")
    quiet = discarded()
    during = switch.call()
    wait_until(lambda: discarded() > quiet, "its events are discarded")
    listener.publisher.observe()
    assert metrics.SPOOL_FULL._value.get() == 1
    assert "No space left" in listener.ready()[1]
    assert not listener.supervisor.stopping.is_set()

    filler.unlink()
    wait_until(lambda: listener.publisher.has_room, "the spool is written again")
    after = switch.call()
    wait_until(lambda: after in listener.legs.live, "events are taken again")
    LeavingBus.is_away = False
    assert platform.fact(before, "leg_parked")
    assert platform.fact(during, "leg_created").leg_created.reconciled
    assert platform.fact(after, "leg_created")
    gaps = platform.of_switch("switch_gap")
    assert [gap.switch_gap.reason for gap in gaps] == ["the spool was full"]
    assert gaps[0].switch_gap.from_us < gaps[0].switch_gap.until_us
    wait_until(platform.is_ready, "the listener is ready again")
    assert [platform.kinds(leg).count("leg_created") for leg in (before, during, after)] == [1, 1, 1]
