"""A customer whom we called is on the line and waits for an agent: from now on like any caller."""

from services.router.domain import calls, waiting
from services.router.domain.lifecycle import CallStage
from services.router.domain.model import Call
from services.router.domain.splitting import leaving
from services.router.domain.turn import Turn
from services.shared.contracts.ringmaster.v1 import event_pb2 as ev


def wait_live(turn: Turn, call: Call) -> None:
    """Let a called customer wait in the queue, at the place in the order that the callback had."""
    queue = waiting.queue_of(turn.state, call.queue_id)
    if queue is None:
        turn.needless.append(call.call_id)
        return
    if call.is_waiting:
        waiting.leave(turn, call, ev.QUEUE_EXIT_UNSPECIFIED)
    call.is_absent, call.keeps_place = False, True
    turn.state.absent.discard(call.call_id)
    configuration = turn.state.configuration
    if configuration is not None and not configuration.is_here(queue.queue_id):
        home = configuration.domain_of_queue.get(queue.queue_id, "")
        leaving.over(turn, call, home, leaving.LIVE)
        return
    calls.to_stage(call, CallStage.WAITING)
    waiting.join(turn, call, queue, call.priority, waiting.Entry(call.entered_ms, call.entered_order, ""))
    turn.command(call, call.call_id).start_music.stream = queue.music
    if not any(turn.state.indexes[queue.queue_id].logged_in.values()):
        turn.deserted.append(queue.queue_id)
