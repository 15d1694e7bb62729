"""What callers felt while services were stopped: how long they waited, and which of them were dropped. No I/O."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

Call = dict[str, Any]
"""A call as the switch accounts for it (local/switch/truth.py), its times in epoch seconds."""


@dataclass(frozen=True, slots=True)
class Stopped:
    """A service that was asked to stop at this moment, in epoch seconds."""

    service: str
    at: float


def longest_waits(calls: list[Call], stops: Sequence[Stopped]) -> list[float]:
    """Return for each stop how long, in seconds, the slowest call waited that came behind it and before the next."""
    longest = [0.0] * len(stops)
    for call in calls:
        before = _index_before(call["arrived"], stops)
        if before is not None:
            longest[before] = max(longest[before], _waited(call))
    return [round(wait, 2) for wait in longest]


def dropped(calls: list[Call], stops: Sequence[Stopped]) -> list[str]:
    """Return a sentence on each call that had no talk, or that its caller did not end, in the order of arrival."""
    wrong = [call for call in calls if not call["talks"] or call["hung_up_by"] != "caller"]
    return [_sentence(call, stops) for call in sorted(wrong, key=lambda call: float(call["arrived"]))]


def _sentence(call: Call, stops: Sequence[Stopped]) -> str:
    before = _index_before(call["arrived"], stops)
    since = "before the first stop" if before is None else _since(call["arrived"], stops[before])
    talk = "had a talk" if call["talks"] else "no talk"
    way = ", fell back" if call["took_fallback"] else ""
    end = "not ended" if call["hungup"] is None else f"ended by {call['hung_up_by']} ({call['cause']})"
    return f"{call['uuid']} to {call['line']}, {since}: {talk}, waited {_waited(call):.2f} s{way}, {end}"


def _since(arrived: float, stop: Stopped) -> str:
    return f"{arrived - stop.at:.2f} s after {stop.service} was asked to stop"


def _index_before(moment: float, stops: Sequence[Stopped]) -> int | None:
    found = [index for index, stop in enumerate(stops) if stop.at <= moment]
    return found[-1] if found else None


def _waited(call: Call) -> float:
    """Return how long the caller waited for the talk, or for the end where none came."""
    until = call["talks"][0]["started"] if call["talks"] else call["hungup"]
    return 0.0 if until is None else float(until) - float(call["arrived"])
