"""A tenant for tests, and a log that is fed to the core one input at a time."""

from collections.abc import Iterator
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

TENANT = "acme"
LINE = "+380441000001"
START_MS = 1_700_000_000_000
CORE = "core-1"
NODE = "fs1"
AGENTS = ("olena", "taras", "ivan")


def document(version: int = 1, strategy: "tn.Strategy.ValueType" = tn.STRATEGY_LONGEST_IDLE) -> tn.TenantDocument:
    """Return a tenant: menu → queue "sales" → goodbye; three agents, one a level behind."""
    return tn.TenantDocument(
        tenant_id=TENANT,
        version=version,
        time_zone="Europe/Kyiv",
        languages=["uk"],
        domain="acme.example",
        lines=[tn.Line(number=LINE, flow="main")],
        queues=[
            tn.Queue(
                queue_id="sales",
                strategy=strategy,
                tiers=[
                    tn.Tier(agent_id="olena", level=1, position=1),
                    tn.Tier(agent_id="taras", level=1, position=2),
                    tn.Tier(agent_id="ivan", level=2, position=1),
                ],
                ring_timeout_seconds=15,
                wrap_up_seconds=10,
                max_wait_seconds=120,
                capacity=3,
                music="jazz",
                service_level_seconds=20,
                short_abandon_seconds=5,
                misses_until_away=2,
            )
        ],
        agents=[tn.Agent(agent_id=name, name=name, phone=f"phone-{name}") for name in AGENTS],
        flows=[tn.Flow(flow_id="main", start="ask", steps=_steps())],
        schedules=[tn.Schedule(schedule_id="office", open=[])],
        lists=[tn.NumberList(list_id="vip", numbers=["+38067*"])],
        dispositions=["sold", "refused"],
        limits=tn.Limits(concurrent_calls=5, allowed_prefixes=["+44"]),
    )


def _steps() -> list[tn.Step]:
    return [
        tn.Step(
            step_id="ask",
            menu=tn.MenuStep(prompts=["welcome"], tries=2, timeout_ms=3000),
            exits={"1": "wait", "2": "abroad", "3": "hear", "4": "circle", "5": "boss", "6": "leave", "timeout": "bye"},
        ),
        tn.Step(
            step_id="wait",
            queue=tn.QueueStep(queue_id="sales"),
            exits={"timeout": "bye", "no_agent": "bye", "full": "bye"},
        ),
        tn.Step(
            step_id="abroad",
            forward=tn.ForwardStep(number="+442071000000", ring_timeout_seconds=20),
            exits={"failed": "bye"},
        ),
        tn.Step(step_id="hear", play=tn.PlayStep(prompts=["news"]), exits={"next": "bye"}),
        tn.Step(
            step_id="circle",
            check_list=tn.CheckListStep(list_id="vip"),
            exits={"listed": "circle", "not_listed": "circle"},
        ),
        tn.Step(
            step_id="boss",
            agent=tn.AgentStep(agent_id="ivan", ring_timeout_seconds=15),
            exits={"unavailable": "leave", "answered": "rate"},
        ),
        tn.Step(
            step_id="rate",
            survey=tn.SurveyStep(survey_id="nps", prompts=["rate"], lowest=1, highest=5),
            exits={"next": "wait", "skipped": "bye"},
        ),
        tn.Step(step_id="leave", voicemail=tn.VoicemailStep(prompts=["greet"]), exits={"next": "bye"}),
        tn.Step(step_id="bye", hangup=tn.HangUpStep(cause="NORMAL_CLEARING")),
    ]


class Log:
    """Feeds inputs to one tenant's core and keeps everything that came out."""

    def __init__(self, first: tn.TenantDocument | None = None, begins_at: int = 0) -> None:
        self.state = TenantState(TENANT)
        self.now_ms = START_MS
        self.begins_at = begins_at
        """The position of its first input: ids are derived from it."""
        self.inputs: list[tuple[int, Input]] = []
        self.outputs: list[Outputs] = []
        self.is_switch_there = True
        """Whether a listener answers: leases, and what its silent switch is asked."""
        self.clock_speed = 0.0
        """What the shell writes into timers; 0 = by a person's seconds."""
        self._sequence = 0
        if first is not None:
            self.feed(Input(tenant_id=TENANT, document=first))

    # -- inputs

    def feed(self, given: Input) -> Outputs:
        self.inputs.append((self.now_ms, given))
        out = decide(self.state, Position(0, self.begins_at + len(self.inputs) - 1), self.now_ms, given)
        self.outputs.append(out)
        return out

    def fact(self, leg_id: str, call_id: str = "", **body: Any) -> Outputs:
        self._sequence += 1
        return self.feed(
            Input(
                tenant_id=TENANT,
                fact=sw.SwitchFact(
                    node=NODE,
                    core_uuid=CORE,
                    switch_sequence=self._sequence,
                    leg_id=leg_id,
                    call_id=call_id,
                    **body,
                ),
            )
        )

    def result(self, command: Command, outcome: "cm.CommandOutcome.ValueType", cause: str = "") -> Outputs:
        return self.feed(
            Input(
                tenant_id=TENANT,
                command_result=cm.CommandResult(
                    command_id=command.command_id,
                    leg_id=command.leg_id,
                    call_id=command.call_id,
                    outcome=outcome,
                    cause=cause,
                    node=NODE,
                ),
            )
        )

    def refused(self, command: Command, cause: str = "NORMAL_TEMPORARY_FAILURE") -> Outputs:
        return self.result(command, cm.COMMAND_OUTCOME_FAILED, cause)

    def request(self, request_id: str, **body: Any) -> rq.Reply:
        out = self.feed(
            Input(tenant_id=TENANT, request=rq.Request(request_id=request_id, actor="olena", role="agent", **body))
        )
        return out.replies[0]

    def wait(self, seconds: float) -> None:
        """Let time pass; each timer that becomes due comes back at its moment."""
        until = self.now_ms + int(seconds * 1000)
        while due := self._next_due(until):
            timer_id, self.now_ms = due[1], max(due[0], self.now_ms)
            fired = TimerFired(timer_id=timer_id, due_ms=due[0], clock_speed=self.clock_speed)
            out = self.feed(Input(tenant_id=TENANT, timer=fired))
            if timer_id.startswith(("switch:", "lease:")) and self.is_switch_there:
                for asked in out.commands:
                    if asked.HasField("lease_leg"):
                        self.result(asked, cm.COMMAND_OUTCOME_DONE)
        self.now_ms = until

    def _next_due(self, until: int) -> tuple[int, str] | None:
        due = [(at, timer_id) for timer_id, at in self.state.timers.items() if at <= until]
        return min(due) if due else None

    # -- short stories

    def ready(self, *agents: str) -> None:
        for agent in agents:
            self.wait(0.01)
            self.request(
                f"ready-{agent}-{len(self.inputs)}",
                set_agent_status=rq.SetAgentStatus(agent_id=agent, status=rq.AGENT_STATUS_READY),
            )

    def arrive(self, call_id: str, caller: str = "+380501112233", line: str = LINE) -> None:
        created = sw.LegCreated(direction=sw.DIRECTION_INBOUND, line=line, caller_number=caller, caller_name="Client")
        self.fact(call_id, leg_created=created)
        self.fact(call_id, leg_parked=sw.LegParked(line=line))

    def press(self, call_id: str, digit: str) -> None:
        ask = self.last_command("collect_digits", call_id)
        outcome = sw.COLLECT_OUTCOME_MATCHED if digit else sw.COLLECT_OUTCOME_TIMEOUT
        self.fact(
            call_id,
            digits_collected=sw.DigitsCollected(command_id=ask.command_id, digits=digit, outcome=outcome),
        )

    def queue(self, call_id: str, caller: str = "+380501112233") -> None:
        self.arrive(call_id, caller)
        self.press(call_id, "1")

    def rings(self, call_id: str) -> Command:
        originate = self.last_command("originate_leg", call_id)
        self.fact(originate.leg_id, call_id, leg_progressed=sw.LegProgressed())
        return originate

    def talk(self, call_id: str) -> Command:
        """Let the agent who rings for a call answer, and the bridge happen."""
        originate = self.rings(call_id)
        self.fact(originate.leg_id, call_id, leg_answered=sw.LegAnswered())
        self.fact(call_id, leg_bridged=sw.LegBridged(other_leg_id=originate.leg_id))
        return originate

    def talk_over(self, call_id: str) -> None:
        """Let a caller come, talk with whoever is rung, and leave; the agent's wrap-up is over too."""
        self.queue(call_id)
        self.hangs_up(self.talk(call_id).leg_id)
        self.hangs_up(call_id)
        self.wait(11)

    def hangs_up(self, leg_id: str, cause: str = "NORMAL_CLEARING", **more: Any) -> Outputs:
        return self.fact(leg_id, leg_hung_up=sw.LegHungUp(cause=cause, **more))

    # -- outputs

    def commands(self, action: str = "", call_id: str = "") -> list[Command]:
        return [
            command
            for out in self.outputs
            for command in out.commands
            if (not action or command.WhichOneof("action") == action) and (not call_id or command.call_id == call_id)
        ]

    def last_command(self, action: str, call_id: str = "") -> Command:
        return self.commands(action, call_id)[-1]

    def events(self, body: str = "") -> list[Event]:
        return [event for event in self.all_events() if not body or event.WhichOneof("body") == body]

    def all_events(self) -> Iterator[Event]:
        for out in self.outputs:
            yield from out.events

    def bodies(self, call_id: str) -> list[str]:
        return [event.WhichOneof("body") or "" for event in self.all_events() if event.call_id == call_id]
