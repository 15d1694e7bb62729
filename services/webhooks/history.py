from collections.abc import Callable, Iterator

from services.shared.bus.backlog import Backlog
from services.shared.bus.ports import Reader
from services.shared.bus.record import Record
from services.shared.bus.topics import CALLS, partition_of
from services.webhooks.hearing import Place

POLL_SECONDS = 1.0


class History:
    """Reads a part of the public events again, without a say in anybody's offsets."""

    def __init__(self, open_reader: Callable[[], Reader]) -> None:
        self._open = open_reader

    def before(self, place: Place, until: int, reach_ms: int) -> Iterator[Record]:
        """Yield what lies at most `reach_ms` before the record ahead of `until`, up to the log's present end.

        All records before the first one are older than that. Raises BusUnavailable.
        """
        with _Alone(self._open(), place) as reader:
            start = 0
            if until > 0:
                last = next(_read(reader, place, until - 1), None)
                start = until if last is None else reader.offset_at(*place, last.timestamp_ms - reach_ms)
            yield from _read(reader, place, min(start, until))

    def since(self, tenant_id: str, since_ms: int) -> Iterator[Record]:
        """Yield a tenant's records from a moment up to the log's present end. Raises BusUnavailable."""
        reader = self._open()
        partitions = len(reader.assignment())
        place = (CALLS, partition_of(tenant_id, partitions))
        with _Alone(reader, place):
            start = reader.offset_at(*place, since_ms)
            yield from (record for record in _read(reader, place, start) if record.key == tenant_id)


class _Alone:
    """A reader that returns records of one partition only, closed at the end."""

    def __init__(self, reader: Reader, place: Place) -> None:
        self._reader = reader
        for other in reader.assignment():
            if other != place:
                reader.pause(*other)

    def __enter__(self) -> Reader:
        return self._reader

    def __exit__(self, *_error: object) -> None:
        self._reader.close()


def _read(reader: Reader, place: Place, start: int) -> Iterator[Record]:
    """Yield what is there from an offset on, and what comes while it is read."""
    backlog = Backlog(reader, [place], {place: start})
    reader.seek(*place, start)
    while not backlog.is_read:
        yield from backlog.poll(POLL_SECONDS)
