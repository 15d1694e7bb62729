"""What a reader measures of itself. The standard library only: peers run it in an environment of their own."""

import json
import os
import resource
import sys
import time
from pathlib import Path

HEADERS = (
    "Event-Name",
    "Unique-ID",
    "Core-UUID",
    "Event-Sequence",
    "Event-Date-Timestamp",
    "Caller-Destination-Number",
    "Caller-Caller-ID-Number",
    "Call-Direction",
    "Answer-State",
    "Hangup-Cause",
    "Other-Leg-Unique-ID",
    "variable_sip_hangup_disposition",
    "variable_ringmaster_tenant",
    "Application-UUID",
    "Application",
)
"""The headers that a fact needs."""

PING = "variable_bench_ping"
"""An event that has it is to be answered with `api ping <its value>`."""

TICK_SECONDS = 0.001


class Run:
    """One burst as the reader saw it: from the subscription to the last event."""

    def __init__(self, expected: int) -> None:
        self.expected = expected
        self.events = 0
        self.values = 0
        self.longest_pause = 0.0
        self.last_tick = 0.0
        self._begun: tuple[float, float, int] | None = None
        self._ended: tuple[float, float, int] | None = None

    @property
    def is_over(self) -> bool:
        """Whether the last event has come."""
        return self.events >= self.expected

    def begin(self) -> None:
        """Call just before subscribing: a reader may read a lot before it hands anything over."""
        if self._begun is None:
            self._begun = (time.process_time(), time.perf_counter(), _resident_bytes())
            self.last_tick = time.perf_counter()

    def event(self, values: list[str]) -> None:
        """Call with the values of HEADERS of one event, "" for an absent one."""
        self.events += 1
        self.values += len(values) - values.count("")
        if self.events == self.expected:
            self.end()

    def tick(self) -> None:
        """Call about every millisecond from another greenlet or task."""
        now = time.perf_counter()
        if self._begun and not self._ended:
            self.longest_pause = max(self.longest_pause, now - self.last_tick - TICK_SECONDS)
        self.last_tick = now

    def end(self) -> None:
        """Call at the last event, or when no more come."""
        self.tick()
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        self._ended = (time.process_time(), time.perf_counter(), peak)

    def report(self) -> None:
        """Print the figures as one JSON line."""
        if self._begun is None or self._ended is None:
            sys.exit("the burst did not come or did not end")
        cpu, wall, memory = (end - begin for begin, end in zip(self._begun, self._ended, strict=True))
        figures = {
            "cpu_us": cpu / self.expected * 1e6,
            "events_s": self.events / wall,
            "pause_ms": self.longest_pause * 1e3,
            "memory_mb": max(0.0, memory) / 1e6,
            "lost": self.expected - self.events,
            "values": self.values,
        }
        print(json.dumps(figures), flush=True)


def _resident_bytes() -> int:
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")
