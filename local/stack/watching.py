import http.client
import time
from contextlib import suppress

ANSWER_SECONDS = 2.0
UNREADY = 503


class Watcher:
    """Asks a service again and again whether it is ready, on a new connection each time, as a cluster does."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._said_first = self._said_last = 0.0

    @property
    def said_seconds(self) -> float:
        """Return how long it answered that it is not ready; 0 where it never did."""
        return max(self._said_last - self._said_first, 0.001) if self._said_first else 0.0

    def look(self) -> None:
        """Ask once."""
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=ANSWER_SECONDS)
        with suppress(OSError, http.client.HTTPException):
            connection.request("GET", "/readyz")
            if connection.getresponse().status == UNREADY:
                self._said_last = time.monotonic()
                self._said_first = self._said_first or self._said_last
        connection.close()
