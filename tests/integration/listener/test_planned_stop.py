"""A listener that is asked to stop: callers who come while it is away wait longer for it (ADR 58)."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gevent
import pytest
import yaml

from services.listener.adapters import patience as module
from services.listener.adapters.patience import FALLBACK_VARIABLE, TIMES_LONGER, USUAL_VARIABLE, Patience
from services.listener.adapters.switch_port import Pending, Switch
from services.listener.bootstrap import Listener
from services.shared.chassis.supervisor import EXIT_STOPPED
from services.shared.contracts.ringmaster.v1 import command_pb2 as pb
from services.shared.esl import commands as esl
from services.shared.esl.errors import NotSent
from services.shared.testing.ports import free_port
from services.shared.testing.waiting import wait_until
from tests.integration.listener.conftest import DOMAIN, LINE, PASSWORD, Platform, SwitchProcess
from tests.switch.oracle import EventSocket

USUAL = 2
LONGER = TIMES_LONGER * USUAL


@pytest.fixture
def switch(tmp_path: Path) -> Iterator[SwitchProcess]:
    scenario = {"domain": DOMAIN, "lines": [{"number": LINE}], "agents": [], "fallback_seconds": USUAL}
    (tmp_path / "scenario.yaml").write_text(yaml.safe_dump(scenario))
    process = SwitchProcess(tmp_path, free_port(), free_port())
    process.start()
    yield process
    process.kill()


@pytest.fixture
def socket(switch: SwitchProcess) -> Iterator[EventSocket]:
    socket = EventSocket("127.0.0.1", switch.port, PASSWORD)
    yield socket
    socket.close()


def _seconds(socket: EventSocket) -> int:
    return int(socket.api(f"global_getvar {FALLBACK_VARIABLE}"))


def _stop(platform: Platform) -> None:
    """Stop the listener as SIGTERM does."""
    running = gevent.spawn(platform.supervisor.run)
    gevent.sleep(0)
    platform.supervisor.stop()
    assert running.get(timeout=60) == EXIT_STOPPED


def test_who_calls_while_a_listener_is_restarted_waits_longer_and_who_calls_after_it_does_not(
    platform: Platform, socket: EventSocket
) -> None:
    platform.start()
    wait_until(platform.is_ready, "the listener is ready")
    assert _seconds(socket) == USUAL
    _stop(platform)
    assert _seconds(socket) == LONGER
    events = EventSocket("127.0.0.1", platform.switch.port, PASSWORD)
    events.command("event plain CHANNEL_PARK CHANNEL_EXECUTE")
    caller = platform.switch.call()
    began = int(events.event_of(caller, "CHANNEL_PARK").first["Event-Date-Timestamp"])
    ended = int(events.event_of(caller, "CHANNEL_EXECUTE", Application="answer").first["Event-Date-Timestamp"])
    events.close()
    assert ended - began > (LONGER - 1.1) * 1_000_000
    platform.start()
    wait_until(lambda: _seconds(socket) == USUAL, "the usual time")


def test_who_came_before_is_claimed_before_it_leaves_also_where_the_router_takes_its_time(
    platform: Platform, socket: EventSocket
) -> None:
    for variable in (FALLBACK_VARIABLE, USUAL_VARIABLE):
        socket.api(f"global_setvar {variable}=30")
    platform.start()
    caller = platform.call_in()
    stopping = gevent.spawn(_stop, platform)
    wait_until(lambda: _seconds(socket) == TIMES_LONGER * 30, "callers wait longer")
    late = time.monotonic() + 2 * module.CLAIM_SECONDS
    wait_until(lambda: time.monotonic() > late, "a router that has just begun")
    platform.switch.call()  # the next one waits longer, and for us in vain
    assert not stopping.ready()
    platform.command(command_id="c1", call_id=caller, leg_id=caller, lease_leg=pb.LeaseLeg(seconds=60))
    platform.command(command_id="c2", call_id=caller, leg_id=caller, answer_leg=pb.AnswerLeg())
    assert platform.result("c2").outcome == pb.COMMAND_OUTCOME_DONE
    stopping.get(timeout=20)


def test_who_is_claimed_by_nobody_keeps_it_no_longer_than_the_usual_time(platform: Platform) -> None:
    platform.start()
    platform.call_in()
    began = time.monotonic()
    _stop(platform)
    assert time.monotonic() - began < USUAL + 5


def test_a_switch_to_which_nobody_comes_back_is_right_again_by_itself(platform: Platform, socket: EventSocket) -> None:
    platform.start()
    wait_until(platform.is_ready, "the listener is ready")
    _stop(platform)
    assert _seconds(socket) == LONGER
    wait_until(lambda: _seconds(socket) == USUAL, "the usual time")


def test_who_is_back_takes_the_way_back_off_and_the_next_stop_begins_anew(
    platform: Platform, socket: EventSocket
) -> None:
    for _ in range(2):
        platform.start()
        wait_until(platform.is_ready, "the listener is ready")
        wait_until(lambda: _seconds(socket) == USUAL, "the usual time")
        assert module._GROUP not in socket.api("show tasks as json")
        _stop(platform)
        assert _seconds(socket) == LONGER


class Dying:
    """A switch that is not reached any more after so many commands."""

    def __init__(self, listener: Listener, commands: int) -> None:
        self._switch, self._left = Switch(listener.client), commands

    def submit(self, command: esl.Command) -> Pending:
        if not self._left:
            raise NotSent("killed here")
        self._left -= 1
        return self._switch.submit(command)


RESTORING, LENGTHENING = 3, 2


@pytest.mark.parametrize("sent", range(LENGTHENING + 1))
def test_who_is_killed_on_the_way_leaves_nothing_that_stays_longer(
    platform: Platform, socket: EventSocket, sent: int
) -> None:
    listener = platform.start()
    wait_until(platform.is_ready, "the listener is ready")
    dying: Any = Dying(listener, RESTORING + sent)
    patience = Patience(dying, listener.legs)
    patience.restore()
    patience.lengthen()
    platform.crash()
    assert _seconds(socket) == (LONGER if sent == LENGTHENING else USUAL)
    wait_until(lambda: _seconds(socket) == USUAL, "the usual time")


def test_a_switch_of_an_older_set_up_keeps_what_it_has(platform: Platform, socket: EventSocket) -> None:
    socket.api("global_setvar usual_fallback_seconds=")
    platform.start()
    wait_until(platform.is_ready, "the listener is ready")
    _stop(platform)
    assert _seconds(socket) == USUAL


def test_a_listener_without_a_switch_stops_at_once(platform: Platform) -> None:
    platform.switch.kill()
    platform.start()
    began = gevent.get_hub().loop.now()
    _stop(platform)
    assert gevent.get_hub().loop.now() - began < module.CLAIM_SECONDS + 5
