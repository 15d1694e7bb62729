import time

from services.shared.bus.ports import Reader
from services.stats.writing import Writer

Place = tuple[str, int]


class Commits:
    """Tells the broker how far a log's reader has been written, every few seconds and only what is new."""

    def __init__(self, writer: Writer, seconds: float) -> None:
        self._writer = writer
        self._seconds = seconds
        self._told: dict[Place, int] = {}
        self._next_at = 0.0

    def tell(self, reader: Reader, ours: set[Place]) -> None:
        """Commit what was written of our partitions, when it is time. Raises BusUnavailable."""
        if time.monotonic() < self._next_at:
            return
        self._next_at = time.monotonic() + self._seconds
        written = self._writer.written
        news = {place: at for place, at in written.items() if place in ours and self._told.get(place) != at}
        if news:
            reader.commit(news)
            self._told |= news

    def forget(self, places: set[Place]) -> None:
        """Let partitions go: who gets one back tells of it anew."""
        for place in places:
            self._told.pop(place, None)
