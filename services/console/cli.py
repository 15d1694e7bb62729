"""The command line: validate, diff and apply tenants' documents, one sentence a fault."""

import argparse
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import orjson

from services.console.adapters.mongo import MongoTenantStore
from services.console.domain.claims import faults_between
from services.console.domain.schema import SCHEMA
from services.console.domain.validation import BadDocument, sound_document
from services.console.domain.yaml_text import MAX_BYTES
from services.console.publishing import Publisher
from services.console.settings import StoreSettings
from services.console.store import StoreUnavailable, VersionTaken
from services.console.tenancy import Tenancy
from services.shared.bus.errors import BusError
from services.shared.bus.producer import Producer
from services.shared.chassis.clock import Clock
from services.shared.chassis.documents import open_database
from services.shared.chassis.settings import SettingsError, read_settings

EXIT_DONE: Final = 0
EXIT_REFUSED: Final = 1
EXIT_SETTINGS: Final = 2
EXIT_DEPENDENCY: Final = 3
ACTOR: Final = "command-line"

Documents = list[tuple[str, dict[str, Any]]]


class Refused(Exception):
    """The documents are not sound; each line names file, path and fault."""

    def __init__(self, lines: list[str]) -> None:
        super().__init__("\n".join(lines))


def run(arguments: list[str]) -> int:
    """Run one command; return its exit code: 1 refused, 2 bad settings, 3 a dependency does not answer."""
    options = _parser().parse_args(arguments)
    try:
        if options.command == "schema":
            _say(orjson.dumps(SCHEMA, option=orjson.OPT_INDENT_2).decode())
            return EXIT_DONE
        documents = load(options.files)
        return _COMMANDS[options.command](documents)
    except Refused as refused:
        return _complain(str(refused), EXIT_REFUSED)
    except SettingsError as error:
        return _complain(str(error), EXIT_SETTINGS)
    except (StoreUnavailable, BusError, VersionTaken, OSError) as error:
        return _complain(str(error), EXIT_DEPENDENCY)


def load(files: list[str]) -> Documents:
    """Read and check files, each alone and all together; raise Refused with every fault."""
    complaints: list[str] = []
    documents: Documents = []
    for name in files:
        try:
            with Path(name).open("rb") as file:
                documents.append((name, sound_document(file.read(MAX_BYTES + 1))))
        except BadDocument as error:
            complaints += [f"{name}: {fault}" for fault in error.faults]
        except OSError as error:
            complaints.append(f"{name}: the file can't be read: {error.strerror}")
    complaints += [f"{name}: {fault}" for name, fault in faults_between(documents)]
    if complaints:
        raise Refused(complaints)
    return documents


def _validate(documents: Documents) -> int:
    for name, document in documents:
        _say(f"{name}: {document['tenant_id']} is sound")
    return EXIT_DONE


def _diff(documents: Documents) -> int:
    with _tenancy() as tenancy:
        for name, document in documents:
            found = tenancy.diff(document)
            _say(f"{name}: {len(found)} changes" if found else f"{name}: nothing changes")
            for change in found:
                _say(f"  {change}")
    return EXIT_DONE


def _apply(documents: Documents) -> int:
    code = EXIT_DONE
    with _tenancy() as tenancy:
        for name, document in documents:
            try:
                applied = tenancy.apply(document, ACTOR)
            except BadDocument as error:
                raise Refused([f"{name}: {fault}" for fault in error.faults]) from error
            state = "applied as" if applied.is_new else "unchanged, still"
            _say(f"{document['tenant_id']}: {state} version {applied.version.number}")
            if not applied.is_published:
                code = _complain(
                    f"{document['tenant_id']}: stored, but the broker does not take it; the console will publish it",
                    EXIT_DEPENDENCY,
                )
    return code


@contextmanager
def _tenancy() -> Iterator[Tenancy]:
    settings = read_settings(StoreSettings, os.environ)
    clock = Clock.from_environment(os.environ)
    store = MongoTenantStore(open_database(settings.mongodb_uri, "console-cli"))
    store.prepare()
    producer = Producer(settings.kafka_bootstrap, "console-cli")
    try:
        yield Tenancy(store, Publisher(store, producer, clock), clock)
    finally:
        producer.close()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m services.console", description="Tenants' documents (SPEC 1.1).")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("serve", help="run the service (the default)")
    commands.add_parser("schema", help="print the JSON Schema of a tenant's document")
    for name, text in (
        ("validate", "check documents; needs no network"),
        ("diff", "show what applying documents would change"),
        ("apply", "put documents in force"),
    ):
        commands.add_parser(name, help=text).add_argument("files", nargs="+", metavar="FILE")
    return parser


_COMMANDS: Final[dict[str, Callable[[Documents], int]]] = {"validate": _validate, "diff": _diff, "apply": _apply}


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")


def _complain(line: str, code: int) -> int:
    sys.stderr.write(line + "\n")
    return code
