"""From an agent who is free again, while others wait, to the ring of the next caller: the core beside mod_callcenter.

The same hall for both: so many agents, so many who always wait, one queue, longest idle first. In the core it is the
input that frees the agent, from its bytes to the command to ring. In mod_callcenter it is `bridge-agent-end` to
`agent-offering` of the same agent, whom it finds when it looks the next time: its match, and the wait for it. So no
ratio is given: what our stack adds to the decision (socket, log, log, socket) is in bench/latency, beside it too.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from bench.latency import callcenter
from bench.report import Row

CALLS = 4_000
CALLCENTER_SECONDS = 25.0


@dataclass(frozen=True, slots=True)
class Hall:
    """Agents, those who wait, and how long mod_callcenter's talks last: some 25 calls end in a second in each hall."""

    agents: int
    waiting: int
    talk_seconds: tuple[float, float]

    def __str__(self) -> str:
        return f"{self.agents}/{self.waiting}"


HALLS = (Hall(100, 50, (2.0, 6.0)), Hall(500, 200, (10.0, 30.0)))


def compare(decisions: Callable[[Hall, int], list[float]]) -> list[Row]:
    """Measure both in each hall; without a FreeSWITCH only the core. `decisions` returns seconds."""
    freeswitch = callcenter.program()
    rows: list[Row] = []
    for hall in HALLS:
        ours = sorted(decisions(hall, CALLS))
        rows += _rows(f"router core, {hall}", ours)
        if freeswitch is None:
            continue
        span = CALLCENTER_SECONDS + hall.talk_seconds[1]
        found = callcenter.measure(
            freeswitch, waiting=hall.waiting, seconds=span, agents=hall.agents, talk_seconds=hall.talk_seconds
        )
        theirs = sorted(wait for wait, who in found if who == "agent free")
        if theirs:
            rows += _rows(f"mod_callcenter, {hall}", theirs)
    if freeswitch is None:
        print("No FreeSWITCH with mod_callcenter here: its rows are left out (FREESWITCH_BIN names one).")
    return rows


def _rows(who: str, waits: list[float]) -> Iterator[Row]:
    yield Row(who, "agent free -> ring, offers", len(waits), "offers")
    for share in (50, 99):
        yield Row(who, f"agent free -> ring p{share}", _at(waits, share) * 1000, "ms")


def _at(ordered: list[float], share: int) -> float:
    return ordered[min(len(ordered) - 1, len(ordered) * share // 100)]
