"""Who calls and whose phones ring, as the rows of SIPp's injection files. Nothing is read or written here."""

import random
from collections.abc import Iterable, Iterator
from typing import Any

from local.phones.telephone_events import KEYS
from local.switch.scenario import HOSTILE_NAMES, Line, Scenario
from services.console.domain.phone_password import phone_password

ROWS = 2_000
"""Callers before the first one calls again; their numbers tell one call from another in the logs."""
_PROMPT_SECONDS = 8.0
_LONGEST_STAY_SECONDS = 180.0
_NUMBER_PREFIX = "+38050"
# What would be read as the end of a field, of a header or of a keyword by SIPp itself, and not by the platform.
_SPELLED = str.maketrans({"\n": "%0A", "\r": "%0D", ";": ",", '"': "'", "[": "(", "]": ")"})


def calls_per_hour(scenario: Scenario) -> float:
    """Return how often anybody calls."""
    return sum(line.calls_per_hour for line in scenario.lines)


def caller_rows(scenario: Scenario, seed: int, *, by_events: bool) -> Iterator[str]:
    """Yield a file of callers; digits go as telephone events on every second call where `by_events` allows it.

    A SIPp caller can't tell music from an agent, so it stays for its patience from the beginning, whoever it hears.
    """
    dice = random.Random(seed)
    rates = [line.calls_per_hour for line in scenario.lines]
    yield "SEQUENTIAL"
    for number in range(ROWS):
        line = dice.choices(scenario.lines, rates)[0]
        digits = [_draw(dice, line, menu) for menu in range(2)]
        events = by_events and number % 2 == 0 and set("".join(digits)) <= set(KEYS)
        stay = min(_PROMPT_SECONDS + line.callers.patience.draw(dice), _LONGEST_STAY_SECONDS)
        fields = (
            line.number,
            f"{_NUMBER_PREFIX}{1_000_000 + number}",
            _name(scenario, dice),
            *digits,
            " 101" if events else "",
            "events" if events else "info",
            str(int(stay * 1000)),
        )
        yield ";".join(fields)


def phone_rows(tenants: Iterable[dict[str, Any]], secret: str) -> list[str]:
    """Return a file of phones with the passwords that the console's directory derives."""
    rows = ["SEQUENTIAL"]
    for tenant in tenants:
        domain = tenant["domain"]
        for agent in tenant["agents"]:
            user = agent["phone"]
            password = phone_password(secret, user, domain)
            # SIPp reads a keyword in a field, and no field in a keyword.
            proof = f"[authentication username={user} password={password}]"
            rows.append(f"{user};{domain};{proof}")
    return rows


def _draw(dice: random.Random, line: Line, menu: int) -> str:
    if menu >= len(line.callers.digits):
        return ""
    weights = line.callers.digits[menu]
    return dice.choices(list(weights), list(weights.values()))[0]


def _name(scenario: Scenario, dice: random.Random) -> str:
    pool = scenario.pool
    names = HOSTILE_NAMES if dice.random() < pool.hostile else pool.names
    return dice.choice(names).translate(_SPELLED)
