"""How fast the router's core decides: `python -m bench.router`.

First whole call lives on one core, inputs a second; then matching alone (bench/matching.py), decisions a second, its
growth from 10 to 10,000 agents, and how many times a matcher is slower that looks through everybody.

    whole call lives, 2,000 agents, 1,000 waiting     44,700 inputs/s a core     target 20,000 (the least size: 41,800)

The rest, but for the split tenant, on another machine, where whole call lives make 22,200 to 27,100 inputs/s:

    matching                      agent freed           caller joins
          10 agents, 10 waiting   305,000/s, p99 7 µs   488,000/s, p99 4 µs
         100                      290,000         7     448,000         6
       1,000                      240,000        10     352,000         7
      10,000                      181,000        10     228,000         7
    both at 10,000                201,000 decisions/s (target 200,000), 151 x a plain scan (80), growth 1.9 (4.0)

At 10,000 agents the processor's cache decides, and what else uses it: two runs gave 195,000 and 201,000. In turn with
them the matcher before made 142,000 to 176,000. Agents had no standing in common there: what ten thousand share lay in
memory ten thousand times. And the end of each call was counted in, which is no decision (bench/matching.py).
The best of three is told; a plain scan in the same run says how quick the machine was.

A tenant that is split by routing domains (bench/splitting.py; one core for each log, CPU seconds of whole call lives):

    whole tenant, 2,000 agents           2,750 calls/s a core
    split in 4: the reception            8,000, with 9 inputs of a call; this is what all domains together can get
    split in 4: a domain                 2,750, so four of them and the reception decide three times as much
    two domains in two processes         1.6 to 1.8 x one process, on two cores

Last the same hall in the core and in mod_callcenter, where FREESWITCH_BIN has it (bench/freed.py), agent free -> ring:

    100 agents, 50 waiting     core p50 0.13, p99 0.28 ms     mod_callcenter p50 596, p99 1,102 ms
    500 agents, 200 waiting         0.13      0.27                             1,488      5,643
"""

import math
import statistics
import sys
import time

from bench import matching, splitting
from bench.freed import Hall, compare
from bench.report import Row, Target, show, write
from services.router.domain.decide import decide
from services.router.domain.state import TenantState
from services.router.domain.turn import Position
from services.shared.contracts.ringmaster.v1 import request_pb2 as rq
from services.shared.contracts.ringmaster.v1 import switch_pb2 as sw
from services.shared.contracts.ringmaster.v1 import tenant_pb2 as tn
from services.shared.contracts.ringmaster.v1.input_pb2 import Input

TENANT = "acme"
LINE = "+380441000001"
ROUNDS = 5
TARGET_RATE = 20_000
DECISIONS = 100_000
"""Half are timed one by one; the other half takes a quarter of a second, so that one slow moment is not all."""


def tenant(agents: int, queues: int) -> tn.TenantDocument:
    """Return a document with agents spread over queues, each agent in one."""
    document = tn.TenantDocument(tenant_id=TENANT, version=1, time_zone="Europe/Kyiv", domain="acme.example")
    for queue in range(queues):
        tiers = [tn.Tier(agent_id=f"a{agent}", level=1, position=agent) for agent in range(queue, agents, queues)]
        document.queues.add(
            queue_id=f"q{queue}",
            strategy=tn.STRATEGY_LONGEST_IDLE,
            tiers=tiers,
            ring_timeout_seconds=20,
            wrap_up_seconds=10,
            max_wait_seconds=600,
        )
        line = f"+38044{queue:07d}"
        document.lines.add(number=line, flow=f"f{queue}")
        flow = document.flows.add(flow_id=f"f{queue}", start="ask")
        flow.steps.add(step_id="ask", menu=tn.MenuStep(prompts=["hello"])).exits["1"] = "wait"
        flow.steps.add(step_id="wait", queue=tn.QueueStep(queue_id=f"q{queue}"))
    for agent in range(agents):
        document.agents.add(agent_id=f"a{agent}", name=f"Agent {agent}", phone=f"p{agent}")
    return document


class Feeder:
    """Plays calls against the core and counts only the time inside `decide`."""

    def __init__(self, agents: int, queues: int) -> None:
        self.state = TenantState(TENANT)
        self.now_ms = 1_700_000_000_000
        self.offset = 0
        self.seconds = 0.0
        self.slowest = self.took = 0.0
        self._sequence = 0
        self._queues = queues
        self.feed(Input(tenant_id=TENANT, document=tenant(agents, queues)))
        for agent in range(agents):
            ask = rq.SetAgentStatus(agent_id=f"a{agent}", status=rq.AGENT_STATUS_READY)
            self.feed(Input(tenant_id=TENANT, request=rq.Request(request_id=f"r{agent}", set_agent_status=ask)))
        self.seconds, self.offset, self.slowest = 0.0, 0, 0.0

    def feed(self, given: Input) -> object:
        """Decide one input, read from its bytes as the shell does."""
        value = given.SerializeToString()
        self.now_ms += 1
        self.offset += 1
        began = time.thread_time()  # others on the machine take turns with us
        outputs = decide(self.state, Position(0, self.offset), self.now_ms, Input.FromString(value))
        self.took = took = time.thread_time() - began
        self.seconds += took
        self.slowest = max(self.slowest, took)
        self.commands = outputs.commands
        return outputs

    def fact(self, leg_id: str, call_id: str, **body: object) -> None:
        """Tell a fact."""
        self._sequence += 1
        fact = sw.SwitchFact(
            node="fs1", core_uuid="core", switch_sequence=self._sequence, leg_id=leg_id, call_id=call_id
        )
        for name, message in body.items():
            getattr(fact, name).CopyFrom(message)
        self.feed(Input(tenant_id=TENANT, fact=fact))

    def arrive(self, call_id: str, number: int) -> str:
        """Bring a caller into a queue; return the agent's leg, empty when the caller waits."""
        line = f"+38044{number % self._queues:07d}"
        created = sw.LegCreated(direction=sw.DIRECTION_INBOUND, line=line, caller_number="+380501112233")
        self.fact(call_id, "", leg_created=created)
        self.fact(call_id, "", leg_parked=sw.LegParked(line=line))
        ask = next(command for command in self.commands if command.WhichOneof("action") == "collect_digits")
        self.fact(call_id, "", leg_answered=sw.LegAnswered())
        digits = sw.DigitsCollected(command_id=ask.command_id, digits="1", outcome=sw.COLLECT_OUTCOME_MATCHED)
        self.fact(call_id, "", digits_collected=digits)
        return self.rung()

    def rung(self) -> str:
        """Return the leg that the last decision rings, empty when it rings nobody."""
        return next((one.leg_id for one in self.commands if one.WhichOneof("action") == "originate_leg"), "")

    def live(self, call_id: str, leg_id: str) -> str:
        """Play a call from the ringing to the end of the wrap-up; return the freed agent's next leg."""
        agent_id = self.state.legs[leg_id].agent_id
        self.fact(leg_id, call_id, leg_created=sw.LegCreated(direction=sw.DIRECTION_OUTBOUND))
        self.fact(leg_id, call_id, leg_progressed=sw.LegProgressed())
        self.fact(leg_id, call_id, leg_answered=sw.LegAnswered())
        recording_id = self.state.calls[call_id].recording_id
        path = f"{TENANT}/{call_id}/{recording_id}.wav"
        self.fact(leg_id, call_id, leg_parked=sw.LegParked())
        self.fact(call_id, "", leg_bridged=sw.LegBridged(other_leg_id=leg_id))
        self.fact(call_id, "", recording_began=sw.RecordingBegan(recording_id=recording_id, path=path))
        self.fact(call_id, "", leg_unbridged=sw.LegUnbridged(other_leg_id=leg_id))
        self.fact(leg_id, call_id, leg_hung_up=sw.LegHungUp(cause="NORMAL_CLEARING"))
        self.fact(call_id, "", recording_finished=sw.RecordingFinished(recording_id=recording_id, path=path))
        self.fact(call_id, "", leg_hung_up=sw.LegHungUp(cause="NORMAL_CLEARING"))
        ask = rq.Request(request_id=f"e-{call_id}", end_wrap_up=rq.EndWrapUp(agent_id=agent_id))
        self.feed(Input(tenant_id=TENANT, request=ask))
        return self.rung()


def measure(agents: int, queues: int, waiting: int, calls: int) -> tuple[float, float, float]:
    """Return inputs a second, mean microseconds and the slowest input's milliseconds."""
    feeder = Feeder(agents, queues)
    legs: list[tuple[str, str]] = []
    for number in range((agents if waiting else 0) + waiting):
        leg_id = feeder.arrive(f"w{number}", number)
        if leg_id:
            legs.append((f"w{number}", leg_id))
    feeder.seconds, feeder.offset, feeder.slowest = 0.0, 0, 0.0
    for number in range(calls):
        leg_id = feeder.arrive(f"c{number}", number)
        if waiting:
            call_id, leg_id = legs.pop(0)
        else:
            call_id = f"c{number}"
        following = feeder.live(call_id, leg_id)
        if following:
            legs.append((feeder.state.legs[following].call_id, following))
    return feeder.offset / feeder.seconds, feeder.seconds / feeder.offset * 1e6, feeder.slowest * 1e3


def freed(hall: Hall, calls: int) -> list[float]:
    """Return the seconds from each input that frees an agent to the command to ring that agent for the next caller."""
    feeder = Feeder(hall.agents, 1)
    legs = [(f"w{number}", feeder.arrive(f"w{number}", 0)) for number in range(hall.agents + hall.waiting)]
    legs, waits = [(call_id, leg_id) for call_id, leg_id in legs if leg_id], []
    for number in range(calls):
        feeder.arrive(f"c{number}", 0)
        leg_id = feeder.live(*legs.pop(0))
        waits.append(feeder.took)
        legs.append((feeder.state.legs[leg_id].call_id, leg_id))
    return waits


def measure_matching() -> tuple[list[Row], list[Target]]:
    """Measure matching at each size, with the scan's rows in between; the better of two runs each."""
    rows: list[Row] = []
    rates: dict[int, float] = {}
    p99_us = 0.0
    for agents in (10, 100, 1_000, 10_000):
        freed = max((matching.agent_freed(agents, DECISIONS) for _ in range(3)), key=lambda one: one.rate)
        joins = max((matching.caller_joins(agents, DECISIONS) for _ in range(3)), key=lambda one: one.rate)
        who = f"matching, {agents:,} agents"
        for what, one in (("agent freed", freed), ("caller joins", joins)):
            rows += [Row(who, f"{what}, rate", one.rate, "/s"), Row(who, f"{what}, p99", one.p99_us, "µs")]
        rates[agents] = 2 / (1 / freed.rate + 1 / joins.rate)
        p99_us = max(p99_us, freed.p99_us, joins.p99_us)
    entries = matching.entries_an_agent(10_000)
    rows.append(Row("matching, 10,000 agents", "entries an idle agent", entries, ""))
    scans = [matching.scan_agent_freed(10_000, 100).rate, matching.scan_caller_joins(10_000, 100).rate]
    scan_rate = 2 / sum(1 / rate for rate in scans)
    rows.append(Row("plain scan, 10,000 agents", "rate", scan_rate, "/s"))
    times, growth = rates[10_000] / scan_rate, rates[10] / rates[10_000]
    most = math.log2(10_000) / math.log2(10)
    return rows, [
        Target("matching, decisions/s", ">= 200,000", rates[10_000], rates[10_000] >= 200_000),
        Target("matching, p99 µs", "<= 20", p99_us, p99_us <= 20),
        Target("matching, times the scan", ">= 80", times, times >= 80),
        Target("matching, index entries an agent", "1", entries, entries == 1),
        Target("matching, growth 10 -> 10,000", f"<= log n = {most:.1f}", growth, growth <= most),
    ]


def main() -> int:
    """Measure each size, print the table, write build/bench/router.json."""
    rows: list[Row] = []
    slowest_rate = float("inf")
    for agents, queues, waiting in ((100, 4, 0), (2000, 20, 0), (2000, 20, 1000)):
        results = [measure(agents, queues, waiting, 400) for _ in range(ROUNDS)]
        rate, mean, slowest = (statistics.median(column) for column in zip(*results, strict=True))
        who = f"{agents} agents, {queues} queues, {waiting} waiting"
        rows += [Row(who, "rate", rate, "inputs/s"), Row(who, "mean", mean, "µs"), Row(who, "slowest", slowest, "ms")]
        slowest_rate = min(slowest_rate, rate)
    target = Target(
        "inputs/s a core, whole call lives", f">= {TARGET_RATE:,}", slowest_rate, slowest_rate >= TARGET_RATE
    )
    matching_rows, matching_targets = measure_matching()
    split_rows = splitting.measure(tenant(2000, 20), tenant(2000, 20))
    rows = rows + matching_rows + split_rows + compare(freed)
    targets = [target, *matching_targets]
    show(rows, targets)
    write("router", rows, targets)
    return 0 if all(one.met for one in targets) else 1


if __name__ == "__main__":
    sys.exit(main())
