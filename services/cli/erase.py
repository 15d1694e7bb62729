"""`ringmaster erase NUMBER`: forget a person of a company, watch every service do its part, print the proof."""

import argparse
import json
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
import uuid
from typing import Any, Final

from services.cli.settings import ConsoleSettings, environment
from services.cli.story import printable
from services.cli.table import EXIT_DEPENDENCY, EXIT_DONE, EXIT_REFUSED, EXIT_SETTINGS
from services.shared.chassis.settings import SettingsError

ANSWER_SECONDS: Final = 10
LOOK_SECONDS: Final = 1.0
ON_THE_LINE: Final = "person-on-the-line"
NOT_FOUND: Final = 404
Report = dict[str, Any]


class Refused(Exception):
    """The console refuses: one sentence, and the problem's last word."""

    def __init__(self, detail: str, kind: str, status: int) -> None:
        super().__init__(detail)
        self.kind = kind
        self.status = status


class NotAnswered(Exception):
    """The console does not answer; one sentence."""


def run(arguments: list[str]) -> int:
    """Erase, or show a report; return 1 when refused or not whole in time, 2 for bad settings, 3 without an answer."""
    options = _parser().parse_args(arguments)
    try:
        console = _Console(environment(ConsoleSettings), options.tenant)
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


class _Console:
    def __init__(self, settings: ConsoleSettings, tenant: str) -> None:
        self._settings = settings
        self._query = f"?{urllib.parse.urlencode({'tenant': tenant})}" if tenant else ""

    def ask(self, path: str, body: Report | None = None) -> Report:
        """Return the answer. Raises Refused, NotAnswered."""
        request = urllib.request.Request(  # noqa: S310 - an operator's own
            f"{self._settings.console_url.rstrip('/')}{path}{self._query}",
            data=None if body is None else json.dumps(body).encode(),
            headers={"Authorization": f"Bearer {self._settings.token}", "Idempotency-Key": uuid.uuid4().hex},
        )
        try:
            with urllib.request.urlopen(request, timeout=ANSWER_SECONDS) as answer:  # noqa: S310 - the same
                return dict(json.load(answer))
        except urllib.error.HTTPError as error:
            raise _refusal_of(error) from error
        except (OSError, ValueError) as error:
            raise NotAnswered(f"the console does not answer (RINGMASTER_CONSOLE_URL): {error}") from error


def _begin(console: _Console, number: str, wait_seconds: float) -> str:
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


def _watch(console: _Console, erasure_id: str, wait_seconds: float) -> Report:
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


def _report(console: _Console, erasure_id: str, deadline: float) -> Report:
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


def _refusal_of(error: urllib.error.HTTPError) -> Refused:
    try:
        problem = json.load(error)
        return Refused(str(problem["detail"]), str(problem["type"]).rsplit(":", 1)[-1], error.code)
    except (ValueError, KeyError, TypeError):
        return Refused(f"the console refuses with status {error.code}", "", error.code)


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
