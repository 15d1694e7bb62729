"""What all types of steps have in common."""

from collections.abc import Callable
from dataclasses import dataclass

from services.router.domain.configuration import Configuration
from services.router.domain.model import Call
from services.router.domain.turn import Turn
from services.shared.contracts.ringmaster.v1 import switch_pb2 as sw
from services.shared.contracts.ringmaster.v1 import tenant_pb2 as tn

Left = tuple[str, str]
"""The exit that was taken, and one sentence why."""


class FlowFault(Exception):
    """A flow can't go on; the call is ended politely. Caught where the flow runs."""


@dataclass(frozen=True, slots=True)
class Kind:
    """One type of step: what it does when it is entered, and at what is told while a call is in it.

    Each returns the exit to leave by, or None to stay.
    """

    enter: Callable[[Turn, Call, tn.Step], Left | None]
    played: Callable[[Turn, Call, tn.Step, bool], Left | None] | None = None
    """Its prompts ended; the flag says whether they were heard."""
    collected: Callable[[Turn, Call, tn.Step, sw.DigitsCollected], Left | None] | None = None
    pressed: Callable[[Turn, Call, tn.Step, str], Left | None] | None = None
    overdue: Callable[[Turn, Call, tn.Step], Left | None] | None = None
    """Its end was not told in time; without this the call is ended."""


def configuration_of(turn: Turn, call: Call) -> Configuration:
    """Return the document that a call started with."""
    return turn.state.configurations[call.version]


def step_of(turn: Turn, call: Call) -> tn.Step:
    """Return the step that a call is in."""
    return configuration_of(turn, call).steps[call.flow_id, call.step_id]
