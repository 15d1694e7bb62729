"""Webhooks a second and core, and how long an event takes to the wire: ours beside a dispatcher of requests.Session.

`python -m bench.webhooks [--events N] [--rounds R] [--seconds S] [--told-ms MS]`. A true broker and document store are
started for the run (or RINGMASTER_KAFKA_BOOTSTRAP, MONGODB_URI); receivers are an epoll loop of its own process.
Measured is the whole way of a delivery in the process that makes it: consume the event, match, sign, send, log.

Seen on two cores, alone, the median of three to five rounds of 20,000 events, 20 s of the paced ones:

                                              ours        requests.Session
    deliveries a CPU second, end to end       4,202       767               5.5 times less CPU, target 5; with counters
                                                                            that take locks 3,252 and 663, and 5.2, 5.9
    event -> wire at 500/s, p50 and p99       14, 28 ms   not measured      target 50; the worst round 38; others 34,
                                                                            29, 28, 26 and 38 (35, 31, 28, 27, 41)
    the same, each event told alone           14, 39 ms   not measured      the worst round 43 (--told-ms 0)
    the same, others take a quarter of both   p99 35 to 44 ms
    10,000 endpoints, 1,000 of them dead      p50 17, p99 73 to 133, longest 184 ms at 540 deliveries/s, every living
                                              one gets everything; 1,845 notices of troubles beside them (p99 56 on a
                                              day on which these cores did a third more; 183 to 325 in a bad hour)
    the same for 150 s (--only m)             p50 20, p99 101, longest 156 ms: by then each dead one has failed so often
                                              that fifty are told of it; 13,770 such notices beside 81,000 events
    a neighbour of costly templates (c)       p50 57 to 123, p99 155 to 257 ms, before ADR 53 1,363 and 2,594:
                                              100 events for 50 endpoints with 400 places each take 3 to 9 s alone;
                                              149 and 318 ms in that hour, and 12 s

The cores of another day did twice as much: 6,969 and 1,205 deliveries, p99 27 to 37 ms each event alone. Those of a
slower machine did 2,299, 2,699 and 2,759 in three runs, and requests.Session 509, 543 and 565: 4.5, 4.9 and 4.7 times
less CPU, so the target of 5 is missed there. p99 was 51, 44 and 31 ms, that of 10,000 endpoints 183 and 111.

What else wants the two cores decides the p99. At 500/s the webhooks have 0.47 of them, the store 0.27, the broker 0.24,
and who tells the events 0.22, or 0.40 where it tells each alone. A broker's Java that compiles itself a second time has
0.7 instead of 0.24 for its first half minute, and p99 is 90 to 135 ms while it does (RINGMASTER_BROKER_COMPILER=4): a
company's broker has done so long ago, so that of this run leaves it out. What the first compiler costs is told apart.

What the store has is the delivery log's (twice as much before first tries were plain inserts and an endpoint's figures
of a minute were written once a second). With 10,000 endpoints it has the better half of the two cores; p99 was 85 to
166 ms while all figures were written at once, in turn with the above.
"""

from gevent import monkey

if __name__ == "__main__":
    monkey.patch_all()

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeAlias
from uuid import uuid4

import gevent

from bench.listener import broker
from bench.report import Row, Target, show, write
from local.broker.kafka import FIRST_COMPILER
from services.shared.bus.producer import Producer
from services.shared.bus.topics import CALLS, TENANTS
from services.shared.chassis.documents import open_database
from services.shared.contracts.ringmaster.v1.event_pb2 import CallEnded, Event, Party
from services.shared.contracts.ringmaster.v1.tenant_pb2 import TenantDocument, WebhookEndpoint
from services.shared.testing.document_store import document_store

OURS, PEER = "ringmaster webhooks", "requests.Session + kafka-python"
SECRET, SECRET_REF = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=", "main"
TENANTS_OF_ONE = 50
"""Tenants of one endpoint each: so many keep-alive connections the bare ways of sending were measured with."""
MANY_TENANTS, ENDPOINTS_EACH, DEAD_SHARE = 200, 50, 10
COSTLY_EVENTS, COSTLY_PLACES, NEIGHBOURS, NEIGHBOURS_RATE = 100, 400, 20, 50
WIRE_RATE, MANY_RATE = 500, 12
TOLD_MS = 5.0
"""A router tells together what one look at its inputs has brought: so often at these rates (2 ms and the asking)."""
FRESH_SECONDS = 10.0
"""The broker of a run is new: its Java compiles what is called often for that long."""
PATIENCE_SECONDS = 240.0
CHUNK = 500


# -- the world around -------------------------------------------------------------------------------------------------


@contextmanager
def store(folder: Path) -> Iterator[str]:
    """Give a document store."""
    given = os.environ.get("MONGODB_URI", "")
    if given:
        yield given
        return
    folder.mkdir()
    with document_store(folder, syncs=False) as uri:
        yield uri


class Sink:
    """The process of the receivers."""

    def __init__(self) -> None:
        command = [sys.executable, "-m", "bench.webhooks.sink"]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None  # noqa: S101 - it is a pipe
        ports = json.loads(self.process.stdout.readline())
        self.good, self.hung = f"http://127.0.0.1:{ports['good']}", f"http://127.0.0.1:{ports['hung']}"
        self.notices = 0

    def lags(self) -> list[float]:
        """Return what came since the last time, milliseconds from event to arrival."""
        with urllib.request.urlopen(f"{self.good}/figures") as answer:  # noqa: S310 - our own
            found = json.load(answer)
        self.notices += found["notices"]
        lags: list[float] = found["lags"]
        return lags

    def stop(self) -> None:
        """End it."""
        self.process.kill()
        self.process.wait()


Tenants: TypeAlias = Callable[[str, Sink], list[TenantDocument]]
"""Makes the companies of a run, named after it."""


def event(tenant_id: str, number: int) -> Event:
    """Return the end of a call, as a router tells it, with its moment in its id."""
    made = Event(event_id=f"e{time.time_ns()}-{number}", tenant_id=tenant_id, call_id=f"call-{number}", sequence=9)
    made.time.GetCurrentTime()
    caller = Party(number="+380671234567", name="Оксана")
    made.call_ended.CopyFrom(
        CallEnded(line="+380441000001", caller=caller, wait_ms=9_100, talk_ms=184_000, queue_id="sales", agent_id="ann")
    )
    return made


def publish(producer: Producer, events: list[Event]) -> None:
    records = [(each.tenant_id, each.SerializeToString(), each.time.ToMilliseconds(), None) for each in events]
    producer.send_many(CALLS, records)


def put_tenants(producer: Producer, documents: list[TenantDocument]) -> None:
    for document in documents:
        producer.send(TENANTS, document.tenant_id, document.SerializeToString(), timestamp_ms=0)
    producer.flush(30)


def small(run: str, sink: Sink) -> list[TenantDocument]:
    """Return tenants of one endpoint each."""
    return [
        TenantDocument(
            tenant_id=f"{run}-{number}",
            webhooks=[WebhookEndpoint(endpoint_id="crm", url=f"{sink.good}/hook/{number}", secret_ref=SECRET_REF)],
        )
        for number in range(TENANTS_OF_ONE)
    ]


def large(run: str, sink: Sink) -> list[TenantDocument]:
    """Return 10,000 endpoints, each tenth of them dead: half of those refuse connections, half never answer."""
    documents = []
    for tenant in range(MANY_TENANTS):
        hooks = []
        for number in range(ENDPOINTS_EACH):
            url = sink.good
            if number % DEAD_SHARE == 0:
                url = sink.hung if number % (2 * DEAD_SHARE) else "http://127.0.0.1:1"
            hooks.append(
                WebhookEndpoint(endpoint_id=f"e{number}", url=f"{url}/{tenant}/{number}", secret_ref=SECRET_REF)
            )
        documents.append(TenantDocument(tenant_id=f"{run}-{tenant}", webhooks=hooks))
    return documents


def costly(run: str, sink: Sink) -> list[TenantDocument]:
    """Return a tenant of many endpoints with a costly template each, and neighbours of one endpoint."""
    places = ("data.line", "data.caller.name", "data.queue_id", "data.agent_id")
    text = " ".join("{{" + places[number % len(places)] + "}}" for number in range(COSTLY_PLACES))
    hooks = [
        WebhookEndpoint(
            endpoint_id=f"e{number}",
            url=f"{sink.good}/costly/{number}",
            secret_ref=SECRET_REF,
            template=json.dumps({"number": number, "text": text}),
        )
        for number in range(ENDPOINTS_EACH)
    ]
    return [TenantDocument(tenant_id=f"{run}-costly", webhooks=hooks), *small(run, sink)[:NEIGHBOURS]]


# -- the contestants, each a process of its own -----------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Contestant:
    """A dispatcher as a process, and the companies that it serves."""

    process: subprocess.Popen[bytes]
    uri: str
    documents: list[TenantDocument]
    producer: Producer

    def cpu(self) -> float:
        """Return the CPU seconds that it has used."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def happen(self, number: int) -> Event:
        """Return an event of this moment; the companies have one after another."""
        return event(self.documents[number % len(self.documents)].tenant_id, number)


@contextmanager
def serving(who: str, world: tuple[str, Sink], tenants: Tenants) -> Iterator[Contestant]:
    """Let a contestant serve companies of its own, with a document store that has nothing else to do."""
    bootstrap, sink = world
    run, producer = f"run{uuid4().hex[:8]}", Producer(bootstrap, "bench")
    documents = tenants(run, sink)
    put_tenants(producer, documents)
    with tempfile.TemporaryDirectory() as folder, store(Path(folder, "documents")) as server:
        secrets, uri = Path(folder, "secrets.json"), f"{server}/bench_{uuid4().hex[:8]}"
        secrets.write_text(json.dumps({f"{each.tenant_id}/{SECRET_REF}": SECRET for each in documents}))
        environment = os.environ | {
            "RINGMASTER_KAFKA_BOOTSTRAP": bootstrap,
            "RINGMASTER_MONGODB_URI": uri,
            "RINGMASTER_WEBHOOK_SECRETS": str(secrets),
            "RINGMASTER_WEBHOOK_ALLOW_PRIVATE": "127.0.0.0/8",
            "RINGMASTER_HTTP_PORT": "0",
            "BENCH_RUN": run,
        }
        module = "services.webhooks" if who == OURS else "bench.webhooks.peer"
        process = subprocess.Popen([sys.executable, "-m", module], env=environment)
        try:
            yield Contestant(process, uri, documents, producer)
        finally:
            process.terminate()
            process.wait(20)
            # Ours, in the next measurement, hears what the peer was told. While it tried 10,000 deliveries without a
            # secret again and again, the store had 0.85 of a core instead of 0.27.
            put_tenants(producer, [TenantDocument(tenant_id=each.tenant_id) for each in documents])
            producer.close()


def wait_for(sink: Sink, wanted: int, lags: list[float]) -> None:
    """Collect arrivals until so many came."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while len(lags) < wanted:
        if time.monotonic() > deadline:
            sys.exit(f"only {len(lags)} of {wanted} deliveries came in time")
        gevent.sleep(0.05)
        lags += sink.lags()


def wait_for_log(uri: str, wanted: int) -> None:
    """Wait until so many deliveries are in the log."""
    log = open_database(uri, "bench")
    deadline = time.monotonic() + PATIENCE_SECONDS
    while (found := log["deliveries"].estimated_document_count()) < wanted:
        if time.monotonic() > deadline:
            sys.exit(f"only {found} of {wanted} deliveries were logged in time")
        gevent.sleep(0.1)
    log.client.close()


def throughput(who: str, world: tuple[str, Sink], events: int) -> dict[str, float]:
    """Measure a backlog: CPU and time from the first delivery to the last, all logged."""
    _, sink = world
    with serving(who, world, small) as contestant:
        lags: list[float] = []
        publish(contestant.producer, [contestant.happen(number) for number in range(TENANTS_OF_ONE)])
        wait_for(sink, TENANTS_OF_ONE, lags)
        wait_for_log(contestant.uri, TENANTS_OF_ONE)
        cpu, began, lags = contestant.cpu(), time.monotonic(), []
        for first in range(0, events, CHUNK):
            numbers = range(first, min(first + CHUNK, events))
            publish(contestant.producer, [contestant.happen(number) for number in numbers])
            gevent.sleep(0)
        wait_for(sink, events, lags)
        wall = time.monotonic() - began
        wait_for_log(contestant.uri, TENANTS_OF_ONE + events)
        cpu = contestant.cpu() - cpu
    return {"core": events / cpu, "wall": events / wall}


@dataclass(frozen=True, slots=True)
class Pace:
    """How long and how often events happen, and for how long they may wait to be told together."""

    seconds: float
    rate: int
    told_ms: float = TOLD_MS


def paced(world: tuple[str, Sink], pace: Pace, tenants: Tenants) -> dict[str, float]:
    """Measure event -> wire at so many events a second, each from the moment in which it happened.

    From the second on in which all have come once; the first of it, while the broker's Java still compiles itself, is
    told apart from the rest.
    """
    _, sink = world
    with serving(OURS, world, tenants) as contestant:
        alive = [_alive(document, sink) for document in contestant.documents]
        for number in range(len(alive)):
            publish(contestant.producer, [contestant.happen(number)])
        wait_for(sink, sum(alive), [])
        wait_for_log(contestant.uri, sum(alive))
        sink.lags()
        fresh = _play(contestant, sink, replace(pace, seconds=FRESH_SECONDS), alive)
        cpu, sink.notices = contestant.cpu(), 0
        lags = _play(contestant, sink, pace, alive)
        cpu = contestant.cpu() - cpu
    cuts = statistics.quantiles(lags, n=1000)
    shown = {"p50": cuts[499], "p99": cuts[989], "max": max(lags), "core": (len(lags) + sink.notices) / cpu}
    fresh_p99 = statistics.quantiles(fresh, n=100)[98]
    return shown | {"fresh": fresh_p99, "count": float(len(lags)), "notices": float(sink.notices)}


def _alive(document: TenantDocument, sink: Sink) -> int:
    """Return how many of a company's endpoints answer."""
    return sum(":1/" not in hook.url and sink.hung not in hook.url for hook in document.webhooks)


def _play(contestant: Contestant, sink: Sink, pace: Pace, alive: list[int]) -> list[float]:
    """Let events happen, and return how long each took to the wire, milliseconds."""
    lags, untold = list[float](), list[Event]()
    began, wanted, told = time.monotonic(), 0, 0.0
    for number in range(int(pace.seconds * pace.rate)):
        gevent.sleep(max(0.0, began + number / pace.rate - time.monotonic()))
        untold.append(contestant.happen(number))
        wanted += alive[number % len(alive)]
        if (now := time.monotonic()) - told >= pace.told_ms / 1000:
            publish(contestant.producer, untold)
            untold, told = [], now
    publish(contestant.producer, untold)
    wait_for(sink, wanted, lags)
    return lags


def beside_costly(world: tuple[str, Sink]) -> dict[str, float]:
    """Measure event -> wire of a few companies while another one's costly templates keep the process busy."""
    _, sink = world
    with serving(OURS, world, costly) as contestant:
        producer = contestant.producer
        costly_one, *neighbours = (document.tenant_id for document in contestant.documents)
        lags: list[float] = []
        publish(producer, [event(tenant_id, 0) for tenant_id in neighbours])
        wait_for(sink, NEIGHBOURS, lags)
        lags, sink.notices, published = [], 0, 0
        began, cpu = time.monotonic(), contestant.cpu()
        publish(producer, [unmeasured(event(costly_one, number)) for number in range(COSTLY_EVENTS)])
        while sink.notices < COSTLY_EVENTS * ENDPOINTS_EACH:
            publish(producer, [event(neighbours[published % NEIGHBOURS], published)])
            published += 1
            gevent.sleep(max(0.0, began + published / NEIGHBOURS_RATE - time.monotonic()))
            lags += sink.lags()
            if time.monotonic() - began > PATIENCE_SECONDS:
                sys.exit(f"only {sink.notices} of the costly deliveries came in time")
        wall, cpu = time.monotonic() - began, contestant.cpu() - cpu
        wait_for(sink, published, lags)
    cuts = statistics.quantiles(lags, n=100)
    return {"p50": cuts[49], "p99": cuts[98], "max": max(lags), "count": float(len(lags)), "wall": wall, "cpu": cpu}


def unmeasured(made: Event) -> Event:
    """Return an event whose way is not measured: its id tells no moment."""
    made.event_id = f"costly-{made.event_id}"
    return made


# -- the table --------------------------------------------------------------------------------------------------------


def compare(events: int, rounds: int, pace: Pace, only: str) -> None:
    with broker() as bootstrap:
        sink = Sink()
        world = (bootstrap, sink)
        try:
            # In turn: these cores' speed may be another one a minute later.
            turns = [
                {who: throughput(who, world, of_round) for stage, who, of_round in _contest(events) if stage in only}
                for _ in range(rounds)
            ]
            rows, targets = _throughput_rows(turns)
            if "w" in only:
                wires = [paced(world, pace, small) for _ in range(rounds)]
                # Only for the first of them is the broker new.
                wire = _median(wires) | {"fresh": wires[0]["fresh"]}
                worst = max(one["p99"] for one in wires)
                rows += _wire_rows(f"{pace.rate}/s", wire)
                rows.append(Row(OURS, f"event -> wire p99, {pace.rate}/s, the worst of {rounds} rounds", worst, "ms"))
                targets.append(
                    Target(f"event -> wire p99 at {pace.rate}/s, ms", "<= 50", wire["p99"], wire["p99"] <= 50)
                )
            if "m" in only:
                many = paced(world, replace(pace, rate=MANY_RATE), large)
                rows += _wire_rows("10,000 endpoints, 1,000 dead", many)
            if "c" in only:
                rows += _costly_rows(beside_costly(world))
        finally:
            sink.stop()
    show(rows, targets)
    print(write("webhooks", rows, targets))


def _contest(events: int) -> Iterator[tuple[str, str, int]]:
    """Give the stage of each contestant, who it is, and how many events it has in a round."""
    yield "t", OURS, events
    yield "p", PEER, events // 4


def _throughput_rows(turns: list[dict[str, dict[str, float]]]) -> tuple[list[Row], list[Target]]:
    found = {who: _median([turn[who] for turn in turns]) for who in turns[0]}
    rows, targets = list[Row](), list[Target]()
    for who, figures in found.items():
        rows += [
            Row(who, "deliveries a CPU second", figures["core"], "1/s"),
            Row(who, "deliveries a second, as it went", figures["wall"], "1/s"),
            Row(who, "CPU a thousand deliveries", 1e6 / figures["core"], "ms"),
        ]
    if OURS in found:
        core = found[OURS]["core"]
        targets.append(Target("deliveries a second and core, end to end", ">= 2500", core, core >= 2500))
    if len(found) == len((OURS, PEER)):
        ratio = statistics.median(turn[OURS]["core"] / turn[PEER]["core"] for turn in turns)
        targets.append(Target("CPU, times less than requests.Session", ">= 5", ratio, ratio >= 5))
    return rows, targets


def _median(rounds: list[dict[str, float]]) -> dict[str, float]:
    return {name: statistics.median(one[name] for one in rounds) for name in rounds[0]}


def _time_rows(where: str, figures: dict[str, float]) -> list[Row]:
    return [
        Row(OURS, f"event -> wire p50, {where}", figures["p50"], "ms"),
        Row(OURS, f"event -> wire p99, {where}", figures["p99"], "ms"),
        Row(OURS, f"event -> wire longest, {where}", figures["max"], "ms"),
    ]


def _wire_rows(where: str, figures: dict[str, float]) -> list[Row]:
    return [
        *_time_rows(where, figures),
        Row(OURS, f"event -> wire p99, {where}, the first {FRESH_SECONDS:.0f} s of a broker", figures["fresh"], "ms"),
        Row(OURS, f"deliveries a CPU second, {where}", figures["core"], "1/s"),
        Row(OURS, f"deliveries, {where}", figures["count"], ""),
        Row(OURS, f"notices of troubles beside them, {where}", figures["notices"], ""),
    ]


def _costly_rows(figures: dict[str, float]) -> list[Row]:
    where = "beside another company's costly templates"
    return [
        *_time_rows(where, figures),
        Row(OURS, f"events, {where}", figures["count"], ""),
        Row(OURS, f"the costly company's {COSTLY_EVENTS * ENDPOINTS_EACH:,} deliveries took", figures["wall"], "s"),
        Row(OURS, "CPU of all that", figures["cpu"], "s"),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(prog="bench.webhooks")
    parser.add_argument("--events", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--told-ms", type=float, default=TOLD_MS, help="so often events are told; 0: each alone")
    parser.add_argument("--only", default="tpwmc", help="throughput, peer, wire, many, costly")
    options = parser.parse_args()
    # A broker of a run lives for minutes: compiling itself a second time would be most of what it does.
    os.environ.setdefault("RINGMASTER_BROKER_COMPILER", FIRST_COMPILER)
    pace = Pace(options.seconds, WIRE_RATE, options.told_ms)
    compare(options.events, options.rounds, pace, options.only)


if __name__ == "__main__":
    main()
