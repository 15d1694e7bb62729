"""What people and programs ask. Each request gets one reply; asked again it gets the same one, without effect."""

from collections.abc import Callable, Sequence

from services.router.domain import agents, calls, erasing, flow, offers, recording
from services.router.domain.callbacks import campaign, wishes
from services.router.domain.control import dialling, in_talk, supervising, transferring
from services.router.domain.control.asking import (
    ACCEPTED,
    ANSWERED_LATER,
    NO_CALL,
    NOT_TALKING,
    ON_ITS_WAY,
    Answer,
    is_on_its_way,
    talking_call,
)
from services.router.domain.model import Agent
from services.router.domain.splitting import moving
from services.router.domain.turn import Turn
from services.shared.contracts.ringmaster.v1 import event_pb2 as ev
from services.shared.contracts.ringmaster.v1 import request_pb2 as rq
from services.shared.contracts.ringmaster.v1.input_pb2 import AgentLent

MOST_REMEMBERED = 2_000
MOST_WRAP_UP_SECONDS = 3_600
DISPOSITION_FORM = "disposition"


def take(turn: Turn, request: rq.Request) -> None:
    """Do what is asked and reply; what our own adapter brings back gets no reply."""
    if request.HasField("take_lookup"):
        _take_lookup(turn, request.take_lookup)
        return
    remembered = turn.state.replies
    answer = remembered.get(request.request_id)
    if answer is None:
        do = _REQUESTS.get(request.WhichOneof("request") or "")
        problem, detail = do(turn, request) if do else ("unknown-request", "The router does not know this request.")
        answer = [problem, detail]
        if request.request_id:
            remembered[request.request_id] = answer
            if len(remembered) > MOST_REMEMBERED:
                del remembered[next(iter(remembered))]
    if turn.state.domain and request.HasField("erase_person"):
        return  # the reception has replied
    if answer[0] != ANSWERED_LATER[0]:
        _reply(turn, request, answer)


def take_lent(turn: Turn, lent: AgentLent) -> None:
    """Do what was asked of an agent who has come for it from another log, or reply why nobody comes."""
    request = lent.request
    if lent.record:
        moving.take_agent(turn, lent.record)
        turn.state.replies.pop(request.request_id, None)
        take(turn, request)
        return
    answer = [lent.problem, lent.detail]
    if request.request_id in turn.state.replies:
        turn.state.replies[request.request_id] = answer
    _reply(turn, request, answer)


def _reply(turn: Turn, request: rq.Request, answer: Sequence[str]) -> None:
    turn.replies.append(
        rq.Reply(request_id=request.request_id, accepted=not answer[0], problem=answer[0], detail=answer[1])
    )


def _take_lookup(turn: Turn, found: rq.TakeLookup) -> None:
    call = turn.state.calls.get(found.call_id)
    if call is not None:
        flow.lookup_answered(turn, call, found)


def _set_agent_status(turn: Turn, request: rq.Request) -> Answer:
    ask = request.set_agent_status
    agent = _agent(turn, ask.agent_id)
    if agent is None:
        return _no_agent(ask.agent_id)
    if ask.status not in (rq.AGENT_STATUS_OFFLINE, rq.AGENT_STATUS_READY, rq.AGENT_STATUS_AWAY):
        return "unknown-status", "The status must be offline, ready or away."
    agents.set_status(turn, agent, ask.status, ask.reason, request.actor)
    return ACCEPTED


def _end_wrap_up(turn: Turn, request: rq.Request) -> Answer:
    agent = _agent(turn, request.end_wrap_up.agent_id)
    if agent is None:
        return _no_agent(request.end_wrap_up.agent_id)
    if not agent.wrap_up_from_ms:
        return "not-in-wrap-up", f"Agent {agent.agent_id} is not in wrap-up."
    agents.end_wrap_up(turn, agent)
    return ACCEPTED


def _extend_wrap_up(turn: Turn, request: rq.Request) -> Answer:
    ask = request.extend_wrap_up
    agent = _agent(turn, ask.agent_id)
    if agent is None:
        return _no_agent(ask.agent_id)
    if not agent.wrap_up_from_ms:
        return "not-in-wrap-up", f"Agent {agent.agent_id} is not in wrap-up."
    left_ms = turn.state.timers[f"wrap:{agent.agent_id}"] - turn.now_ms + ask.seconds * 1000
    if left_ms > MOST_WRAP_UP_SECONDS * 1000:
        return "too-long", f"A wrap-up may last {MOST_WRAP_UP_SECONDS} seconds more at most."
    turn.set_timer("wrap", agent.agent_id, left_ms)
    return ACCEPTED


def _reject_offer(turn: Turn, request: rq.Request) -> Answer:
    ask = request.reject_offer
    offer = turn.state.offers.get(ask.offer_id)
    if offer is None or offer.agent_id != ask.agent_id:
        return "not-ringing", "This offer is not held out to this agent any more."
    offers.refuse(turn, offer, "request")
    return ACCEPTED


def _hang_up_call(turn: Turn, request: rq.Request) -> Answer:
    call = turn.state.calls.get(request.hang_up_call.call_id)
    if call is None:
        return NO_CALL
    calls.hang_up(turn, call, ev.CALL_EXIT_ANSWERED if call.answered_ms else ev.CALL_EXIT_FLOW_ENDED)
    return ACCEPTED


def _hold_call(turn: Turn, request: rq.Request) -> Answer:
    call = talking_call(turn, request.hold_call.call_id)
    if call is None:
        return NOT_TALKING
    command = turn.command(call, call.call_id)
    if request.hold_call.held:
        command.hold_leg.SetInParent()
    else:
        command.resume_leg.SetInParent()
    return ACCEPTED


def _set_disposition(turn: Turn, request: rq.Request) -> Answer:
    ask = request.set_disposition
    configuration = turn.state.configuration
    known = configuration.dispositions if configuration else frozenset()
    if ask.disposition not in known:
        return "unknown-disposition", "The outcome is not one of the tenant's."
    live, ended = turn.state.calls.get(ask.call_id), turn.state.ended.get(ask.call_id)
    call = live or ended
    if call is None or not call.sequence:  # nobody was told of a callback that had no turn yet
        return NO_CALL
    if is_on_its_way(call):
        return ON_ITS_WAY
    if live is not None:
        live.disposition = ask.disposition
    body = turn.call_event(call).form_answered
    body.form_id = DISPOSITION_FORM
    body.agent_id = call.agent_id
    body.answers["disposition"] = ask.disposition
    if ask.notes:
        body.answers["notes"] = ask.notes
    return ACCEPTED


def _control_recording(turn: Turn, request: rq.Request) -> Answer:
    ask = request.control_recording
    call = talking_call(turn, ask.call_id)
    if call is None:
        return NOT_TALKING
    return recording.control(turn, call, request.actor, ask.control)


def _agent(turn: Turn, agent_id: str) -> Agent | None:
    agent = turn.state.agents.get(agent_id)
    return None if agent is None or agent.is_removed else agent


def _no_agent(agent_id: str) -> Answer:
    return "agent-not-found", f"There is no agent {agent_id}."


_REQUESTS: dict[str, Callable[[Turn, rq.Request], Answer]] = {
    "set_agent_status": _set_agent_status,
    "end_wrap_up": _end_wrap_up,
    "extend_wrap_up": _extend_wrap_up,
    "reject_offer": _reject_offer,
    "hang_up_call": _hang_up_call,
    "hold_call": _hold_call,
    "set_disposition": _set_disposition,
    "control_recording": _control_recording,
    "ask_callback": wishes.ask,
    "cancel_callback": wishes.cancel,
    "reschedule_callback": wishes.reschedule,
    "add_contacts": campaign.add_contacts,
    "run_campaign": campaign.run_campaign,
    "transfer_call": transferring.transfer_call,
    "start_consultation": transferring.start_consultation,
    "swap_consultation": transferring.swap_consultation,
    "complete_consultation": transferring.complete_consultation,
    "cancel_consultation": transferring.cancel_consultation,
    "join_consultation": transferring.join_consultation,
    "mute_agent": in_talk.mute_agent,
    "send_call_digits": in_talk.send_digits,
    "move_waiting_call": in_talk.move_waiting_call,
    "supervise_call": supervising.supervise_call,
    "stop_supervision": supervising.stop_supervision,
    "take_over_call": supervising.take_over_call,
    "dial_number": dialling.dial_number,
    "write_to_caller": in_talk.write_to_caller,
    "erase_person": erasing.erase,
}
