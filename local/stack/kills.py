"""Which process is ended by SIGKILL, and when."""

import random
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

VICTIMS = (
    "router",
    "listener",
    "stats",
    "webhooks",
    "recorder",
    "console",
    "broker",
    "documents",
    "objects",
    "receiver",
    "switch",
)
# So far apart on average all are well again before most kills, and not before all of them. The broker takes longest.
APART_SECONDS = 12.0


@dataclass(frozen=True, slots=True, order=True)
class Kill:
    """`at` is the share of the play that is over by then, 0 to 1."""

    at: float
    name: str


def in_turn(names: Iterable[str]) -> list[Kill]:
    """Return one kill for each name, in this order, evenly over the play."""
    known = list(names)
    return [Kill((place + 1) / (len(known) + 1), name) for place, name in enumerate(known)]


def by_lot(count: int, seed: int) -> list[Kill]:
    """Return so many kills of any process at any moment; the same seed gives the same ones."""
    dice = random.Random(seed)
    return sorted(Kill(dice.random(), dice.choice(VICTIMS)) for _ in range(count))


def counted(kills: Iterable[Kill]) -> str:
    """Return how often each was killed, most often first, in words."""
    return ", ".join(f"{name} {count}" for name, count in Counter(kill.name for kill in kills).most_common())
