"""As many events a second as the service takes, beside a true broker and store: `python -m bench.stats.saturation`.

A log of FLOOR_CALLS calls is told before the service starts. Then it reads on to its end; an event counts when its
offset is committed, for that is done after its document is written. The limit is the broker's reader alone in this
process. CPU is counted from the service's start.

    112,000 events of 7,000 calls, alone on two cores          measured      target
    limit: broker's reader and decoder, a CPU second            132,700
    events a CPU second of the service                           16,700     >= 3,000
    events a second into documents, the start in it               5,700
    events a CPU second of the local document store               9,600
"""

import os
import sys
import tempfile
import time
from pathlib import Path

from bench.report import Row, Target, show, write
from bench.stats.process import cpu_seconds
from bench.stats.shift import story
from bench.stats.stack import stack
from local.stack.layout import Layout
from services.shared.bus.backlog import Backlog
from services.shared.bus.consumer import Consumer
from services.shared.bus.events import headers_for
from services.shared.bus.ports import Outgoing
from services.shared.bus.producer import Producer
from services.shared.bus.topics import CALLS
from services.shared.contracts.ringmaster.v1.event_pb2 import Event

FLOOR_CALLS = int(os.environ.get("FLOOR_CALLS", "7000"))
FLOOR_RATE = 50.0
TALK_SECONDS = 20.0
WANTED = 3_000
LONGEST_SECONDS = 240.0
TOGETHER = 500


def told(layout: Layout) -> int:
    """Tell the whole log; return how many events it has."""
    producer, began = Producer(layout.address("kafka"), "floor"), time.time_ns() // 1_000_000
    records: list[Outgoing] = []
    for at_ms, event in story(FLOOR_RATE, FLOOR_CALLS / FLOOR_RATE, TALK_SECONDS):
        event.time.FromMilliseconds(began - 600_000 + at_ms)
        records.append((event.tenant_id, event.SerializeToString(), began, headers_for(event, "router")))
    for start in range(0, len(records), TOGETHER):
        producer.send_many(CALLS, records[start : start + TOGETHER]).wait(30)
    producer.close()
    return len(records)


def read_alone(layout: Layout) -> float:
    """Return events a CPU second of the broker's reader and the decoder."""
    reader = Consumer(layout.address("kafka"), None, [CALLS], "limit")
    backlog, count, began = Backlog(reader), 0, time.process_time()
    while not backlog.is_read:
        for record in backlog.poll(0.25):
            Event.FromString(record.value)
            count += 1
    spent = time.process_time() - began
    reader.close()
    return count / spent


def main() -> int:
    """Measure and report."""
    with (
        tempfile.TemporaryDirectory(prefix="ringmaster-bench-") as name,
        stack(Path(name), with_service=False) as (layout, parts),
    ):
        events = told(layout)
        limit = read_alone(layout)
        watcher = Consumer(layout.address("kafka"), "stats", [CALLS], "watcher", only_follows=True)
        partitions = [number for _, number in watcher.assignment()]
        store_before = cpu_seconds(parts["documents"])
        parts["stats"].start()
        samples: list[tuple[float, int, float, float]] = []
        began = time.monotonic()
        while not samples or samples[-1][1] < events:
            if time.monotonic() - began > LONGEST_SECONDS:
                raise SystemExit(f"only {samples[-1][1]} of {events} events were written in {LONGEST_SECONDS:.0f} s")
            done = sum(watcher.committed_of(CALLS, partitions).values())
            if done:
                now = time.monotonic()
                samples.append((now, done, cpu_seconds(parts["stats"]), cpu_seconds(parts["documents"])))
            time.sleep(0.2)
        watcher.close()
    last = samples[-1]
    # From the process's start: what it reads ahead of the store it has read before the first commit.
    wall, service, store = (events / spent for spent in (last[0] - began, last[2], last[3] - store_before))
    rows = [
        Row("limit: broker's reader, decoder", "events a CPU second", limit, "1/s"),
        Row("ringmaster", "events a second into documents", wall, "1/s"),
        Row("ringmaster", "events a CPU second of the service", service, "1/s"),
        Row("the local document store", "events a CPU second of it", store, "1/s"),
    ]
    met = service >= WANTED
    targets = [Target("events a second a core into documents and live numbers", f">= {WANTED}", service, met)]
    show(rows, targets)
    write("stats-saturation", rows, targets)
    return 0


if __name__ == "__main__":
    sys.exit(main())
