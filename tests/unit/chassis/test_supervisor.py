import gevent

from services.shared.chassis.supervisor import EXIT_DIED, Supervisor


def run_until_dead(supervisor: Supervisor) -> int:
    code: int = gevent.spawn(supervisor.run).get(timeout=5)
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
    assert running.get(timeout=5) == EXIT_DIED


def test_a_greenlet_that_returns_is_a_death() -> None:
    supervisor = Supervisor()
    supervisor.spawn("over", int)
    assert run_until_dead(supervisor) == EXIT_DIED
