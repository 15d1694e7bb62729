"""`ringmaster topics`: what proto/topics says, and what the broker has."""

import argparse
import sys
import time
from pathlib import Path
from typing import Final

import yaml

from services.cli.settings import BrokerSettings, environment
from services.cli.table import EXIT_DEPENDENCY, EXIT_DONE, EXIT_REFUSED, EXIT_SETTINGS
from services.shared.bus.admin import TopicDefinition, ensure_topics, found_topics
from services.shared.bus.errors import BusError
from services.shared.chassis.settings import SettingsError

FOLDER: Final = Path(__file__).resolve().parents[2] / "proto" / "topics"
WAIT_SECONDS: Final = 3.0
# A broker that has made a topic tells of it a moment later.
TOLD_SECONDS: Final = 30.0
TOLD_LOOK_SECONDS: Final = 0.2
# Whose records have an order that follows from their key: adding partitions would tear it.
_ADVICE: Final = "a key's order follows from the count: make it right before there are calls, or move the records"


def definitions(folder: Path = FOLDER) -> list[TopicDefinition]:
    """Read every topic's file. Raises OSError."""
    paths = sorted(folder.glob("*.yaml"))
    if not paths:
        raise FileNotFoundError(f"{folder} holds no topics")
    return [TopicDefinition.from_document(yaml.safe_load(path.read_text(encoding="utf-8"))) for path in paths]


def run(arguments: list[str]) -> int:
    """Create or check; return 1 when the broker's topics differ, 3 when it does not answer."""
    options = _parser().parse_args(arguments)
    try:
        bootstrap = environment(BrokerSettings).kafka_bootstrap
        wanted = definitions(options.definitions)
        if options.command == "create":
            wanted = [one.with_partitions(options.partitions) if options.partitions else one for one in wanted]
            return _create(bootstrap, wanted, options.replicas)
        return _check(bootstrap, wanted, options.wait)
    except SettingsError as error:
        return _complain(str(error), EXIT_SETTINGS)
    except (BusError, OSError) as error:
        return _complain(str(error), EXIT_DEPENDENCY)


def differences(wanted: list[TopicDefinition], found: dict[str, TopicDefinition]) -> list[str]:
    """Return what is not as it should be, one sentence each."""
    faults = [f"{one.topic} is missing" for one in wanted if one.topic not in found]
    for one in wanted:
        there = found.get(one.topic)
        if there is None:
            continue
        if there.cleanup != one.cleanup:
            faults.append(f"{one.topic}: cleanup.policy is {there.cleanup}, must be {one.cleanup}")
        if there.retention_ms != one.retention_ms:
            faults.append(f"{one.topic}: retention.ms is {there.retention_ms}, must be {one.retention_ms}")
    return faults


def _create(bootstrap: str, wanted: list[TopicDefinition], replicas: int) -> int:
    for name in ensure_topics(bootstrap, wanted, replicas):
        _say(f"{name}: created")
    found = _found_in_time(bootstrap, wanted, TOLD_SECONDS, TOLD_LOOK_SECONDS)
    faults = differences(wanted, found)
    for one in wanted:
        there = found.get(one.topic)
        if there is not None and there.partitions != one.partitions:
            faults.append(f"{one.topic} has {there.partitions} partitions, {one.partitions} are wanted; {_ADVICE}")
    return _told(faults, f"{len(wanted)} topics are as they should be")


def _check(bootstrap: str, wanted: list[TopicDefinition], wait_seconds: float) -> int:
    """Look, for so long while some are missing: an operator makes them in its own time."""
    found = _found_in_time(bootstrap, wanted, wait_seconds, WAIT_SECONDS)
    return _told(differences(wanted, found), f"{len(wanted)} topics are as they should be")


def _found_in_time(
    bootstrap: str, wanted: list[TopicDefinition], seconds: float, look_seconds: float
) -> dict[str, TopicDefinition]:
    """Return the topics as they are there, all of them or those that are there when the time is over."""
    deadline = time.monotonic() + seconds
    while True:
        found = found_topics(bootstrap, [one.topic for one in wanted])
        if len(found) == len(wanted) or time.monotonic() > deadline:
            return found
        time.sleep(look_seconds)


def _told(faults: list[str], well: str) -> int:
    for fault in faults:
        sys.stderr.write(f"{fault}\n")
    if not faults:
        _say(well)
    return EXIT_REFUSED if faults else EXIT_DONE


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="ringmaster topics", description="Kafka's topics, from RINGMASTER_KAFKA_BOOTSTRAP."
    )
    parser.add_argument("--definitions", type=Path, default=FOLDER, help="folder of the topics' files")
    commands = parser.add_subparsers(dest="command", required=True)
    create = commands.add_parser("create", help="create what is missing; what is there is left as it is")
    create.add_argument("--partitions", type=int, default=0, help="of each topic; without it what its file says")
    create.add_argument("--replicas", type=int, default=1)
    check = commands.add_parser("check", help="say what differs from the files")
    check.add_argument("--wait", type=float, default=0.0, metavar="SECONDS", help="for topics that somebody else makes")
    return parser


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")


def _complain(line: str, code: int) -> int:
    sys.stderr.write(line + "\n")
    return code
