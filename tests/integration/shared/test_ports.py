"""Ports that tests are given: nobody else's, in this process, in another one, and among connections out."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from services.shared.testing import ports

MANY = 50
ROOT = Path(__file__).resolve().parents[3]
# Begins with the ports that this process begins with.
OTHER = "import os, sys; from services.shared.testing import ports; os.getpid = lambda: int(sys.argv[1]); "
OTHER += f"print(*(ports.free_port() for _ in range({MANY})), ports.free_range())"


def test_no_port_is_given_twice_nor_by_two_processes() -> None:
    ours, range_of_ours = [ports.free_port() for _ in range(MANY)], ports.free_range()
    asked = [sys.executable, "-c", OTHER, str(os.getpid())]
    told = subprocess.run(asked, cwd=ROOT, capture_output=True, text=True, check=True, timeout=60)  # noqa: S603 - ours
    *theirs, range_of_theirs = [int(port) for port in told.stdout.split()]
    assert len({*ours, *theirs}) == 2 * MANY
    assert abs(range_of_ours - range_of_theirs) >= ports.OF_A_STACK


def test_a_stack_gets_no_range_in_which_somebody_listens(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        for name, value in (("FIRST_OF_STACKS", server.getsockname()[1] - 7), ("STACKS", 1)):
            monkeypatch.setattr(ports, name, value)
        with pytest.raises(OSError, match="given out"):
            ports.free_range()


def test_what_listens_already_is_given_to_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        for name, value in (("FIRST", server.getsockname()[1]), ("COUNT", 1), ("_tried", 0)):
            monkeypatch.setattr(ports, name, value)
        with pytest.raises(OSError, match="given out"):
            ports.free_port()


def test_the_kernel_gives_none_of_them_to_a_connection_out() -> None:
    first = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text(encoding="ascii").split()[0])
    assert first >= ports.FIRST + ports.COUNT
    assert first >= ports.FIRST_OF_STACKS + ports.STACKS * ports.OF_A_STACK
