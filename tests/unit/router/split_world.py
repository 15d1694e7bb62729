"""A tenant of a reception and routing domains, whose logs are fed by hand; the listener between them is played here."""

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from services.router.domain.decide import Outputs, decide
from services.router.domain.state import TenantState
from services.router.domain.turn import Position
from services.shared.contracts.ringmaster.v1 import command_pb2 as cm
from services.shared.contracts.ringmaster.v1 import request_pb2 as rq
from services.shared.contracts.ringmaster.v1 import switch_pb2 as sw
from services.shared.contracts.ringmaster.v1 import tenant_pb2 as tn
from services.shared.contracts.ringmaster.v1.command_pb2 import Command
from services.shared.contracts.ringmaster.v1.event_pb2 import Event
from services.shared.contracts.ringmaster.v1.input_pb2 import Input, TimerFired

TENANT, LINE, NODE = "acme", "+380441000001", "fs1"
START_MS = 1_700_000_000_000
NORTH, SOUTH = "north", "south"
QUEUES = {"1": ("sales", "olena"), "2": ("repairs", "taras"), "3": ("office", "ivan")}


def document(version: int = 1, **domains: list[str]) -> tn.TenantDocument:
    """Return a tenant of three queues with one agent each, behind a menu; domains as given, none = it is whole."""
    made = tn.TenantDocument(
        tenant_id=TENANT, version=version, time_zone="Europe/Kyiv", languages=["uk"], domain="acme.example"
    )
    made.lines.add(number=LINE, flow="main")
    flow = made.flows.add(flow_id="main", start="ask")
    ask = flow.steps.add(step_id="ask", menu=tn.MenuStep(prompts=["welcome"], tries=2, timeout_ms=3000))
    for digit, (queue_id, agent_id) in QUEUES.items():
        queue = made.queues.add(queue_id=queue_id, strategy=tn.STRATEGY_LONGEST_IDLE, ring_timeout_seconds=15)
        queue.max_wait_seconds, queue.wrap_up_seconds, queue.music = 120, 10, "jazz"
        queue.tiers.add(agent_id=agent_id, level=1, position=1)
        made.agents.add(agent_id=agent_id, name=agent_id, phone=f"phone-{agent_id}")
        ask.exits[digit] = f"wait-{queue_id}"
        step = flow.steps.add(step_id=f"wait-{queue_id}", queue=tn.QueueStep(queue_id=queue_id))
        step.exits.update({"timeout": "ask", "no_agent": "bye"})
    flow.steps.add(step_id="bye", hangup=tn.HangUpStep(cause="NORMAL_CLEARING"))
    for domain_id, queue_ids in domains.items():
        made.routing_domains.add(domain_id=domain_id, queues=queue_ids)
    made.limits.allowed_prefixes.append("+44")
    return made


class Split:
    """The logs of one tenant. What one log tells another arrives at once; commands are executed when a test says so."""

    def __init__(self, first: tn.TenantDocument) -> None:
        self.states: dict[str, TenantState] = {}
        self.now_ms = START_MS
        self.events: list[Event] = []
        self.commands: list[tuple[str, Command]] = []
        self.replies: list[rq.Reply] = []
        self.log_of: dict[str, str] = {}
        """Leg → the log that its facts stand in."""
        self.told: list[Input] = []
        """What one log told another."""
        self._offsets: dict[str, int] = {}
        self._sequence = 0
        self._on_their_way: deque[tuple[str, Input]] = deque()
        self._is_bringing = False
        self.feed(Input(document=first))

    def state(self, domain: str = "") -> TenantState:
        return self.states.setdefault(domain, TenantState(TENANT, domain))

    def feed(self, given: Input, domain: str = "") -> Outputs:
        given.tenant_id, given.domain = TENANT, domain
        partition = ["", NORTH, SOUTH].index(domain)
        offset = self._offsets[domain] = self._offsets.get(domain, -1) + 1
        out = decide(self.state(domain), Position(partition, offset), self.now_ms, given)
        self.events += out.events
        self.replies += out.replies
        self.commands += [(domain, command) for command in out.commands]
        for note in out.notes:
            self.told.append(Input(passed_on=note.told))
            self._on_their_way.append((note.domain, self.told[-1]))
        self.bring()
        return out

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Let notes wait until `bring`."""
        self._is_bringing = True
        yield
        self._is_bringing = False

    def bring(self) -> None:
        """Bring notes to their logs, in the order in which they were told."""
        if self._is_bringing:
            return
        self._is_bringing = True
        while self._on_their_way:
            domain, given = self._on_their_way.popleft()
            self.feed(given, domain)
        self._is_bringing = False

    def apply(self, made: tn.TenantDocument) -> None:
        self.feed(Input(document=made))

    def request(self, request_id: str, **body: Any) -> rq.Reply:
        before = len(self.replies)
        self.feed(Input(request=rq.Request(request_id=request_id, actor="olena", role="agent", **body)))
        assert len(self.replies) == before + 1, "each request gets one reply"
        return self.replies[-1]

    def ready(self, *agents: str) -> None:
        for agent in agents:
            asked = rq.SetAgentStatus(agent_id=agent, status=rq.AGENT_STATUS_READY)
            assert self.request(f"ready-{agent}", set_agent_status=asked).accepted

    def fact(self, leg_id: str, call_id: str = "", **body: Any) -> Outputs:
        """Let a leg tell something, in the log that has it."""
        self._sequence += 1
        given = Input(
            fact=sw.SwitchFact(
                node=NODE,
                core_uuid="core-1",
                switch_sequence=self._sequence,
                leg_id=leg_id,
                call_id=call_id,
                **body,
            )
        )
        return self.feed(given, self.log_of.get(leg_id, ""))

    def arrive(self, call_id: str, digit: str = "") -> None:
        created = sw.LegCreated(direction=sw.DIRECTION_INBOUND, line=LINE, caller_number="+380501112233")
        self.fact(call_id, leg_created=created)
        self.fact(call_id, leg_parked=sw.LegParked(line=LINE))
        if digit:
            self.press(call_id, digit)

    def press(self, call_id: str, digit: str) -> None:
        asked = self.last("collect_digits", call_id)
        told = sw.DigitsCollected(command_id=asked.command_id, digits=digit, outcome=sw.COLLECT_OUTCOME_MATCHED)
        self.fact(call_id, digits_collected=told)

    def hand_over(self, call_id: str) -> None:
        """Execute the last hand-over of a call, as the listener does."""
        ordered = self._ordered("hand_over_leg", call_id)
        self.tell_hand_over(call_id)
        self._settle(ordered, cm.COMMAND_OUTCOME_DONE, "")

    def tell_hand_over(self, call_id: str) -> Input:
        domain, command = self._ordered("hand_over_leg", call_id)
        order = command.hand_over_leg
        handed = sw.LegHandedOver(from_domain=domain, hop=order.hop, record=order.record)
        given = Input(fact=sw.SwitchFact(node=NODE, leg_id=call_id, leg_handed_over=handed))
        self.log_of[call_id] = order.to_domain
        self.feed(given, order.to_domain)
        return given

    def settle_hand_over(self, call_id: str, outcome: "cm.CommandOutcome.ValueType", cause: str = "") -> None:
        self._settle(self._ordered("hand_over_leg", call_id), outcome, cause)

    def _settle(self, ordered: tuple[str, Command], outcome: "cm.CommandOutcome.ValueType", cause: str) -> None:
        domain, command = ordered
        result = cm.CommandResult(
            command_id=command.command_id,
            leg_id=command.leg_id,
            call_id=command.call_id,
            outcome=outcome,
            cause=cause,
            node=NODE,
        )
        self.feed(Input(command_result=result), domain)

    def talk(self, call_id: str) -> str:
        """Let the agent who rings answer; returns the agent's leg."""
        domain, originate = self._ordered("originate_leg", call_id)
        leg_id = originate.leg_id
        self.log_of[leg_id] = domain
        self.fact(leg_id, call_id, leg_progressed=sw.LegProgressed())
        self.fact(leg_id, call_id, leg_answered=sw.LegAnswered())
        self.fact(call_id, leg_bridged=sw.LegBridged(other_leg_id=leg_id))
        return leg_id

    def hangs_up(self, leg_id: str) -> None:
        self.fact(leg_id, leg_hung_up=sw.LegHungUp(cause="NORMAL_CLEARING"))

    def wait(self, seconds: float) -> None:
        """Let time pass; the timers of all logs come back at their moments."""
        until = self.now_ms + round(seconds * 1000)
        while True:
            due = [
                (due_ms, domain, timer_id)
                for domain, state in self.states.items()
                for timer_id, due_ms in state.timers.items()
                if due_ms <= until
            ]
            if not due:
                break
            due_ms, domain, timer_id = min(due)
            self.now_ms = max(due_ms, self.now_ms)
            self.feed(Input(timer=TimerFired(timer_id=timer_id, due_ms=due_ms)), domain)
        self.now_ms = until

    def _ordered(self, action: str, call_id: str) -> tuple[str, Command]:
        found = [one for one in self.commands if one[1].WhichOneof("action") == action and one[1].call_id == call_id]
        return found[-1]

    def last(self, action: str, call_id: str) -> Command:
        return self._ordered(action, call_id)[1]

    def state_of(self, call_id: str) -> str:
        """Return the log that has a call."""
        return next(domain for domain, state in self.states.items() if call_id in state.calls)

    def bodies(self, call_id: str) -> list[str]:
        return [event.WhichOneof("body") or "" for event in self.events if event.call_id == call_id]

    def are_events_counted(self) -> bool:
        """Whether the events of each subject are told in one count without gaps, whichever log told them."""
        by_subject: dict[str, list[int]] = {}
        for event in self.events:
            by_subject.setdefault(event.subject, []).append(event.sequence)
        return all(found == list(range(1, len(found) + 1)) for found in by_subject.values())
