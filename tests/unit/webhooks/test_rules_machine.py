"""Rules over a log, killed anywhere: what is sent is what the whole log says, read once and slowly by other hands."""

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

import pytest
from gevent.event import Event as Flag
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from services.shared.bus.topics import CALLS, DELIVERIES
from services.shared.chassis.clock import Clock
from services.shared.contracts.ringmaster.v1 import tenant_pb2 as tn
from services.shared.contracts.ringmaster.v1.delivery_pb2 import Delivery
from services.shared.contracts.ringmaster.v1.event_pb2 import (
    QUEUE_EXIT_ABANDONED,
    QUEUE_EXIT_ANSWERED,
    Event,
    QueueExit,
)
from services.shared.testing.memory_bus import MemoryBus, MemoryReceipt
from services.webhooks import follower, rule_runner
from services.webhooks.domain.endpoint import Endpoint, endpoints_of
from services.webhooks.domain.rules.rule import TenantRules, rules_of
from services.webhooks.follower import Follower
from services.webhooks.history import History
from services.webhooks.listening import in_turns
from services.webhooks.rule_runner import RuleRunner

BEGIN_MS = 1_767_607_200_000
HOUR_MS = 3_600_000
GROUP = "rules"


class Killed(BaseException):
    """The process ends here."""


class Mortal:
    """A sender whose process dies after so many more records."""

    def __init__(self, bus: MemoryBus) -> None:
        self._producer = bus.producer()
        self.left = -1

    def send(
        self, topic: str, key: str, value: bytes, *, timestamp_ms: int, headers: Mapping[str, str] | None = None
    ) -> MemoryReceipt:
        if self.left == 0:
            raise Killed
        self.left -= 1
        return self._producer.send(topic, key, value, timestamp_ms=timestamp_ms, headers=headers)

    def flush(self, timeout_seconds: float) -> None:
        """Everything is there already."""


class Book:
    """A directory that knows what it is told."""

    def __init__(self) -> None:
        self.documents: dict[str, tn.TenantDocument] = {}
        self._rules: dict[str, TenantRules] = {}

    def apply(self, document: tn.TenantDocument) -> None:
        self.documents[document.tenant_id] = document
        self._rules[document.tenant_id] = rules_of(document)

    def catch_up(self, _seconds: float) -> bool:
        return True

    def knows(self, tenant_id: str) -> bool:
        return tenant_id in self.documents

    def rules(self, tenant_id: str) -> TenantRules:
        return self._rules.get(tenant_id) or TenantRules(tenant_id)

    def all_rules(self) -> list[TenantRules]:
        return [rules for rules in self._rules.values() if rules.rules]

    def find(self, tenant_id: str, endpoint_id: str) -> Endpoint | None:
        found = endpoints_of(self.documents[tenant_id])
        return next((one for one in found if one.endpoint_id == endpoint_id), None)

    def is_open(self, endpoint: Endpoint) -> bool:
        return not endpoint.is_disabled


def document(tenant_id: str, count: int, seconds: int, *, repeats: bool) -> tn.TenantDocument:
    hook = tn.WebhookEndpoint(endpoint_id="crm", url="http://crm.example/", secret_ref="s")
    window = tn.RuleWindow(count=count, seconds=seconds, per=tn.RULE_KEY_CALLER, repeats=repeats)
    to = [tn.RuleAction(to="crm")]
    rules = [
        tn.Rule(rule_id="again", events=["call.started"], window=window, actions=to),
        tn.Rule(rule_id="long", wait=tn.RuleWait(seconds=60), actions=to),
    ]
    return tn.TenantDocument(tenant_id=tenant_id, webhooks=[hook], rules=rules)


class Rules(RuleBasedStateMachine):
    """Tenants share a partition; the platform's clock runs as events say."""

    def __init__(self) -> None:
        super().__init__()
        self.patched = pytest.MonkeyPatch()

    @initialize()
    def begin(self) -> None:
        self.patched.setattr(follower, "POLL_SECONDS", 0.0)
        self.patched.setattr(rule_runner, "COSTLY_SECONDS", 60.0)
        self.now_ms = BEGIN_MS
        self.bus = MemoryBus(partitions=1)
        self.book = Book()
        self.number = 0
        self.sent: list[Event] = []
        self.versions: list[tuple[int, dict[str, tn.TenantDocument]]] = []
        for tenant_id in ("acme", "beta"):
            self.change(tenant_id, 3, 600, repeats=False)
        self.start()

    def start(self) -> None:
        self.sender = Mortal(self.bus)
        clock = Clock(wall=lambda: self.now_ms / 1000)
        history = History(lambda: self.bus.consumer(None, [CALLS]))
        directory: Any = self.book
        self.runner = RuleRunner(self.sender, directory, history, clock)
        self.reader = self.bus.consumer(GROUP, [CALLS])
        self.listening = in_turns([self.runner])
        self.follower = Follower(directory, clock, self.listening)

    def step(self) -> None:
        """Look at the log once, and let the rules take what was there."""
        [listening] = self.listening
        self.follower.hear(self.reader, Flag())
        while not listening.turns.empty():
            listening.take(listening.next(), Flag())

    def publish(self, event: Event, at_ms: int) -> None:
        event.time.FromMilliseconds(at_ms)
        self.sent.append(event)
        self.bus.producer().send(CALLS, event.tenant_id, event.SerializeToString(), timestamp_ms=at_ms)

    def change(self, tenant_id: str, count: int, seconds: int, *, repeats: bool) -> None:
        self.book.apply(document(tenant_id, count, seconds, repeats=repeats))
        self.versions.append((len(self.bus.records(CALLS)), dict(self.book.documents)))

    @rule(
        tenant_id=st.sampled_from(["acme", "acme", "beta"]),
        caller=st.sampled_from(["+380671", "+380671", "+380672", ""]),
        moments=st.lists(
            st.tuples(st.sampled_from([0, 1, 60, 299, 600, 601, 4_000]), st.sampled_from([0, 0, 0, 200, 3_599, 3_601])),
            min_size=1,
            max_size=4,
        ),
    )
    def call(self, tenant_id: str, caller: str, moments: list[tuple[int, int]]) -> None:
        for passes, late in moments:
            self.number += 1
            self.now_ms += passes * 1000
            event = Event(event_id=f"e{self.number}", tenant_id=tenant_id, call_id=f"c{self.number}")
            event.call_started.caller.number = caller
            self.publish(event, self.now_ms - late * 1000)

    @rule()
    def several_calls_come_too_late(self) -> None:
        """Come from a node that was cut off: late ones among themselves would be a flurry."""
        self.call("beta", "", [(4_000, 0)])
        self.call("acme", "+380671", [(0, 3_700), (0, 3_690), (0, 3_680)])

    @rule()
    def work_commit_and_be_killed(self) -> None:
        """Come to a new process that knows nothing but the log."""
        self.drain()
        self.follower.commit()
        self.start()

    @rule(tenant_id=st.sampled_from(["acme", "beta"]))
    def wait_begins(self, tenant_id: str) -> None:
        self.number += 1
        event = Event(event_id=f"e{self.number}", tenant_id=tenant_id, call_id=f"w{self.number}")
        event.queue_joined.queue_id = "sales"
        self.publish(event, self.now_ms)

    @precondition(lambda self: self.sent)
    @rule(data=st.data())
    def tell_again(self, data: st.DataObject) -> None:
        event = data.draw(st.sampled_from(self.sent[-5:]))
        self.bus.producer().send(
            CALLS, event.tenant_id, event.SerializeToString(), timestamp_ms=event.time.ToMilliseconds()
        )

    @rule()
    def work(self) -> None:
        self.step()

    @rule()
    def commit(self) -> None:
        self.follower.commit()

    @rule()
    def kill(self) -> None:
        self.start()

    @rule(records=st.integers(0, 3))
    def kill_amid_sending(self, records: int) -> None:
        self.sender.left = records
        try:
            self.step()
        except Killed:
            self.start()
        self.sender.left = -1

    @rule(
        tenant_id=st.sampled_from(["acme", "beta"]),
        count=st.integers(2, 4),
        seconds=st.sampled_from([60, 600, 4_000]),
        repeats=st.booleans(),
    )
    def change_rules(self, tenant_id: str, count: int, seconds: int, *, repeats: bool) -> None:
        self.drain()
        self.follower.commit()
        self.change(tenant_id, count, seconds, repeats=repeats)

    def drain(self) -> None:
        while self.runner._places == {} or self.runner._places[CALLS, 0].next_offset < len(self.bus.records(CALLS)):
            self.step()

    @invariant()
    def nothing_is_sent_that_the_log_does_not_say(self) -> None:
        found, wanted = self.found(), self.wanted()
        assert found <= wanted, found - wanted

    def teardown(self) -> None:
        try:
            if hasattr(self, "bus"):
                self.judge()
        finally:
            self.patched.undo()

    def judge(self) -> None:
        self.now_ms += HOUR_MS
        self.drain()
        self.step()
        self.drain()
        assert self.found() == self.wanted()
        tellings = {
            (event.tenant_id, event.event_id) for event in self.log() if event.WhichOneof("body") == "kpi_violated"
        }
        joined = {
            (event.tenant_id, f"violated-long-{event.event_id}")
            for event in self.sent
            if event.WhichOneof("body") == "queue_joined"
        }
        assert tellings == joined
        told = {(one.tenant_id, one.delivery_id) for one in self.deliveries() if one.event_type == "kpi.violated"}
        assert told == {(tenant_id, f"{event_id}.long0.crm") for tenant_id, event_id in joined}
        repeated = {event.event_id for event in self.log() if event.WhichOneof("body") == "client_repeated_calls"}
        assert len(repeated) == len(self.wanted())

    def log(self) -> list[Event]:
        return [Event.FromString(record.value) for record in self.bus.records(CALLS)]

    def deliveries(self) -> list[Delivery]:
        return [Delivery.FromString(record.value) for record in self.bus.records(DELIVERIES)]

    def found(self) -> set[tuple[str, str]]:
        return {(one.tenant_id, one.delivery_id) for one in self.deliveries() if one.event_type == "call.started"}

    def wanted(self) -> set[tuple[str, str]]:
        """Read the whole log from the beginning, for each event anew, as the specification says it."""
        wanted = set()
        for offset, event in enumerate(log := self.bus.records(CALLS)):
            documents = [documents for since, documents in self.versions if since <= offset][-1]
            one = Event.FromString(event.value)
            window = documents[one.tenant_id].rules[0].window
            verdicts = _verdicts(log[: offset + 1], one.tenant_id, window.count, window.seconds * 1000)
            verdict = verdicts.get(offset)
            if verdict is not None and verdict[0] and (window.repeats or not verdict[1]):
                wanted.add((one.tenant_id, f"{one.event_id}.again0.crm"))
        return wanted


def _verdicts(log: list[Any], tenant_id: str, count: int, span_ms: int) -> dict[int, tuple[bool, bool]]:
    """Return for each counted call whether the count was reached with it, and had been with the one before."""
    newest, seen = 0, set()
    calls: dict[str, list[tuple[int, bool]]] = defaultdict(list)
    verdicts: dict[int, tuple[bool, bool]] = {}
    for offset, record in enumerate(log):
        newest = max(newest, record.timestamp_ms)
        event = Event.FromString(record.value)
        name = (event.tenant_id, event.event_id)
        caller = event.call_started.caller.number if event.WhichOneof("body") == "call_started" else ""
        is_late = record.timestamp_ms < newest - HOUR_MS
        if event.tenant_id != tenant_id or not caller or name in seen:
            continue
        if is_late:
            continue
        seen.add(name)
        at_ms = record.timestamp_ms
        within = [past for past, _ in calls[caller] if at_ms - span_ms < past <= at_ms]
        reached = len(within) + 1 >= count
        before = bool(calls[caller]) and calls[caller][-1][1] and calls[caller][-1][0] > at_ms - span_ms
        calls[caller].append((at_ms, reached))
        verdicts[offset] = (reached, before)
    return verdicts


TestRules = Rules.TestCase
TestRules.settings = settings(max_examples=40, stateful_step_count=40, deadline=None)


def test_rules_that_change_before_a_long_silence_know_who_waits() -> None:
    log = Rules()
    log.begin()
    log.wait_begins(tenant_id="acme")
    log.change_rules(tenant_id="acme", count=2, seconds=60, repeats=False)
    log.several_calls_come_too_late()
    log.teardown()


def _left(number: int, exit_way: QueueExit.ValueType) -> Event:
    event = Event(event_id=f"left-{number}", tenant_id="acme", call_id=f"q{number}")
    event.queue_left.queue_id, event.queue_left.exit = "sales", exit_way
    event.queue_left.within_service_level = exit_way == QUEUE_EXIT_ANSWERED
    return event


def _missed(number: int, agent_id: str) -> Event:
    event = Event(event_id=f"missed-{number}", tenant_id="acme", call_id=f"m{number}")
    event.offer_missed.agent_id = agent_id
    return event


def test_norms_and_agents_windows_find_the_same_however_often_the_process_is_killed() -> None:
    """Eight callers are answered, four give up, eight are answered; Olena misses a call every minute."""
    kpi = tn.RuleKpi(measure=tn.RULE_MEASURE_SERVICE_LEVEL, at_least=80, seconds=1_200, least_visits=5)
    window = tn.RuleWindow(count=5, seconds=900, per=tn.RULE_KEY_AGENT)
    to = [tn.RuleAction(to="crm")]
    wish = document("acme", 3, 600, repeats=False)
    del wish.rules[:]
    wish.rules.append(tn.Rule(rule_id="level", kpi=kpi, actions=to))
    wish.rules.append(tn.Rule(rule_id="misses", events=["offer.missed"], window=window, actions=to))
    exits = [QUEUE_EXIT_ANSWERED] * 8 + [QUEUE_EXIT_ABANDONED] * 4 + [QUEUE_EXIT_ANSWERED] * 8

    def played(killed_after: range) -> tuple[list[str], list[str]]:
        log = Rules()
        log.begin()
        log.book.apply(wish)
        for number, exit_way in enumerate(exits):
            log.now_ms += 60_000
            log.publish(_left(number, exit_way), log.now_ms)
            log.publish(_missed(number, "olena" if number != 10 else "taras"), log.now_ms)
            log.drain()
            if number in killed_after:
                log.follower.commit()
                log.start()
        log.step()
        log.drain()
        log.patched.undo()
        norms = [one.event_id for one in log.log() if one.WhichOneof("body") in ("kpi_violated", "kpi_recovered")]
        return norms, list(dict.fromkeys(one.delivery_id for one in log.deliveries()))

    norms, told = played(range(0))
    assert norms == ["violated-level-left-10", "recovered-level-left-19"]
    assert told == ["missed-4.misses0.crm", "violated-level-left-10.level0.crm"]
    for kills in (range(20), range(9, 12), range(3, 20, 4)):
        assert played(kills) == (norms, told), kills
