from gevent import monkey

monkey.patch_all()

import os  # noqa: E402 - patching comes first
import sys  # noqa: E402

import structlog  # noqa: E402

from services.console import cli  # noqa: E402
from services.console.bootstrap import run  # noqa: E402
from services.console.settings import Settings  # noqa: E402
from services.shared.access import BadTokens  # noqa: E402
from services.shared.bus.errors import BusUnavailable  # noqa: E402
from services.shared.chassis.clock import Clock  # noqa: E402
from services.shared.chassis.logs import configure_logs  # noqa: E402
from services.shared.chassis.settings import SettingsError, read_settings  # noqa: E402
from services.shared.chassis.supervisor import leave  # noqa: E402


def main() -> int:
    """Run the service, or one command of the command line; return the exit code."""
    if sys.argv[1:] not in ([], ["serve"]):
        return cli.run(sys.argv[1:])
    configure_logs("console")
    try:
        return run(read_settings(Settings, os.environ), Clock.from_environment(os.environ))
    except (SettingsError, BadTokens) as error:
        structlog.get_logger().error("console_cannot_start", reason=str(error))
        return cli.EXIT_SETTINGS
    except (BusUnavailable, OSError) as error:
        structlog.get_logger().error("console_cannot_start", reason=str(error))
        return cli.EXIT_DEPENDENCY


if __name__ == "__main__":
    leave(main())
