from gevent import monkey

monkey.patch_all()

import os  # noqa: E402 - patching comes first

import structlog  # noqa: E402

from services.shared.access import BadTokens  # noqa: E402
from services.shared.bus.errors import BusUnavailable  # noqa: E402
from services.shared.chassis.clock import Clock  # noqa: E402
from services.shared.chassis.logs import configure_logs  # noqa: E402
from services.shared.chassis.settings import SettingsError, read_settings  # noqa: E402
from services.shared.chassis.supervisor import leave  # noqa: E402
from services.shared.outbound.address import BadNetwork  # noqa: E402
from services.webhooks.adapters.secrets_file import SecretsUnreadable  # noqa: E402
from services.webhooks.bootstrap import run  # noqa: E402
from services.webhooks.domain.ladder import BadLadder  # noqa: E402
from services.webhooks.settings import Settings  # noqa: E402

EXIT_SETTINGS = 2
EXIT_DEPENDENCY = 3


def main() -> int:
    """Run the webhooks service; return its exit code: 2 for bad settings, 3 for a dependency that is not there."""
    configure_logs("webhooks")
    try:
        return run(read_settings(Settings, os.environ), Clock.from_environment(os.environ))
    except (SettingsError, SecretsUnreadable, BadNetwork, BadLadder, BadTokens) as error:
        structlog.get_logger().error("webhooks_cannot_start", reason=str(error))
        return EXIT_SETTINGS
    except (BusUnavailable, OSError) as error:
        structlog.get_logger().error("webhooks_cannot_start", reason=str(error))
        return EXIT_DEPENDENCY


if __name__ == "__main__":
    leave(main())
