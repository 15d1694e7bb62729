"""The service itself beside a true broker and document store: `python -m bench.stats.process`.

Events of a busy floor are told at their pace (RATE calls a second for FLOOR_SECONDS). What is measured: CPU of the
service and of the document store for each call, how old events are when the live numbers have them, how long after its
end a call is in the documents. When each agent's fact was a document of its own, and what changed was collected for two
seconds, a call of 16 events took 3.76 ms of the service and 8.24 ms of the document store.

    50 calls/s, talks of 20 s, alone on two cores              measured      target
    event to live numbers, p50, at most                          0.10 s
    event to live numbers, p99, at most                          0.25 s    <= 0.5 s
    end of a call to its document, p50 and longest          3.1, 6.1 s
    last document after the last event                           0.2 s
    CPU a call: service, document store, broker     3.32, 5.02, 4.05 ms
"""

import os
import statistics
import sys
import tempfile
import threading
import time
import urllib.request
from pathlib import Path
from typing import Any

from pymongo import MongoClient
from pymongo.collection import Collection

from bench.report import Row, Target, show, write
from bench.stats.shift import story
from bench.stats.stack import stack
from local.stack.layout import Layout
from local.stack.part import Part
from services.shared.bus.events import publish_event
from services.shared.bus.producer import Producer

RATE = float(os.environ.get("RATE", "50"))
FLOOR_SECONDS = float(os.environ.get("FLOOR_SECONDS", "60"))
TALK_SECONDS = float(os.environ.get("TALK_SECONDS", "20"))
DRAIN_SECONDS = 120.0
_TICKS = os.sysconf("SC_CLK_TCK")


def cpu_seconds(part: Part) -> float:
    """Return the CPU time of a part's process and its threads."""
    if part.process is None:
        raise SystemExit(f"{part.name} does not run")
    fields = Path(f"/proc/{part.process.pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def tell(layout: Layout, ended: dict[str, float]) -> int:
    """Tell the story at its pace; note when each call was told to be over. Return the number of events."""
    told, producer = story(RATE, FLOOR_SECONDS, TALK_SECONDS), Producer(layout.address("kafka"), "floor")
    began = time.time()
    for at_ms, event in told:
        ahead = began + at_ms / 1000 - time.time()
        if ahead > 0.002:
            time.sleep(ahead)
        event.time.FromMilliseconds(int(began * 1000) + at_ms)
        publish_event(producer, event)
        if event.WhichOneof("body") == "call_ended":
            ended[f"{event.tenant_id}/{event.call_id}"] = time.time()
    producer.flush(10)
    producer.close()
    return len(told)


def watch(uri: str, ended: dict[str, float], found: list[float], over: threading.Event) -> None:
    """Look for one ended call after another in the documents; note how long each took to be there."""
    calls: Collection[dict[str, Any]] = MongoClient(uri)["ringmaster"]["calls"]
    while not over.is_set():
        if not ended:
            time.sleep(0.05)
            continue
        key = list(ended)[-1]
        while not over.is_set() and calls.find_one({"_id": key, "ended": True}, {"_id": 1}) is None:
            time.sleep(0.1)
        found.append(time.time() - ended[key])


def ages(layout: Layout) -> dict[float, float]:
    """Return how many events were at most so old, seconds, when the live numbers had them."""
    with urllib.request.urlopen(layout.url("stats", "/metrics"), timeout=10) as answer:  # noqa: S310 - loopback only
        lines = answer.read().decode().splitlines()
    prefix = 'ringmaster_stats_event_age_seconds_bucket{le="'
    found = (line.removeprefix(prefix).split('"} ') for line in lines if line.startswith(prefix))
    return {float(bound): float(count) for bound, count in found}


def quantile(counts: dict[float, float], share: float) -> float:
    """Return the bound below which that share of all lies."""
    most = max(counts.values())
    return min(bound for bound, count in counts.items() if count >= share * most)


def settled(uri: str, calls: int) -> float:
    """Wait until every call is in the documents with its end; return how long it took."""
    began = time.time()
    documents: Collection[dict[str, Any]] = MongoClient(uri)["ringmaster"]["calls"]
    while documents.count_documents({"ended": True}) < calls:
        if time.time() - began > DRAIN_SECONDS:
            raise SystemExit("the documents never had every call")
        time.sleep(1)
    return time.time() - began


def main() -> int:
    """Measure and report."""
    ended: dict[str, float] = {}
    seen: list[float] = []
    with tempfile.TemporaryDirectory(prefix="ringmaster-bench-") as name, stack(Path(name)) as (layout, parts):
        uri = f"mongodb://{layout.address('documents')}"
        over = threading.Event()
        eye = threading.Thread(target=watch, args=(uri, ended, seen, over))
        names = ("stats", "documents", "broker")
        before = {each: cpu_seconds(parts[each]) for each in names}
        eye.start()
        events = tell(layout, ended)
        drain = settled(uri, len(ended))
        over.set()
        eye.join()
        spent = {each: cpu_seconds(parts[each]) - before[each] for each in names}
        counts = ages(layout)
    calls = len(ended)
    rows = [Row("ringmaster", f"CPU a call, {each}", spent[each] / calls * 1000, "ms") for each in names]
    rows += [
        Row("ringmaster", "events a call", events / calls, "events"),
        Row("ringmaster", "event to live numbers, p50", quantile(counts, 0.5), "s, at most"),
        Row("ringmaster", "event to live numbers, p99", quantile(counts, 0.99), "s, at most"),
        Row("ringmaster", "end of a call to its document, p50", statistics.median(seen), "s"),
        Row("ringmaster", "end of a call to its document, longest", max(seen), "s"),
        Row("ringmaster", "last document after the last event", drain, "s"),
    ]
    late = quantile(counts, 0.99)
    targets = [Target(f"event to live numbers at {RATE:g} calls/s, p99", "<= 0.5 s", late, late <= 0.5)]
    show(rows, targets)
    write("stats-process", rows, targets)
    return 0


if __name__ == "__main__":
    sys.exit(main())
