import heapq


class WaitingLine:
    """Callers who wait in one queue. Joining and leaving are O(log n), the longest wait is O(1)."""

    def __init__(self) -> None:
        self._since: dict[str, int] = {}
        self._heap: list[tuple[int, str]] = []

    def __len__(self) -> int:
        return len(self._since)

    def join(self, call_id: str, since_ms: int) -> None:
        """Let a caller wait."""
        self._since[call_id] = since_ms
        heapq.heappush(self._heap, (since_ms, call_id))

    def leave(self, call_id: str) -> None:
        """Let a caller go; one who does not wait changes nothing."""
        self._since.pop(call_id, None)
        heap = self._heap
        while heap and self._since.get(heap[0][1]) != heap[0][0]:
            heapq.heappop(heap)
        if len(heap) > 2 * len(self._since) + 64:
            self._heap = [(since, each) for each, since in self._since.items()]
            heapq.heapify(self._heap)

    def oldest_ms(self) -> int | None:
        """Return since when the first one waits; None when nobody does."""
        return self._heap[0][0] if self._heap else None

    def members(self) -> dict[str, int]:
        """Return who waits since when."""
        return dict(self._since)
