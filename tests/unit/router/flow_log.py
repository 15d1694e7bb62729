"""A log whose one flow is of a test's own steps, and what a caller hears of it."""

from typing import Any

from services.shared.contracts.ringmaster.v1 import switch_pb2 as sw
from services.shared.contracts.ringmaster.v1 import tenant_pb2 as tn
from tests.unit.router.world import Log, document

TEXT, NUMBER, FLAG = tn.VARIABLE_TYPE_TEXT, tn.VARIABLE_TYPE_NUMBER, tn.VARIABLE_TYPE_FLAG
VARIABLES = [
    tn.Variable(name="account", type=TEXT),
    tn.Variable(name="score", type=NUMBER, initial="3"),
    tn.Variable(name="vip", type=FLAG),
]


def step(step_id: str, exits: dict[str, str] | None = None, **kind: Any) -> tn.Step:
    return tn.Step(step_id=step_id, exits=exits or {}, **kind)


def told(step_id: str, name: str) -> tn.Step:
    """Return a step by whose prompt a test sees where a call went."""
    return step(step_id, {"next": "return"}, play=tn.PlayStep(prompts=[name]))


def log_of(*steps: tn.Step, more: tuple[tn.Flow, ...] = (), **fields: Any) -> Log:
    tenant = document()
    del tenant.flows[:]
    tenant.flows.append(tn.Flow(flow_id="main", start=steps[0].step_id, steps=steps, variables=VARIABLES))
    tenant.flows.extend(more)
    tenant.MergeFrom(tn.TenantDocument(**fields))
    return Log(tenant)


def left(log: Log, step_id: str) -> tuple[str, str]:
    bodies = [event.flow_step_left for event in log.events("flow_step_left")]
    body = [body for body in bodies if body.step_id == step_id][-1]
    return body.exit, body.why


def played(log: Log, *, completed: bool = True, call_id: str = "c1") -> None:
    command = log.last_command("play_prompt", call_id)
    log.fact(call_id, playback_finished=sw.PlaybackFinished(command_id=command.command_id, completed=completed))


def entered(log: Log, digits: str, call_id: str = "c1") -> None:
    log.press(call_id, digits)


def heard(log: Log) -> list[str]:
    return [
        prompt.name or prompt.text for command in log.commands("play_prompt") for prompt in command.play_prompt.prompts
    ]


def ends(log: Log) -> int:
    log.hangs_up("c1")
    assert log.state.timers == {}
    assert not log.state.calls
    return log.events("call_ended")[-1].call_ended.exit
