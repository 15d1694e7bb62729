"""The answer of a command that takes time: filled in later, by the switch's own clock."""

from collections.abc import Callable


class Pending:
    """A result that is not there yet; callbacks run once, when it comes."""

    __slots__ = ("_callbacks", "result")

    def __init__(self) -> None:
        self.result: str | None = None
        self._callbacks: list[Callable[[str], None]] = []

    def resolve(self, result: str) -> None:
        """Give the result; only the first one counts."""
        if self.result is not None:
            return
        self.result = result
        for callback in self._callbacks:
            callback(result)

    def then(self, callback: Callable[[str], None]) -> None:
        """Have the callback called with the result, at once if it is there."""
        if self.result is not None:
            callback(self.result)
        else:
            self._callbacks.append(callback)
