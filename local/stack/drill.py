"""A rolling restart under load: each service is asked to stop (SIGTERM), and comes back, while calls keep coming.

What must hold: it says that it is not ready before it stops working, it ends by itself and in time, no call is dropped,
no event is lost.
"""

import json
import os
import shutil
import time
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

import gevent
import yaml

from local.stack.balance import Row, table
from local.stack.demo import compared, settle, status_of
from local.stack.layout import ROOT, Layout
from local.stack.part import Part, PartFailed, answers
from local.stack.parts import DRILLED, SERVICES
from local.stack.stack import Say, Stack
from local.stack.waits import Call, Stopped, dropped, longest_waits
from local.stack.watching import Watcher
from local.stack.web import get, post

REPORT: Final = ROOT / "build" / "drill.json"
PORTS_ABOVE: Final = 60
SECOND_ROUTER, SECOND_ROUTER_PORT = "router-2", 30
# The shops' numbers; one of them records, so that the recorder has work.
SHOPS: Final = DRILLED
RECORDED: Final = 0.1
TALK_SECONDS, ANSWER_SECONDS, SPARE_SECONDS = 3.0, 0.5, 2.0
WARM_UP_SECONDS, BETWEEN_SECONDS, STOP_SECONDS, BACK_SECONDS = 15.0, 4.0, 13.0, 60.0
RINGING_SECONDS: Final = 30
MOST_TOLD: Final = 20


@dataclass(frozen=True, slots=True)
class Stop:
    """How one service stopped and came back. `said_seconds`: how long it said that it stops while it still answered."""

    service: str
    stop_seconds: float
    exit_code: int
    said_seconds: float
    back_seconds: float
    asked_at: float
    """Epoch seconds."""

    @property
    def is_graceful(self) -> bool:
        """Whether it ended by itself, in time, and told before."""
        return self.exit_code == 0 and self.stop_seconds <= STOP_SECONDS and self.said_seconds > 0


def play(say: Say) -> int:
    """Run it: DRILL_CALLS a second (20), DRILL_SERVICES (all). Returns 0 when all holds.

    DRILL_WARM_UP and DRILL_BETWEEN are the seconds before the first service and behind each.
    """
    calls = float(os.environ.get("DRILL_CALLS", "20"))
    names = os.environ.get("DRILL_SERVICES", ",".join((*SERVICES, SECOND_ROUTER))).split(",")
    warm_up = float(os.environ.get("DRILL_WARM_UP", WARM_UP_SECONDS))
    between = float(os.environ.get("DRILL_BETWEEN", BETWEEN_SECONDS))
    base = Layout.from_environment("drill")
    layout = Layout(base.folder, base.base_port + PORTS_ABOVE)
    shutil.rmtree(layout.folder, ignore_errors=True)
    scenario, tenants = _write(layout, calls)
    say(f"{calls:g} calls a second, real time; each of {', '.join(names)} is asked to stop in turn.")
    stack, stops = Stack(layout, {}, scenario, say, tenants), list[Stop]()
    try:
        stack.start()
        stack.add(_second_router(stack))
        time.sleep(warm_up)
        for name in names:
            stops.append(_stop_and_start(stack, name, say))
            time.sleep(between)
        post(layout.url("switch", "/drain"), {})
        _wait_until_drained(stack)
        rows = settle(layout, say, _compared)
    finally:
        stack.stop()
    return _report(stops, rows, json.loads(layout.path("truth.json").read_text(encoding="utf-8"))["calls"], calls, say)


def _second_router(stack: Stack) -> Part:
    """Return another router: in a cluster there are two, and who stops hands its tenants over."""
    first, port = stack.part("router"), stack.layout.base_port + SECOND_ROUTER_PORT
    own = {"RINGMASTER_ROUTER_NAME": SECOND_ROUTER, "RINGMASTER_HTTP_PORT": str(port)}
    ready = partial(answers, f"http://127.0.0.1:{port}/readyz")
    log = stack.layout.path("logs", f"{SECOND_ROUTER}.log")
    return Part(SECOND_ROUTER, list(first.command), ready, log, first.environment | own)


def _stop_and_start(stack: Stack, name: str, say: Say) -> Stop:
    """Ask one service to stop, watch what it says, start it again, and wait until it is ready."""
    part = stack.part(name)
    port = int(part.environment["RINGMASTER_HTTP_PORT"])
    watcher = Watcher(port)
    asked, asked_at = time.monotonic(), time.time()
    part.ask_to_stop()
    while part.is_running and time.monotonic() - asked < STOP_SECONDS + 5:
        watcher.look()
        gevent.sleep(0.01)
    stopped = time.monotonic()
    code = part.exit_code
    part.kill()  # one that did not end is told of in the report; its successor needs its port
    stack.start_again(name)
    while not answers(f"http://127.0.0.1:{port}/readyz"):
        if time.monotonic() - stopped > BACK_SECONDS:
            raise PartFailed(f"{name} is not ready again after {BACK_SECONDS:.0f} s:\n{part.last_words()}")
        gevent.sleep(0.05)
    found = Stop(
        name,
        round(stopped - asked, 2),
        -1 if code is None else code,
        round(watcher.said_seconds, 2),
        round(time.monotonic() - stopped, 2),
        round(asked_at, 3),
    )
    say(f"  {name:<9} stopped in {found.stop_seconds:.2f} s, back after {found.back_seconds:.2f} s")
    return found


def _wait_until_drained(stack: Stack) -> None:
    deadline = time.monotonic() + 120
    while status_of(stack.layout)["phase"] != "drained":
        if time.monotonic() > deadline:
            raise PartFailed("The drill does not end: callers are stuck on the line.")
        stack.watch()
        time.sleep(1)


def _compared(layout: Layout) -> list[Row]:
    """Hold the books against each other: one shop records, and nobody may have been dropped.

    Every caller waits long enough and hangs up after the talk: whoever had none, or was cut off, was dropped.
    """
    calls = get(layout.url("switch", "/truth"))["calls"]
    rows = {row.what: row for row in compared(layout)}
    stored = rows.pop("recordings stored = calls answered").found
    recorded = sum(bool(call["talks"]) and call["line"] == _number(0) for call in calls)
    return [
        *rows.values(),
        Row("recordings stored = calls of who records", recorded, stored),
        Row("calls without a talk", 0, sum(not call["talks"] for call in calls)),
        Row("calls that the caller did not end", 0, sum(call["hung_up_by"] != "caller" for call in calls)),
    ]


def _write(layout: Layout, calls: float) -> tuple[Path, Path]:
    """Write the shops and the callers; return where."""
    agents = max(8, int(calls * (TALK_SECONDS + ANSWER_SECONDS + SPARE_SECONDS) * 1.5 / len(SHOPS)))
    folder = layout.path("shops", "x").parent
    for number, shop in enumerate(SHOPS):
        document = _shop(shop, number, agents)
        (folder / f"{shop}.yaml").write_text(yaml.safe_dump(document, sort_keys=False), encoding="utf-8")
    scenario = layout.path("scenario.yaml")
    scenario.write_text(yaml.safe_dump(_callers(calls, agents)), encoding="utf-8")
    return scenario, folder


def _shop(shop: str, number: int, agents: int) -> dict[str, Any]:
    ids = [f"a{each}" for each in range(agents)]
    queue = {
        "queue_id": "all",
        "strategy": "longest_idle",
        "ring_timeout_seconds": RINGING_SECONDS,
        "wrap_up_seconds": 0,
        "tiers": [{"agent_id": each} for each in ids],
    }
    exits = {"timeout": "bye", "no_agent": "bye"}
    steps = [{"step_id": "wait", "queue": {"queue_id": "all"}, "exits": exits}, {"step_id": "bye", "hangup": {}}]
    return {
        "tenant_id": shop,
        "name": shop,
        "time_zone": "Europe/Kyiv",
        "languages": ["en"],
        "domain": f"{shop}.example",
        "lines": [{"number": _number(number), "flow": "main"}],
        "agents": [{"agent_id": each, "name": each, "phone": each} for each in ids],
        "queues": [queue],
        "flows": [{"flow_id": "main", "start": "wait", "steps": steps}],
        "recording": {"mode": "all" if number == 0 else "none"},
        "webhooks": [
            {
                "endpoint_id": "receiver",
                "url": f"http://127.0.0.1:${{RECEIVER_PORT}}/hooks/{shop}",
                "secret_ref": "receiver",
                "events": ["call.started", "call.ended"],
            }
        ],
    }


def _callers(calls: float, agents: int) -> dict[str, Any]:
    shares = (RECORDED, 1 - RECORDED)
    return {
        "minutes": 60,
        "seed": 1,
        "callers": {"patience": 600, "talk": TALK_SECONDS, "ends_first": 1.0},
        "lines": [
            {"number": _number(number), "calls_per_hour": calls * share * 3600} for number, share in enumerate(shares)
        ],
        "agents": [
            {"id": f"a{each}", "domain": f"{shop}.example", "answer": ANSWER_SECONDS}
            for shop in SHOPS
            for each in range(agents)
        ],
    }


def _number(shop: int) -> str:
    return f"+38044300000{shop}"


def _report(stops: list[Stop], rows: list[Row], calls: list[Call], calls_a_second: float, say: Say) -> int:
    asked = [Stopped(stop.service, stop.asked_at) for stop in stops]
    waits = longest_waits(calls, asked)
    say(f"\n{'service':<12}{'stops in':>10}{'says so for':>13}{'back after':>12}{'slowest talk':>14}")
    for stop, wait in zip(stops, waits, strict=True):
        verdict = "ok" if stop.is_graceful else f"<-- code {stop.exit_code}"
        say(
            f"{stop.service:<12}{stop.stop_seconds:>8.2f} s{stop.said_seconds:>11.2f} s{stop.back_seconds:>10.2f} s"
            f"{wait:>12.2f} s  {verdict}"
        )
    say("\n" + table(rows))
    holds = all(stop.is_graceful for stop in stops) and all(row.balances for row in rows)
    lost = dropped(calls, asked)
    for sentence in lost[:MOST_TOLD]:
        say(f"dropped: {sentence}")
    say("\nThe drill holds." if holds else "\nThe drill does NOT hold.")
    document = {
        "holds": holds,
        "calls_a_second": calls_a_second,
        "stops": [
            asdict(stop) | {"is_graceful": stop.is_graceful, "slowest_talk_seconds": wait}
            for stop, wait in zip(stops, waits, strict=True)
        ],
        "dropped": lost,
        "rows": [{"what": row.what, "expected": row.expected, "found": row.found} for row in rows],
    }
    report = Path(os.environ.get("DRILL_REPORT", REPORT))
    report.parent.mkdir(exist_ok=True)
    report.write_text(json.dumps(document, indent=2), encoding="utf-8")
    return 0 if holds else 1
