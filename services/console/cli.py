"""The command line: validate, diff and apply tenants' documents, one sentence a fault."""

import argparse
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import orjson

from services.console.adapters.mongo import MongoTenantStore
from services.console.domain.claims import faults_between
from services.console.domain.merging import parts_of
from services.console.domain.routing_domains import agents_of, separable
from services.console.domain.schema import SCHEMA
from services.console.domain.validation import BadDocument, sound_documents
from services.console.domain.yaml_text import MAX_BYTES
from services.console.publishing import Publisher
from services.console.settings import StoreSettings
from services.console.store import StoreUnavailable, VersionTaken
from services.console.tenancy import Applied, ChangedOnThePage, Filed, NoSuchVersion, Tenancy
from services.shared.bus.errors import BusError
from services.shared.bus.producer import Producer
from services.shared.bus.topics import partition_of
from services.shared.chassis.clock import Clock
from services.shared.chassis.documents import open_database
from services.shared.chassis.settings import SettingsError, read_settings
from services.shared.log_keys import key_of

EXIT_DONE: Final = 0
EXIT_REFUSED: Final = 1
EXIT_SETTINGS: Final = 2
EXIT_DEPENDENCY: Final = 3
ACTOR: Final = "command-line"
PARTITIONS: Final = 4
"""Of ringmaster.inputs as it comes (proto/topics/inputs.yaml)."""

Documents = list[tuple[str, dict[str, Any]]]


class Refused(Exception):
    """The documents are not sound; each line names file, path and fault."""

    def __init__(self, lines: list[str]) -> None:
        super().__init__("\n".join(lines))


def run(arguments: list[str]) -> int:
    """Run one command; return its exit code: 1 refused, 2 bad settings, 3 a dependency does not answer."""
    options = _parser().parse_args(arguments)
    try:
        return _COMMANDS[options.command](options)
    except (Refused, NoSuchVersion) as refused:
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
                documents += [(name, document) for document in sound_documents(file.read(MAX_BYTES + 1))]
        except BadDocument as error:
            complaints += [f"{name}: {fault}" for fault in error.faults]
        except OSError as error:
            complaints.append(f"{name}: the file can't be read: {error.strerror}")
    complaints += [f"{name}: {fault}" for name, fault in faults_between(documents)]
    if complaints:
        raise Refused(complaints)
    return documents


def _schema(_options: argparse.Namespace) -> int:
    _say(orjson.dumps(SCHEMA, option=orjson.OPT_INDENT_2).decode())
    return EXIT_DONE


def _validate(options: argparse.Namespace) -> int:
    for name, document in load(options.files):
        _say(f"{name}: {document['tenant_id']} is sound")
    return EXIT_DONE


def _domains(options: argparse.Namespace) -> int:
    """Show along which lines documents can be split by routing domains, and where each declared one is decided."""
    for name, document in load(options.files):
        parts = separable(document)
        _say(f"{name}: {document['tenant_id']} can be split into {len(parts)} routing domains at most")
        for number, queue_ids in enumerate(parts, 1):
            agents = len(agents_of(document, queue_ids))
            _say(f"  {number}: {agents} agents, {len(queue_ids)} queues: {', '.join(queue_ids)}")
        for domain in [{"domain_id": ""}, *document.get("routing_domains", ())]:
            key = key_of(document["tenant_id"], domain["domain_id"])
            place = partition_of(key, options.partitions)
            _say(f"  {domain['domain_id'] or 'reception'}: log {key}, partition {place} of {options.partitions}")
    return EXIT_DONE


def _diff(options: argparse.Namespace) -> int:
    documents = load(options.files)
    with _tenancy() as tenancy:
        for name, file in documents:
            with _named(name):
                found = tenancy.diff(_upon_the_page(tenancy, file, options).document)
            _say(f"{name}: {len(found)} changes" if found else f"{name}: nothing changes")
            for change in found:
                _say(f"  {change}")
    return EXIT_DONE


def _apply(options: argparse.Namespace) -> int:
    documents, code = load(options.files), EXIT_DONE
    with _tenancy() as tenancy:
        for name, file in documents:
            with _named(name):
                found = _upon_the_page(tenancy, file, options)
                applied = tenancy.apply(found.document, ACTOR, filed=parts_of(file), upon=found.upon)
            code = max(code, _told(applied))
    return code


def _upon_the_page(tenancy: Tenancy, file: dict[str, Any], options: argparse.Namespace) -> Filed:
    """Return what is applied: the file, with what was changed on the page since, unless --replace takes it whole."""
    if options.replace:
        return Filed(file, upon=None)
    found = tenancy.upon_the_page(file, ACTOR)
    for line in found.kept:
        _say(f"{file['tenant_id']}: {line}")
    return found


def _told(applied: Applied) -> int:
    tenant_id = applied.version.tenant_id
    state = "applied as" if applied.is_new else "unchanged, still"
    _say(f"{tenant_id}: {state} version {applied.version.number}")
    if applied.is_published:
        return EXIT_DONE
    return _complain(
        f"{tenant_id}: stored, but the broker does not take it; the console will publish it", EXIT_DEPENDENCY
    )


def _history(options: argparse.Namespace) -> int:
    with _tenancy() as tenancy:
        tenancy.version(options.tenant)
        for version in tenancy.history(options.tenant, options.limit):
            moment = datetime.fromtimestamp(version.applied_ms / 1000, UTC).isoformat(timespec="seconds")
            _say(f"version {version.number}  {moment}  by {version.actor}")
    return EXIT_DONE


def _back(options: argparse.Namespace) -> int:
    """Put an older version in force again; --dry-run only shows what would change."""
    with _tenancy() as tenancy, _named(options.tenant):
        former = tenancy.version(options.tenant, options.version)
        for change in tenancy.diff(former.document):
            _say(f"  {change}")
        return EXIT_DONE if options.dry_run else _told(tenancy.rollback(options.tenant, options.version, ACTOR))


@contextmanager
def _named(name: str) -> Iterator[None]:
    """Say of which document the faults are."""
    try:
        yield
    except BadDocument as error:
        raise Refused([f"{name}: {fault}" for fault in error.faults]) from error
    except ChangedOnThePage as error:
        advice = (
            f"{name}: nothing was applied. Put it into the file as it is in force, or take --replace: the file wins."
        )
        raise Refused([*(f"{name}: {line}" for line in error.lines), advice]) from error


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
    parser = argparse.ArgumentParser(prog="ringmaster tenants", description="Tenants' documents (SPEC 1.1).")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("serve", help="run the service (the default)")
    commands.add_parser("schema", help="print the JSON Schema of a tenant's document")
    for name, text in (
        ("validate", "check documents; needs no network"),
        ("diff", "show what applying documents would change"),
        ("apply", "put documents in force"),
    ):
        command = commands.add_parser(name, help=text)
        command.add_argument("files", nargs="+", metavar="FILE")
        if name != "validate":
            command.add_argument("--replace", action="store_true", help="also over what was changed on the page since")
    domains = commands.add_parser("domains", help="show which queues share agents, and can be decided apart")
    domains.add_argument("files", nargs="+", metavar="FILE")
    domains.add_argument("--partitions", type=int, default=PARTITIONS, help="of ringmaster.inputs")
    history = commands.add_parser("history", help="list a company's versions, the newest first")
    history.add_argument("tenant")
    history.add_argument("--limit", type=int, default=20)
    back = commands.add_parser("rollback", help="put an older version in force again, as a new one")
    back.add_argument("tenant")
    back.add_argument("version", type=int)
    back.add_argument("--dry-run", action="store_true", help="only show what would change")
    return parser


_COMMANDS: Final[dict[str, Callable[[argparse.Namespace], int]]] = {
    "schema": _schema,
    "validate": _validate,
    "domains": _domains,
    "diff": _diff,
    "apply": _apply,
    "history": _history,
    "rollback": _back,
}


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")


def _complain(line: str, code: int) -> int:
    sys.stderr.write(line + "\n")
    return code
