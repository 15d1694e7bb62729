"""What is away for a company's recordings is tried with one of them, while the others wait.

Ten thousand files, each tried by itself, would be read and hashed again and again by the machine that carries the
calls, and each would have its failure noted.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from services.recorder.domain.location import Location, TenantId


@dataclass(slots=True)
class _Outage:
    failures: int
    not_before: float
    probe: Location | None = None


class Outages:
    """By company: one whose key or bucket is refused holds up nobody else. Memory is a few bytes a company."""

    def __init__(self, pause_seconds: Callable[[int], float]) -> None:
        """`pause_seconds` gives the pause after so many failures."""
        self._pause_seconds = pause_seconds
        self._open: dict[TenantId, _Outage] = {}

    def admits(self, location: Location, now: float) -> bool:
        """Whether a recording may be tried now; during an outage it is then the one that tries."""
        outage = self._open.get(location.tenant_id)
        if outage is None:
            return True
        if outage.probe is not None or now < outage.not_before:
            return False
        outage.probe = location
        return True

    def holds(self, location: Location) -> bool:
        """Whether a recording that was admitted before the outage has to wait after all."""
        outage = self._open.get(location.tenant_id)
        return outage is not None and outage.probe != location

    def failed(self, location: Location, now: float) -> float:
        """Note that something is away; return for how long the company's recordings wait from now on."""
        outage = self._open.setdefault(location.tenant_id, _Outage(0, now))
        # Those that were under way when it began fail with the first: one failure, not several.
        if not outage.failures or outage.probe == location:
            outage.failures += 1
            outage.not_before = now + self._pause_seconds(outage.failures)
        return max(0.0, outage.not_before - now)

    def succeeded(self, location: Location) -> None:
        """Everything is there again."""
        self._open.pop(location.tenant_id, None)

    def left(self, location: Location) -> None:
        """Let another recording try: this one's try is over, and has proved nothing or failed."""
        outage = self._open.get(location.tenant_id)
        if outage is not None and outage.probe == location:
            outage.probe = None

    def keep_only(self, locations: Iterable[Location]) -> None:
        """Forget the companies without recordings that wait."""
        here = {location.tenant_id for location in locations}
        self._open = {tenant_id: outage for tenant_id, outage in self._open.items() if tenant_id in here}
