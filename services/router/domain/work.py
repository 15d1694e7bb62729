"""What an agent did: in the shift, and in slices of a rolling window (SPEC 3.1). No status change resets it.

A shift begins when somebody becomes ready after SHIFT_GAP_MS or longer offline: a break, however it is called, doesn't
end it. A window is counted in whole slices of SLICE_MS: what was done in a slice counts until the slice is left behind.
"""

from dataclasses import dataclass

from services.router.domain.lifecycle import AgentState
from services.router.domain.model import Agent

SHIFT_GAP_MS = 4 * 3_600_000
SLICE_MS = 60_000
NEVER = 0
_PERMILLE = 1000
_TALK = frozenset({AgentState.TALKING, AgentState.HOLDING})
_HANDLE = _TALK | {AgentState.WRAP_UP}
_CALLS, _TALK_MS, _HANDLE_MS, _IDLE_MS = range(4)


@dataclass(frozen=True, slots=True)
class Done:
    """Calls taken, and milliseconds of talk (with hold), of handling (talk and wrap-up) and of idleness."""

    calls: int
    talk_ms: int
    handle_ms: int
    idle_ms: int


def record(agent: Agent, former: AgentState, wanted: AgentState, now_ms: int, longest_window_ms: int) -> None:
    """Count the state that an agent leaves now."""
    lasted_ms = now_ms - agent.since_ms if agent.since_ms else 0
    begins_call = wanted is AgentState.TALKING and former not in _TALK
    added = (
        int(begins_call),
        lasted_ms if former in _TALK else 0,
        lasted_ms if former in _HANDLE else 0,
        lasted_ms if former is AgentState.IDLE else 0,
    )
    if not any(added):
        return
    agent.shift = [sum(pair) for pair in zip(agent.shift, added, strict=True)]
    if longest_window_ms:
        _slice(agent, added, now_ms, longest_window_ms)


def begin_shift(agent: Agent, now_ms: int) -> None:
    """Take note that an agent who was offline is so no more."""
    if not agent.offline_since_ms or now_ms - agent.offline_since_ms >= SHIFT_GAP_MS:
        agent.shift = [0, 0, 0, 0]


def done(agent: Agent, window_ms: int, now_ms: int) -> Done:
    """Return what was done in the window, in the shift when it is 0, with the idleness that lasts now."""
    counted = list(agent.shift)
    if window_ms:
        oldest = _oldest(window_ms, now_ms)
        kept = [values for number, values in agent.slices.items() if int(number) >= oldest]
        counted = [sum(column) for column in zip(*kept, strict=True)] if kept else [0, 0, 0, 0]
    if agent.state is AgentState.IDLE:
        lasted_ms = now_ms - agent.since_ms
        counted[_IDLE_MS] += min(lasted_ms, window_ms) if window_ms else lasted_ms
    return Done(*counted)


def occupancy_permille(agent: Agent, window_ms: int, now_ms: int) -> int:
    """Return handling in tenths of a percent of handling and idleness (SPEC 8.2), rounded down; 0 for who did nothing.

    Finer, it would change for every idle agent at every moment; a tenth of a percent of a shift is half a minute.
    """
    did = done(agent, window_ms, now_ms)
    whole = did.handle_ms + did.idle_ms
    return did.handle_ms * _PERMILLE // whole if whole else 0


def changes_at(agent: Agent, window_ms: int, now_ms: int) -> int:
    """Return the first moment at which an idle agent's counts or occupancy can differ, NEVER when time changes none."""
    moments = []
    if window_ms and agent.slices:
        oldest = _oldest(window_ms, now_ms)
        kept = [int(number) for number in agent.slices if int(number) >= oldest]
        moments += [(min(kept) - oldest + 1 + now_ms // SLICE_MS) * SLICE_MS] if kept else []
    permille = occupancy_permille(agent, window_ms, now_ms)
    if permille:
        did = done(agent, window_ms, now_ms)
        left_ms = did.handle_ms * _PERMILLE // permille - did.handle_ms - did.idle_ms
        moments.append(now_ms + left_ms + 1)
    return min(moments, default=NEVER)


def _slice(agent: Agent, added: tuple[int, ...], now_ms: int, longest_window_ms: int) -> None:
    number = str(now_ms // SLICE_MS)
    former = agent.slices.get(number, [0, 0, 0, 0])
    agent.slices[number] = [sum(pair) for pair in zip(former, added, strict=True)]
    oldest = _oldest(longest_window_ms, now_ms)
    while int(first := next(iter(agent.slices))) < oldest:
        del agent.slices[first]


def _oldest(window_ms: int, now_ms: int) -> int:
    """Return the number of the oldest slice that counts."""
    return now_ms // SLICE_MS - -(-window_ms // SLICE_MS) + 1
