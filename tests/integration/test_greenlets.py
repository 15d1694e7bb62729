"""Tests run on greenlets as services do, also where another test went before."""

import socket

import gevent
import pytest


@pytest.mark.parametrize("run", ["first", "after another"])
def test_others_run_while_one_waits_at_a_socket(run: str) -> None:
    del run
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        listening.settimeout(0.1)
        other = gevent.spawn(int)
        with pytest.raises(TimeoutError):
            listening.accept()
        assert other.ready()
