"""The router's true core in virtual time: the same `decide`, with a clock that jumps."""

from collections.abc import Callable
from typing import Protocol

from services.router.domain.decide import Outputs, decide
from services.router.domain.state import TenantState
from services.router.domain.turn import Lookup, Note, Position, SetTimer
from services.router.whatif.moments import Moments
from services.shared.contracts.ringmaster.v1.command_pb2 import Command
from services.shared.contracts.ringmaster.v1.input_pb2 import Input

Watch = Callable[[int, Input, Outputs], None]
"""Sees each input with its moment and what followed from it."""


class World(Protocol):
    """What executes a core's orders."""

    def execute(self, command: Command) -> None:
        """Do what a command says; what follows from it is fed later, never at once."""

    def look_up(self, lookup: Lookup) -> None:
        """Ask the tenant's CRM; the same."""


class Core:
    """One tenant's core: inputs in, orders to the world, timers back at their moments."""

    def __init__(
        self,
        moments: Moments,
        tenant_id: str,
        world: World,
        watch: Watch | None = None,
        *,
        domain: str = "",
        partition: int = 0,
    ) -> None:
        self.state = TenantState(tenant_id, domain)
        self.offset = 0
        self._partition = partition
        self.pass_on: Callable[[Note], None] = lambda _note: None
        """Brings what another log of the tenant is told there."""
        self._moments = moments
        self._world = world
        self._watch = watch

    def feed(self, given: Input) -> None:
        """Let the core decide an input now."""
        now_ms = self._moments.now_ms
        out = decide(self.state, Position(self._partition, self.offset), now_ms, given)
        self.offset += 1
        for timer in out.timers:
            if isinstance(timer, SetTimer):
                self._moments.at(timer.due_ms, self._fire, timer.timer_id, timer.due_ms)
        if self._watch is not None:
            self._watch(now_ms, given, out)
        for note in out.notes:
            self.pass_on(note)
        for command in out.commands:
            self._world.execute(command)
        for lookup in out.lookups:
            self._world.look_up(lookup)

    def _fire(self, timer_id: str, due_ms: int) -> None:
        if self.state.timers.get(timer_id) != due_ms:
            return  # cancelled or set anew: the router's shell keeps such a one back as well
        given = Input()
        given.tenant_id, given.domain = self.state.tenant_id, self.state.domain
        given.timer.timer_id = timer_id
        given.timer.due_ms = due_ms
        self.feed(given)
