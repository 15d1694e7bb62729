"""Start the simulated switch: `python -m local.switch --port 8021 --scenario local/demo/scenario.yaml`."""

from gevent import monkey

monkey.patch_all()

import signal  # noqa: E402 - the patch comes first
import sys  # noqa: E402
from types import SimpleNamespace  # noqa: E402

import gevent  # noqa: E402
from gevent.pywsgi import WSGIServer  # noqa: E402

from local.switch.control import create_app  # noqa: E402
from local.switch.scenario import ScenarioError  # noqa: E402
from local.switch.settings import read_settings  # noqa: E402
from local.switch.world import World  # noqa: E402
from services.shared.chassis.heap import Heap  # noqa: E402


def main() -> int:
    """Run until a signal; returns the exit code."""
    settings = read_settings()
    try:
        world = World(settings)
        world.server.listen(settings.host, settings.port)
        http = WSGIServer((settings.host, settings.http_port), create_app(world), log=None)
        http.start()
    except ScenarioError as error:
        print(f"The scenario can't be played: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        print(f"The simulated switch can't listen on {settings.host}: {error}", file=sys.stderr)
        return 2
    world.start()
    engine = gevent.spawn(world.engine.run)
    port = world.server.address[1]
    print(
        f"Simulated switch: event socket {settings.host}:{port}, control http://{settings.host}:{http.server_port}/status,"
        f" {settings.speed:g} x real time, {world.voices.source}.",
        flush=True,
    )
    stop = SimpleNamespace(asked=gevent.event.Event())
    gevent.spawn(Heap().run, stop.asked)
    for number in (signal.SIGTERM, signal.SIGINT):
        gevent.signal_handler(number, stop.asked.set)
    engine.link(lambda _engine: stop.asked.set())
    stop.asked.wait()
    http.stop(timeout=1)
    if engine.ready() and not engine.successful():
        return 1
    world.shut_down_politely()
    return 0


if __name__ == "__main__":
    sys.exit(main())
