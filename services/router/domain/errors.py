class RouterError(Exception):
    """Base of what the core raises. The shell catches it: the input becomes a dead letter, the state is rebuilt."""


class RefusedInput(RouterError):
    """An input that changes nothing and never will: a dead letter, and the state goes on as it is."""


class UnsupportedStrategy(RefusedInput):
    """A document names a way to choose agents that this version does not know. Theirs; the former document stays."""


class UnreadableFlow(RefusedInput):
    """A document's flow calculates what can't be calculated. Theirs; the former document stays."""


class IllegalTransition(RouterError):
    """A life cycle was asked for a step that its table does not have. Our bug."""

    def __init__(self, subject: str, former: str, wanted: str) -> None:
        super().__init__(f"{subject} can't go from {former} to {wanted}")


class UnreadableInput(RefusedInput):
    """An input says nothing that this version knows. Theirs; it becomes a dead letter."""
