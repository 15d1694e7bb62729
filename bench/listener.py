"""From the event socket to Kafka's acknowledgement: our listener beside one of stock greenswitch and kafka-python.

`python -m bench.listener [--events N] [--rounds R] [--memory-events N]`. A process of its own replays calls captured
from a real FreeSWITCH, each time with new leg ids; the broker is RINGMASTER_KAFKA_BOOTSTRAP or one started for the run.
Both publish one record for each event that is a fact; measured from the first event to the last acknowledgement.

Seen on two cores that nothing else used, medians of five interleaved runs of 40,000 events:

                                            ours          stock parts
    CPU per event                           18.3 us       113 us          6.17 times less, 4 wanted
    facts acknowledged a second and core    35,859        6,465           15,000 wanted
    longest pause of the hub, wall clock    9.4 ms        1,379 ms
    longest pause of the hub, own CPU       5.4 ms        1,021 ms        25 wanted
    memory, 10 % to 100 % of 10^6 events    + 0.95 MB     not measured    32 wanted

A broker that is away is no part of it: tests/integration/listener/test_broker_outage.py kills one. With
RINGMASTER_OUTAGE_SECONDS=300 and nine calls a second: 2,700 calls, 1.5 MB spooled, all told in order 3.6 s after its
return.
"""

from gevent import monkey

if __name__ == "__main__":
    monkey.patch_all()

import argparse
import gc
import json
import os
import re
import select
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import gevent

from bench.esl.corpus import frames
from bench.esl.measure import HEADERS
from bench.report import Row, Target, show, write
from services.listener.domain.headers import EVENTS, SUBCLASSES
from services.shared.bus.topics import INPUTS
from services.shared.testing.ports import free_port

OURS, STOCK = "ringmaster listener", "greenswitch + kafka-python"
LINES = ("1000", "1100", "1200", "85072")
PATIENCE_SECONDS = 400.0
QUIET_SECONDS = 1.0
TICK_SECONDS = 0.005
"""Between two looks of the probe; each wakes the hub, and a thousand a second were a tenth of what was measured."""
_LEG_ID = re.compile(rb"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_NAME = re.compile(rb"\nEvent-Name: ([A-Z_]+)\n")
_NO_FACT = ("CHANNEL_EXECUTE_COMPLETE", "BACKGROUND_JOB", "HEARTBEAT", "CUSTOM")


# -- the replayed switch, a process of its own ------------------------------------------------------------------------


def corpus() -> list[bytes]:
    """Return the captured events that the listener subscribes to."""
    wanted = {name.encode() for name in (*EVENTS, "CUSTOM", "HEARTBEAT", "BACKGROUND_JOB")}
    return [_owned(frame) for frame in frames("plain") if (name := _NAME.search(b"\n" + frame)) and name[1] in wanted]


def _owned(frame: bytes) -> bytes:
    """Give a leg that was called out the variable that our originate sets, so that its events are facts too."""
    body = frame.partition(b"\n\n")[2]
    if b"\nCall-Direction: outbound\n" in body:
        body = body.replace(b"\nCall-Direction: ", b"\nvariable_ringmaster_tenant: bench\nCall-Direction: ", 1)
    return b"Content-Length: %d\nContent-Type: text/event-plain\n\n%b" % (len(body), body)


def stream(count: int) -> Iterator[bytes]:
    """Whole cycles of the corpus cut to `count` events; each cycle's legs have new ids of the same length."""
    events = corpus()
    cycle = 0
    while count > 0:
        some = events[:count]
        count -= len(some)
        mark = b"%08x" % (cycle & 0xFFFFFFFF)
        data = b"".join(some)
        yield _LEG_ID.sub(lambda found, mark=mark: found[0][:24] + mark + found[0][32:], data)  # type: ignore[misc] # a lambda with a default
        cycle += 1


class Replay:
    """Logs in whoever comes, answers what a session asks, streams to who subscribes once the questions are over."""

    def __init__(self, count: int) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.source = stream(count)
        self.heard: dict[socket.socket, bytes] = {}
        self.subscriber: socket.socket | None = None
        self.quiet_since = time.monotonic()
        self.owed = memoryview(b"")

    def serve(self) -> None:
        """Serve until all guests have left."""
        began = time.monotonic()
        had_guest = False
        while time.monotonic() - began < PATIENCE_SECONDS * 4 and not (had_guest and not self.heard):
            is_due = self.subscriber is not None and time.monotonic() - self.quiet_since > QUIET_SECONDS
            writers = [self.subscriber] if is_due and self.subscriber and self._next() else []
            ready, free, _ = select.select([self.listener, *self.heard], writers, [], 0.01)
            for sock in ready:
                self._accept() if sock is self.listener else self._hear(sock)
            for sock in free:
                self._send(sock)
            had_guest = had_guest or bool(self.heard)

    def _next(self) -> bool:
        if not self.owed:
            self.owed = memoryview(next(self.source, b""))
        return bool(self.owed)

    def _send(self, sock: socket.socket) -> None:
        with suppress(BlockingIOError, ConnectionError):
            self.owed = self.owed[sock.send(self.owed[: 1 << 20]) :]

    def _accept(self) -> None:
        sock, _ = self.listener.accept()
        sock.setblocking(False)  # noqa: FBT003 - the socket's own signature
        self.heard[sock] = b""
        sock.send(b"Content-Type: auth/request\n\n")

    def _hear(self, sock: socket.socket) -> None:
        try:
            data = sock.recv(65536)
        except ConnectionError:
            data = b""
        if not data:
            del self.heard[sock]
            self.subscriber = None if sock is self.subscriber else self.subscriber
            return
        *commands, self.heard[sock] = (self.heard[sock] + data).split(b"\n\n")
        for command in commands:
            self.quiet_since = time.monotonic() if self.subscriber is None else self.quiet_since
            sock.send(_answer(command))
            if command.startswith(b"event "):
                self.subscriber, self.quiet_since = sock, time.monotonic()


def _answer(command: bytes) -> bytes:
    if command.startswith(b"api "):
        body = b'{"row_count": 0}' if command.startswith(b"api show") else b"bench"
        return b"Content-Type: api/response\nContent-Length: %d\n\n%s" % (len(body), body)
    return b"Content-Type: command/reply\nReply-Text: +OK accepted\n\n"


# -- what each contestant measures of itself --------------------------------------------------------------------------


class Figures:
    """CPU, wall time, pauses and memory from the first event on."""

    def __init__(self, events: int) -> None:
        self.events = events
        self.begun: tuple[float, float] | None = None
        self.pause = 0.0
        self.work = 0.0
        self.memory: list[float] = []

    def begin(self) -> None:
        """Start at the first event."""
        if self.begun is None:
            self.begun = (time.process_time(), time.perf_counter())

    def watch(self, read: Any) -> None:
        """Run beside the work: measure pauses of the hub, and memory at each tenth of the events."""
        last, last_cpu = time.perf_counter(), time.process_time()
        while True:
            gevent.sleep(TICK_SECONDS)
            now, cpu = time.perf_counter(), time.process_time()
            done = read()
            if done:
                self.begin()
                self.pause = max(self.pause, now - last - TICK_SECONDS)
                self.work = max(self.work, cpu - last_cpu)
            if done * 10 // self.events > len(self.memory):
                self.memory.append(_resident_mb())
            last, last_cpu = now, cpu

    def report(self, facts: int) -> None:
        """Print one JSON line."""
        assert self.begun is not None  # noqa: S101 - the run has had events
        cpu, wall = time.process_time() - self.begun[0], time.perf_counter() - self.begun[1]
        self.memory.append(_resident_mb())
        figures = {
            "cpu_us": cpu / self.events * 1e6,
            "facts_s": facts / wall,
            "events_s": self.events / wall,
            "facts_core_s": facts / cpu,
            "pause_ms": self.pause * 1e3,
            "work_ms": self.work * 1e3,
            "memory_first_mb": self.memory[0],
            "memory_last_mb": max(self.memory[1:], default=self.memory[0]),
            "facts": facts,
        }
        print(json.dumps(figures), flush=True)


def _resident_mb() -> float:
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def run_ours(port: int, bootstrap: str, events: int) -> None:
    """Run the listener as it runs in production, without its web server."""
    from services.listener.adapters import pump  # noqa: PLC0415 - only in its own process
    from services.listener.adapters.bus import KafkaBus  # noqa: PLC0415
    from services.listener.bootstrap import build  # noqa: PLC0415
    from services.listener.domain.directory import TenantEntry  # noqa: PLC0415
    from services.listener.settings import Settings  # noqa: PLC0415
    from services.shared.chassis.clock import Clock  # noqa: PLC0415
    from services.shared.chassis.logs import configure_logs  # noqa: PLC0415
    from services.shared.chassis.supervisor import Supervisor  # noqa: PLC0415

    configure_logs("bench")
    # The replay begins with the subscription, quicker than any switch: 0.4 s of it would be more than may be unread.
    pump.LAG_SECONDS = 0.0
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings("bench", "ClueCon", bootstrap, Path(folder), "/usr/freeswitch/recordings", esl_port=port)
        listener = build(settings, KafkaBus(bootstrap, "bench-listener"), Supervisor(), Clock())
        listener.directory.put(TenantEntry("bench", 1, tuple("+" + line for line in LINES), "bench.example", "en"))
        listener.tenants.loaded.set()
        gc.freeze()  # as the service's own main does
        listener.start()
        figures = Figures(events)
        gevent.spawn(figures.watch, lambda: listener.client.stats.events_received)
        deadline = time.monotonic() + PATIENCE_SECONDS
        while listener.client.stats.events_received < events or not listener.publisher.is_settled:
            if time.monotonic() > deadline:
                sys.exit(f"only {listener.client.stats.events_received} of {events} events came through in time")
            gevent.sleep(0.01)
        figures.report(listener.publisher.settled)
        listener.supervisor.stopping.set()
        gevent.sleep(0.5)  # its spool closes before the folder goes


def run_stock(port: int, bootstrap: str, events: int) -> None:
    """Run what one writes by the two libraries' documentation: a handler, a JSON record, default settings."""
    import greenswitch  # noqa: PLC0415 - only in its own process; the peer that is measured
    from kafka import KafkaProducer  # noqa: PLC0415

    producer = KafkaProducer(bootstrap_servers=bootstrap, acks="all")
    client = greenswitch.InboundESL("127.0.0.1", port, "ClueCon")
    figures = Figures(events)
    seen, sent, acknowledged = [0], [0], [0]

    def settled(_metadata: object) -> None:
        acknowledged[0] += 1

    def publish(event: Any) -> None:
        seen[0] += 1
        if event.headers.get("Event-Name") in _NO_FACT:
            return
        fact = {name: event.headers.get(name, "") for name in HEADERS}
        sent[0] += 1
        producer.send(INPUTS, json.dumps(fact).encode(), key=b"bench").add_callback(settled)

    client.connect()
    client.register_handle("*", publish)
    gevent.spawn(figures.watch, lambda: seen[0])
    client.send(f"event plain {' '.join(EVENTS)} HEARTBEAT BACKGROUND_JOB CUSTOM {' '.join(SUBCLASSES)}")
    deadline = time.monotonic() + PATIENCE_SECONDS
    while seen[0] < events or acknowledged[0] < sent[0]:
        if time.monotonic() > deadline:
            sys.exit(f"only {seen[0]} of {events} events came through in time")
        gevent.sleep(0.01)
    figures.report(acknowledged[0])
    os._exit(0)  # its stop() waits for ever for a reader that waits for bytes


# -- the table --------------------------------------------------------------------------------------------------------


@contextmanager
def broker() -> Iterator[str]:
    """Give a true Kafka with the platform's topics."""
    from local.broker import kafka  # noqa: PLC0415 - only where one is started
    from local.topics import definitions  # noqa: PLC0415
    from services.shared.bus.admin import ensure_topics  # noqa: PLC0415

    given = os.environ.get("RINGMASTER_KAFKA_BOOTSTRAP", "")
    if given:
        yield given
        return
    kafka.ensure_jars()
    with tempfile.TemporaryDirectory() as name:
        port = free_port()
        log = Path(name, "broker.log").open("wb")  # noqa: SIM115 - closed with the broker
        process = subprocess.Popen(kafka.prepare(Path(name), port, free_port()), stdout=log, stderr=subprocess.STDOUT)
        try:
            _wait_for(port)
            ensure_topics(f"127.0.0.1:{port}", definitions())
            yield f"127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait(20)
            log.close()


def _wait_for(port: int) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    sys.exit("the broker did not come up")


def measure(who: str, bootstrap: str, events: int) -> dict[str, float]:
    """Run one contestant in a process of its own against a fresh replay."""
    replay = _start("--replay", "--events", str(events))
    assert replay.stdout is not None  # noqa: S101 - it is a pipe
    port = int(replay.stdout.readline())
    run = _start("--run", who, "--port", str(port), "--bootstrap", bootstrap, "--events", str(events))
    try:
        output, _ = run.communicate(timeout=PATIENCE_SECONDS + 60)
    finally:
        run.kill()
        replay.kill()
        replay.wait()
    if run.returncode != 0:
        sys.exit(f"{who} failed")
    figures: dict[str, float] = json.loads(output.strip().splitlines()[-1])
    return figures


def _start(*arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, "-m", "bench.listener", *arguments], stdout=subprocess.PIPE, text=True)


_UNITS = {
    "cpu_us": ("CPU per event", "us"),
    "facts_s": ("facts acknowledged", "1/s"),
    "events_s": ("events", "1/s"),
    "facts_core_s": ("facts acknowledged per core", "1/s"),
    "pause_ms": ("longest pause of the hub", "ms"),
    "work_ms": ("longest pause of the hub, own CPU time in it", "ms"),
    "memory_last_mb": ("memory at the end", "MB"),
}


def compare(events: int, rounds: int, memory_events: int) -> None:
    """Measure both in turn, then memory over a long run of ours; print the table and write the JSON."""
    with broker() as bootstrap:
        runs: dict[str, list[dict[str, float]]] = {OURS: [], STOCK: []}
        for _ in range(rounds):
            for who, done in runs.items():
                done.append(measure(who, bootstrap, events))
        long = measure(OURS, bootstrap, memory_events) if memory_events else None
    medians = {who: {key: statistics.median(run[key] for run in done) for key in _UNITS} for who, done in runs.items()}
    rows = [Row(who, _UNITS[key][0], values[key], _UNITS[key][1]) for who, values in medians.items() for key in _UNITS]
    ratio = medians[STOCK]["cpu_us"] / medians[OURS]["cpu_us"]
    per_core, work = medians[OURS]["facts_core_s"], medians[OURS]["work_ms"]
    targets = [
        Target("CPU per event, times less than stock parts", ">= 4", ratio, ratio >= 4),
        Target("facts acknowledged per second and core", ">= 15000", per_core, per_core >= 15_000),
        Target("longest pause of the hub, own CPU time in it, ms", "<= 25", work, work <= 25),
    ]
    if long is not None:
        growth = long["memory_last_mb"] - long["memory_first_mb"]
        rows.append(Row(OURS, f"memory growth, 10 % to 100 % of {memory_events} events", growth, "MB"))
        targets.append(Target(f"memory growth over {memory_events} events, MB", "<= 32", growth, growth <= 32))
    show(rows, targets)
    print(write("listener", rows, targets))


def main() -> None:
    parser = argparse.ArgumentParser(prog="bench.listener")
    parser.add_argument("--events", type=int, default=40_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--memory-events", type=int, default=1_000_000)
    parser.add_argument("--replay", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--run", default="", help=argparse.SUPPRESS)
    parser.add_argument("--port", type=int, default=0, help=argparse.SUPPRESS)
    parser.add_argument("--bootstrap", default="", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.replay:
        replay = Replay(options.events)
        print(replay.listener.getsockname()[1], flush=True)
        replay.serve()
    elif options.run:
        {OURS: run_ours, STOCK: run_stock}[options.run](options.port, options.bootstrap, options.events)
    else:
        compare(options.events, options.rounds, options.memory_events)


if __name__ == "__main__":
    main()
