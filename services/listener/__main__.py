"""`python -m services.listener`: run the listener of one FreeSWITCH until SIGTERM."""

from gevent import monkey

monkey.patch_all()

import os  # noqa: E402

import structlog  # noqa: E402

from services.listener.adapters.bus import KafkaBus  # noqa: E402
from services.listener.bootstrap import build  # noqa: E402
from services.listener.settings import Settings  # noqa: E402
from services.shared.bus.readings import Readings  # noqa: E402
from services.shared.chassis.clock import Clock  # noqa: E402
from services.shared.chassis.logs import configure_logs  # noqa: E402
from services.shared.chassis.settings import SettingsError, read_settings  # noqa: E402
from services.shared.chassis.supervisor import Supervisor, leave  # noqa: E402
from services.shared.chassis.web import serve, service_app  # noqa: E402

EXIT_SETTINGS = 2


def main() -> int:
    """Return the exit code: 0 stopped, 1 a part died, 2 the environment or the disk or the port can't be used."""
    configure_logs("listener")
    log = structlog.get_logger()
    supervisor = Supervisor()
    try:
        settings = read_settings(Settings, os.environ)
        readings = Readings()
        bus = KafkaBus(settings.kafka_bootstrap, f"listener-{settings.node}", readings)
        listener = build(settings, bus, supervisor, Clock.from_environment(os.environ), readings)
        serve(supervisor, service_app("listener", listener.ready), settings.http_host, settings.http_port)
    except (SettingsError, ValueError, OSError) as error:
        log.error("listener_not_started", reason=str(error))  # noqa: TRY400 - the sentence says it all
        return EXIT_SETTINGS
    listener.start()
    return supervisor.run()


if __name__ == "__main__":
    leave(main())
