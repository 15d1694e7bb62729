"""Start the statistics: `python -m services.stats`."""

from gevent import monkey

monkey.patch_all()

import os  # noqa: E402 - the patch comes first
import sys  # noqa: E402

import structlog  # noqa: E402

from services.shared.access import BadTokens  # noqa: E402
from services.shared.bus.errors import BusUnavailable  # noqa: E402
from services.shared.chassis.clock import Clock  # noqa: E402
from services.shared.chassis.logs import configure_logs  # noqa: E402
from services.shared.chassis.settings import SettingsError, read_settings  # noqa: E402
from services.stats.bootstrap import run  # noqa: E402
from services.stats.settings import Settings  # noqa: E402


def main() -> int:
    """Run until stopped; returns the exit code."""
    configure_logs("stats")
    try:
        return run(read_settings(Settings, os.environ), Clock.from_environment(os.environ))
    except (SettingsError, BadTokens, BusUnavailable, OSError) as error:
        structlog.get_logger().error("stats_cannot_start", reason=str(error))
        return 2


if __name__ == "__main__":
    sys.exit(main())
