"""Each strategy against the oracle: whoever is rung at any moment is whom SPEC 3.1 names."""

from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.router.domain.decide import Outputs
from services.router.domain.strategies import STRATEGIES
from services.shared.contracts.ringmaster.v1 import event_pb2 as ev
from services.shared.contracts.ringmaster.v1 import request_pb2 as rq
from services.shared.contracts.ringmaster.v1 import switch_pb2 as sw
from services.shared.contracts.ringmaster.v1 import tenant_pb2 as tn
from tests.unit.router.strategy_oracle import RULES, Seen, View
from tests.unit.router.world import Log, document

NAMES = ("ann", "bob", "cat", "dan", "eve")
MISSED_MS = 10_000
FOR_EVER = 1 << 60
ACTIONS = st.lists(
    st.tuples(
        st.sampled_from(
            ["call", "call", "answer", "answer", "end", "end", "reject", "miss", "away", "offline", "wait"]
        ),
        st.integers(0, 4),
        st.sampled_from([1, 3, 6, 40, 400, 20_000]),
    ),
    max_size=40,
)


def tenant(strategy: int, places: list[tuple[int, int]], skills: list[int]) -> tn.TenantDocument:
    """Return a tenant whose queue has five agents at these levels and positions."""
    made = document()
    del made.agents[:]
    queue = made.queues[0]
    del queue.tiers[:]
    queue.strategy = tn.Strategy.ValueType(strategy)
    queue.capacity = queue.max_wait_seconds = queue.misses_until_away = 0
    queue.wrap_up_seconds = 4
    made.limits.concurrent_calls = 0
    for name, place, skill in zip(NAMES, places, skills, strict=True):
        agent = made.agents.add(agent_id=name, name=name, phone=f"phone-{name}")
        if skill:
            agent.skills["billing"] = skill
        queue.tiers.add(agent_id=name, level=place[0], position=place[1])
    if strategy == tn.STRATEGY_BEST_SKILL:
        queue.required_skills.add(skill="billing", min_proficiency=30)
    return made


class Play:
    """Plays actions against the core and holds every offer to the oracle."""

    def __init__(self, made: tn.TenantDocument) -> None:
        self.log = Log(made)
        queue = made.queues[0]
        skills = {agent.agent_id: dict(agent.skills) for agent in made.agents}
        self.view = View(
            {
                tier.agent_id: Seen(tier.agent_id, tier.level, tier.position, skills[tier.agent_id])
                for tier in queue.tiers
            },
            {need.skill: need.min_proficiency for need in queue.required_skills},
        )
        self.strategy = STRATEGIES[queue.strategy].name
        self.refusals: dict[tuple[str, str], int] = {}
        self.checked = 0
        self._told = 0

    def act(self, what: str, which: int, seconds: int) -> None:
        log = self.log
        offers = list(log.state.offers.values())
        talking = [agent.call_id for agent in log.state.agents.values() if agent.state.name == "TALKING"]
        if what == "call":
            log.queue(f"c{len(log.inputs)}")
        elif what == "answer" and offers:
            offer = offers[which % len(offers)]
            log.fact(offer.leg_id, offer.call_id, leg_answered=sw.LegAnswered())
            log.fact(offer.call_id, leg_bridged=sw.LegBridged(other_leg_id=offer.leg_id))
        elif what == "end" and talking:
            call_id = talking[which % len(talking)]
            leg_id = log.state.calls[call_id].other_leg_id
            log.hangs_up(leg_id)
            log.hangs_up(call_id)
        elif what in ("reject", "miss") and offers:
            leg_id = offers[which % len(offers)].leg_id
            log.fact(leg_id, offers[which % len(offers)].call_id, leg_progressed=sw.LegProgressed())
            log.hangs_up(leg_id, "USER_BUSY" if what == "reject" else "NO_ANSWER")
        elif what in ("away", "offline"):
            status = rq.AGENT_STATUS_AWAY if what == "away" else rq.AGENT_STATUS_OFFLINE
            ask = rq.SetAgentStatus(agent_id=NAMES[which], status=status)
            log.request(f"r{len(log.inputs)}", set_agent_status=ask)
            log.wait(seconds)
            log.ready(NAMES[which])
        elif what == "wait":
            log.wait(seconds)
        log.wait(0.007)
        self.check()

    def check(self) -> None:
        """Hold what the core said since the last time to the oracle."""
        fresh, self._told = range(self._told, len(self.log.outputs)), len(self.log.outputs)
        for number in fresh:
            timer_id = self.log.inputs[number][1].timer.timer_id
            if timer_id.startswith("retry:"):
                self._forget_rejections(timer_id.partition(":")[2])
            self._check(self.log.outputs[number])

    def _check(self, out: Outputs) -> None:
        offered: dict[str, list[str]] = {}
        free: dict[str, set[str]] = {}
        for event in out.events:
            kind = event.WhichOneof("body")
            if kind == "offer_created":
                name = event.offer_created.agent_id
                offered.setdefault(event.call_id, []).append(name)
                if self.strategy != "ring_all":
                    self._hold(event.call_id, free[name], {name})
            elif kind == "agent_state_changed" and event.agent_state_changed.state == ev.AGENT_STATE_RESERVED:
                free[event.agent_state_changed.agent_id] = self._idle()
            self._note_refusal(event)
            self.view.follow(event)
        if self.strategy == "ring_all":
            for call_id, names in offered.items():
                self._hold(call_id, free[names[0]], set(names))

    def _hold(self, call_id: str, idle: set[str], chosen: set[str]) -> None:
        now = self.view.now_ms
        free = {name for name in idle if self.refusals.get((call_id, name), 0) <= now}
        able = self.view.may(free)
        expected = {agent.agent_id for agent in able}
        if self.strategy != "ring_all":
            expected = RULES[self.strategy](self.view, call_id, able)
        assert chosen <= expected if self.strategy != "ring_all" else chosen == expected
        self.checked += 1

    def _idle(self) -> set[str]:
        return {name for name, agent in self.view.agents.items() if agent.state == ev.AGENT_STATE_IDLE}

    def _note_refusal(self, event: ev.Event) -> None:
        """Know who is not to be asked again for a while: the pauses are of the offer life cycle, not of a strategy."""
        kind = event.WhichOneof("body")
        if kind == "offer_missed":
            self.refusals[event.call_id, event.offer_missed.agent_id] = self.view.now_ms + MISSED_MS
        elif kind == "offer_rejected":
            self.refusals[event.call_id, event.offer_rejected.agent_id] = FOR_EVER

    def _forget_rejections(self, call_id: str) -> None:
        for key in [key for key, until in self.refusals.items() if key[0] == call_id and until == FOR_EVER]:
            del self.refusals[key]


PLACES = st.lists(st.tuples(st.integers(1, 2), st.integers(1, 5)), min_size=5, max_size=5)
SKILLS = st.lists(st.sampled_from([0, 20, 30, 60, 60, 90]), min_size=5, max_size=5)


@pytest.mark.parametrize("strategy", sorted(STRATEGIES), ids=lambda strategy: STRATEGIES[strategy].name)
@settings(max_examples=12, deadline=None)
@given(places=PLACES, skills=SKILLS, actions=ACTIONS)
def test_a_strategy_rings_whom_the_specification_names(
    strategy: int, places: list[tuple[int, int]], skills: list[int], actions: list[tuple[str, int, int]]
) -> None:
    play = Play(tenant(strategy, places, skills))
    play.log.ready(*NAMES)
    play.check()
    for action in actions:
        play.act(*action)


def test_there_are_twelve_strategies_and_each_has_its_rule() -> None:
    names = {strategy.name for strategy in STRATEGIES.values()}
    assert len(names) == 12
    assert names == {"ring_all", *RULES}
    assert {f"STRATEGY_{name.upper()}" for name in names} == set(tn.Strategy.keys()) - {"STRATEGY_UNSPECIFIED"}


def _rung(log: Log) -> list[str]:
    return [event.offer_created.agent_id for event in log.events("offer_created")]


def test_progressive_ringing_adds_an_agent_each_so_many_seconds_and_the_earlier_ones_keep_ringing() -> None:
    made = tenant(tn.STRATEGY_RING_PROGRESSIVELY, [(1, 1), (1, 2), (1, 3), (2, 1), (2, 2)], [0] * 5)
    made.queues[0].progress_seconds = 4
    log = Log(made)
    log.ready(*NAMES)
    log.queue("c1")
    counts = []
    for _ in range(3):
        counts.append((_rung(log), len(log.state.calls["c1"].offers)))
        log.wait(4)
    assert counts == [(["ann"], 1), (["ann", "bob"], 2), (["ann", "bob", "cat"], 3)]
    offer = log.state.offers[log.state.calls["c1"].offers[1]]
    log.fact(offer.leg_id, "c1", leg_answered=sw.LegAnswered())
    lost = {event.offer_lost_race.agent_id for event in log.events("offer_lost_race")}
    assert lost == {"ann", "cat", "dan"}
    assert not log.events("offer_missed")


def test_random_is_fair_and_a_replay_draws_the_same() -> None:
    def play() -> list[str]:
        log = Log(tenant(tn.STRATEGY_RANDOM, [(1, n) for n in range(1, 6)], [0] * 5))
        log.ready(*NAMES)
        for number in range(600):
            log.queue(f"c{number}")
            log.hangs_up(f"c{number}")
            log.hangs_up(log.last_command("originate_leg").leg_id, "ORIGINATOR_CANCEL")
        return _rung(log)

    rung = play()
    assert rung == play()
    counts = Counter(rung)
    assert all(85 < counts[name] < 155 for name in NAMES), counts


def test_random_weighted_by_position_prefers_low_positions() -> None:
    made = tenant(tn.STRATEGY_RANDOM, [(1, n) for n in range(1, 6)], [0] * 5)
    made.queues[0].weighted_by_position = True
    log = Log(made)
    log.ready(*NAMES)
    for number in range(900):
        log.queue(f"c{number}")
        log.hangs_up(f"c{number}")
        log.hangs_up(log.last_command("originate_leg").leg_id, "ORIGINATOR_CANCEL")
    counts = Counter(_rung(log))
    # Weights 5:4:3:2:1, so 300, 240, 180, 120, 60 are expected.
    assert all(counts[name] > counts[behind] for name, behind in pairwise(NAMES)), counts
    assert 255 < counts["ann"] < 345


def test_sla_aware_serves_the_call_first_that_is_nearest_to_missing_its_service_level() -> None:
    made = tenant(tn.STRATEGY_SLA_AWARE, [(1, n) for n in range(1, 6)], [0] * 5)
    made.queues[0].service_level_seconds = 60
    made.lines.add(number="+380441000002", flow="fast")
    flow = made.flows.add(flow_id="fast", start="wait")
    flow.steps.add(step_id="wait", queue=tn.QueueStep(queue_id="fast"))
    fast = made.queues.add()
    fast.CopyFrom(made.queues[0])
    fast.queue_id, fast.service_level_seconds = "fast", 20
    log = Log(made)
    log.ready("ann")
    log.queue("held")
    log.wait(1)
    log.queue("patient")  # is missed after 60 s
    log.wait(30)
    log.arrive("urgent", line="+380441000002")  # is missed after 20 s: before the other one
    log.wait(15)
    log.arrive("late", line="+380441000002")  # is missed 5 s after the patient one
    order = []
    for _ in range(4):
        call_id = log.events("offer_created")[-1].call_id
        order.append(call_id)
        talk = log.talk(call_id)
        log.hangs_up(talk.leg_id)
        log.hangs_up(call_id)
        log.wait(5)
    assert order == ["held", "urgent", "patient", "late"]


def test_a_window_forgets_what_was_done_before_it_and_no_status_change_does() -> None:
    made = tenant(tn.STRATEGY_FEWEST_CALLS, [(1, n) for n in range(1, 6)], [0] * 5)
    made.queues[0].window_seconds = 600
    log = Log(made)
    log.ready("ann")
    for number in range(2):
        log.queue(f"a{number}")
        talk = log.talk(f"a{number}")
        log.hangs_up(talk.leg_id)
        log.hangs_up(f"a{number}")
        log.wait(5)
    ask = rq.SetAgentStatus(agent_id="ann", status=rq.AGENT_STATUS_OFFLINE)
    log.request("off", set_agent_status=ask)
    log.ready("ann", "bob")
    log.queue("b0")
    assert _rung(log)[-1] == "bob"
    log.hangs_up(log.talk("b0").leg_id)
    log.hangs_up("b0")
    log.wait(5)
    log.queue("b1")
    assert _rung(log)[-1] == "bob"  # one call against ann's two
    log.hangs_up("b1")
    log.hangs_up(log.last_command("originate_leg").leg_id, "ORIGINATOR_CANCEL")
    log.wait(700)
    log.queue("c0")
    assert _rung(log)[-1] == "ann"  # nobody has done anything in ten minutes; she has been idle longer
