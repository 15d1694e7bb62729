from gevent import monkey

monkey.patch_all()

# ruff: noqa: E402 - the sockets must be gevent's before anything imports them
import os
import sys
from collections.abc import Callable

import structlog

from services.shared.chassis.clock import Clock
from services.shared.chassis.logs import configure_logs
from services.shared.chassis.settings import SettingsError, read_settings
from services.shared.chassis.supervisor import Supervisor, leave

EXIT_SETTINGS = 2


def main(arguments: list[str]) -> int:
    """Run one role of the recorder, `upload` unless `transcribe` is asked for, until it is told to stop.

    Return the process's exit code.
    """
    configure_logs("recorder")
    log = structlog.get_logger()
    supervisor = Supervisor()
    role = arguments[0] if arguments else "upload"
    try:
        names = _beginning_of(role)(supervisor, Clock.from_environment(os.environ))
    except (SettingsError, OSError) as error:
        log.error("recorder_cannot_start", reason=str(error))  # noqa: TRY400 - one sentence for a person, no traceback
        return EXIT_SETTINGS
    log.info("recorder_started", role=role, **names)
    return supervisor.run()


def _beginning_of(role: str) -> Callable[[Supervisor, Clock], dict[str, str]]:
    try:
        return _ROLES[role]
    except KeyError as error:
        raise SettingsError([f"python -m services.recorder takes one of {', '.join(_ROLES)}"]) from error


def _upload(supervisor: Supervisor, clock: Clock) -> dict[str, str]:
    from services.recorder.bootstrap import build, start  # noqa: PLC0415 - each role is installed with its own packages
    from services.recorder.settings import Settings  # noqa: PLC0415

    settings = read_settings(Settings, os.environ)
    start(build(settings, clock), settings, supervisor)
    return {"node": settings.node, "folder": str(settings.recordings_dir)}


def _transcribe(supervisor: Supervisor, clock: Clock) -> dict[str, str]:
    from services.recorder.transcribe_bootstrap import build, start  # noqa: PLC0415
    from services.recorder.transcribe_settings import TranscribeSettings  # noqa: PLC0415

    settings = read_settings(TranscribeSettings, os.environ)
    start(build(settings, clock), settings, supervisor)
    return {"node": settings.node, "engine": settings.transcribe_engine}


_ROLES: dict[str, Callable[[Supervisor, Clock], dict[str, str]]] = {"upload": _upload, "transcribe": _transcribe}


if __name__ == "__main__":
    leave(main(sys.argv[1:]))
