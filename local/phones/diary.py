"""What the phones wrote down, as ground truth: who called when, whose phone rang, who talked with whom."""

import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any, Final

_OUTSIDE: Final = re.compile(r"\+?[0-9]{5,15}")
"""How somebody outside is called; an agent's phone has a name, or a short number of the company's own."""


@dataclass(slots=True)
class Call:
    """One call from outside, as the caller saw it; epoch seconds."""

    number: str
    line: str
    arrived: float
    answered: float | None = None
    hungup: float | None = None
    hung_up_by: str = ""
    talks: list[dict[str, Any]] = field(default_factory=list)
    recordings: list[dict[str, Any]] = field(default_factory=list)
    """None: a phone knows of no recording."""


@dataclass(slots=True)
class Ringing:
    """One call to a phone, as the phone saw it. `number` is the caller's, which is shown."""

    agent: str
    number: str
    rang: float
    answered: float | None = None
    ended: float | None = None


def read_calls(lines: Iterable[str]) -> dict[str, Call]:
    """Read the callers' log; the key is the SIP Call-ID."""
    calls: dict[str, Call] = {}
    for what, call_id, at, rest in _entries(lines):
        if what == "calls" and len(rest) > 1:
            calls[call_id] = Call(rest[0], rest[1], at)
        elif call_id in calls and what == "answered":
            calls[call_id].answered = at
        elif call_id in calls and what == "gone":
            calls[call_id].hungup, calls[call_id].hung_up_by = at, rest[0] if rest else ""
    return calls


def read_ringings(lines: Iterable[str]) -> dict[str, Ringing]:
    """Read the agents' log; the key is the SIP Call-ID."""
    ringings: dict[str, Ringing] = {}
    for what, call_id, at, rest in _entries(lines):
        if what == "rings" and len(rest) > 1:
            ringings[call_id] = Ringing(rest[1], rest[0], at)
        elif call_id in ringings and what == "answered":
            ringings[call_id].answered = at
        elif call_id in ringings and what == "gone":
            ringings[call_id].ended = at
    return ringings


def truth(calls: Iterable[Call], ringings: Iterable[Ringing]) -> dict[str, Any]:
    """Put callers and phones together by the number that is shown, with the simulated switch's names.

    A phone that was answered while its caller was there is a talk. Somebody outside who is rung with no caller there is
    a customer whom the platform calls by itself; he talks with the agent who is shown his number meanwhile.
    """
    calls, ringings = list(calls), list(ringings)
    outside = [one for one in ringings if _OUTSIDE.fullmatch(one.agent)]
    offers = [one for one in ringings if not _OUTSIDE.fullmatch(one.agent)]
    for call in calls:
        call.talks = [
            {"agent": "" if one in outside else one.agent, "started": one.answered, "ended": one.ended}
            for one in ringings
            if one.number == call.number and one.answered is not None and _is_during(one.answered, call)
        ]
    dials = [_dial(one, offers) for one in outside if not _is_forwarded(one, calls)]
    return {"calls": [asdict(call) for call in calls], "offers": [asdict(one) for one in offers], "dials": dials}


def _dial(customer: Ringing, offers: list[Ringing]) -> dict[str, Any]:
    return {
        "number": customer.agent,
        "dialled": customer.rang,
        "answered": customer.answered,
        "ended": customer.ended,
        "talked_with": [one.agent for one in offers if one.number == customer.agent and _talked(customer, one)],
        "recordings": [],
        "hung_up_by": "",
    }


def _talked(one: Ringing, other: Ringing) -> bool:
    """Whether both had answered before either was gone."""
    if one.answered is None or other.answered is None:
        return False
    begun = max(one.answered, other.answered)
    return all(each.ended is None or begun < each.ended for each in (one, other))


def _is_forwarded(one: Ringing, calls: list[Call]) -> bool:
    return any(call.number == one.number and _is_during(one.rang, call) for call in calls)


def _is_during(at: float, call: Call) -> bool:
    return call.arrived <= at and (call.hungup is None or at <= call.hungup)


def _entries(lines: Iterable[str]) -> Iterable[tuple[str, str, float, list[str]]]:
    """Yield (what, call id, when, the rest) of lines `what id date time epoch …`; half a line is left out."""
    for line in lines:
        words = line.split()
        try:
            at = float(words[4])
        except (IndexError, ValueError):
            continue
        yield words[0], words[1], at, words[5:]
