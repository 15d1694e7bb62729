"""The long form: `make simulation`. Prints how queueing theory and the core agree, case by case, then chaos by seeds.

SIM_HOURS is the virtual time of each case, in hours; without it 40, some minutes on two cores.
SIM_CALLS is how many calls the days that go wrong have altogether; without it 20,000. SIM_SEED is the first day's.
"""

import os
import sys
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor, as_completed

from services.shared.contracts.ringmaster.v1 import tenant_pb2 as tn
from tests.simulation import chaos, queueing
from tests.simulation.queueing import Case, Comparison
from tests.simulation.world import START_MS, Hall, Load

DEFAULT_HOURS = 40.0
DEFAULT_CALLS = 20_000
CALLS_A_DAY = 500
SPEED = Load(100, 0.85 * 100 / 300, 300.0, strategy=tn.STRATEGY_LONGEST_IDLE)
SPEED_CALLERS = 4_000
SPEED_TARGET = 2_000
HEADINGS = ("waits", "mean wait, s", "within 20 s", "abandon")


def main() -> int:
    """Run everything; return 1 when anything does not hold."""
    hours = float(os.environ.get("SIM_HOURS") or DEFAULT_HOURS)
    failed = _show_speed()
    failed += _show_queueing(hours)
    failed += _show_chaos(int(os.environ.get("SIM_CALLS") or DEFAULT_CALLS), int(os.environ.get("SIM_SEED") or 1))
    return 1 if failed else 0


def _say(line: str = "") -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def _show_speed() -> int:
    """Say how much faster than the clock a hall of 100 agents at 85 % runs; slowness is told, and fails nothing."""
    case = Case("speed", SPEED)
    hall = Hall(SPEED, "speed", case.expected.states)
    began, former = time.perf_counter(), hall.core.offset
    hall.run(SPEED_CALLERS)
    took = time.perf_counter() - began
    virtual = (hall.moments.now_ms - START_MS) / 1000
    inputs = hall.core.offset - former
    _say(
        f"Speed: 100 agents, 85 % occupied, talks of 300 s: {virtual / took:,.0f} times real time "
        f"(target {SPEED_TARGET:,}), {inputs / took:,.0f} inputs/s, {inputs / SPEED_CALLERS:.1f} inputs a call"
    )
    return 0


def _show_queueing(hours: float) -> int:
    cases = queueing.cases()
    callers = {case.name: queueing.callers_in(case, hours) for case in cases}
    _say()
    _say(f"Queueing theory: {len(cases)} cases of {hours:g} virtual hours, {sum(callers.values()):,} callers")
    with ProcessPoolExecutor(max_workers=os.cpu_count()) as pool:
        longest_first = sorted(cases, key=lambda case: -callers[case.name])
        waited = {pool.submit(queueing.run, case, callers[case.name]): case for case in longest_first}
        found = {}
        for done in as_completed(waited):
            found[waited[done].name] = done.result()
            _progress(f"{len(found)} of {len(cases)} cases")
    comparisons = queueing.compare([(case, found[case.name]) for case in cases])
    _say(f"{'case':36}" + "".join(f"{heading:>30}" for heading in HEADINGS))
    for case in cases:
        _say(f"{case.name:36}" + "".join(_cell(one) for one in comparisons if one.case is case))
    faults = queueing.faults(comparisons)
    _say(
        f"{len(comparisons)} comparisons (theory, measured ± 99 %): {queueing.outside(comparisons)} cases miss their "
        f"own interval, up to {queueing.most_missed(comparisons)} may by chance; * misses the family's interval"
    )
    for fault in faults:
        _say(f"FAULT: {fault}")
    return len(faults)


def _show_chaos(calls: int, seed: int) -> int:
    days = -(-calls // CALLS_A_DAY)
    _say()
    _say(f"Chaos: {days:,} days of {CALLS_A_DAY} calls, two tenants each, seeds from {seed}")
    counts: Counter[str] = Counter()
    faults, played, inputs, began = 0, 0, 0, time.perf_counter()
    with ProcessPoolExecutor(max_workers=os.cpu_count()) as pool:
        waited = {pool.submit(chaos.play, seed + day, CALLS_A_DAY): seed + day for day in range(days)}
        for number, done in enumerate(as_completed(waited), 1):
            error = done.exception()
            if error is not None:
                faults += 1
                _say(f"FAULT: seed {waited[done]}: {type(error).__name__}: {error}")
                continue
            told = done.result()
            counts += told.counts
            played, inputs = played + told.calls, inputs + told.inputs
            _progress(f"{number:,} of {days:,} days, {played:,} calls, {faults} faults")
    rate = inputs / (time.perf_counter() - began)
    _say(f"{played:,} calls, {inputs:,} inputs, each decided twice and watched, {rate:,.0f}/s; {faults} faults")
    for kinds in (("exit ",), ("offer_",), ("queue_", "call_transferred", "callback_", "config_", "switch_restarted")):
        found = sorted(kind for kind in counts if kind.startswith(kinds))
        _say("  " + ", ".join(f"{kind.removeprefix('exit ')} {counts[kind]:,}" for kind in found))
    return faults


def _cell(one: Comparison) -> str:
    mark = " " if one.plain.holds(one.theory) else "-" if one.wide.holds(one.theory) else "*"
    return f"{one.theory:10.4f} {one.plain.mean:9.4f} ±{one.plain.half:7.4f}{mark}"


def _progress(line: str) -> None:
    sys.stderr.write(f"\r{line} ")
    sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main())
