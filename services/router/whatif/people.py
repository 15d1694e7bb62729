"""What the people at both ends of a call do, as far as a switch can see it."""

from dataclasses import dataclass
from typing import Protocol

from services.shared.contracts.ringmaster.v1.command_pb2 import CollectDigits


@dataclass(frozen=True, slots=True)
class Reaction:
    """How a phone that is called behaves: it rings after a while, then it is picked up, or the leg ends by a cause."""

    rings_after_ms: int = 0
    then_ms: int = 0
    """From the ringing on."""
    cause: str = ""
    """FreeSWITCH's hang-up cause; empty = it is picked up."""


@dataclass(frozen=True, slots=True)
class Talk:
    """How a talk goes once both hear each other."""

    lasts_ms: int
    agent_hangs_up: bool = True


@dataclass(frozen=True, slots=True)
class Answer:
    """What a caller enters when a question is heard."""

    after_ms: int = 0
    digits: str = ""


class People(Protocol):
    """Callers and agents. Each method is asked once at the moment at which it matters."""

    def patience_ms(self, call_id: str) -> int | None:
        """Say how long a caller hears music before hanging up; None = for ever."""

    def answer(self, call_id: str, question: CollectDigits) -> Answer:
        """Say what a caller enters."""

    def pick_up(self, call_id: str, address: str) -> Reaction:
        """Say what becomes of the ringing of a phone or of a number outside."""

    def talk(self, call_id: str, address: str) -> Talk:
        """Say how a caller and a phone talk."""

    def listens_ms(self, call_id: str) -> int:
        """Say how long a prompt lasts."""
