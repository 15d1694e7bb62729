"""How long a caller and a free agent wait for each other.

Measured from the event that makes an offer possible, as it leaves the switch, to `originate` on FreeSWITCH's wire,
through the whole local stack (listener, Kafka, router, Kafka, listener), everything on the same two cores.

    who waits for whom                          offers       p50        p99    targets 12 and 40 ms
    caller joins, 10 calls/s                       194     5.5 ms    10.3 ms
    caller joins, 50 calls/s                       979     6.8 ms    20.0 ms   met
    caller joins, 100 calls/s                    1,959    11.5 ms    39.4 ms
    agent free, 2,000 agents, 1,000 waiting        808    10.4 ms    23.3 ms   met

305 times faster in the large hall than mod_callcenter there (p50 3,164 ms). Before the statistics read each
leg's last fact (ADR 25) the four rows were 4.3 / 9.7, 6.4 / 19.8, 10.8 / 31.8 and 7.7 / 19.8 ms, taken in the same way
on the same machine; what else changed in between was not measured apart. In the hall, before that,
of a core: listener and router 30 % each, simulated switch and document store 18, broker 15, statistics 13, webhooks 11.

`python -m bench.latency` or `make bench-latency`; LATENCY_SECONDS is the length of each step (20).
"""

from gevent import monkey

monkey.patch_all()

import os  # noqa: E402 - the patch comes first
import shutil  # noqa: E402
import sys  # noqa: E402
import time  # noqa: E402
from dataclasses import dataclass  # noqa: E402

import yaml  # noqa: E402

from bench.latency import callcenter  # noqa: E402
from bench.latency.tap import Tap  # noqa: E402
from bench.report import Row, Target, show, write  # noqa: E402
from local.stack.layout import Layout  # noqa: E402
from local.stack.stack import Stack  # noqa: E402

TENANTS = 4
# Of fewer offers a quantile says nothing.
FEWEST = 100
ANSWER_SECONDS = 0.2
# The platform's own part of an agent's busy time.
SPARE_SECONDS = 0.8
P50_TARGET_MS, P99_TARGET_MS = 12.0, 40.0
PORTS_ABOVE = 80
TAP_PORT_ABOVE = 30


@dataclass(frozen=True, slots=True)
class Stage:
    """What is played: `calls` come each second, so many agents talk for `talk_seconds` each time."""

    name: str
    calls: float
    agents: int
    talk_seconds: float
    warm_up_seconds: float = 40.0
    """Until then Java still compiles the broker's code, which takes half a core; these calls are not counted."""
    has_target: bool = False


def _with_free_agents(calls: int, *, has_target: bool = False) -> Stage:
    """Return a stage with agents for all calls and a fifth more."""
    talk_seconds = 1.5
    agents = max(16, int(calls * (talk_seconds + ANSWER_SECONDS + SPARE_SECONDS) * 1.2))
    return Stage(f"{calls} calls/s", calls, agents, talk_seconds, has_target=has_target)


STAGES = (
    _with_free_agents(10),
    _with_free_agents(50, has_target=True),
    _with_free_agents(100),
    # 2,000 agents end 50 calls a second; ten more a second come than that, so after two minutes 1,000 are waiting.
    Stage("2,000 agents, 1,000 waiting, 50 calls/s", 60, 2_000, 39.0, 140.0, has_target=True),
)


def measure(stage: Stage, seconds: float) -> list[tuple[float, str]]:
    """Play a stage, first to warm up, then for `seconds`; return the waits in seconds, and who waited for whom."""
    base = Layout.from_environment("bench-latency")
    layout = Layout(base.folder, base.base_port + PORTS_ABOVE)
    shutil.rmtree(layout.folder, ignore_errors=True)
    folder = layout.path("documents-of-tenants", "x").parent
    agents = -(-stage.agents // TENANTS)
    for number in range(TENANTS):
        text = yaml.safe_dump(_tenant(number, agents), sort_keys=False)
        (folder / f"bench{number}.yaml").write_text(text, encoding="utf-8")
    scenario = layout.path("scenario.yaml")
    played_seconds = stage.warm_up_seconds + seconds
    scenario.write_text(yaml.safe_dump(_scenario(stage, played_seconds, agents)), encoding="utf-8")
    tap = Tap(("127.0.0.1", layout.port("event_socket")))
    tapped = tap.serve(layout.base_port + TAP_PORT_ABOVE)
    stack = Stack(layout, {"RINGMASTER_ESL_PORT": str(tapped.address[1])}, scenario, lambda _line: None, folder)
    try:
        stack.start()
        tap.counts_from = time.perf_counter() + stage.warm_up_seconds
        time.sleep(played_seconds)
    finally:
        stack.stop()
        tapped.stop()
    return tap.waits


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


def _scenario(stage: Stage, seconds: float, agents: int) -> dict[str, object]:
    calls_per_hour = stage.calls * 3600 / TENANTS
    lines = [{"number": f"+38044200000{number}", "calls_per_hour": calls_per_hour} for number in range(TENANTS)]
    phones = [
        {"id": f"a{each}", "domain": f"bench{number}.example", "answer": ANSWER_SECONDS}
        for number in range(TENANTS)
        for each in range(agents)
    ]
    callers = {"patience": 600, "talk": stage.talk_seconds, "ends_first": 1.0}
    return {"minutes": seconds / 60, "seed": 1, "callers": callers, "lines": lines, "agents": phones}


def _quantile(waits: list[float], share: float) -> float:
    return sorted(waits)[min(len(waits) - 1, int(len(waits) * share))] * 1000 if waits else float("nan")


def main() -> int:
    """Measure each stage, print the table, write build/bench/latency.json."""
    seconds = float(os.environ.get("LATENCY_SECONDS", "20"))
    rows: list[Row] = []
    targets: list[Target] = []
    for stage in STAGES:
        print(f"{stage.name}: {stage.warm_up_seconds:.0f} s to warm up, then {seconds:.0f} s …", flush=True)
        waits = measure(stage, seconds)
        for who in ("caller joins", "agent free"):
            own = [wait for wait, kind in waits if kind == who]
            if len(own) < FEWEST:
                continue
            rows.append(Row(f"{who}, {stage.name}", "offers", len(own), "offers"))
            rows.append(Row(f"{who}, {stage.name}", "event -> originate p50", _quantile(own, 0.5), "ms"))
            rows.append(Row(f"{who}, {stage.name}", "event -> originate p99", _quantile(own, 0.99), "ms"))
        if stage.has_target:
            targets += _targets(stage, [wait for wait, _ in waits])
    freeswitch = callcenter.program()
    if freeswitch is None:
        print("No FreeSWITCH with mod_callcenter here: its rows are left out (FREESWITCH_BIN names one).")
    else:
        rows += callcenter.rows(freeswitch, seconds)
    show(rows, targets)
    print("written:", write("latency", rows, targets))
    return 0


def _targets(stage: Stage, waits: list[float]) -> list[Target]:
    found = []
    for name, share, limit in (("p50", 0.5, P50_TARGET_MS), ("p99", 0.99, P99_TARGET_MS)):
        measured = _quantile(waits, share)
        metric = f"event -> originate {name}, {stage.name}"
        found.append(Target(metric, f"<= {limit:g} ms", measured, measured <= limit))
    return found


if __name__ == "__main__":
    sys.exit(main())
