"""Events a second into live numbers and documents, one core. MONGODB_URI adds the store.

The broker's reader is not in it (about 85 µs an event), so it can't say whether the whole target is met.
"""

import os
import random
import statistics
import time
from collections import Counter

from bench.report import Row, Target
from services.shared.contracts.ringmaster.v1.event_pb2 import Event
from services.stats.adapters.mongo import MongoStore
from services.stats.documents import add_to
from services.stats.domain.board import Board
from services.stats.store import CallFields, FactFields
from tests.unit.stats.events import abandoned_call, answered_call

CALLS = 4_000
ROUNDS = 5
BATCH = 1_000  # what the writer merges when the store is the slower one
NOW_MS = 1_795_435_200_000
WANTED = 3_000


def records() -> list[bytes]:
    """Return the events of a busy hour of one company with eight queues, in order of time."""
    dice = random.Random(7)
    events = []
    for number in range(CALLS):
        at, wait = NOW_MS - dice.randrange(3_600_000), int(dice.expovariate(1 / 15_000))
        queue, call_id = f"q{dice.randrange(8)}", f"c{number}"
        talk = int(dice.lognormvariate(11, 0.6))
        life = (
            answered_call(call_id, at, wait, talk, queue) if dice.random() < 0.9 else abandoned_call(call_id, at, wait)
        )
        events += life
    events.sort(key=lambda event: event.time.ToMilliseconds())
    return [event.SerializeToString() for event in events]


def counted(values: list[bytes]) -> float:
    """Return events a second of the limit: decode and count by kind."""
    counts: Counter[str] = Counter()
    began = time.process_time()
    for value in values:
        counts[Event.FromString(value).WhichOneof("body") or ""] += 1
    return len(values) / (time.process_time() - began)


def folded(values: list[bytes], store: MongoStore | None) -> float:
    """Return events a second of CPU through decode, live numbers and fields, and into the store where there is one."""
    board, calls, facts = Board(), CallFields(), FactFields()
    began = time.process_time()
    for number, value in enumerate(values, 1):
        event = Event.FromString(value)
        add_to(event, number, calls, facts)
        board.fold(event, NOW_MS)
        if store is not None and number % BATCH == 0:
            store.write(calls, facts)
            calls, facts = {}, {}
    if store is not None:
        store.write(calls, facts)
    return len(values) / (time.process_time() - began)


def measure() -> tuple[list[Row], list[Target]]:
    """Return rows and targets, measured interleaved."""
    values = records()
    uri = os.environ.get("MONGODB_URI")
    store = MongoStore(uri) if uri else None
    rounds = [(counted(values), folded(values, None), folded(values, store) if store else 0.0) for _ in range(ROUNDS)]
    limit, numbers, documents = (statistics.median(column) for column in zip(*rounds, strict=True))
    rows = [
        Row("limit: decode and count", "events a CPU second", limit, "1/s"),
        Row("ringmaster", "events a CPU second into live numbers", numbers, "1/s"),
    ]
    if store is not None:
        rows.append(Row("ringmaster", "events a CPU second into numbers, documents", documents, "1/s"))
    measured = documents if store else numbers
    targets = [Target("events a second a core, without the broker's reader", f">= {WANTED}", measured, None)]
    return rows, targets
