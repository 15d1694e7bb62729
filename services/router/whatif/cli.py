"""The command line: `python -m services.router.whatif --help` says what a what-if can know."""

import argparse
import os
import sys
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from time import sleep
from typing import Any

import orjson

from services.router.domain.errors import RouterError
from services.router.whatif.asking import NothingToPlay, Period, compare, shadow, table
from services.router.whatif.changes import BadChange, other_document, other_strategy
from services.router.whatif.kafka_log import TenantLog, read_kafka
from services.router.whatif.log_file import BadLog, Logged, read_log, write_log
from services.router.whatif.playing import Change
from services.shared.bus.errors import BusError

EXIT_DONE = 0
EXIT_REFUSED = 1
EXIT_DEPENDENCY = 3
MOST_SECONDS = 86_400
_ABOUT = """\
Play a tenant's log once more under another strategy or document, with the true core in virtual time, and compare
waits, service level, abandonment and occupancy.

What it can know: who called when and pressed what, how long each talk, prompt, wrap-up and lookup took, how each agent
reacted to offers, and who chose which status when. How long a caller would have waited is known only of those who gave
up. Of an answered caller it is known that the patience was longer than the wait (it is censored): the rest is drawn
from Kaplan and Meier's estimate over all callers, by the call's id, so every document meets the same people. Beyond the
longest wait that ended in giving up nobody gives up: where waits become much longer than they were, abandonment comes
out too low.

What it can't know: that agents or callers would have behaved otherwise because of the change; transfers, holds and
supervision (a talk is one piece); callbacks that a customer did not take in the log. The column "played" is the same
day under the same document: as far as it is from "was", the figures are not to be trusted.
"""


def run(arguments: list[str]) -> int:
    """Ask one what-if; return 1 when it is refused, 3 when the broker does not answer."""
    options = _parser().parse_args(arguments)
    try:
        change = other_document(options.document) if options.document else other_strategy(options.strategy)
        period = Period(
            *(_moment_ms(text, default) for text, default in ((options.since, 0), (options.until, 1 << 62)))
        )
        if options.follow:
            return _follow(options, change, period)
        inputs = list(_inputs(options, period))
        if options.save:
            write_log(options.save, inputs)
        _show(options, compare(options.tenant, inputs, change, period))
    except (BadChange, BadLog, NothingToPlay, RouterError, ValueError) as error:
        return _complain(str(error), EXIT_REFUSED)
    except (BusError, OSError) as error:
        return _complain(str(error), EXIT_DEPENDENCY)
    return EXIT_DONE


def _follow(options: argparse.Namespace, change: Change, period: Period) -> int:
    """Show the comparison anew while the log grows, until interrupted. Raises BadLog, BusError."""
    if options.log or options.save:
        raise BadLog("--follow reads the broker as it grows; a file does not: leave --log and --save out")
    log = TenantLog(_bootstrap(), options.tenant, period.until_ms)
    try:
        for found in shadow(options.tenant, log.up_to_now, change, period):
            if isinstance(found, str):
                sys.stderr.write(found + "\n")
            else:
                _show(options, found)
            sleep(options.follow)
    except KeyboardInterrupt:
        return EXIT_DONE
    finally:
        log.close()
    return EXIT_DONE


def _show(options: argparse.Namespace, found: dict[str, Any]) -> None:
    """Print a comparison; followed ones as one line of JSON each, or with the moment above the table."""
    if options.json:
        text = orjson.dumps(found, option=0 if options.follow else orjson.OPT_INDENT_2).decode()
    else:
        text = (f"{datetime.now(UTC):%H:%M:%S} UTC\n" if options.follow else "") + table(found)
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def _inputs(options: argparse.Namespace, period: Period) -> Iterable[Logged]:
    if options.log:
        return (one for one in read_log(options.log) if one.given.tenant_id == options.tenant)
    return read_kafka(_bootstrap(), options.tenant, period.until_ms)


def _bootstrap() -> str:
    bootstrap = os.environ.get("RINGMASTER_KAFKA_BOOTSTRAP", "")
    if not bootstrap:
        raise BadLog("give a file with --log, or the broker in RINGMASTER_KAFKA_BOOTSTRAP")
    return bootstrap


def _seconds(text: str) -> float:
    seconds = float(text)
    if not 1 <= seconds <= MOST_SECONDS:
        raise argparse.ArgumentTypeError(f"must be from 1 to {MOST_SECONDS} seconds")
    return seconds


def _moment_ms(text: str, default: int) -> int:
    """Return a moment of ISO 8601; without a zone it is UTC. Raises ValueError."""
    if not text:
        return default
    moment = datetime.fromisoformat(text if "+" in text or text.endswith("Z") else f"{text}+00:00")
    return round(moment.timestamp() * 1000)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="ringmaster whatif",
        description=_ABOUT,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--tenant", required=True, help="the tenant's id")
    parser.add_argument("--log", type=Path, help="a file that --save wrote; without it the broker is read")
    parser.add_argument("--save", type=Path, help="write what was read to a file")
    parser.add_argument("--since", default="", help="count callers who joined from this moment on, ISO 8601")
    parser.add_argument("--until", default="", help="count callers who joined before it, and read no further")
    parser.add_argument(
        "--follow", type=_seconds, default=0, metavar="SECONDS", help="ask again so often, with what came meanwhile"
    )
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    change = parser.add_mutually_exclusive_group(required=True)
    change.add_argument("--strategy", action="append", default=[], metavar="[QUEUE=]NAME", help="another strategy")
    change.add_argument("--document", type=Path, help="another document, protobuf's JSON form of TenantDocument")
    return parser


def _complain(line: str, code: int) -> int:
    sys.stderr.write(line + "\n")
    return code
