"""Days that go wrong, drawn by lot and played twice: once with every invariant watched, once from the log.

A day has two tenants on one switch, some hundred calls each, people who do what people do, and faults: facts late and
told twice, orders refused or lost from sight, legs that die at any moment, agents who leave or whose phone goes,
documents that change, a switch that is restarted, or says nothing for up to a minute. Then nobody calls any more, and
nothing may be left. At last the log is replayed, on most days through snapshots at moments drawn by lot: every output
must have the same bytes.
"""

import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import blake2b

import orjson

from services.router.domain.decide import Outputs, decide
from services.router.domain.snapshot import from_snapshot, to_snapshot
from services.router.domain.state import TenantState
from services.router.domain.turn import Position
from services.router.whatif.core import Core
from services.router.whatif.moments import Moments
from services.router.whatif.people import Answer, Reaction, Talk
from services.shared.contracts.ringmaster.v1 import request_pb2 as rq
from services.shared.contracts.ringmaster.v1 import tenant_pb2 as tn
from services.shared.contracts.ringmaster.v1.command_pb2 import CollectDigits
from services.shared.contracts.ringmaster.v1.input_pb2 import Input
from tests.simulation import tenants
from tests.simulation.faults import FaultySwitch, Weather
from tests.simulation.invariants import Broken, Invariants

START_MS = 1_700_000_000_000
TENANTS = ("acme", "bolt")
CAMPAIGNS = ("spring", "summer")
DRAIN_MS = 3 * 3_600_000
CALLERS = 40
"""So many numbers call a tenant: the same ones again and again, for places kept and agents remembered."""


@dataclass
class Told:
    """What one day showed."""

    calls: int = 0
    inputs: int = 0
    counts: Counter[str] = field(default_factory=Counter)


class Crowd:
    """Callers and agents who hesitate, refuse, do not answer, talk for a while."""

    def __init__(self, lot: random.Random) -> None:
        self._lot = lot
        self.away: set[str] = set()
        """Phones that are not registered."""

    def patience_ms(self, call_id: str) -> int | None:
        return round(self._lot.expovariate(1 / 40_000))

    def answer(self, call_id: str, question: CollectDigits) -> Answer:
        return Answer(self._lot.randint(0, 3_000), self._lot.choice(["", "1", "1", "1", "2", "2", "3", *"45678901"]))

    def pick_up(self, call_id: str, address: str) -> Reaction:
        if address in self.away:
            return Reaction(20, 0, "USER_NOT_REGISTERED")
        chance, rings_ms, then_ms = self._lot.random(), self._lot.randint(0, 300), self._lot.randint(0, 6_000)
        if chance < 0.75:
            return Reaction(rings_ms, then_ms)
        if chance < 0.85:
            return Reaction(rings_ms, 60_000)
        return Reaction(rings_ms, then_ms, self._lot.choice(["USER_BUSY", "CALL_REJECTED", "NORMAL_TEMPORARY_FAILURE"]))

    def talk(self, call_id: str, address: str) -> Talk:
        return Talk(round(self._lot.expovariate(1 / 30_000)), self._lot.random() < 0.5)

    def listens_ms(self, call_id: str) -> int:
        return self._lot.randint(0, 3_000)


class Tenant:
    """One tenant's core, its books, and its log."""

    def __init__(self, tenant_id: str, moments: Moments, switch: FaultySwitch) -> None:
        self.tenant_id = tenant_id
        self.core = Core(moments, tenant_id, switch, self._watch)
        self.invariants = Invariants(self.core.state)
        self.log: list[tuple[int, bytes, bytes]] = []
        """Moment, input, and what its outputs' bytes come to."""
        switch.cores[tenant_id] = self.core

    def _watch(self, now_ms: int, given: Input, out: Outputs) -> None:
        self.log.append((now_ms, given.SerializeToString(), digest(out)))
        try:
            self.invariants.see(now_ms, given, out)
        except Broken as broken:
            broken.add_note(f"tenant {self.tenant_id}, input {len(self.log) - 1}: {given}")
            raise

    def draw(self, lot: random.Random) -> tn.TenantDocument:
        """Return the next version of its document."""
        return tenants.draw(lot, self.tenant_id, self.core.state.version + 1)

    def wake(self) -> None:
        """Let every log but its own notice the time."""

    def replay_all(self, lot: random.Random) -> None:
        """Replay its log, through some snapshots."""
        cuts = lot.choice([0, 1, 3])
        self.replay({lot.randrange(1, len(self.log)) for _ in range(cuts)})

    def replay(self, cuts: set[int]) -> None:
        """Decide the log once more, at each cut from a snapshot. Raises Broken where a byte differs."""
        state = TenantState(self.tenant_id)
        for offset, (time_ms, given, expected) in enumerate(self.log):
            if offset in cuts:
                state = from_snapshot(orjson.loads(orjson.dumps(to_snapshot(state))))
            if digest(decide(state, Position(0, offset), time_ms, Input.FromString(given))) != expected:
                how = f"{self.tenant_id}: input {offset} of {len(self.log)}, snapshots at {sorted(cuts)}"
                raise Broken("replay gives the same bytes", how)
        if orjson.dumps(to_snapshot(state)) != orjson.dumps(to_snapshot(self.core.state)):
            raise Broken("replay gives the same bytes", f"{self.tenant_id}: the states differ at the end")


class Day:
    """One seed's day. `play` raises Broken, with the seed in a note."""

    def __init__(self, seed: int, calls: int, kind: type[Tenant] = Tenant) -> None:
        self._seed = seed
        self._lot = lot = random.Random(seed)
        self._calls_left = calls
        self._called = 0
        self._is_over = False
        self._asked = 0
        self.moments = Moments(START_MS)
        self.crowd = Crowd(lot)
        bad = lot.choice([0.0, 0.01, 0.03])
        weather = Weather(bad, bad / 2, lot.choice([0.0, 0.1]), lot.choice([0, 30, 2_000]), lot.choice([0, 300]))
        self.switch = FaultySwitch(self.moments, self.crowd, lot, weather)
        self.tenants = [kind(name, self.moments, self.switch) for name in TENANTS]
        self._gap_ms = lot.choice([2_500, 5_000, 9_000])
        self._mischief_ms = lot.choice([1_500, 5_000])
        self._is_calm = lot.random() < 0.3
        self._silences = _silences(random.Random(f"silences of {seed}"))

    def play(self) -> Told:
        try:
            self._open()
            self.moments.run(START_MS + 40 * 24 * 3_600_000, lambda: self._is_over)
            self._go_home()
            told = Told()
            for tenant in self.tenants:
                tenant.invariants.empty()
                tenant.replay_all(self._lot)
                told.calls += tenant.invariants.counts["call_started"]
                told.inputs += len(tenant.log)
                told.counts += tenant.invariants.counts
        except Exception as error:
            error.add_note(f"seed {self._seed}")
            raise
        return told

    # -- the day

    def _open(self) -> None:
        for tenant in self.tenants:
            self._change_document(tenant)
            for agent_id in list(tenant.core.state.agents):
                self._choose(tenant, agent_id, rq.AGENT_STATUS_READY)
            self.moments.after(self._wait(self._gap_ms), self._call, tenant)
            self.moments.after(self._wait(self._mischief_ms), self._mischief, tenant)
        for at_ms, for_ms in self._silences:
            self.moments.after(at_ms, self.switch.fall_silent, for_ms)

    def _call(self, tenant: Tenant) -> None:
        self._calls_left -= 1
        self._called += 1
        prefix = self._lot.choice(["+380671", "+380931", "+380501", "+380501", "+380501"])
        number = self._lot.choice(["", "anonymous", *[f"{prefix}{self._lot.randrange(CALLERS):06d}"] * 8])
        line = tenants.line_of(tenant.tenant_id)
        self.switch.call(tenant.tenant_id, f"{tenant.tenant_id}-{self._called}", line, number, "Client")
        if self._calls_left > 0:
            self.moments.after(self._wait(self._gap_ms), self._call, tenant)
        else:
            self._is_over = True

    def _go_home(self) -> None:
        """Let everything end that is under way; then agents leave, and the last timers go."""
        for tenant in self.tenants:
            for campaign_id in CAMPAIGNS:
                self._request(tenant, run_campaign=rq.RunCampaign(campaign_id=campaign_id, running=False))
        self.moments.run(self.moments.now_ms + DRAIN_MS)
        for tenant in self.tenants:
            for agent_id in list(tenant.core.state.agents):
                self._choose(tenant, agent_id, rq.AGENT_STATUS_OFFLINE)
        self.moments.run(self.moments.now_ms + DRAIN_MS)  # whoever waited till now may ask to be called back
        for tenant in self.tenants:
            for callback_id in list(tenant.core.state.callbacks):
                self._request(tenant, cancel_callback=rq.CancelCallback(callback_id=callback_id))
        self.moments.run(self.moments.now_ms + DRAIN_MS)
        for tenant in self.tenants:
            self._request(tenant, end_wrap_up=rq.EndWrapUp(agent_id="nobody"))
            tenant.wake()
            if tenant.core.state.ended:
                raise Broken("timers and records never leak", f"ended calls are kept: {tenant.core.state.ended}")

    # -- what people and machines do to it

    def _mischief(self, tenant: Tenant) -> None:
        if self._is_over:
            return
        does = self._lot.choices(list(_MISCHIEF), list(_MISCHIEF.values()))[0]
        if not self._is_calm or does in _HARMLESS:
            does(self, tenant)
        self.moments.after(self._wait(self._mischief_ms), self._mischief, tenant)

    def _change_document(self, tenant: Tenant) -> None:
        tenant.core.feed(Input(tenant_id=tenant.tenant_id, document=tenant.draw(self._lot)))

    def _restart(self, _tenant: Tenant) -> None:
        self.switch.restart()

    def _kill(self, _tenant: Tenant) -> None:
        self.switch.kill_leg()

    def _status(self, tenant: Tenant) -> None:
        agent_id = self._agent(tenant)
        if agent_id:
            ready, away, offline = rq.AGENT_STATUS_READY, rq.AGENT_STATUS_AWAY, rq.AGENT_STATUS_OFFLINE
            self._choose(tenant, agent_id, self._lot.choice([ready, ready, ready, ready, away, offline]))

    def _phone(self, tenant: Tenant) -> None:
        address = f"phone-{self._agent(tenant)}@{tenant.tenant_id}.example"
        registered = address in self.crowd.away or self._lot.random() < 0.3
        (self.crowd.away.discard if registered else self.crowd.away.add)(address)
        self.switch.register(tenant.tenant_id, address, registered=registered)

    def _key(self, tenant: Tenant) -> None:
        callers = [leg for leg in self.switch.legs.values() if leg.tenant_id == tenant.tenant_id and not leg.address]
        if callers:
            self.switch.press(self._lot.choice(callers), self._lot.choice("19#?"))

    def _ask(self, tenant: Tenant) -> None:
        """Ask for anything, sensible or not."""
        lot, state = self._lot, tenant.core.state
        call_id, agent_id = lot.choice(["", *state.calls]), self._agent(tenant)
        document = state.configuration.document if state.configuration else None
        queue_id = lot.choice([queue.queue_id for queue in document.queues]) if document else ""
        campaign_id = lot.choice(CAMPAIGNS)
        asks: list[dict[str, object]] = [
            {"end_wrap_up": rq.EndWrapUp(agent_id=agent_id)},
            {"extend_wrap_up": rq.ExtendWrapUp(agent_id=agent_id, seconds=10)},
            {"hang_up_call": rq.HangUpCall(call_id=call_id)},
            {"hold_call": rq.HoldCall(call_id=call_id, held=lot.random() < 0.5)},
            {"set_disposition": rq.SetDisposition(call_id=call_id, disposition="sold")},
            {"control_recording": rq.ControlRecording(call_id=call_id, control=lot.choice(_CONTROLS))},
            {"transfer_call": rq.TransferCall(call_id=call_id, queue_id=queue_id)},
            {"transfer_call": rq.TransferCall(call_id=call_id, agent_id=agent_id)},
            {"transfer_call": rq.TransferCall(call_id=call_id, number="+442071000000")},
            {"start_consultation": rq.StartConsultation(call_id=call_id, agent_id=agent_id)},
            {"swap_consultation": rq.SwapConsultation(call_id=call_id)},
            {"complete_consultation": rq.CompleteConsultation(call_id=call_id)},
            {"cancel_consultation": rq.CancelConsultation(call_id=call_id)},
            {"join_consultation": rq.JoinConsultation(call_id=call_id)},
            {"supervise_call": rq.SuperviseCall(call_id=call_id, agent_id=agent_id, mode=lot.choice(_MODES))},
            {"stop_supervision": rq.StopSupervision(call_id=call_id, agent_id=agent_id)},
            {"take_over_call": rq.TakeOverCall(call_id=call_id, agent_id=agent_id)},
            {"dial_number": rq.DialNumber(agent_id=agent_id, number="+442071000002")},
            {"mute_agent": rq.MuteAgent(call_id=call_id, muted=lot.random() < 0.5)},
            {"move_waiting_call": rq.MoveWaitingCall(call_id=call_id, queue_id=queue_id)},
            {"ask_callback": rq.AskCallback(queue_id=queue_id, number="+442071000001")},
            {"add_contacts": rq.AddContacts(campaign_id=campaign_id, contacts=self._contacts())},
            {"run_campaign": rq.RunCampaign(campaign_id=campaign_id, running=lot.random() < 0.8)},
        ]
        if state.offers:
            offer = lot.choice(list(state.offers.values()))
            asks.append({"reject_offer": rq.RejectOffer(agent_id=offer.agent_id, offer_id=offer.offer_id)})
        self._request(tenant, **lot.choice(asks))

    # -- small parts

    def _contacts(self) -> list[rq.Contact]:
        return [rq.Contact(number=f"+380671{self._lot.randrange(CALLERS):06d}", name="Client") for _ in range(4)]

    def _agent(self, tenant: Tenant) -> str:
        return self._lot.choice(["", *tenant.core.state.agents])

    def _choose(self, tenant: Tenant, agent_id: str, status: "rq.AgentStatus.ValueType") -> None:
        self._request(tenant, set_agent_status=rq.SetAgentStatus(agent_id=agent_id, status=status))

    def _request(self, tenant: Tenant, **body: object) -> None:
        self._asked += 1
        given = Input(tenant_id=tenant.tenant_id)
        given.request.request_id, given.request.actor = f"r{self._asked}", "olena"
        for name, message in body.items():
            getattr(given.request, name).CopyFrom(message)
        tenant.core.feed(given)

    def _wait(self, mean_ms: int) -> int:
        return round(self._lot.expovariate(1 / mean_ms))


def _silences(lot: random.Random) -> list[tuple[int, int]]:
    """Draw when the switch says nothing, and how long, on one day of four: less than until a leg of it is given up."""
    if lot.random() < 0.75:
        return []
    return [(minutes * 60_000, lot.randint(5_000, 55_000)) for minutes in sorted(lot.sample(range(0, 40, 2), 6))]


_CONTROLS = (rq.RECORDING_CONTROL_MASK, rq.RECORDING_CONTROL_RESUME)
_MODES = (rq.SUPERVISION_MODE_LISTEN, rq.SUPERVISION_MODE_WHISPER, rq.SUPERVISION_MODE_BARGE)
_MISCHIEF: dict[Callable[[Day, Tenant], None], float] = {
    Day._status: 8,
    Day._ask: 14,
    Day._phone: 2,
    Day._key: 2,
    Day._kill: 3,
    Day._change_document: 0.3,
    Day._restart: 0.1,
}
_HARMLESS = {Day._status, Day._ask, Day._key}


def digest(out: Outputs) -> bytes:
    """Return what an input's outputs come to, all their bytes."""
    told = blake2b(digest_size=8)
    for message in (*out.commands, *out.events, *out.replies):
        told.update(message.SerializeToString(deterministic=True))
    for note in out.notes:
        told.update(note.domain.encode() + note.told.SerializeToString(deterministic=True))
    told.update(repr((out.timers, out.lookups)).encode())
    return told.digest()


def play(seed: int, calls: int) -> Told:
    """Play one day."""
    return Day(seed, calls).play()
