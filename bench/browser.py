"""How long an event takes to a browser: `python -m bench.browser`. Kafka, the statistics and Chromium on this machine.

An event's way: producer, broker, live numbers, server-sent event, page, the browser's next painting. The peer is a page
that asks each second, as wallboards without a stream do; the limit is the wait for more that a frame may have (0.25 s).

    300 events, alone on two cores                      p50         p99
    asking each second                               539 ms    1,004 ms
    ringmaster                                       109 ms      271 ms    target 500
"""

import itertools
import json
import random
import statistics
import sys
import tempfile
import threading
import time
import urllib.request
from pathlib import Path

from bench.report import Row, Target, show, write
from bench.stats.stack import stack
from local.stack.layout import Layout
from local.stack.parts import ADMIN_TOKEN
from services.shared.bus.events import publish_event
from services.shared.bus.producer import Producer
from services.shared.contracts.ringmaster.v1.event_pb2 import CallStarted
from services.stats.feed import COALESCE_SECONDS
from tests.browser.eye import Eye, chromium
from tests.unit.stats.events import LINE, TENANT, event

EVENTS = 300
POLL_SECONDS = 1.0
WANTED_MS = 500.0
LOOK_MS = 20_000
Seen = list[tuple[int, int]]
"""(newest event shown, when), milliseconds."""


def tell(layout: Layout) -> list[int]:
    """Tell events at uneven moments; return when each happened."""
    dice, producer, told = random.Random(5), Producer(layout.address("kafka"), "bench"), []
    for number in range(EVENTS):
        told.append(time.time_ns() // 1_000_000)
        publish_event(producer, event(told[-1], 1, f"c{number}", call_started=CallStarted(line=LINE)))
        time.sleep(dice.uniform(0.02, 0.4))
    producer.flush(10)
    time.sleep(2 * POLL_SECONDS)
    producer.close()
    return told


def poll(layout: Layout, seen: Seen, stopping: threading.Event) -> None:
    """Ask for the live numbers each second, as a page without a stream does."""
    request = urllib.request.Request(  # noqa: S310 - loopback only
        layout.url("stats", f"/v1/live?tenant={TENANT}"), headers={"Authorization": f"Bearer {ADMIN_TOKEN}"}
    )
    while not stopping.wait(POLL_SECONDS):
        with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310 - the same
            newest = json.loads(answer.read())["last_event_ms"] or 0
        seen.append((newest, time.time_ns() // 1_000_000))


def delays(told: list[int], seen: Seen) -> list[float]:
    """Return how long each event took until it, or a later one, was shown."""
    found = []
    for at_ms in told:
        shown_ms = next((when for newest, when in seen if newest >= at_ms), None)
        if shown_ms is None:
            raise SystemExit(f"an event of {at_ms} was never shown")
        found.append(float(shown_ms - at_ms))
    return sorted(found)


def rows(who: str, found: list[float]) -> list[Row]:
    """Return a half's and 99 of 100's delay."""
    middle, late = statistics.median(found), found[int(len(found) * 0.99) - 1]
    return [Row(who, "event to screen, p50", middle, "ms"), Row(who, "event to screen, p99", late, "ms")]


def main() -> int:
    """Measure and report."""
    if chromium() is None:
        sys.stderr.write("There is no Chromium. On a Debian: apt-get install chromium\n")
        return 2
    with tempfile.TemporaryDirectory() as name, stack(Path(name)) as (layout, _parts):
        polled: Seen = []
        stopping, eye = threading.Event(), Eye()
        eye.begin(Path(name))
        eye.do("open", url=layout.url("stats", f"/login?token={ADMIN_TOKEN}&tenant={TENANT}"))
        eye.do("see", selector="#contact[data-state=live]", ms=LOOK_MS)
        eye.do("collect")
        poller = threading.Thread(target=poll, args=(layout, polled, stopping))
        poller.start()
        told = tell(layout)
        stopping.set()
        poller.join()
        shown: Seen = [(newest, when) for newest, when in eye.do("collected")]
        eye.close()
    ours, theirs = delays(told, shown), delays(told, polled)
    table = [Row("limit: wait for more", "event to screen, p99", COALESCE_SECONDS * 1000, "ms")]
    table += itertools.chain(rows("asking each second", theirs), rows("ringmaster", ours))
    late = ours[int(len(ours) * 0.99) - 1]
    targets = [Target("event to browser, p99", f"<= {WANTED_MS:g} ms", round(late), late <= WANTED_MS)]
    show(table, targets)
    write("browser", table, targets)
    return 0


if __name__ == "__main__":
    sys.exit(main())
