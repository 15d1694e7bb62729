"""Predictive campaigns in virtual time: agents talk more than by progressive dialling, and the abandons' cap holds."""

import random
from dataclasses import dataclass, field

import pytest

from services.router.domain.decide import Outputs
from services.router.whatif.core import Core
from services.router.whatif.moments import Moments
from services.router.whatif.people import Answer, Reaction, Talk
from services.router.whatif.switch import Switch
from services.shared.contracts.ringmaster.v1 import request_pb2 as rq
from services.shared.contracts.ringmaster.v1 import switch_pb2 as sw
from services.shared.contracts.ringmaster.v1 import tenant_pb2 as tn
from services.shared.contracts.ringmaster.v1.command_pb2 import CollectDigits
from services.shared.contracts.ringmaster.v1.input_pb2 import Input

TENANT, LINE = "acme", "+380441000001"
START_MS = 1_700_000_000_000
AGENTS = 20
ANSWERS = 0.35
MINUTES = 60
CAP = 3


class Town:
    """Customers of whom a third answers, after some seconds; who answered waits a little for an agent."""

    def __init__(self, lot: random.Random) -> None:
        self._lot = lot

    def patience_ms(self, call_id: str) -> int | None:
        return round(self._lot.uniform(3_000, 15_000))

    def answer(self, call_id: str, question: CollectDigits) -> Answer:
        return Answer()

    def pick_up(self, call_id: str, address: str) -> Reaction:
        if "@" in address:
            return Reaction(100, self._lot.randint(500, 1_500))
        if self._lot.random() < ANSWERS:
            return Reaction(500, round(self._lot.uniform(2_000, 12_000)))
        return Reaction(500, 20_000, "NO_ANSWER")

    def talk(self, call_id: str, address: str) -> Talk:
        return Talk(round(self._lot.expovariate(1 / 60_000)))

    def listens_ms(self, call_id: str) -> int:
        return 0


@dataclass
class Seen:
    """What a campaign came to."""

    talk_ms: int = 0
    reached: int = 0
    abandoned: int = 0
    changes: list[str] = field(default_factory=list)

    @property
    def occupancy(self) -> float:
        return self.talk_ms / (AGENTS * MINUTES * 60_000)

    @property
    def abandon_percent(self) -> float:
        return 100 * self.abandoned / (self.reached + self.abandoned)


def document(pacing: "tn.Pacing.ValueType") -> tn.TenantDocument:
    made = tn.TenantDocument(tenant_id=TENANT, version=1, time_zone="Europe/Kyiv", domain="acme.example")
    made.recording.mode = tn.RECORDING_MODE_NONE
    made.limits.allowed_prefixes.append("+380")
    made.lines.add(number=LINE, flow="main")
    queue = made.queues.add(queue_id="q", strategy=tn.STRATEGY_LONGEST_IDLE, ring_timeout_seconds=20)
    queue.callbacks.attempts, queue.callbacks.order = 1, tn.CALLBACK_ORDER_CUSTOMER_FIRST
    for number in range(AGENTS):
        made.agents.add(agent_id=f"a{number}", name=f"a{number}", phone=f"a{number}")
        queue.tiers.add(agent_id=f"a{number}", level=1, position=number + 1)
    made.flows.add(flow_id="main", start="wait").steps.add(step_id="wait", queue=tn.QueueStep(queue_id="q"))
    made.campaigns.add(campaign_id="spring", queue_id="q", line=LINE, pacing=pacing, abandon_percent=CAP)
    return made


def played(pacing: "tn.Pacing.ValueType", seed: int) -> Seen:
    seen, moments = Seen(), Moments(START_MS)
    switch = Switch(moments, Town(random.Random(seed)))

    def watch(_now_ms: int, _given: Input, out: Outputs) -> None:
        for event in out.events:
            body = event.WhichOneof("body")
            if body == "call_ended":
                seen.talk_ms += event.call_ended.talk_ms
            elif body == "campaign_changed":
                seen.changes.append(event.campaign_changed.change)

    core = Core(moments, TENANT, switch, watch)
    switch.cores[TENANT] = core
    core.feed(Input(tenant_id=TENANT, document=document(pacing)))
    core.feed(Input(tenant_id=TENANT, fact=sw.SwitchFact(node="fs1", switch_connected=sw.SwitchConnected())))
    for number in range(AGENTS):
        ready = rq.SetAgentStatus(agent_id=f"a{number}", status=rq.AGENT_STATUS_READY)
        core.feed(Input(tenant_id=TENANT, request=rq.Request(request_id=f"r{number}", set_agent_status=ready)))
    for piece in range(20):
        numbers = [f"+38050{piece * 200 + place:07}" for place in range(200)]
        contacts = [rq.Contact(number=number, name="Client") for number in numbers]
        add = rq.AddContacts(campaign_id="spring", contacts=contacts)
        core.feed(Input(tenant_id=TENANT, request=rq.Request(request_id=f"c{piece}", add_contacts=add)))
    run = rq.RunCampaign(campaign_id="spring", running=True)
    core.feed(Input(tenant_id=TENANT, request=rq.Request(request_id="run", run_campaign=run)))
    moments.run(START_MS + MINUTES * 60_000)
    found = core.state.campaigns["spring"]
    seen.reached, seen.abandoned = found.reached, found.abandoned
    return seen


@pytest.mark.parametrize("seed", [1, 2])
def test_predictive_dialling_keeps_agents_busier_than_progressive_and_abandons_below_its_cap(seed: int) -> None:
    progressive, predictive = played(tn.PACING_PROGRESSIVE, seed), played(tn.PACING_PREDICTIVE, seed)
    told = f"progressive {progressive.occupancy:.0%}, predictive {predictive.occupancy:.0%}"
    print(f"\n{told}, {predictive.abandon_percent:.1f} % of {predictive.reached + predictive.abandoned} abandoned")  # noqa: T201 - the figures
    assert predictive.reached > 200
    assert predictive.occupancy > progressive.occupancy * 1.25
    assert predictive.abandon_percent <= CAP
