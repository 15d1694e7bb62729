"""How long a caller and a free agent wait for each other.

Measured from the event that makes an offer possible, as it leaves the switch, to `originate` on FreeSWITCH's wire,
through the whole local stack (listener, Kafka, router, Kafka, listener).

`python -m bench.latency` or `make bench-latency`; LATENCY_SECONDS is the length of each step (20).
"""

from gevent import monkey

monkey.patch_all()

import os  # noqa: E402 - the patch comes first
import shutil  # noqa: E402
import sys  # noqa: E402
import time  # noqa: E402

import yaml  # noqa: E402

from bench.latency.tap import Tap  # noqa: E402
from bench.report import Row, Target, show, write  # noqa: E402
from local.stack.layout import Layout  # noqa: E402
from local.stack.stack import Stack  # noqa: E402
from local.stack.web import get  # noqa: E402

RATES = (10, 50, 100)
TENANTS = 4
TALK_SECONDS = 1.5
ANSWER_SECONDS = 0.2
# Ringing, talk and the platform's own part; agents are enough for all calls and a fifth more.
HANDLE_SECONDS = TALK_SECONDS + ANSWER_SECONDS + 0.8
P50_TARGET_MS, P99_TARGET_MS = 12.0, 40.0
TARGET_RATE = 50
PORTS_ABOVE = 80
TAP_PORT_ABOVE = 30
# Calls of the first seconds meet cold caches; they are not counted.
WARM_UP_SHARE = 0.2


def measure(rate: int, seconds: float) -> list[tuple[float, str]]:
    """Play `rate` calls a second for a while; return the waits in seconds."""
    base = Layout.from_environment("bench-latency")
    layout = Layout(base.folder, base.base_port + PORTS_ABOVE)
    shutil.rmtree(layout.folder, ignore_errors=True)
    agents = max(4, int(rate * HANDLE_SECONDS * 1.2 / TENANTS) + 1)
    folder = layout.path("documents-of-tenants", "x").parent
    for number in range(TENANTS):
        text = yaml.safe_dump(_tenant(number, agents), sort_keys=False)
        (folder / f"bench{number}.yaml").write_text(text, encoding="utf-8")
    scenario = layout.path("scenario.yaml")
    scenario.write_text(yaml.safe_dump(_scenario(rate, seconds, agents)), encoding="utf-8")
    tap = Tap(("127.0.0.1", layout.port("event_socket")))
    tapped = tap.serve(layout.base_port + TAP_PORT_ABOVE)
    stack = Stack(layout, {"RINGMASTER_ESL_PORT": str(tapped.address[1])}, scenario, lambda _line: None, folder)
    try:
        stack.start()
        deadline = time.monotonic() + seconds * 3 + 60
        while get(layout.url("switch", "/status"))["phase"] != "drained" and time.monotonic() < deadline:
            time.sleep(0.5)
    finally:
        stack.stop()
        tapped.stop()
    return tap.waits[int(len(tap.waits) * WARM_UP_SHARE) :]


def _tenant(number: int, agents: int) -> dict[str, object]:
    ids = [f"a{each}" for each in range(agents)]
    return {
        "tenant_id": f"bench{number}",
        "name": f"Bench {number}",
        "time_zone": "Europe/Kyiv",
        "languages": ["en"],
        "domain": f"bench{number}.example",
        "lines": [{"number": f"+38044200000{number}", "flow": "main"}],
        "agents": [{"agent_id": each, "name": each, "phone": each} for each in ids],
        "queues": [
            {
                "queue_id": "all",
                "strategy": "longest_idle",
                "ring_timeout_seconds": 20,
                "wrap_up_seconds": 0,
                "service_level_seconds": 20,
                "tiers": [{"agent_id": each, "level": 1, "position": place + 1} for place, each in enumerate(ids)],
            }
        ],
        "flows": [
            {
                "flow_id": "main",
                "start": "wait",
                "steps": [
                    {"step_id": "wait", "queue": {"queue_id": "all"}, "exits": {"timeout": "bye", "no_agent": "bye"}},
                    {"step_id": "bye", "hangup": {}},
                ],
            }
        ],
        "recording": {"mode": "none"},
    }


def _scenario(rate: int, seconds: float, agents: int) -> dict[str, object]:
    lines = [{"number": f"+38044200000{number}", "calls_per_hour": rate * 3600 / TENANTS} for number in range(TENANTS)]
    phones = [
        {"id": f"a{each}", "domain": f"bench{number}.example", "answer": ANSWER_SECONDS}
        for number in range(TENANTS)
        for each in range(agents)
    ]
    callers = {"patience": 60, "talk": TALK_SECONDS, "ends_first": 1.0}
    return {"minutes": seconds / 60, "seed": 1, "callers": callers, "lines": lines, "agents": phones}


def _quantile(waits: list[float], share: float) -> float:
    return sorted(waits)[min(len(waits) - 1, int(len(waits) * share))] * 1000 if waits else float("nan")


def main() -> int:
    """Measure each rate, print the table, write build/bench/latency.json."""
    seconds = float(os.environ.get("LATENCY_SECONDS", "20"))
    rows: list[Row] = []
    targets: list[Target] = []
    for rate in RATES:
        print(f"{rate} calls/s for {seconds:.0f} s …", flush=True)
        waits = measure(rate, seconds)
        for who in ("caller joins", "agent free"):
            own = [wait for wait, kind in waits if kind == who]
            rows.append(Row(f"{who}, {rate} calls/s", "offers", len(own), "offers"))
            rows.append(Row(f"{who}, {rate} calls/s", "event -> originate p50", _quantile(own, 0.5), "ms"))
            rows.append(Row(f"{who}, {rate} calls/s", "event -> originate p99", _quantile(own, 0.99), "ms"))
        if rate == TARGET_RATE:
            every = [wait for wait, _ in waits]
            for name, share, limit in (("p50", 0.5, P50_TARGET_MS), ("p99", 0.99, P99_TARGET_MS)):
                measured = _quantile(every, share)
                targets.append(
                    Target(
                        f"event -> originate {name}, {rate} calls/s", f"<= {limit:g} ms", measured, measured <= limit
                    )
                )
    show(rows, targets)
    print("written:", write("latency", rows, targets))
    return 0


if __name__ == "__main__":
    sys.exit(main())
