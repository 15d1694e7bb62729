"""`ringmaster doctor`: ask every dependency that the environment names, one line each."""

import argparse
import json
import sys
from dataclasses import asdict, dataclass

from services.cli.checks import CHECKS, Check, Ill, LeftOut
from services.cli.settings import DoctorSettings, environment
from services.cli.table import EXIT_DONE, EXIT_REFUSED, EXIT_SETTINGS
from services.shared.chassis.settings import SettingsError


@dataclass(frozen=True, slots=True)
class Finding:
    """What became of a check: well, ill, or left out; one sentence."""

    check: str
    state: str
    words: str


def run(arguments: list[str]) -> int:
    """Return 1 when something is wrong."""
    parser = argparse.ArgumentParser(
        prog="ringmaster doctor", description="Ask every dependency; exit 1 when one is ill."
    )
    parser.add_argument("--json", action="store_true")
    parser.add_argument(
        "--only", action="append", choices=list(CHECKS), default=[], help="this check only; again for more"
    )
    options = parser.parse_args(arguments)
    try:
        settings = environment(DoctorSettings)
    except SettingsError as error:
        sys.stderr.write(f"{error}\n")
        return EXIT_SETTINGS
    findings = [
        examine(name, check, settings) for name, check in CHECKS.items() if not options.only or name in options.only
    ]
    if options.json:
        sys.stdout.write(json.dumps([asdict(finding) for finding in findings], indent=2) + "\n")
    else:
        sys.stdout.writelines(f"{one.state:<8} {one.check:<9}  {one.words}\n" for one in findings)
    return EXIT_REFUSED if any(finding.state == "ILL" for finding in findings) else EXIT_DONE


def examine(name: str, check: Check, settings: DoctorSettings) -> Finding:
    """Run one check."""
    try:
        return Finding(name, "well", check(settings))
    except Ill as ill:
        return Finding(name, "ILL", str(ill))
    except LeftOut as left_out:
        return Finding(name, "left out", str(left_out))
    except ModuleNotFoundError as error:
        return Finding(name, "left out", f"this image has no {error.name}")
