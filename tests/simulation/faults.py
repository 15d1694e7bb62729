"""A switch on a bad day: facts late and told twice, orders refused or lost from sight, legs that die, restarts."""

import random
from dataclasses import dataclass

from services.router.domain.turn import Lookup
from services.router.whatif.moments import Moments
from services.router.whatif.people import People
from services.router.whatif.switch import Switch
from services.router.whatif.telling import SwitchLeg
from services.shared.contracts.ringmaster.v1 import command_pb2 as cm
from services.shared.contracts.ringmaster.v1.command_pb2 import Command
from services.shared.contracts.ringmaster.v1.input_pb2 import Input
from services.shared.log_keys import key_of
from tests.simulation.invariants import Broken

FORGETS = 3
CAUSES = ("NORMAL_CLEARING", "USER_BUSY", "NO_ANSWER", "CALL_REJECTED", "NORMAL_TEMPORARY_FAILURE", "MEDIA_TIMEOUT")


@dataclass(frozen=True)
class Weather:
    """How bad the day is: shares of all orders and facts, and the longest delays."""

    refused: float
    lost_from_sight: float
    told_twice: float
    fact_ms: int
    order_ms: int


class FaultySwitch(Switch):
    """Order is kept within one leg, for orders and for facts, as listeners keep it; between legs nothing is."""

    def __init__(self, moments: Moments, people: People, lot: random.Random, weather: Weather) -> None:
        super().__init__(moments, people)
        self._lot = lot
        self._weather = weather
        self._told_at: dict[str, int] = {}
        self._ordered_at: dict[str, int] = {}
        self._silent_until_ms = 0
        self.rung: dict[tuple[str, str], SwitchLeg] = {}
        """Phone → the one leg that may live there."""

    def execute(self, command: Command) -> None:
        """Take an order on its way; it must be for a leg of the tenant that gives it."""
        self._check_tenant(command)
        due_ms = self._next(self._ordered_at, command.leg_id, self._weather.order_ms)
        self.moments.at(due_ms, self._try, command)

    def publish(self, leg: SwitchLeg, given: Input) -> None:
        """Bring a fact to the core late, and perhaps twice."""
        due_ms = max(self._silent_until_ms, self._next(self._told_at, leg.leg_id, self._weather.fact_ms))
        feed = self.cores[key_of(leg.tenant_id, given.domain)].feed
        self.moments.at(due_ms, feed, given)
        if self._lot.random() < self._weather.told_twice:
            self.moments.at(due_ms + self._lot.choice([0, 40, 4_000, 30_000]), feed, given)

    def deliver(self, key: str, given: Input) -> None:
        """Bring what belongs to no leg; it has no order."""
        due_ms = self.moments.now_ms + self._lot.randint(0, self._weather.fact_ms)
        self.moments.at(max(self._silent_until_ms, due_ms), self.cores[key].feed, given)

    def fall_silent(self, for_ms: int) -> None:
        """Say nothing and take no orders for a while, as when the listener is away; it tells all of it afterwards."""
        self._silent_until_ms = max(self._silent_until_ms, self.moments.now_ms + for_ms)

    def look_up(self, lookup: Lookup) -> None:
        """Answer for the CRM: well, late or not at all."""
        given = Input(tenant_id=lookup.tenant_id)
        taken = given.request.take_lookup
        taken.call_id, taken.lookup_id, taken.status = lookup.call_id, lookup.lookup_id, 200
        if self._lot.random() < 0.3:
            taken.fault = "unreachable"
        else:
            taken.values["city"] = "Lviv"
        self.moments.after(self._lot.choice([5, 500, 5_000]), self.cores[lookup.tenant_id].feed, given)

    def kill_leg(self) -> None:
        """Let any leg die, whatever it does."""
        if self.legs:
            leg_id = self._lot.choice(list(self.legs))
            self.hang_up(self.legs[leg_id], self._lot.choice(CAUSES))

    def restart(self) -> None:
        """Lose every leg; the listener finds the new process and tells what is gone.

        Of each third boot it knows nothing any more, as on a machine that comes back with an empty disk.
        """
        gone, number = list(self.legs.values()), int(self.core_uuid.rpartition("-")[2])
        self.legs.clear()
        former, self.core_uuid, self._sequence = self.core_uuid, f"{self.node}-{number + 1}", 0
        for tenant_id in [key for key, core in self.cores.items() if not core.state.domain]:
            lost = self._fact_of(tenant_id)
            lost.fact.switch_disconnected.reason = "the connection was closed"
            restarted = self._fact_of(tenant_id)
            restarted.fact.switch_restarted.former_core_uuid = former
            connected = self._fact_of(tenant_id)
            connected.fact.switch_connected.version = "simulated"
            self.deliver(tenant_id, lost)
            self.deliver(tenant_id, connected)
            if number % FORGETS:
                self.deliver(tenant_id, restarted)
        for leg in gone if number % FORGETS else ():
            leg.other = None
            given = self._fact(leg)
            given.fact.switch_sequence = 0
            given.fact.leg_hung_up.cause, given.fact.leg_hung_up.reconciled = "CRASH", True
            self.publish(leg, given)

    def _try(self, command: Command) -> None:
        if self.moments.now_ms < self._silent_until_ms:
            self.moments.at(self._silent_until_ms, self._try, command)
            return
        chance = self._lot.random()
        if self.moments.now_ms > command.deadline_ms:
            self.result(command, "", cm.COMMAND_OUTCOME_EXPIRED)
        elif chance < self._weather.refused:
            self.result(command, "NORMAL_TEMPORARY_FAILURE")
        elif chance < self._weather.refused + self._weather.lost_from_sight:
            self.result(command, "", cm.COMMAND_OUTCOME_UNKNOWN)
        else:
            if command.HasField("originate_leg") and command.originate_leg.phone:
                self._check_phone(command)
            self._execute(command)

    def _check_tenant(self, command: Command) -> None:
        leg = self.legs.get(command.leg_id)
        other = self.legs.get(command.bridge_legs.other_leg_id)
        phone = command.originate_leg.phone
        foreign = phone and not phone.endswith(f"@{command.tenant_id}.example")
        if foreign or any(one is not None and one.tenant_id != command.tenant_id for one in (leg, other)):
            raise Broken("no call crosses tenants", f"{command.tenant_id} ordered {command}")

    def _check_phone(self, command: Command) -> None:
        key = command.tenant_id, command.originate_leg.phone
        leg = self.rung.get(key)
        if leg is not None and self.legs.get(leg.leg_id) is leg:
            raise Broken("an agent holds one offer and one call", f"phone {key} is rung while leg {leg.leg_id} lives")
        self.moments.after(0, self._remember_rung, key, command.leg_id)

    def _remember_rung(self, key: tuple[str, str], leg_id: str) -> None:
        if leg_id in self.legs:
            self.rung[key] = self.legs[leg_id]

    def _next(self, latest: dict[str, int], key: str, most_ms: int) -> int:
        due_ms = max(latest.get(key, 0), self.moments.now_ms + self._lot.randint(0, most_ms))
        latest[key] = due_ms
        return due_ms
