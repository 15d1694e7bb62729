"""What waiting callers hear between the music: prompts, their place, the estimated wait (SPEC 3.6).

A prompt plays over the music, which goes on after it (wire truth 21). Nothing is played for a caller being connected.
"""

from services.router.domain import estimating, waiting
from services.router.domain.lifecycle import CallStage
from services.router.domain.model import Call
from services.router.domain.turn import Turn
from services.shared.contracts.ringmaster.v1 import tenant_pb2 as tn
from services.shared.contracts.ringmaster.v1.command_pb2 import PlayPrompt

_MINUTE_MS = 60_000


def announce(turn: Turn, call: Call) -> None:
    """Play what is due, in the document's order, and come back for the next."""
    index = turn.state.indexes.get(call.queue_id)
    if index is None or not call.is_waiting:
        return
    announcements = index.plan.queue.announcements
    prompt = PlayPrompt()
    position = waiting.position(index, call)
    for number, due_ms in enumerate(call.announce_at):
        if due_ms == waiting.NEVER or due_ms > turn.now_ms or number >= len(announcements):
            continue
        said = announcements[number]
        call.announce_at[number] = turn.now_ms + said.every_seconds * 1000 if said.every_seconds else waiting.NEVER
        _add(prompt, said, position, estimating.estimated_wait_ms(turn.state, index, position))
    if prompt.prompts and call.stage is CallStage.WAITING:
        turn.command(call, call.call_id).play_prompt.CopyFrom(prompt)
        _tell_position(turn, call, position)
    waiting.await_announcement(turn, call)


def _add(prompt: PlayPrompt, said: tn.Announcement, position: int, estimate_ms: int) -> None:
    for name in said.prompts:
        prompt.prompts.add(name=name)
    if said.says_position:
        prompt.prompts.add(number=position)
    if said.says_estimate:
        prompt.prompts.add(number=max(1, -(-estimate_ms // _MINUTE_MS)))


def _tell_position(turn: Turn, call: Call, position: int) -> None:
    if position == call.told_position:
        return
    call.told_position = position
    body = turn.call_event(call).queue_position_changed
    body.queue_id = call.queue_id
    body.position = position
