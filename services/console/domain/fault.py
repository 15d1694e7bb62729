from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, order=True)
class Fault:
    """Something that is wrong in a document: where (`queues[0].strategy`, "" for the whole), and one sentence."""

    path: str
    message: str

    def __str__(self) -> str:
        return f"{self.path or 'document'}: {self.message}"


def path_of(parts: Iterable[str | int]) -> str:
    """Return `queues[0].strategy` for ("queues", 0, "strategy")."""
    text = ""
    for part in parts:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            text += f".{part}" if text else part
    return text
