"""What was told of each live leg: the listener's memory, which survives its restart."""

from collections import OrderedDict, deque
from dataclasses import dataclass, field
from enum import StrEnum

ENDED_KEPT = 10_000
"""So many ended legs are remembered: for what comes after the hang-up, and so that none is hung up twice."""
STRANGERS_KEPT = 1_000


class Asked(StrEnum):
    """What a command of ours asked the leg for, whose end is a fact of its own."""

    PLAYBACK = "playback"
    DIGITS = "digits"
    ANSWER = "answer"
    MUSIC = "music"
    """Told to nobody; kept to know that something plays."""


@dataclass(slots=True)
class Leg:
    """One channel as the tenant's log knows it."""

    leg_id: str
    tenant_id: str
    call_id: str = ""
    """The call that it serves; "" for an inbound leg, which is its own call."""
    line: str = ""
    is_inbound: bool = True
    command_id: str = ""
    created_us: int = 0
    answered_us: int = 0
    is_parked: bool = False
    is_restated: bool = False
    """Told as parked by a reconciliation: the park event behind it, if it still comes, is the same fact."""
    is_held: bool = False
    has_fallen_back: bool = False
    other_leg_id: str = ""
    asked: dict[str, Asked] = field(default_factory=dict)
    has_pressed: bool = False
    sequence: int = 0
    domain: str = ""
    """Routing domain in whose log its facts stand; empty = the tenant's own (docs/adr/0033)."""
    hop: int = 0
    """The last hand-over between the tenant's logs."""

    @property
    def is_unclaimed(self) -> bool:
        """Whether it is a caller who was neither answered nor asked for anything, by us or by the switch."""
        return self.is_inbound and not (self.answered_us or self.asked or self.has_fallen_back)

    @property
    def call_key(self) -> str:
        """Return what names its call: masking covers all legs of a call."""
        return self.call_id or self.leg_id


class LegTable:
    """Live legs, ended ones for a while, masked recordings, registrations; and which of them have changed."""

    def __init__(self) -> None:
        self.core_uuid = ""
        self.live: dict[str, Leg] = {}
        self.registered: dict[str, str] = {}
        """Address of each registered phone → its tenant."""
        self.masked: dict[str, set[str]] = {}
        """Call → its recordings that are masked now."""
        self.changed: dict[str, None] = {}
        """Legs, calls and addresses to be written down, in order of change."""
        self._ended: OrderedDict[str, Leg] = OrderedDict()
        self.ended_before: set[str] = set()
        """Legs whose end a former life told; nothing more is known of them."""
        self.strangers_ended: deque[str] = deque(maxlen=STRANGERS_KEPT)
        """Legs that ended untold: a list that was asked for a moment before must not bring them to life."""

    def find(self, leg_id: str) -> Leg | None:
        """Return a leg, live or ended not long ago."""
        return self.live.get(leg_id) or self._ended.get(leg_id)

    def add(self, leg: Leg) -> None:
        """Take a new leg."""
        self.live[leg.leg_id] = leg
        self.changed[leg.leg_id] = None

    def touch(self, leg: Leg) -> None:
        """Say that something worth keeping changed."""
        self.changed[leg.leg_id] = None

    def end(self, leg: Leg) -> None:
        """Move a leg to the ended ones; its call's masks go with the last leg."""
        self.live.pop(leg.leg_id, None)
        self._ended[leg.leg_id] = leg
        while len(self._ended) > ENDED_KEPT:
            self._ended.popitem(last=False)
        self.changed[leg.leg_id] = None
        if self.masked and leg.call_key in self.masked and not self._has_legs(leg.call_key):
            del self.masked[leg.call_key]
            self.changed["call " + leg.call_key] = None

    def ask(self, leg_id: str, command_id: str, asked: Asked) -> None:
        """Remember that a command's end will be told by the leg; an unknown leg is no leg of ours."""
        leg = self.live.get(leg_id)
        if leg is not None:
            leg.asked[command_id] = asked
            leg.has_pressed = False
            self.touch(leg)

    def is_playing(self, leg_id: str) -> bool:
        """Whether something that a command of ours began plays, as far as is known."""
        leg = self.live.get(leg_id)
        return leg is not None and bool(leg.asked)

    def unask(self, leg_id: str, command_id: str) -> None:
        """Forget it again: the switch refused the command."""
        leg = self.live.get(leg_id)
        if leg is not None and command_id in leg.asked:
            del leg.asked[command_id]
            self.touch(leg)

    def unclaimed(self) -> set[str]:
        """Return the callers for whom nothing was done yet, as far as is known: their guard still counts."""
        return {leg_id for leg_id, leg in self.live.items() if leg.is_unclaimed}

    def mask(self, call_id: str, recording_id: str) -> None:
        """From now on no digit of this call is told (SPEC 6.1)."""
        self.masked.setdefault(call_id, set()).add(recording_id)
        self.changed["call " + call_id] = None

    def unmask(self, call_id: str, recording_id: str) -> None:
        """Digits may be told again when no recording of the call is masked any more."""
        recordings = self.masked.get(call_id)
        if recordings is None:
            return
        recordings.discard(recording_id)
        if not recordings:
            del self.masked[call_id]
        self.changed["call " + call_id] = None

    def is_masked(self, leg: Leg) -> bool:
        """Whether digits of this leg are secret now: its call is masked, or the call that it is bridged with."""
        if not self.masked:
            return False
        if leg.call_key in self.masked or leg.leg_id in self.masked:
            return True
        other = self.live.get(leg.other_leg_id)
        return other is not None and other.call_key in self.masked

    def register(self, address: str, tenant_id: str) -> bool:
        """Return whether this is news."""
        if self.registered.get(address) == tenant_id:
            return False
        self.registered[address] = tenant_id
        self.changed["phone " + address] = None
        return True

    def unregister(self, address: str) -> str:
        """Return the tenant whose phone it was, "" when it was not registered."""
        tenant_id = self.registered.pop(address, "")
        if tenant_id:
            self.changed["phone " + address] = None
        return tenant_id

    def _has_legs(self, call_key: str) -> bool:
        return any(leg.call_key == call_key for leg in self.live.values())
