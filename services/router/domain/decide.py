"""The router's core: one input in, what follows from it out (DESIGN rule 2)."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from services.router.domain import (
    agents,
    announcing,
    calls,
    documents,
    erasing,
    facts,
    flow,
    hearing,
    matching,
    offers,
    queueing,
    recording,
    requests,
    silence,
    talking,
    waiting,
)
from services.router.domain.callbacks import attempts, campaign, planning
from services.router.domain.control import dialling, handover
from services.router.domain.errors import UnreadableInput
from services.router.domain.model import Call
from services.router.domain.splitting import leaving, moving, passing, reception
from services.router.domain.state import TenantState
from services.router.domain.turn import CancelTimer, Lookup, Note, Position, SetTimer, Turn
from services.shared.contracts.ringmaster.v1 import event_pb2 as ev
from services.shared.contracts.ringmaster.v1.command_pb2 import Command
from services.shared.contracts.ringmaster.v1.event_pb2 import Event
from services.shared.contracts.ringmaster.v1.input_pb2 import Input, TimerFired
from services.shared.contracts.ringmaster.v1.request_pb2 import Reply


class Outputs(NamedTuple):
    """What follows from one input, each kind in its order; commands are without a fence, the shell sets it."""

    commands: list[Command]
    events: list[Event]
    replies: list[Reply]
    timers: list[SetTimer | CancelTimer]
    lookups: list[Lookup]
    notes: Sequence[Note] = ()
    forgets: bool = False
    """Whether a snapshot is wanted soon, because a person is to be forgotten."""


def decide(state: TenantState, position: Position, time_ms: int, given: Input) -> Outputs:
    """Decide what follows from an input, and change `state` in place.

    `time_ms` is the record's timestamp; time never goes back within a tenant. Same state and arguments, same outputs.
    Raises RouterError, or an error of ours: `state` is then undefined and must be built again without this input.
    """
    state.now_ms = max(state.now_ms, time_ms)
    turn = Turn(state, position, state.now_ms)
    take = _INPUTS.get(given.WhichOneof("input") or "")
    if take is None:
        raise UnreadableInput("the input says nothing that the router knows")
    domain = reception.domain_of(state, given) if state.domains else ""
    if domain:
        reception.send_on(turn, domain, given)
    else:
        take(turn, given)
    if state.held_back:
        facts.take_held_back(turn)
    hearing.note(turn, given)
    _settle(turn)
    while turn.needless or turn.campaigns or turn.deserted:
        _go_on(turn)
        _settle(turn)
    if state.strays or state.leavers:
        moving.send(turn)
    calls.purge_ended(turn)
    return Outputs(turn.commands, turn.events, turn.replies, turn.timers, turn.lookups, turn.notes, turn.forgets)


def _settle(turn: Turn) -> None:
    """Let flows go on whose offer or talk ended, then match: whoever comes back into a queue keeps the place there."""
    is_quiet = False
    while not is_quiet:
        while _go_on_with_a_flow(turn):
            pass
        matching.settle(turn)
        is_quiet = not (turn.unanswered or turn.unoffered or turn.left_alone)


def _go_on(turn: Turn) -> None:
    """Do one thing that follows from this decision: end what is needless, feed a campaign, empty a queue."""
    if turn.needless:
        attempts.drop_needless(turn)
        return
    if turn.campaigns:
        campaign.go_on(turn)
        return
    flow.check_deserted(turn, turn.deserted.pop(0))


def _go_on_with_a_flow(turn: Turn) -> bool:
    """Let the flow of one caller go on; False when nobody's must."""
    for waited, go_on in (
        (turn.unanswered, handover.unanswered),
        (turn.unoffered, _check_unoffered),
        (turn.left_alone, flow.after_talk),
    ):
        if waited:
            call = turn.state.calls.get(waited.pop(0))
            if call is not None:
                go_on(turn, call)
            return True
    return False


def _check_unoffered(turn: Turn, call: Call) -> None:
    flow.check_unoffered(turn, call)
    dialling.not_taken(turn, call)


def _timer(turn: Turn, fired: TimerFired) -> None:
    """Do what a timer is for; one that was cancelled or set anew is ignored."""
    if turn.state.timers.get(fired.timer_id) != fired.due_ms:
        return
    del turn.state.timers[fired.timer_id]
    kind, _, subject = fired.timer_id.partition(":")
    of_call = _OF_CALL.get(kind)
    if of_call is not None:
        of_call(turn, turn.state.calls[subject])
    elif kind == hearing.TIMER:
        silence.look(turn, subject, hearing.patience_ms(fired))
    else:
        _OTHERS[kind](turn, subject)


def _wait_over(turn: Turn, call: Call) -> None:
    flow.queue_exit(turn, call, ev.QUEUE_EXIT_TIMEOUT, ("timeout", "the longest wait passed"))


def _bridge_overdue(turn: Turn, call: Call) -> None:
    if not talking.bridge_overdue(turn, call):
        talking.bridge_failed(turn, call)
        flow.forward_failed(turn, call, "the connection was not told")


def _silent(turn: Turn, call: Call) -> None:
    calls.hang_up(turn, call, ev.CALL_EXIT_ANSWERED if call.answered_ms else ev.CALL_EXIT_FORWARDED)


def _rang_out(turn: Turn, offer_id: str) -> None:
    silence.look_at_offer(turn, turn.state.offers[offer_id])
    offers.rang_out(turn, turn.state.offers[offer_id])


def _wrapped_up(turn: Turn, agent_id: str) -> None:
    agents.end_wrap_up(turn, turn.state.agents[agent_id])


def _rested(turn: Turn, agent_id: str) -> None:
    agents.set_reachable(turn, turn.state.agents[agent_id], is_reachable=True)


def _callback_due(turn: Turn, callback_id: str) -> None:
    attempts.begin(turn, turn.state.callbacks[callback_id])


def _callback_expires(turn: Turn, callback_id: str) -> None:
    planning.expire(turn, turn.state.callbacks[callback_id])


def _passed_on(turn: Turn, given: Input) -> None:
    """Take what another log of the tenant tells, once; an input that it was not for as if it had come here."""
    told = given.passed_on
    if not passing.is_news(turn, told):
        return
    if not told.HasField("input"):
        passing.take(turn, told)
        return
    if reception.has_left(turn.state, told.input):
        turn.pass_on("").input.CopyFrom(told.input)  # which knows by now where the agent has gone
        return
    domain = reception.domain_of(turn.state, told.input) if turn.state.domains else ""
    if domain and domain != told.from_domain:
        reception.send_on(turn, domain, told.input)
        return
    take = _INPUTS.get(told.input.WhichOneof("input") or "")
    if take is not None:
        take(turn, told.input)


_OF_CALL: dict[str, Callable[[Turn, Call], None]] = {
    "lease": calls.lease,
    "step": flow.step_overdue,
    "wait": _wait_over,
    "retry": matching.ask_again,
    "widen": waiting.widen,
    "progress": matching.progress,
    "announce": announcing.announce,
    "overflow": queueing.overflow_due,
    "bridge": _bridge_overdue,
    "unbridged": _silent,
    "transfer": handover.overdue,
    "end": calls.order_hang_up,
    "dial": attempts.dial_overdue,
    "mask": recording.mask_over,
    "hand": leaving.overdue,
}
_OTHERS: dict[str, Callable[[Turn, str], None]] = {
    "ring": _rang_out,
    "wrap": _wrapped_up,
    "reach": _rested,
    "gone": offers.order_release,
    "callback": _callback_due,
    "callback_end": _callback_expires,
    "pace": campaign.pace,
    "erase": erasing.try_again,
    hearing.BOOT_TIMER: silence.end_former_boots,
}
_INPUTS: dict[str, Callable[[Turn, Input], None]] = {
    "fact": lambda turn, given: facts.take(turn, given.fact),
    "command_result": lambda turn, given: facts.take_result(turn, given.command_result),
    "request": lambda turn, given: requests.take(turn, given.request),
    "timer": lambda turn, given: _timer(turn, given.timer),
    "clip_recognised": lambda turn, given: facts.take_recognised(turn, given.clip_recognised),
    "person_forgotten": lambda turn, given: erasing.forgotten(turn, given.person_forgotten),
    "document": lambda turn, given: documents.apply(turn, given.document),
    "passed_on": _passed_on,
}
