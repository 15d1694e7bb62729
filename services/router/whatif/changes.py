"""What shall be different: another strategy in one queue or all, or another document."""

from collections.abc import Iterable
from pathlib import Path

from google.protobuf import json_format

from services.router.domain.configuration import Configuration
from services.router.domain.errors import RouterError
from services.router.domain.strategies import STRATEGIES
from services.router.whatif.playing import Change
from services.shared.contracts.ringmaster.v1 import tenant_pb2 as tn
from services.shared.contracts.ringmaster.v1.tenant_pb2 import TenantDocument

_BY_NAME = {strategy.name: number for number, strategy in STRATEGIES.items()}


class BadChange(Exception):
    """What is asked for can't be. One sentence for whoever asked."""


def as_it_was(document: TenantDocument) -> TenantDocument:
    """Change nothing: what a change is compared with."""
    return document


def other_strategy(asked: Iterable[str]) -> Change:
    """Return the change that `QUEUE=NAME`, or `NAME` for every queue, asks for. Raises BadChange."""
    wanted: dict[str, tn.Strategy.ValueType] = {}
    for each in asked:
        queue_id, _, name = each.rpartition("=")
        if name not in _BY_NAME:
            raise BadChange(f"there is no strategy {name!r}: take one of {', '.join(sorted(_BY_NAME))}")
        wanted[queue_id] = tn.Strategy.ValueType(_BY_NAME[name])

    def change(document: TenantDocument) -> TenantDocument:
        unknown = set(wanted) - {"", *(queue.queue_id for queue in document.queues)}
        if unknown:
            raise BadChange(f"version {document.version} has no queue {min(unknown)!r}")
        changed = TenantDocument()
        changed.CopyFrom(document)
        for queue in changed.queues:
            queue.strategy = wanted.get(queue.queue_id, wanted.get("", queue.strategy))
        return changed

    return change


def other_document(path: Path) -> Change:
    """Return the change to a document in protobuf's JSON form. Raises BadChange."""
    try:
        document = json_format.Parse(path.read_bytes(), TenantDocument())
        Configuration(document)
    except (OSError, json_format.ParseError, RouterError, KeyError) as error:
        raise BadChange(f"{path} is no tenant document: {error}") from error

    def change(former: TenantDocument) -> TenantDocument:
        changed = TenantDocument()
        changed.CopyFrom(document)
        changed.tenant_id, changed.version = former.tenant_id, former.version
        return changed

    return change
