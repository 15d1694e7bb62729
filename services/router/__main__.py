from gevent import monkey

monkey.patch_all()

# ruff: noqa: E402 - the sockets must be gevent's before anything imports them
import os

import structlog

from services.router.bootstrap import build, start
from services.router.settings import Settings
from services.shared.chassis.clock import Clock
from services.shared.chassis.logs import configure_logs
from services.shared.chassis.settings import SettingsError, read_settings
from services.shared.chassis.supervisor import Supervisor, leave

EXIT_SETTINGS = 2


def main() -> int:
    """Run the router until it is told to stop; return the process's exit code."""
    configure_logs("router")
    log = structlog.get_logger()
    supervisor = Supervisor()
    try:
        settings = read_settings(Settings, os.environ)
        router = build(settings, Clock.from_environment(os.environ), supervisor)
        start(router, settings, supervisor)
    except (SettingsError, OSError) as error:
        log.error("router_cannot_start", reason=str(error))  # noqa: TRY400 - one sentence for a person, no traceback
        return EXIT_SETTINGS
    log.info("router_started", name=settings.router_name)
    return supervisor.run()


if __name__ == "__main__":
    leave(main())
