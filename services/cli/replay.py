"""`ringmaster replay ENDPOINT --since MOMENT`: an endpoint gets a part of the past once more (SPEC 7.3)."""

import argparse
import sys
import time
from datetime import datetime, timedelta
from typing import Any, Final

from services.cli.api import Api, NotAnswered, Refused
from services.cli.settings import WebhooksSettings, environment
from services.cli.story import printable
from services.cli.table import EXIT_DEPENDENCY, EXIT_DONE, EXIT_REFUSED, EXIT_SETTINGS
from services.shared.chassis.settings import SettingsError

LOOK_SECONDS: Final = 1.0
ENDED: Final = ("done", "failed")
_UNITS: Final = {"m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1)}


def run(arguments: list[str]) -> int:
    """Ask and watch; return 1 when refused, failed or not over in time, 2 for bad settings, 3 without an answer."""
    options = _parser().parse_args(arguments)
    try:
        settings = environment(WebhooksSettings)
        api = Api("the webhooks' API", "RINGMASTER_WEBHOOKS_URL", settings.webhooks_url, settings.token, options.tenant)
        replay = _watch(api, api.ask("/v1/replays", wanted(options)), options.wait)
    except SettingsError as error:
        return _complain(str(error), EXIT_SETTINGS)
    except Refused as error:
        return _complain(str(error), EXIT_REFUSED)
    except NotAnswered as error:
        return _complain(str(error), EXIT_DEPENDENCY)
    sys.stdout.write(f"{_line_of(replay)}\n")
    return EXIT_DONE if replay["state"] == "done" else EXIT_REFUSED


def wanted(options: argparse.Namespace) -> dict[str, Any]:
    """Return what is asked for (POST /v1/replays)."""
    asked = {"endpoint_id": options.endpoint, "since_ms": options.since, "failed_only": options.failed}
    optional = {"until_ms": options.until, "event_types": options.event, "call_id": options.call}
    return asked | {name: value for name, value in optional.items() if value}


def moment(text: str) -> int:
    """Read 30m, 2h, 3d (ago) or an ISO 8601 time with its zone; return milliseconds since 1970. Raises ValueError."""
    if text[-1:] in _UNITS and text[:-1].isdigit():
        return round((time.time() - int(text[:-1]) * _UNITS[text[-1]].total_seconds()) * 1000)
    found = datetime.fromisoformat(text)
    if found.tzinfo is None:
        raise ValueError(f"{text} names no zone")
    return round(found.timestamp() * 1000)


def _watch(api: Api, replay: dict[str, Any], wait_seconds: float) -> dict[str, Any]:
    """Tell how far it is until it has ended, or for so long; return it as it is then. Raises Refused, NotAnswered."""
    deadline, told = time.monotonic() + wait_seconds, ""
    while replay["state"] not in ENDED and time.monotonic() < deadline:
        if (line := _line_of(replay)) != told:
            sys.stderr.write(f"{line}\n")
            told = line
        time.sleep(LOOK_SECONDS)
        listed = api.ask("/v1/replays")["replays"]
        replay = next((one for one in listed if one["replay_id"] == replay["replay_id"]), replay)
    return replay


def _line_of(replay: dict[str, Any]) -> str:
    line = f"replay {replay['replay_id']}: {replay['state']}, {replay['sent']} sent"
    return f"{line}; {printable(replay['error'], 200)}" if replay["error"] else line


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="ringmaster replay", description="RINGMASTER_WEBHOOKS_URL, RINGMASTER_TOKEN.")
    parser.add_argument("endpoint", help="the endpoint's id in the company's document")
    parser.add_argument(
        "--since", type=moment, required=True, metavar="MOMENT", help="2h, 3d, or 2026-11-29T10:00+02:00"
    )
    parser.add_argument("--until", type=moment, default=0, metavar="MOMENT", help="without it: now")
    parser.add_argument("--event", action="append", default=[], help="only events of this type; may be said again")
    parser.add_argument("--call", default="", help="only this call")
    parser.add_argument("--failed", action="store_true", help="only what was given up: nothing arrives twice")
    parser.add_argument("--tenant", default="", help="where the token is of every company")
    parser.add_argument("--wait", type=float, default=120.0, help="seconds to watch it")
    return parser


def _complain(line: str, code: int) -> int:
    sys.stderr.write(line + "\n")
    return code
