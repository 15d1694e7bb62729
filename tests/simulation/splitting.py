"""Days of tenants that are split by routing domains, and split anew while they run (docs/adr/0033).

Each log has a core of its own. Facts of a leg keep their order in whichever log they stand; what one log tells another
keeps its order too, comes late, and some of it comes again, as from a router that was killed. The invariants hold over
the union of the logs; each log is replayed by itself.
"""

import random
from collections import ChainMap
from collections.abc import Callable, Collection, Mapping
from types import SimpleNamespace
from typing import Any

import orjson

from services.router.domain.decide import Outputs, decide
from services.router.domain.lifecycle import CallStage
from services.router.domain.model import Call
from services.router.domain.snapshot import from_snapshot, to_snapshot
from services.router.domain.state import TenantState
from services.router.domain.turn import Lookup, Note, Position
from services.router.whatif.core import Core
from services.router.whatif.moments import Moments
from services.shared.contracts.ringmaster.v1 import request_pb2 as rq
from services.shared.contracts.ringmaster.v1 import tenant_pb2 as tn
from services.shared.contracts.ringmaster.v1.command_pb2 import Command
from services.shared.contracts.ringmaster.v1.input_pb2 import Input
from services.shared.log_keys import key_of
from tests.simulation import tenants
from tests.simulation.chaos import Day, Tenant, Told, digest
from tests.simulation.faults import FaultySwitch
from tests.simulation.invariants import Broken, Invariants

DOMAINS = ("north", "south")
LATE_MS = 400
"""What one log tells another is this late at most."""
ASKS_FOR_SOMEBODY = 0.3
"""How often mischief begins with an agent who asks for somebody."""
REPEATED = 4
"""So many of the last notes come again when a router was killed, at most."""


class Union:
    """The states of all logs of a tenant, as the books read them."""

    def __init__(self, states: Mapping[str, TenantState]) -> None:
        self._states = states

    def __getattr__(self, name: str) -> Any:
        parts = [getattr(state, name) for state in self._states.values()]
        if name in ("tenant_id", "version", "configuration"):
            return parts[0]
        return ChainMap(*parts)

    def each(self) -> Collection[TenantState]:
        """Return the states of all logs."""
        return self._states.values()

    def of_call(self, call_id: str) -> TenantState | None:
        """Return the state that has a call."""
        return next((state for state in self._states.values() if call_id in state.calls), None)


class UnionInvariants(Invariants):
    """The books of all logs together. Who may serve whom is judged within one log, once it has the newest document."""

    def __init__(self, states: Union) -> None:
        super().__init__(states)  # type: ignore[arg-type]  # it reads as a state does
        self._union = states

    def _may_serve(self, now_ms: int, agent_id: str, call: Call) -> bool:
        state = self._union.of_call(call.call_id)
        if state is None or agent_id not in state.agents or state.version != self._union.version:
            return False
        if call.queue_id not in state.indexes:
            return False
        everywhere, self.logged_in = self.logged_in, self.logged_in & state.agents.keys()
        try:
            return super()._may_serve(now_ms, agent_id, call)
        finally:
            self.logged_in = everywhere

    def _is_mute(self, call: Call) -> bool:
        state = self._union.of_call(call.call_id)
        return state is not None and call.node in state.mute

    def _campaigns_count(self, state: TenantState) -> None:
        """Count in each log: a campaign may be in one and a task of it in another."""
        for one in self._union.each():
            super()._campaigns_count(one)

    def _hear(self, now_ms: int, given: Input) -> None:
        """Leave it: each log hears for itself."""

    def empty(self) -> None:
        """Check each log by itself. Raises Broken."""
        whole = self._state
        for state in self._union._states.values():
            self._state = state
            super().empty()
            if state.away or state.visitors or state.strays:
                raise Broken("timers and records never leak", f"{state.domain}: {state.away or state.strays}")
            if state.domain and state.leavers:
                raise Broken("every agent comes home", f"{state.domain}: {state.leavers}")
        self._state = whole
        self._everybody_is_somewhere()

    def _everybody_is_somewhere(self) -> None:
        configuration = self._union.configuration
        for agent_id in configuration.agents:
            homes = [state.domain for state in self._union._states.values() if agent_id in state.agents]
            if homes != [configuration.domain_of_agent.get(agent_id, "")]:
                raise Broken("every agent comes home", f"{agent_id} is in {homes}")
            if self._union._states[""].agents_at.get(agent_id, "") != homes[0]:
                raise Broken("the reception knows where each agent is", f"{agent_id} is in {homes}")


class Part:
    """One log of a tenant: its core, what it was told, and what it tells others."""

    def __init__(self, tenant: "SplitTenant", domain: str, partition: int) -> None:
        self.domain = domain
        self.partition = partition
        self.log: list[tuple[int, bytes, bytes]] = []
        self._told: dict[str, list[Input]] = {}
        self._due: dict[str, int] = {}
        self._tenant = tenant
        self.core = Core(tenant.moments, tenant.tenant_id, self, self._watch, domain=domain, partition=partition)
        self.core.pass_on = self._pass_on

    def execute(self, command: Command) -> None:
        """Pass orders to the switch; hand-overs wait until the broker has what was told before, as the outbox says."""
        if command.HasField("hand_over_leg"):
            due_ms = max([self._tenant.moments.now_ms, *self._due.values()])
            self._tenant.moments.at(due_ms, self._tenant.switch.execute, command)
        else:
            self._tenant.switch.execute(command)

    def look_up(self, lookup: Lookup) -> None:
        """Ask the tenant's CRM."""
        self._tenant.switch.look_up(lookup)

    def _watch(self, now_ms: int, given: Input, out: Outputs) -> None:
        self.log.append((now_ms, given.SerializeToString(), digest(out)))
        self._tenant.see(self, now_ms, given, out)

    def _pass_on(self, note: Note) -> None:
        given = Input(tenant_id=self._tenant.tenant_id, domain=note.domain, passed_on=note.told)
        told = self._told.setdefault(note.domain, [])
        told.append(given)
        self._bring(note.domain, [given])
        if self._tenant.lot.random() < self._tenant.repeats:
            self._bring(note.domain, told[-self._tenant.lot.randint(1, REPEATED) :])
        del told[:-REPEATED]

    def _bring(self, domain: str, inputs: list[Input]) -> None:
        for given in inputs:
            due_ms = max(self._due.get(domain, 0), self._tenant.moments.now_ms + self._tenant.lot.randint(0, LATE_MS))
            self._due[domain] = due_ms
            self._tenant.moments.at(due_ms, self._tenant.parts[domain].core.feed, given)

    def replay(self, cuts: Collection[int]) -> None:
        """Decide the log once more, at each cut from a snapshot. Raises Broken where a byte differs."""
        state = TenantState(self._tenant.tenant_id, self.domain)
        for offset, (time_ms, given, expected) in enumerate(self.log):
            if offset in cuts:
                state = from_snapshot(orjson.loads(orjson.dumps(to_snapshot(state))))
            if digest(decide(state, Position(self.partition, offset), time_ms, Input.FromString(given))) != expected:
                how = f"{self.domain}: input {offset} of {len(self.log)}, snapshots at {sorted(cuts)}"
                raise Broken("replay gives the same bytes", how)
        if orjson.dumps(to_snapshot(state)) != orjson.dumps(to_snapshot(self.core.state)):
            raise Broken("replay gives the same bytes", f"{self.domain}: the states differ at the end")


class SplitTenant(Tenant):
    """A tenant of three logs. Everything from outside comes to the reception."""

    def __init__(self, tenant_id: str, moments: Moments, switch: FaultySwitch) -> None:
        self.tenant_id, self.moments, self.switch = tenant_id, moments, switch
        self.lot = random.Random(tenant_id)
        self.repeats = 0.05
        first = len(switch.cores)
        self.parts = {domain: Part(self, domain, first + number) for number, domain in enumerate(("", *DOMAINS))}
        for domain, part in self.parts.items():
            switch.cores[key_of(tenant_id, domain)] = part.core
        states = Union({domain: part.core.state for domain, part in self.parts.items()})
        self.invariants = UnionInvariants(states)
        self.core = SimpleNamespace(state=states, feed=self.parts[""].core.feed)  # type: ignore[assignment]
        self.log = self.parts[""].log
        self.hops = self.lent = 0

    def see(self, part: Part, now_ms: int, given: Input, out: Outputs) -> None:
        """Write into the books what a log's input led to."""
        self.hops += given.fact.HasField("leg_handed_over")
        lent = given.passed_on.agent_lent
        self.lent += bool(lent.record) and lent.for_domain == part.domain
        try:
            self.invariants.see(now_ms, given, out)
        except Broken as broken:
            broken.add_note(f"tenant {self.tenant_id}, log {part.domain!r}, input {len(part.log) - 1}: {given}")
            raise

    def draw(self, lot: random.Random) -> tn.TenantDocument:
        return split(random.Random(lot.random()), super().draw(lot))

    def wake(self) -> None:
        for domain in DOMAINS:
            given = Input(tenant_id=self.tenant_id, domain=domain)
            given.timer.timer_id = "wrap:nobody"
            self.parts[domain].core.feed(given)

    def replay_all(self, lot: random.Random) -> None:
        for part in self.parts.values():
            cuts = lot.choice([0, 1, 3]) if part.log else 0
            part.replay({lot.randrange(len(part.log)) for _ in range(cuts)})


class SplitDay(Day):
    """A day on which agents ask for people of any domain while they talk, and supervisors listen in on them."""

    def __init__(self, seed: int, calls: int) -> None:
        super().__init__(seed, calls, SplitTenant)
        self._apart = random.Random(f"lent {seed}")  # a lot of its own: days stay as they were

    def _mischief(self, tenant: Tenant) -> None:
        talking = [call.call_id for call in tenant.core.state.calls.values() if call.stage is CallStage.TALKING]
        if talking and not self._is_over and self._apart.random() < ASKS_FOR_SOMEBODY:
            self._ask_for_somebody(tenant, self._apart.choice(talking))
        super()._mischief(tenant)

    def _ask_for_somebody(self, tenant: Tenant, call_id: str) -> None:
        lot, configuration = self._apart, tenant.core.state.configuration
        if configuration is None:
            return
        agent_id, queue_id = lot.choice(list(configuration.agents)), lot.choice(list(configuration.queues))
        asks: list[dict[str, object]] = [
            {"transfer_call": rq.TransferCall(call_id=call_id, agent_id=agent_id)},
            {"start_consultation": rq.StartConsultation(call_id=call_id, agent_id=agent_id)},
            {"start_consultation": rq.StartConsultation(call_id=call_id, queue_id=queue_id)},
            {"supervise_call": rq.SuperviseCall(call_id=call_id, agent_id=agent_id, mode=rq.SUPERVISION_MODE_LISTEN)},
        ]
        self._request(tenant, **lot.choice(asks))


def split(lot: random.Random, made: tn.TenantDocument) -> tn.TenantDocument:
    """Give each queue and each agent a home drawn by lot, and cut what leads from one to another."""
    homes = ["", *lot.choice([DOMAINS, DOMAINS, DOMAINS, DOMAINS[:1], ()])]
    home_of_agent = {agent.agent_id: lot.choice(homes) for agent in made.agents}
    home_of_queue: dict[str, str] = {}
    for queue in made.queues:
        wanted = lot.choice(homes)
        if wanted not in home_of_agent.values():
            wanted = lot.choice(list(home_of_agent.values()))
        _keep_own(queue, [name for name, home in home_of_agent.items() if home == wanted])
        home_of_queue[queue.queue_id] = wanted
    for queue in made.queues:
        if home_of_queue.get(queue.overflow.queue_id, "") != home_of_queue[queue.queue_id]:
            queue.ClearField("overflow")
    for domain in homes[1:]:
        one = made.routing_domains.add(domain_id=domain)
        one.queues.extend(queue_id for queue_id, home in home_of_queue.items() if home == domain)
        one.concurrent_calls = 4 if made.limits.concurrent_calls else 0
        one.calls_per_second = 1 if made.limits.calls_per_second else 0
        one.outbound_spend_per_day = made.limits.outbound_spend_per_day / 3
    if len({home_of_queue[campaign.queue_id] for campaign in made.campaigns}) > 1:
        made.lines[0].most_dials = 0
    return made


def _keep_own(queue: tn.Queue, own: list[str]) -> None:
    tiers = [tier for tier in queue.tiers if tier.agent_id in own]
    del queue.tiers[:]
    queue.tiers.extend(tiers or [tn.Tier(agent_id=own[0], level=1, position=1)])
    needs = [*queue.required_skills, *(need for ring in queue.rings for need in ring.required_skills)]
    if needs:
        queue.ClearField("required_skills")
        queue.ClearField("rings")
        if queue.strategy == tn.STRATEGY_BEST_SKILL:
            queue.strategy = tn.STRATEGY_LONGEST_IDLE


def play(seed: int, calls: int, watch: Callable[[Day], None] = lambda _day: None) -> Told:
    """Play one day."""
    day = SplitDay(seed, calls)
    watch(day)
    told = day.play()
    for tenant in day.tenants:
        if isinstance(tenant, SplitTenant):
            told.counts.update(hops=tenant.hops, lent=tenant.lent)
    return told


__all__ = ["SplitTenant", "play", "split", "tenants"]
