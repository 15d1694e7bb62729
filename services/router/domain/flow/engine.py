"""Runs a call through the steps of its flow, by the document that it started with (SPEC 2.1, 2.3)."""

from services.router.domain import calls, queueing
from services.router.domain.flow import asking, branching, callback, collect, lookup, menu, message, people, variables
from services.router.domain.flow.kinds import FlowFault, Kind, Left, configuration_of, step_of
from services.router.domain.lifecycle import CallStage
from services.router.domain.model import Call
from services.router.domain.splitting import leaving
from services.router.domain.turn import Turn
from services.shared.contracts.ringmaster.v1 import event_pb2 as ev
from services.shared.contracts.ringmaster.v1 import tenant_pb2 as tn

MOST_STEPS = 100
"""A flow that takes so many steps without anybody hearing anything goes round in circles."""
RETURN = "return"
"""The exit that leads here ends its flow: a subflow goes back to who called it."""
MOST_NESTED = 8
"""Subflows within subflows."""
KINDS: dict[str, Kind] = (
    asking.KINDS
    | branching.KINDS
    | callback.KINDS
    | collect.KINDS
    | lookup.KINDS
    | menu.KINDS
    | message.KINDS
    | people.KINDS
)
_BY_QUEUE = {
    ev.QUEUE_EXIT_TIMEOUT: ev.CALL_EXIT_TIMEOUT,
    ev.QUEUE_EXIT_NO_AGENT: ev.CALL_EXIT_NO_AGENT,
    ev.QUEUE_EXIT_ERROR: ev.CALL_EXIT_ERROR,
    ev.QUEUE_EXIT_BLACKLISTED: ev.CALL_EXIT_BLACKLISTED,
}


def start(turn: Turn, call: Call) -> None:
    """Take over a parked call and run its flow; a call that may not be taken is refused."""
    if call.refusal_cause:
        calls.hang_up(turn, call, ev.CALL_EXIT_ERROR, call.refusal_cause)
        return
    if queueing.refuse_blacklisted(turn, call):
        calls.hang_up(turn, call, ev.CALL_EXIT_BLACKLISTED, "CALL_REJECTED")
        return
    calls.lease(turn, call)
    flow = configuration_of(turn, call).flows.get(call.flow_id)
    if flow is None:
        calls.hang_up(turn, call, ev.CALL_EXIT_ERROR, "UNALLOCATED_NUMBER")
        return
    variables.begin(turn, call, flow)
    go_to(turn, call, flow.start)


def advance(turn: Turn, call: Call, left: Left | None) -> None:
    """Leave the step that a call waits in and go on; None stays in it."""
    if left is None:
        return
    turn.cancel_timer("step", call.call_id)
    if not call.step_id:  # a callback's customer waited without a flow
        _finish(turn, call)
        return
    call.step_command_id = ""
    go_to(turn, call, _leave(turn, call, left))


def go_to(turn: Turn, call: Call, step_id: str) -> None:
    """Enter a step of the call's flow; an empty one is its end."""
    try:
        _run(turn, call, step_id)
    except FlowFault as fault:
        if call.step_id:
            _leave(turn, call, ("error", str(fault)))
        calls.hang_up(turn, call, ev.CALL_EXIT_ERROR)


def _run(turn: Turn, call: Call, step_id: str) -> None:
    for _ in range(MOST_STEPS):
        if not step_id:
            if not call.returns:
                _finish(turn, call)
                return
            step_id = _come_back(turn, call)
            continue
        step = configuration_of(turn, call).steps.get((call.flow_id, step_id))
        if step is None:
            raise FlowFault(f"there is no step {step_id}")
        domain = elsewhere(turn, step)
        if domain is not None:
            leaving.over(turn, call, domain, leaving.STEP, step_id)
            return
        kind = _tell_entered(turn, call, step)
        if kind == "hangup":
            _leave(turn, call, ("hangup", "the flow ends the call"))
            _finish(turn, call, step.hangup.cause)
            return
        if kind == "subflow":
            step_id = _descend(turn, call, step.subflow.flow_id)
            continue
        if kind not in KINDS:
            raise FlowFault("the step has no known type")
        left = KINDS[kind].enter(turn, call, step)
        if left is None:
            return
        step_id = _leave(turn, call, left)
    raise FlowFault("the flow goes round in circles")


def elsewhere(turn: Turn, step: tn.Step) -> str | None:
    """Return the routing domain that a step's queue or agent is in, None where that is here; empty = the reception."""
    configuration = turn.state.configuration
    if configuration is None or not configuration.is_split:
        return None
    queue_id = step.queue.queue_id or step.callback.queue_id
    if queue_id in configuration.queues:
        home = configuration.domain_of_queue.get(queue_id, "")
    elif step.agent.agent_id in configuration.agents:
        home = configuration.domain_of_agent.get(step.agent.agent_id, "")
    else:
        return None
    return None if home == turn.state.domain else home


def _tell_entered(turn: Turn, call: Call, step: tn.Step) -> str:
    kind = step.WhichOneof("step") or ""
    call.step_id, call.step_type, call.step_from_ms = step.step_id, kind, turn.now_ms
    call.step_phase = ""
    body = turn.call_event(call).flow_step_entered
    body.flow_id, body.flow_version = call.flow_id, call.version
    body.step_id, body.step_type = step.step_id, kind
    return kind


def _leave(turn: Turn, call: Call, left: Left) -> str:
    following = ""
    if left[0] != "error":
        following = step_of(turn, call).exits.get(left[0], "")
    body = turn.call_event(call).flow_step_left
    body.flow_id, body.flow_version = call.flow_id, call.version
    body.step_id, body.step_type = call.step_id, call.step_type
    body.exit, body.why = left
    body.next_step_id = following
    body.duration_ms = turn.now_ms - call.step_from_ms
    call.step_id = call.step_type = ""
    return "" if following == RETURN else following


def _descend(turn: Turn, call: Call, flow_id: str) -> str:
    """Go into a subflow; returns its first step."""
    flow = configuration_of(turn, call).flows.get(flow_id)
    if flow is None:
        raise FlowFault(f"there is no flow {flow_id}")
    if len(call.returns) >= MOST_NESTED:
        raise FlowFault(f"subflows are nested deeper than {MOST_NESTED}")
    call.returns.append([call.flow_id, call.step_id, call.step_from_ms])
    call.flow_id = flow_id
    variables.begin(turn, call, flow)
    return flow.start


def _come_back(turn: Turn, call: Call) -> str:
    """Come back from a subflow's end; returns the step after it."""
    ended = call.flow_id
    flow_id, step_id, from_ms = call.returns.pop()
    call.flow_id, call.step_id, call.step_from_ms = str(flow_id), str(step_id), int(from_ms)
    call.step_type = "subflow"
    return _leave(turn, call, ("next", f"flow {ended} ended"))


def _finish(turn: Turn, call: Call, cause: str = "") -> None:
    """End a call at the end of its flow: what people and queues did to it before counts more than the flow's end."""
    kind = ev.QueueExit.ValueType(call.queue_exit)
    call_exit = ev.CALL_EXIT_ANSWERED if call.answered_ms else _BY_QUEUE.get(kind, ev.CALL_EXIT_FLOW_ENDED)
    calls.hang_up(turn, call, call_exit, cause)


def after_talk(turn: Turn, call: Call) -> None:
    """Go on with a caller whose agent left, when the step has an exit for it and the switch gave the caller back."""
    if call.stage is not CallStage.TALKING or call.other_leg_id or not (call.goes_on and call.is_parked_again):
        return
    turn.cancel_timer("unbridged", call.call_id)
    call.goes_on = call.is_parked_again = False
    call.recording_id = ""
    calls.lease(turn, call)
    advance(turn, call, (people.AFTER_TALK, "the agent left after the talk"))
