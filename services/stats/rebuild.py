"""`python -m services.stats.rebuild [--tenant ID]`: write the documents anew from the log, from its beginning.

The documents of the tenant, or of all, are deleted first; stop the service before, or it keeps writing beside it. Each
event sets what it always sets, so the documents come out equal; the live numbers begin from the log too when the service
starts again. Run twice or killed half way it does no harm: run it again.
"""

from gevent import monkey

monkey.patch_all()

import argparse  # noqa: E402 - the patch comes first
import os  # noqa: E402
import sys  # noqa: E402
from collections.abc import Callable  # noqa: E402
from dataclasses import dataclass  # noqa: E402

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


@dataclass(frozen=True, slots=True)
class Settings:
    """What the rebuilding is told by its environment: a part of the service's own."""

    kafka_bootstrap: str
    mongodb_uri: str
    stats_retention_days: int = 1_100


def rebuild(store: Store, reader: Reader, tenant_id: str | None, say: Callable[[str], None]) -> int:
    """Delete and write anew; return how many events there were. Raises StoreUnavailable, BusUnavailable."""
    store.prepare()
    store.forget_facts(tenant_id)
    ends = {place: reader.end_offset(*place) for place in reader.assignment()}
    for place in ends:
        reader.seek(*place, 0)
    positions = dict.fromkeys(ends, 0)
    calls: CallFields = {}
    facts: FactFields = {}
    count = 0
    while any(positions[place] < end for place, end in ends.items()):
        for record in reader.poll(POLL_SECONDS):
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
