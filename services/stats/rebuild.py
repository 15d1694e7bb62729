"""`python -m services.stats.rebuild [--tenant ID]`: write the documents anew from the log.

Stop the service before, or it keeps writing beside it. Each event sets what it always sets, so the documents come out
equal; live numbers begin from the log too when the service starts again. Documents are deleted first where the log
still has everything of them: what is older than the log is kept as it is. Killed half way: run it again.
"""

from gevent import monkey

monkey.patch_all()

import argparse  # noqa: E402 - the patch comes first
import os  # noqa: E402
import sys  # noqa: E402
from collections.abc import Callable  # noqa: E402
from dataclasses import dataclass  # noqa: E402
from datetime import UTC, datetime, timedelta  # noqa: E402

from services.shared.bus.consumer import Consumer  # noqa: E402
from services.shared.bus.errors import BusUnavailable  # noqa: E402
from services.shared.bus.ports import Reader  # noqa: E402
from services.shared.bus.topics import CALLS  # noqa: E402
from services.shared.chassis.settings import SettingsError, read_settings  # noqa: E402
from services.shared.contracts.ringmaster.v1.event_pb2 import Event  # noqa: E402
from services.stats.adapters.mongo import MongoStore  # noqa: E402
from services.stats.documents import add_to  # noqa: E402
from services.stats.store import CallFields, FactFields, Store, StoreUnavailable  # noqa: E402

POLL_SECONDS = 1.0
BATCH = 2_000
MOST_SILENT = 15
"""Readings in a row that bring nothing: the rest of the log is gone."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What the rebuilding is told by its environment: a part of the service's own."""

    kafka_bootstrap: str
    mongodb_uri: str
    stats_retention_days: int = 1_100


def rebuild(store: Store, reader: Reader, tenant_id: str | None, say: Callable[[str], None]) -> int:
    """Delete and write anew; return how many events there were. Raises StoreUnavailable, BusUnavailable."""
    store.prepare()
    ends = {place: reader.end_offset(*place) for place in reader.assignment()}
    store.forget_facts(tenant_id, _whole_since(reader, ends))
    for place in ends:
        reader.seek(*place, 0)
    positions = dict.fromkeys(ends, 0)
    calls: CallFields = {}
    facts: FactFields = {}
    count = 0
    silent = 0
    while silent < MOST_SILENT and any(positions[place] < end for place, end in ends.items()):
        records = reader.poll(POLL_SECONDS)
        silent = 0 if records else silent + 1
        for record in records:
            positions[record.topic, record.partition] = record.offset + 1
            if tenant_id in (None, record.key):
                add_to(Event.FromString(record.value), record.offset + 1, calls, facts)
                count += 1
        if len(calls) + len(facts) >= BATCH:
            store.write(calls, facts)
            calls, facts = {}, {}
            say(f"{count} events, {sum(positions.values())} of {sum(ends.values())} records read")
    store.write(calls, facts)
    return count


def _whole_since(reader: Reader, ends: dict[tuple[str, int], int]) -> datetime | None:
    """Return from when on the log has everything, a day after its oldest event; None where it was never cut."""
    oldest: dict[tuple[str, int], tuple[int, datetime]] = {}
    wanted = {place for place, end in ends.items() if end}
    for place in wanted:
        reader.seek(*place, 0)
    silent = 0
    while oldest.keys() < wanted and silent < MOST_SILENT:
        records = reader.poll(POLL_SECONDS)
        silent = 0 if records else silent + 1
        for record in records:
            event = Event.FromString(record.value)
            moment = event.time.ToDatetime(tzinfo=UTC)
            oldest.setdefault((record.topic, record.partition), (record.offset, moment))
    if all(offset == 0 for offset, _ in oldest.values()):
        return None
    return max(moment for _, moment in oldest.values()) + timedelta(days=1)


def main() -> int:
    """Return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m services.stats.rebuild", description=(__doc__ or "").strip())
    parser.add_argument("--tenant", help="this company only", default=None)
    asked = parser.parse_args()
    try:
        settings = read_settings(Settings, os.environ)
        store = MongoStore(settings.mongodb_uri, retention_days=settings.stats_retention_days)
        reader = Consumer(settings.kafka_bootstrap, None, [CALLS], "stats-rebuild")
        count = rebuild(store, reader, asked.tenant, lambda words: print(words, file=sys.stderr))  # noqa: T201
    except (SettingsError, StoreUnavailable, BusUnavailable) as error:
        print(f"not rebuilt: {error}", file=sys.stderr)  # noqa: T201
        return 2
    print(f"rebuilt from {count} events")  # noqa: T201 - a command's answer
    return 0


if __name__ == "__main__":
    sys.exit(main())
