"""`ringmaster erase NUMBER`: forget a person of a company, watch every service do its part, print the proof."""

import argparse
import json
import sys
import time
import urllib.parse
from typing import Any, Final

from services.cli.api import Api, NotAnswered, Refused
from services.cli.settings import ConsoleSettings, environment
from services.cli.story import printable
from services.cli.table import EXIT_DEPENDENCY, EXIT_DONE, EXIT_REFUSED, EXIT_SETTINGS
from services.shared.chassis.settings import SettingsError

LOOK_SECONDS: Final = 1.0
ON_THE_LINE: Final = "person-on-the-line"
NOT_FOUND: Final = 404
Report = dict[str, Any]


def run(arguments: list[str]) -> int:
    """Erase, or show a report; return 1 when refused or not whole in time, 2 for bad settings, 3 without an answer."""
    options = _parser().parse_args(arguments)
    try:
        settings = environment(ConsoleSettings)
        console = Api("the console", "RINGMASTER_CONSOLE_URL", settings.console_url, settings.token, options.tenant)
        erasure_id = options.report or _begin(console, options.number, options.wait)
        report = _watch(console, erasure_id, options.wait)
    except SettingsError as error:
        return _complain(str(error), EXIT_SETTINGS)
    except Refused as error:
        return _complain(str(error), EXIT_REFUSED)
    except NotAnswered as error:
        return _complain(str(error), EXIT_DEPENDENCY)
    sys.stdout.write(json.dumps(report, indent=2) + "\n" if options.json else as_text(report))
    return EXIT_DONE if report["state"] == "done" else EXIT_REFUSED


def _begin(console: Api, number: str, wait_seconds: float) -> str:
    """Ask for the erasure, again while the person is on the line; return its id. Raises Refused, NotAnswered."""
    deadline = time.monotonic() + wait_seconds
    while True:
        try:
            return str(console.ask("/v1/erasures", {"number": number})["erasure_id"])
        except Refused as error:
            if error.kind != ON_THE_LINE or time.monotonic() > deadline:
                raise
            _say("the person is on the line; asked again when that is over")
            time.sleep(LOOK_SECONDS)


def _watch(console: Api, erasure_id: str, wait_seconds: float) -> Report:
    """Tell who has done its part until all have, or for so long; return the report as it is then."""
    _say(f"erasure {erasure_id}")
    told: set[str] = set()
    deadline = time.monotonic() + wait_seconds
    while True:
        report = _report(console, erasure_id, deadline)
        for one in report["services"]:
            line = _line_of(one)
            if one["state"] != "waiting" and line not in told:
                told.add(line)
                _say(line)
        if report["state"] == "done" or time.monotonic() > deadline:
            return report
        time.sleep(LOOK_SECONDS)


def _report(console: Api, erasure_id: str, deadline: float) -> Report:
    """Return the report, as soon as the console has read the request back from the log."""
    while True:
        try:
            return console.ask(f"/v1/erasures/{urllib.parse.quote(erasure_id, safe='')}")
        except Refused as error:
            if error.status != NOT_FOUND or time.monotonic() > deadline:
                raise
            time.sleep(LOOK_SECONDS)


def as_text(report: Report) -> str:
    """Return a report for people."""
    lines = [f"{report['state']}: erasure {report['erasure_id']}, asked for by {printable(report['actor'])}"]
    lines[0] += f" at {report['asked_at']}" if report["asked_at"] else ""
    lines += [f"  {_line_of(one)}" for one in report["services"]]
    if report["missing"]:
        lines.append(f"not done yet: {', '.join(report['missing'])}")
    lines += ["the broker's topics have lost the last record that names the person"] if report["log"] else []
    lines += [f"  {one['topic']:<28} by {one['gone_by']}" for one in report["log"]]
    return "\n".join(lines) + "\n"


def _line_of(service: Report) -> str:
    counts = ", ".join(f"{count} {kind.replace('_', ' ')}" for kind, count in service["removed"].items())
    said = f"{service['service']:<9} {service['state']}"
    if service["state"] == "done":
        said += f": {counts or 'nothing was there'}"
    held = "; ".join(
        f"held back: {one['count']} {one['kind']}, {printable(one['reason'], 200)}" for one in service["held_back"]
    )
    return "; ".join(part for part in (said, held, printable(service["fault"], 200)) if part)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="ringmaster erase", description="RINGMASTER_CONSOLE_URL, RINGMASTER_TOKEN: an administrator's."
    )
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("number", nargs="?", help="the person's number, E.164 or as it is dialled where the company is")
    what.add_argument("--report", default="", metavar="ERASURE_ID", help="show an erasure that was asked for before")
    parser.add_argument("--tenant", default="", help="where the token is of every company")
    parser.add_argument("--wait", type=float, default=120.0, help="seconds to wait until all have done their part")
    parser.add_argument("--json", action="store_true", help="the report as JSON")
    return parser


def _say(line: str) -> None:
    sys.stderr.write(line + "\n")


def _complain(line: str, code: int) -> int:
    sys.stderr.write(line + "\n")
    return code
