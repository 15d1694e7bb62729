"""`python -m services.stats.rebuild [--tenant ID]`: write the documents anew from the log.

Stop the service before, or it keeps writing beside it. Each event sets what it always sets, so the documents come out
equal; live numbers begin from the log too when the service starts again. Documents are deleted first where the log
still has everything of them: what is older than the log is kept as it is. Legs come from a log of their own, with a
beginning of its own. Who was erased stays erased (RINGMASTER_ERASURE_SECRET). Killed half way: run it again.
"""

from gevent import monkey

monkey.patch_all()

import argparse  # noqa: E402 - the patch comes first
import os  # noqa: E402
import sys  # noqa: E402
import time  # noqa: E402
from collections.abc import Callable, Iterator, Mapping  # noqa: E402
from dataclasses import dataclass  # noqa: E402
from datetime import UTC, datetime, timedelta  # noqa: E402

from services.shared.bus.backlog import Backlog  # noqa: E402
from services.shared.bus.consumer import Consumer  # noqa: E402
from services.shared.bus.errors import BusUnavailable  # noqa: E402
from services.shared.bus.record import Record  # noqa: E402
from services.shared.bus.topics import CALLS, INPUTS  # noqa: E402
from services.shared.chassis.erasure_secret import seal_of  # noqa: E402
from services.shared.chassis.settings import SettingsError, read_settings  # noqa: E402
from services.shared.contracts.ringmaster.v1.event_pb2 import Event  # noqa: E402
from services.shared.contracts.ringmaster.v1.input_pb2 import Input  # noqa: E402
from services.shared.person import NotReadable, PersonSeal  # noqa: E402
from services.stats.adapters.mongo import MongoStore  # noqa: E402
from services.stats.documents import add_leg_to, add_to  # noqa: E402
from services.stats.domain.facts.legs import MARK as LEG_MARK  # noqa: E402
from services.stats.forgetting import Wish, forget_person, wish_of_events, wish_of_legs  # noqa: E402
from services.stats.logs import LogReader, Logs  # noqa: E402
from services.stats.store import CallFields, FactFields, Since, Store, StoreUnavailable  # noqa: E402

POLL_SECONDS = 1.0
BATCH = 2_000
Add = Callable[[Record, int, CallFields, FactFields], Wish | None]
"""Adds what a record says, as of a revision; returns the wish to forget a person where it is one."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What the rebuilding is told by its environment: a part of the service's own."""

    kafka_bootstrap: str
    mongodb_uri: str
    stats_retention_days: int = 1_100
    erasure_secret: str = ""


@dataclass(frozen=True, slots=True)
class Target:
    """Where is written, and what opens the numbers of erased persons."""

    store: Store
    seal: PersonSeal


@dataclass(frozen=True, slots=True)
class Writing:
    """What is written, of which company (None = all), and the first position of each partition's log."""

    target: Target
    firsts: Mapping[tuple[str, int], int]
    tenant_id: str | None


def rebuild(
    target: Target, events: LogReader, inputs: LogReader, tenant_id: str | None, say: Callable[[str], None]
) -> int:
    """Delete and write anew; return how many records there were.

    A person whom the log erases is erased again, where it does. Raises StoreUnavailable, BusUnavailable, and
    NotReadable where that can't be: then the documents are not whole, and who was erased may stand in them.
    """
    store = target.store
    store.prepare()
    firsts = _begun(store, events) | _begun(store, inputs)
    store.forget_facts(tenant_id, _whole_since(events, firsts), _whole_since(inputs, firsts))
    writing = Writing(target, firsts, tenant_id)
    count = _write(writing, events, _add_event, lambda number: say(f"{number} events read"))
    return count + _write(writing, inputs, _add_input, lambda number: say(f"{number} inputs read for legs"))


def _begun(store: Store, reader: LogReader) -> dict[tuple[str, int], int]:
    """Take a reader's partitions up; return the first position of each."""
    logs, now_ms, places = Logs(store), time.time_ns() // 1_000_000, reader.assignment()
    ids = {topic: reader.topic_id(topic) for topic in {topic for topic, _ in places}}
    return {place: logs.begin(place, ids[place[0]], reader.end_offset(*place), now_ms) for place in places}


def _write(writing: Writing, reader: LogReader, add: Add, say: Callable[[int], None]) -> int:
    """Write what a log tells; return how many of its records there were."""
    target, tenant_id = writing.target, writing.tenant_id
    store = target.store
    calls: CallFields = {}
    facts: FactFields = {}
    count = 0
    for records in _log(reader):
        for record in records:
            if tenant_id not in (None, record.key):
                continue
            count += 1
            revision = writing.firsts[record.topic, record.partition] + record.offset + 1
            wish = add(record, revision, calls, facts)
            if wish is not None:
                store.write(calls, facts)
                calls, facts = {}, {}
                forget_person(store, target.seal, wish)
        if len(calls) + len(facts) >= BATCH:
            store.write(calls, facts)
            calls, facts = {}, {}
            say(count)
    store.write(calls, facts)
    return count


def _add_event(record: Record, revision: int, calls: CallFields, facts: FactFields) -> Wish | None:
    event = Event.FromString(record.value)
    add_to(event, revision, calls, facts)
    return wish_of_events(event, revision) if event.HasField("person_erasure_requested") else None


def _add_input(record: Record, revision: int, _calls: CallFields, facts: FactFields) -> Wish | None:
    given = Input.FromString(record.value)
    add_leg_to(given, revision, facts)
    return wish_of_legs(given, revision) if given.HasField("person_forgotten") and not given.domain else None


def _log(reader: LogReader) -> Iterator[list[Record]]:
    """Return everything that a log has now, from its beginning (ADR 22)."""
    for place in reader.assignment():
        reader.seek(*place, reader.offset_at(*place, 0))
    backlog = Backlog(reader)
    while not backlog.is_read:
        yield backlog.poll(POLL_SECONDS)


def _whole_since(reader: LogReader, firsts: Mapping[tuple[str, int], int]) -> Since:
    """Return from when on a log has everything, a day after its oldest record; None where it was never cut.

    A log that was begun anew is one that was cut: what came before it stands in the documents alone.
    Where nothing is left of a partition, its newest record may have gone a moment ago: then that is from now on.
    """
    cut = {place for place in reader.assignment() if firsts[place] or reader.offset_at(*place, 0) > 0}
    if any(reader.offset_at(*place, 0) == reader.end_offset(*place) for place in cut):
        return datetime.now(UTC)
    oldest: dict[tuple[str, int], int] = {}
    for records in _log(reader) if cut else ():
        for record in records:
            oldest.setdefault((record.topic, record.partition), record.timestamp_ms)
        if oldest.keys() >= cut:
            break
    if not cut:
        return None
    if oldest.keys() < cut:  # all of it went while it was read, or nothing in it is wanted
        return datetime.now(UTC)
    return datetime.fromtimestamp(max(oldest.values()) / 1000, UTC) + timedelta(days=1)


def main() -> int:
    """Return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m services.stats.rebuild", description=(__doc__ or "").strip())
    parser.add_argument("--tenant", help="this company only", default=None)
    asked = parser.parse_args()
    try:
        settings = read_settings(Settings, os.environ)
        store = MongoStore(settings.mongodb_uri, retention_days=settings.stats_retention_days)
        events = Consumer(settings.kafka_bootstrap, None, [CALLS], "stats-rebuild")
        inputs = Consumer(settings.kafka_bootstrap, None, [INPUTS], "stats-rebuild", wanted=LEG_MARK)
        target = Target(store, seal_of(settings.erasure_secret))
        count = rebuild(target, events, inputs, asked.tenant, lambda words: print(words, file=sys.stderr))  # noqa: T201
    except NotReadable as error:
        print(f"not rebuilt: a person was erased, and {error}; set it and run this again", file=sys.stderr)  # noqa: T201
        return 2
    except (SettingsError, StoreUnavailable, BusUnavailable) as error:
        print(f"not rebuilt: {error}", file=sys.stderr)  # noqa: T201
        return 2
    print(f"rebuilt from {count} records")  # noqa: T201 - a command's answer
    return 0


if __name__ == "__main__":
    sys.exit(main())
