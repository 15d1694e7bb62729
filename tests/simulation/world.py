"""The router's true core in virtual time, with callers and agents who are drawn by lot: fixed seeds, no clock."""

import random
from dataclasses import dataclass, field

from services.router.domain.decide import Outputs
from services.router.whatif.core import Core
from services.router.whatif.moments import Moments
from services.router.whatif.people import Answer, Reaction, Talk
from services.router.whatif.switch import Switch
from services.shared.contracts.ringmaster.v1 import event_pb2 as ev
from services.shared.contracts.ringmaster.v1 import request_pb2 as rq
from services.shared.contracts.ringmaster.v1 import tenant_pb2 as tn
from services.shared.contracts.ringmaster.v1.command_pb2 import CollectDigits
from services.shared.contracts.ringmaster.v1.input_pb2 import Input

TENANT = "acme"
LINE = "+380441000001"
START_MS = 1_700_000_000_000
SKILL = "talk"


@dataclass(frozen=True)
class Load:
    """Who comes, and who serves: all times in seconds, all exponential; patience 0 = for ever."""

    agents: int
    arrivals: float
    service_seconds: float
    patience_seconds: float = 0.0
    strategy: "tn.Strategy.ValueType" = tn.STRATEGY_LONGEST_IDLE
    threshold_seconds: int = 20


@dataclass
class Seen:
    """What became of the callers who were counted, by their number."""

    waits_ms: list[int] = field(default_factory=list)
    answered: list[bool] = field(default_factory=list)
    left: int = 0


def document(load: Load) -> tn.TenantDocument:
    """Return a tenant with one queue of equal agents, without wrap-up, whose line leads straight into it."""
    made = tn.TenantDocument(tenant_id=TENANT, version=1, time_zone="Europe/Kyiv", domain="acme.example")
    made.recording.mode = tn.RECORDING_MODE_NONE
    made.lines.add(number=LINE, flow="main")
    queue = made.queues.add(
        queue_id="q", strategy=load.strategy, ring_timeout_seconds=20, service_level_seconds=load.threshold_seconds
    )
    if load.strategy == tn.STRATEGY_BEST_SKILL:
        queue.required_skills.add(skill=SKILL)
    for number in range(load.agents):
        name = f"a{number}"
        made.agents.add(agent_id=name, name=name, phone=name).skills[SKILL] = 1 + number % 100
        queue.tiers.add(agent_id=name, level=1, position=number + 1)
    flow = made.flows.add(flow_id="main", start="wait")
    flow.steps.add(step_id="wait", queue=tn.QueueStep(queue_id="q"))
    return made


class Exponential:
    """People without any delay but their talks and their patience: what queueing theory knows."""

    def __init__(self, load: Load, lot: random.Random) -> None:
        self._load = load
        self._lot = lot

    def patience_ms(self, call_id: str) -> int | None:
        mean = self._load.patience_seconds
        return round(self._lot.expovariate(1 / mean) * 1000) if mean else None

    def talk(self, call_id: str, address: str) -> Talk:
        return Talk(round(self._lot.expovariate(1 / self._load.service_seconds) * 1000))

    def pick_up(self, call_id: str, address: str) -> Reaction:
        return Reaction()

    def answer(self, call_id: str, question: CollectDigits) -> Answer:
        return Answer()

    def listens_ms(self, call_id: str) -> int:
        return 0


class Hall:
    """One queue under load. The first callers stand there as theory has them at any moment, so nothing warms up."""

    def __init__(self, load: Load, seed: str, states: list[float]) -> None:
        self.seen = Seen()
        self.moments = Moments(START_MS)
        self._lot = random.Random(seed)
        self._load = load
        self._callers = 0
        self._first = 0
        self._switch = Switch(self.moments, Exponential(load, self._lot))
        self.core = Core(self.moments, TENANT, self._switch, self._watch)
        self._switch.cores[TENANT] = self.core
        self._open(load)
        standing = self._lot.choices(range(len(states)), states)[0]
        for _ in range(standing):
            self._call()
        self.moments.run(START_MS)
        self._first = self._callers

    def run(self, callers: int) -> Seen:
        """Let so many callers come, and go on until each of them was answered or hung up."""
        self.seen = Seen([0] * callers, [False] * callers)
        self._expect_caller()
        while self.seen.left < callers:
            self.moments.run(self.moments.now_ms + 600_000, lambda: self.seen.left >= callers)
        return self.seen

    def _open(self, load: Load) -> None:
        self.core.feed(Input(tenant_id=TENANT, document=document(load)))
        for number in range(load.agents):
            ask = rq.SetAgentStatus(agent_id=f"a{number}", status=rq.AGENT_STATUS_READY)
            self.core.feed(Input(tenant_id=TENANT, request=rq.Request(request_id=f"r{number}", set_agent_status=ask)))

    def _expect_caller(self) -> None:
        self.moments.after(round(self._lot.expovariate(self._load.arrivals) * 1000), self._come)

    def _come(self) -> None:
        self._call()
        self._expect_caller()

    def _call(self) -> None:
        self._switch.call(TENANT, f"c{self._callers}", LINE, f"+38050{self._callers:07d}")
        self._callers += 1

    def _watch(self, now_ms: int, given: Input, out: Outputs) -> None:
        for event in out.events:
            if event.WhichOneof("body") == "queue_left":
                self._count(int(event.call_id[1:]) - self._first, event.queue_left)

    def _count(self, number: int, left: ev.QueueLeft) -> None:
        if 0 <= number < len(self.seen.waits_ms):
            self.seen.waits_ms[number] = left.wait_ms
            self.seen.answered[number] = left.exit == ev.QUEUE_EXIT_ANSWERED
            self.seen.left += 1
