"""How much of everything: `python -m deploy.capacity --calls-per-second 50 --talk-seconds 180` prints a plan.

Each figure that was measured says where: a bench of bench/, in whose table it stands (a test compares), on two cores
that nothing else used. What is an estimate says so. A plan is for the busiest hour, with a third kept free and one node
that may be lost.
"""

import argparse
import json
import math
import sys
from dataclasses import asdict, dataclass
from typing import Final

FREE_SHARE: Final = 0.67
"""Of what a core can do: above it, waiting grows faster than work."""
CONTROLLED_CALLS_A_SECOND: Final = 30.0
"""A second and switch, clean; 45 degraded. Measured on FreeSWITCH 1.10.12 with a whole flow a call."""
LEGS_A_CORE: Final = 400.0
"""Estimate: G.711 on both legs, no transcoding, recorded; a browser's Opus leg counts as four."""
OPUS_LEG: Final = 4.0
INPUTS_A_CALL: Final = 23.3
EVENTS_A_CALL: Final = 23.1
"""Both counted in the log of a demo: 333 calls with menus, callbacks and agents at work, 7,757 inputs, 7,708 events."""
ROUTER_INPUTS_A_CORE: Final = 41_800.0
"""bench/router.py: whole decisions, the pure core, the least of its sizes."""
ROUTER_SHELL_SHARE: Final = 0.06
"""Of the pure core's rate, with the broker's client around it: 40 offers/s of 18 inputs take 30 % (bench/latency)."""
LISTENER_FACTS_A_CORE: Final = 35_859.0
"""bench/listener.py: socket to acknowledged."""
WEBHOOKS_A_CORE: Final = 6_969.0
"""bench/webhooks: consume, match, sign, send, log."""
STATS_EVENTS_A_CORE: Final = 16_700.0
"""bench/stats/saturation.py: live numbers and documents, with the true broker and store."""
OFFER_P50_MS, OFFER_P99_MS = 6.8, 20.0
"""bench/latency: a caller joins or an agent is free, until his phone is asked to ring; 50 calls/s, all on two cores."""
LOG_BYTES_AN_INPUT: Final = 181.0
LOG_BYTES_AN_EVENT: Final = 407.0
"""On a broker's disk, in the same demo."""
INPUTS_DAYS, EVENTS_DAYS = 7, 90
BROKER_COPIES: Final = 3
DOCUMENT_BYTES_A_CALL: Final = 6_000.0
RECORDING_BYTES_A_SECOND: Final = 32_000.0
"""Two channels of 8 kHz and 16 bits, on a switch's disk and in the store until it is encoded."""
OPUS_BYTES_A_SECOND: Final = 1_700.0
"""Stereo at 16 kb/s kept apart: 6 MB an hour."""
OUTAGE_HOURS: Final = 4.0
"""Recordings and facts wait on a switch's disk for so long when the store or the broker is away."""
TRANSCRIBE_REAL_TIME_FACTOR: Final = 0.076
"""bench/transcribe: core seconds a second of speech, whisper-base, Russian calls of half a minute; longer take less."""
LEGS_A_SWITCH: Final = 2_000
BUSY_HOURS_A_DAY: Final = 6.0
DAY_SECONDS: Final = 86_400


@dataclass(frozen=True, slots=True)
class Load:
    """The busiest hour, and how things are kept."""

    tenants: int
    calls_per_second: float
    talk_seconds: float
    wait_seconds: float = 20.0
    browser_share: float = 0.5
    recorded_share: float = 1.0
    transcribed_share: float = 0.0
    endpoints_a_tenant: float = 1.0
    agents: int | None = None
    cores_a_node: int = 16

    @property
    def concurrent_calls(self) -> float:
        """Return the calls at one moment (Little's law)."""
        return self.calls_per_second * (self.talk_seconds + self.wait_seconds)


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the plan: of what, how much, in which unit, and why."""

    part: str
    amount: float
    unit: str
    why: str


def plan(load: Load) -> list[Line]:
    """Return the plan of a load."""
    return [*_switches(load), *_deciding(load), *_following(load), *_stores(load)]


def _switches(load: Load) -> list[Line]:
    legs = load.concurrent_calls + load.calls_per_second * load.talk_seconds
    weighed = legs * (1 + load.browser_share / 2 * (OPUS_LEG - 1))
    by_sound = weighed / (LEGS_A_CORE * FREE_SHARE * (load.cores_a_node - 1))
    by_set_up = load.calls_per_second / (CONTROLLED_CALLS_A_SECOND * FREE_SHARE)
    by_legs = legs / LEGS_A_SWITCH
    switches = math.ceil(max(by_sound, by_set_up, by_legs, 1)) + 1
    which = max((by_sound, "sound"), (by_set_up, "calls a second"), (by_legs, "legs"))[1]
    disk = load.calls_per_second * load.talk_seconds * load.recorded_share * RECORDING_BYTES_A_SECOND
    per_switch = disk * OUTAGE_HOURS * 3600 / (switches - 1)
    return [
        Line("concurrent calls", load.concurrent_calls, "calls", "calls a second x (talk + wait)"),
        Line("switches", switches, "nodes", f"one may be lost; decided by {which}"),
        Line("switch: cores", load.cores_a_node, "a node", "one for listener and recorder"),
        Line("switch: recordings disk", per_switch / 1e9, "GB", f"{OUTAGE_HOURS:g} h without the object store"),
        Line("switch: RTP ports", 2 * math.ceil(legs / (switches - 1)) * 2, "ports", "two a leg, and as many again"),
    ]


def _deciding(load: Load) -> list[Line]:
    inputs = load.calls_per_second * INPUTS_A_CALL
    a_core = ROUTER_INPUTS_A_CORE * ROUTER_SHELL_SHARE * FREE_SHARE
    routers = max(2, math.ceil(inputs / a_core) + 1)
    listeners = inputs / (LISTENER_FACTS_A_CORE * FREE_SHARE)
    partitions = max(24, 1 << math.ceil(math.log2(2 * routers)))
    return [
        Line("inputs", inputs, "a second", f"{INPUTS_A_CALL:g} a call"),
        Line("routers", routers, "pods of a core", "one may be lost"),
        Line("companies a router", load.tenants / max(1, routers - 1), "tenants", "each of them whole on one core"),
        Line("listeners together", listeners, "cores", "beside the switches"),
        Line("partitions", partitions, "each topic", "for good: twice the routers, a power of two"),
        Line("agent asked to ring, p50", OFFER_P50_MS, "ms", "after both are free; 50 calls/s, all on two cores"),
        Line("agent asked to ring, p99", OFFER_P99_MS, "ms", "the same"),
    ]


def _following(load: Load) -> list[Line]:
    events = load.calls_per_second * EVENTS_A_CALL
    deliveries = events * load.endpoints_a_tenant
    webhooks = max(2, math.ceil(deliveries / (WEBHOOKS_A_CORE * FREE_SHARE)) + 1)
    speech = load.calls_per_second * load.talk_seconds * load.transcribed_share
    stats = events / (STATS_EVENTS_A_CORE * FREE_SHARE)
    agents = load.agents or math.ceil(load.calls_per_second * load.talk_seconds * 1.2)
    return [
        Line("public events", events, "a second", f"{EVENTS_A_CALL:g} a call"),
        Line("webhooks", webhooks, "pods of a core", f"{deliveries:,.0f} deliveries a second; one may be lost"),
        Line("statistics", stats, "cores", "above 1: tenants have to be shared among several, which is not there yet"),
        Line("consoles", max(2, math.ceil(agents / 2_000) + 1), "pods", f"{agents:,} agents; an estimate"),
        Line("transcription", speech * TRANSCRIBE_REAL_TIME_FACTOR / FREE_SHARE, "cores", "whisper-base on processors"),
    ]


def _stores(load: Load) -> list[Line]:
    calls_a_day = load.calls_per_second * 3600 * BUSY_HOURS_A_DAY
    inputs = calls_a_day * INPUTS_A_CALL * LOG_BYTES_AN_INPUT * INPUTS_DAYS
    events = calls_a_day * EVENTS_A_CALL * LOG_BYTES_AN_EVENT * EVENTS_DAYS
    talk = calls_a_day * load.talk_seconds * load.recorded_share
    return [
        Line("calls a day", calls_a_day, "calls", f"the busiest hour, {BUSY_HOURS_A_DAY:g} times"),
        Line("Kafka: disk, all brokers", (inputs + events) * BROKER_COPIES / 1e9, "GB", f"{BROKER_COPIES} copies"),
        Line("MongoDB: growth", calls_a_day * DOCUMENT_BYTES_A_CALL / 1e9, "GB a day", "an estimate, with indexes"),
        Line("object store: wav", talk * RECORDING_BYTES_A_SECOND / 1e9, "GB a day", "as recorded"),
        Line("object store: opus", talk * OPUS_BYTES_A_SECOND / 1e9, "GB a day", "once encoded"),
    ]


def table(lines: list[Line]) -> str:
    """Draw the plan for a person."""
    return "\n".join(f"{one.part:<26}{one.amount:>14,.1f}  {one.unit:<15} {one.why}" for one in lines)


def main(arguments: list[str]) -> int:
    """Print the plan; return the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m deploy.capacity", description="How much of everything a load needs."
    )
    parser.add_argument("--tenants", type=int, default=1_000)
    parser.add_argument(
        "--calls-per-second", type=float, required=True, help="in the busiest hour, all tenants together"
    )
    parser.add_argument("--talk-seconds", type=float, default=180.0)
    parser.add_argument("--wait-seconds", type=float, default=20.0)
    parser.add_argument("--browser-share", type=float, default=0.5, help="of agents on WebRTC (Opus)")
    parser.add_argument("--recorded-share", type=float, default=1.0)
    parser.add_argument("--transcribed-share", type=float, default=0.0)
    parser.add_argument("--cores-a-node", type=int, default=16)
    parser.add_argument("--json", action="store_true")
    options = vars(parser.parse_args(arguments))
    as_json = options.pop("json")
    lines = plan(Load(**options))
    sys.stdout.write((json.dumps([asdict(one) for one in lines], indent=1) if as_json else table(lines)) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
