from typing import Protocol


class Stopping(Protocol):
    """The supervisor's flag: the process shall end."""

    def is_set(self) -> bool:
        """Whether to stop."""

    def wait(self, timeout: float) -> object:
        """Wait until it is set, or for so long."""
