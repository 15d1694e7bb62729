"""How cheaply, how evenly and how fast the event socket is read: ours beside its peers and its limits.

`python -m bench.esl [--rounds N]`: real captured events (the life of calls: inbound under control, agent legs that
fail, abandons, hang-ups, transfers) are replayed over loopback by one process to a reader in another. Every reader
takes the 15 headers that a fact needs out of each event (they must agree on the values found), the limits take none.
Readers run one after another within a round, rounds are interleaved, figures are medians.

- burst: 20,000 events as fast as the reader takes them, 6.6 kB each: CPU an event, events/s, the longest time for which
  another greenlet that wants to run every millisecond could not, growth of resident memory, events lost.
- stream: 5,000 events/s for six seconds; one event of fifty is answered by a command; the replaying process measures
  from its send of the event to the command on its wire.

Two busy cores, medians of five rounds:

    reader                     µs CPU/event x greensw.  events/s  pause ms     MB  lost   p50 ms   p99 ms
    ours, plain                        12.7      11.82     77019       5.1    2.0     0     0.22     0.59
    ours, json                         14.0      10.78     70811       4.7    2.0     0        -        -
    greenswitch 0.0.19                152.6       1.00      6486    2996.2  535.4     0     1.09   180.89
    genesis                           460.8       0.33      2161      52.4    2.0     0  4523.31  8178.23
    libesl (C)                         90.4       1.69     10540         -    0.0     0        -        -
    limit: frames split only            3.2      47.97         -         -      -     -        -        -
    limit: receive only                 1.8      86.23         -         -      -     -        -        -

(genesis reads fewer events a second than the stream brings, so its latency is its queue.)

Written to build/bench/esl.json as {"rows": [{who, metric, value, unit}], "targets": [{metric, target, measured, met}]}.
"""

import argparse
import contextlib
import json
import statistics
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

from bench.esl import peers
from bench.esl.peers import ROOT, Peer
from bench.esl.replay import STREAM_EVENTS_PER_SECOND, STREAM_SECONDS

BURST_EVENTS = 20_000
STREAM_EVENTS = STREAM_EVENTS_PER_SECOND * STREAM_SECONDS
READER_SECONDS = 120
REPORT = ROOT / "build" / "bench" / "esl.json"
UNITS = {
    "cpu_us": "µs CPU an event",
    "ratio": "x greenswitch",
    "events_s": "events/s",
    "pause_ms": "ms longest pause",
    "memory_mb": "MB grown",
    "lost": "lost",
    "p50_ms": "ms event to command, p50",
    "p99_ms": "ms event to command, p99",
}
Figures = dict[str, dict[str, list[float]]]


def readers() -> list[tuple[Peer, str]]:
    """Name every reader and the event format it is given."""
    here = (sys.executable, "-m", "bench.esl.readers")
    return [
        (Peer("ours, plain", (*here, "ours")), "plain"),
        (Peer("ours, json", (*here, "ours")), "json"),
        (Peer("greenswitch 0.0.19", (*here, "greenswitch")), "plain"),
        (peers.genesis(), "plain"),
        (peers.libesl(), "plain"),
        (Peer("limit: frames split only", (*here, "split"), streams=False, headers=False), "plain"),
        (Peer("limit: receive only", (*here, "receive"), streams=False, headers=False), "plain"),
    ]


@contextlib.contextmanager
def replaying(mode: str, form: str, count: int) -> Iterator[tuple[int, list[str]]]:
    """Run the replaying process; yield its port and the list that gets its last line once it has ended."""
    command = [sys.executable, "-m", "bench.esl.replay", mode, form, str(count)]
    said: list[str] = []
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        assert process.stdout is not None  # noqa: S101  it was asked for above
        try:
            yield int(process.stdout.readline()), said
            said.append(process.communicate(timeout=READER_SECONDS)[0])
        finally:
            process.kill()


def measure(peer: Peer, mode: str, form: str, count: int) -> dict[str, Any]:
    """Run one reader against one replay; return the figures of both."""
    with replaying(mode, form, count) as (port, said):
        command = [*peer.command, str(port), str(count), form, *peer.after]
        reader = subprocess.run(command, check=False, capture_output=True, text=True, timeout=READER_SECONDS, cwd=ROOT)
        if reader.returncode:
            sys.exit(f"{peer.who} failed: {reader.stderr[-2000:]}")
    return {**json.loads(reader.stdout.splitlines()[-1]), **json.loads(said[0])}


def one_round(figures: Figures, everyone: list[tuple[Peer, str]]) -> None:
    """Let everyone read a burst, then those who can answer a stream."""
    values = set()
    for peer, form in everyone:
        burst = measure(peer, "burst", form, BURST_EVENTS)
        if peer.headers:
            values.add(burst["values"])
        for metric in ("cpu_us", "events_s", "pause_ms", "memory_mb", "lost"):
            if metric in burst and (peer.headers or metric == "cpu_us"):
                figures[peer.who][metric].append(burst[metric])
    if len(values) != 1:
        sys.exit(f"the readers found different numbers of values in the same events: {sorted(values)}")
    for peer, form in everyone:
        if peer.streams and form == "plain":
            latencies = sorted(measure(peer, "stream", form, STREAM_EVENTS)["latencies_ms"])
            figures[peer.who]["p50_ms"].append(latencies[len(latencies) // 2])
            figures[peer.who]["p99_ms"].append(latencies[int(len(latencies) * 0.99)])


def medians(figures: Figures) -> dict[str, dict[str, float]]:
    """Take the median of every figure, and of the ratio to greenswitch round by round."""
    stock = figures["greenswitch 0.0.19"]["cpu_us"]
    for of_one in figures.values():
        of_one["ratio"] = [theirs / own for theirs, own in zip(stock, of_one["cpu_us"], strict=True)]
    return {
        who: {metric: statistics.median(of_one[metric]) for metric in UNITS if of_one[metric]}
        for who, of_one in figures.items()
    }


def targets(results: dict[str, dict[str, float]]) -> list[dict[str, Any]]:
    """Set what was measured beside what was asked."""
    plain = results["ours, plain"]
    asked = [
        ("CPU per event against greenswitch", "ratio", 8.0, ">="),
        ("longest pause in a burst of 20,000 events, ms", "pause_ms", 25.0, "<="),
        ("memory grown in the burst, MB", "memory_mb", 32.0, "<="),
        ("events lost in the burst", "lost", 0.0, "<="),
        ("event to command at 5,000 events/s, p99 ms", "p99_ms", 3.0, "<="),
    ]
    return [
        {
            "metric": name,
            "target": f"{sign} {limit:g}",
            "measured": round(plain[metric], 3),
            "met": plain[metric] >= limit if sign == ">=" else plain[metric] <= limit,
        }
        for name, metric, limit, sign in asked
    ]


def table(results: dict[str, dict[str, float]], absent: list[Peer]) -> str:
    """Lay the medians out as text."""
    head = f"{'reader':26}{'µs CPU/event':>13}{'x greensw.':>11}{'events/s':>10}{'pause ms':>10}{'MB':>7}{'lost':>6}"
    lines = [head + f"{'p50 ms':>9}{'p99 ms':>9}"]
    widths = {"cpu_us": "13.1f", "ratio": "11.2f", "events_s": "10.0f", "pause_ms": "10.1f", "memory_mb": "7.1f"}
    widths |= {"lost": "6.0f", "p50_ms": "9.2f", "p99_ms": "9.2f"}
    for who, of_one in results.items():
        cells = [f"{of_one[m]:{w}}" if m in of_one else "-".rjust(int(w.split(".")[0])) for m, w in widths.items()]
        lines.append(f"{who:26}" + "".join(cells))
    return "\n".join([*lines, *(f"{peer.who:26} not measured: {peer.missing}" for peer in absent)])


def main() -> None:
    parser = argparse.ArgumentParser(description="Read captured events: ours beside its peers and limits.")
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    everyone = readers()
    absent = [peer for peer, _ in everyone if peer.missing]
    present = [(peer, form) for peer, form in everyone if not peer.missing]
    figures: Figures = defaultdict(lambda: defaultdict(list))
    for number in range(rounds):
        print(f"round {number + 1} of {rounds}", file=sys.stderr, flush=True)
        one_round(figures, present)
    results = medians(figures)
    print(table(results, absent))
    goals = targets(results)
    for goal in goals:
        print(f"{'met' if goal['met'] else 'MISSED':7}{goal['metric']}: {goal['measured']} (target {goal['target']})")
    rows = [
        {"who": who, "metric": metric, "value": value, "unit": UNITS[metric]}
        for who, of_one in results.items()
        for metric, value in of_one.items()
    ]
    REPORT.parent.mkdir(parents=True, exist_ok=True)
    REPORT.write_text(json.dumps({"rows": rows, "targets": goals}, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
