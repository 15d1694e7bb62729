"""Start the statistics: `python -m services.stats`."""

from gevent import monkey

monkey.patch_all()

import os  # noqa: E402 - the patch comes first
import sys  # noqa: E402

import structlog  # noqa: E402

from services.shared.bus.consumer import Consumer  # noqa: E402
from services.shared.bus.errors import BusUnavailable  # noqa: E402
from services.shared.bus.topics import CALLS  # noqa: E402
from services.shared.chassis.logs import configure_logs  # noqa: E402
from services.shared.chassis.settings import SettingsError, read_settings  # noqa: E402
from services.shared.chassis.supervisor import Supervisor  # noqa: E402
from services.shared.chassis.web import serve, service_app  # noqa: E402
from services.stats.adapters.mongo import CallLog  # noqa: E402
from services.stats.api.views import add_views  # noqa: E402
from services.stats.projection import follow  # noqa: E402
from services.stats.settings import Settings  # noqa: E402


def main() -> int:
    """Run until stopped; returns the exit code."""
    configure_logs("stats")
    try:
        settings = read_settings(Settings, os.environ)
        calls = CallLog(settings.mongodb_uri)
        reader = Consumer(settings.kafka_bootstrap, "stats", [CALLS], "stats")
        supervisor = Supervisor()
        app = service_app("stats", lambda: (bool(reader.assignment()), "no partition of ringmaster.calls is ours yet"))
        add_views(app, calls, settings.api_tokens)
        serve(supervisor, app, settings.http_host, settings.http_port)
    except (SettingsError, BusUnavailable, OSError) as error:
        structlog.get_logger().error("stats_cannot_start", reason=str(error))
        return 2
    supervisor.spawn("follow", follow, supervisor, reader, calls)
    return supervisor.run()


if __name__ == "__main__":
    sys.exit(main())
