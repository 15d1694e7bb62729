"""What is remembered of callers beyond their call: whom they talked with, what place they gave up (SPEC 3.2, 3.7).

Both memories are bounded; the oldest entries go first. Numbers that are withheld or short are nobody's.
"""

from collections.abc import Iterable

from services.router.domain.model import Call
from services.router.domain.state import TenantState
from services.shared.contracts.ringmaster.v1 import tenant_pb2 as tn

MOST_FAMILIAR = 20_000
MOST_ABANDONED = 1_000
DEFAULT_MEMORY_HOURS = 720
_HOUR_MS = 3_600_000
_SHORTEST_NUMBER = 6


def talked(state: TenantState, call: Call, queue: tn.Queue, agent_id: str) -> None:
    """Remember with whom a caller talks, where the queue asks for it."""
    number = _number_of(call)
    if not queue.HasField("sticky") or not number:
        return
    familiar = state.familiar
    familiar.pop(number, None)
    familiar[number] = [agent_id, state.now_ms]
    if len(familiar) > MOST_FAMILIAR:
        del familiar[next(iter(familiar))]


def last_agent(state: TenantState, call: Call, queue: tn.Queue) -> str:
    """Return with whom a caller talked last, empty when the queue does not ask, or it is too long ago."""
    known = state.familiar.get(_number_of(call)) if queue.HasField("sticky") else None
    if known is None:
        return ""
    kept_ms = (queue.sticky.memory_hours or DEFAULT_MEMORY_HOURS) * _HOUR_MS
    return str(known[0]) if state.now_ms - int(known[1]) <= kept_ms else ""


def abandoned(state: TenantState, call: Call, queues: Iterable[tn.Queue]) -> None:
    """Remember the place of a caller who hung up while waiting: in that queue, and in those that led there."""
    number = _number_of(call)
    for queue in queues if number else ():
        memory, place = state.queues.get(queue.queue_id), call.places.get(queue.queue_id)
        if queue.resume_seconds and memory is not None and place is not None:
            _keep(memory.abandoned, number, [*place, state.now_ms], queue)


def _keep(places: dict[str, list[int]], number: str, place: list[int], queue: tn.Queue) -> None:
    now_ms = place[2]
    places.pop(number, None)
    places[number] = place
    while len(places) > MOST_ABANDONED or _is_over(places[next(iter(places))], now_ms, queue):
        del places[next(iter(places))]


def take_place(state: TenantState, call: Call, queue: tn.Queue) -> list[int]:
    """Return the entry time and order that a caller gave up not long ago, and forget them everywhere; empty without."""
    number = _number_of(call)
    place = state.queues[queue.queue_id].abandoned.get(number) if queue.resume_seconds else None
    if place is None:
        return []
    for memory in state.queues.values():
        memory.abandoned.pop(number, None)
    return [] if _is_over(place, state.now_ms, queue) else place[:2]


def _is_over(place: list[int], now_ms: int, queue: tn.Queue) -> bool:
    return now_ms - place[2] > queue.resume_seconds * 1000


def _number_of(call: Call) -> str:
    """Return whose the memory is; empty for a number that is withheld or short."""
    number = call.caller_number
    return number if len(number) >= _SHORTEST_NUMBER and number.lstrip("+").isdigit() else ""
