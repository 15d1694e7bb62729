from collections.abc import Callable

import gevent
import pytest
from gevent.event import Event

from services.shared.chassis import supervisor as chassis
from services.shared.chassis.supervisor import EXIT_DIED, EXIT_STOPPED, Supervisor


def run_until_dead(supervisor: Supervisor) -> int:
    code: int = gevent.spawn(supervisor.run).get(timeout=60)
    return code


def test_a_task_that_ends_is_no_death_and_one_that_fails_is() -> None:
    supervisor = Supervisor()
    supervisor.spawn("worker", supervisor.stopping.wait)
    supervisor.spawn_task("short", int).join(timeout=5)
    gevent.sleep(0)
    running = gevent.spawn(supervisor.run)
    gevent.sleep(0)
    assert not running.ready()
    supervisor.spawn_task("broken", int, "x")
    assert running.get(timeout=60) == EXIT_DIED


def test_a_greenlet_that_returns_is_a_death() -> None:
    supervisor = Supervisor()
    supervisor.spawn("over", int)
    assert run_until_dead(supervisor) == EXIT_DIED


def test_what_is_last_goes_on_until_the_others_have_ended() -> None:
    supervisor, told = Supervisor(), []

    def work() -> None:
        supervisor.stopping.wait()
        gevent.sleep(0)
        told.append("work")

    def answer() -> None:
        supervisor.ended.wait()
        told.append("web")

    supervisor.spawn_last("web", answer)
    supervisor.spawn("worker", work)
    gevent.spawn(supervisor.stop)
    assert run_until_dead(supervisor) == EXIT_STOPPED
    assert told == ["work", "web"]


def test_one_that_does_not_end_keeps_nobody_from_ending(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chassis, "STOP_SECONDS", 0.01)
    monkeypatch.setattr(chassis, "LAST_SECONDS", 0.01)
    supervisor = Supervisor()
    supervisor.spawn("deaf", Event().wait)
    supervisor.spawn_last("deaf too", Event().wait)
    gevent.spawn(supervisor.stop)
    assert run_until_dead(supervisor) == EXIT_STOPPED


def test_what_comes_before_the_stop_finds_everything_at_work() -> None:
    supervisor, told = Supervisor(), []

    def prepare() -> None:
        gevent.sleep(0)
        told.append(("prepared", supervisor.asked.is_set(), supervisor.stopping.is_set()))

    supervisor.spawn("worker", supervisor.stopping.wait)
    supervisor.before_stop(prepare)
    gevent.spawn(supervisor.stop)
    assert run_until_dead(supervisor) == EXIT_STOPPED
    assert told == [("prepared", True, False)]


@pytest.mark.parametrize("prepare", [Event().wait, lambda: int("x")])
def test_what_comes_before_the_stop_keeps_nobody_from_ending(
    prepare: Callable[[], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chassis, "LEAD_SECONDS", 0.01)
    supervisor = Supervisor()
    supervisor.spawn("worker", supervisor.stopping.wait)
    supervisor.before_stop(prepare)
    gevent.spawn(supervisor.stop)
    assert run_until_dead(supervisor) == EXIT_STOPPED


def test_who_died_prepares_nothing() -> None:
    supervisor, told = Supervisor(), []
    supervisor.before_stop(lambda: told.append("prepared"))
    supervisor.spawn("over", int)
    assert run_until_dead(supervisor) == EXIT_DIED
    assert not told
