from dataclasses import dataclass, field
from heapq import heappop, heappush


@dataclass(slots=True)
class FairShare:
    """Who of several that want one thing goes next: whoever has had least of it since all of them last had enough.

    Start-time fair queueing (Goyal, Vin and Cheng, 1996): who comes while others are busy begins where the one that was
    chosen last had begun. So it goes next, and has nothing saved up from the time in which it wanted nothing.
    """

    _had: dict[str, float] = field(default_factory=dict)
    """How much each had by its last turn, of those that had something since all had enough."""
    _waiting: list[tuple[float, int, str]] = field(default_factory=list)
    _wanting: set[str] = field(default_factory=set)
    _chosen_at: float = 0.0
    _came: int = 0

    def join(self, who: str) -> None:
        """Let somebody take turns; who does already stays where it is."""
        if who not in self._wanting:
            self._wanting.add(who)
            self._line_up(who)

    def choose(self) -> str | None:
        """Return who goes next, None where nobody wants anything. It has its turn until `charge`."""
        if not self._waiting:
            return None
        self._chosen_at, _, who = heappop(self._waiting)
        return who

    def charge(self, who: str, amount: float, *, has_enough: bool) -> None:
        """Note how much the chosen one had in its turn, and whether it wants more."""
        self._had[who] = self._had.get(who, self._chosen_at) + amount
        if not has_enough:
            self._line_up(who)
            return
        self._wanting.discard(who)
        if not self._wanting:
            self.clear()

    def clear(self) -> None:
        """Begin anew: nobody wants anything, and nobody has had anything."""
        self._had.clear()
        self._waiting.clear()
        self._wanting.clear()
        self._chosen_at = 0.0

    def _line_up(self, who: str) -> None:
        self._came += 1
        self._had[who] = max(self._chosen_at, self._had.get(who, 0.0))
        heappush(self._waiting, (self._had[who], self._came, who))
