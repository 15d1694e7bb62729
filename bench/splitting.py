"""What a tenant decides whose queues are split by routing domains (docs/adr/0033): part of `python -m bench.router`.

The same calls are played once by a whole tenant and once by one of several domains; what comes of it are the logs of
the reception and of each domain, as the shell reads them. Then each log is decided by itself: one after the other for
the cost of each, and side by side for what two cores give.
"""

import multiprocessing
import time
from collections import defaultdict, deque
from collections.abc import Sequence
from typing import Final

from bench.report import Row
from services.router.domain.decide import decide
from services.router.domain.state import TenantState
from services.router.domain.turn import Position
from services.shared.contracts.ringmaster.v1 import command_pb2 as cm
from services.shared.contracts.ringmaster.v1 import request_pb2 as rq
from services.shared.contracts.ringmaster.v1 import switch_pb2 as sw
from services.shared.contracts.ringmaster.v1 import tenant_pb2 as tn
from services.shared.contracts.ringmaster.v1.input_pb2 import Input

TENANT: Final = "acme"
AGENTS, QUEUES = 2_000, 20
CALLS = 1_200
AT_ONCE = 200
DOMAINS: Final = 4
ROUNDS = 3
Log = list[tuple[int, bytes]]


class Logs:
    """Plays whole call lives against the logs of one tenant, and keeps what each of them was told."""

    def __init__(self, document: tn.TenantDocument, domains: int) -> None:
        self.states: dict[str, TenantState] = {}
        self.logs: dict[str, Log] = defaultdict(list)
        self.now_ms = 1_700_000_000_000
        self._sequence = 0
        self._notes: deque[tuple[str, Input]] = deque()
        self._home: dict[str, str] = {}
        self.prepared: dict[str, int] = {}
        queue_ids = [queue.queue_id for queue in document.queues]
        for number in range(domains):
            document.routing_domains.add(domain_id=f"d{number}", queues=queue_ids[number::domains])
        self._feed(Input(document=document))
        for agent in document.agents:
            ask = rq.SetAgentStatus(agent_id=agent.agent_id, status=rq.AGENT_STATUS_READY)
            self._feed(Input(request=rq.Request(request_id=f"r-{agent.agent_id}", set_agent_status=ask)))
        self.prepared = {domain: len(log) for domain, log in self.logs.items()}

    def live(self, call_id: str, number: int) -> list[tuple[str, str, str]]:
        """Bring a caller to an agent's ringing phone; returns what the rest of the call needs."""
        line = f"+38044{number % QUEUES:07d}"
        created = sw.LegCreated(direction=sw.DIRECTION_INBOUND, line=line, caller_number="+380501112233")
        self._fact(call_id, "", leg_created=created)
        asked = self._fact(call_id, "", leg_parked=sw.LegParked(line=line))
        ask = next(command for command in asked if command.HasField("collect_digits"))
        self._fact(call_id, "", leg_answered=sw.LegAnswered())
        digits = sw.DigitsCollected(command_id=ask.command_id, digits="1", outcome=sw.COLLECT_OUTCOME_MATCHED)
        ordered = self._fact(call_id, "", digits_collected=digits)
        rung = next(command for command in ordered if command.HasField("originate_leg"))
        self._home[rung.leg_id] = rung.domain
        self._fact(rung.leg_id, call_id, leg_created=sw.LegCreated(direction=sw.DIRECTION_OUTBOUND))
        return [(call_id, rung.leg_id, rung.domain)]

    def finish(self, call_id: str, leg_id: str, domain: str) -> None:
        """Play a call from the ringing to the end of the wrap-up."""
        agent_id = self.states[domain].legs[leg_id].agent_id
        self._fact(leg_id, call_id, leg_progressed=sw.LegProgressed())
        self._fact(leg_id, call_id, leg_answered=sw.LegAnswered())
        recording_id = self.states[domain].calls[call_id].recording_id
        path = f"{TENANT}/{call_id}/{recording_id}.wav"
        self._fact(leg_id, call_id, leg_parked=sw.LegParked())
        self._fact(call_id, "", leg_bridged=sw.LegBridged(other_leg_id=leg_id))
        self._fact(call_id, "", recording_began=sw.RecordingBegan(recording_id=recording_id, path=path))
        self._fact(call_id, "", leg_unbridged=sw.LegUnbridged(other_leg_id=leg_id))
        self._hangs_up(leg_id, call_id)
        self._fact(call_id, "", recording_finished=sw.RecordingFinished(recording_id=recording_id, path=path))
        self._hangs_up(call_id, "")
        ask = rq.Request(request_id=f"e-{call_id}", end_wrap_up=rq.EndWrapUp(agent_id=agent_id))
        self._feed(Input(request=ask))

    def _hangs_up(self, leg_id: str, call_id: str) -> None:
        """Tell a leg's end; where a domain has it, the tenant's own log is told too."""
        self._fact(leg_id, call_id, leg_hung_up=sw.LegHungUp(cause="NORMAL_CLEARING"))
        if self._home.pop(leg_id, ""):
            self._fact(leg_id, call_id, leg_hung_up=sw.LegHungUp(cause="NORMAL_CLEARING"))

    def _fact(self, leg_id: str, call_id: str, **body: object) -> list[cm.Command]:
        self._sequence += 1
        fact = sw.SwitchFact(
            node="fs1", core_uuid="core", switch_sequence=self._sequence, leg_id=leg_id, call_id=call_id
        )
        for name, message in body.items():
            getattr(fact, name).CopyFrom(message)
        return self._feed(Input(fact=fact), self._home.get(leg_id, ""))

    def _feed(self, given: Input, domain: str = "") -> list[cm.Command]:
        """Decide an input and what follows from it in other logs; return every command."""
        given.tenant_id, given.domain = TENANT, domain
        self.now_ms += 1
        log, value = self.logs[domain], given.SerializeToString()
        log.append((self.now_ms, value))
        state = self.states.setdefault(domain, TenantState(TENANT, domain))
        out = decide(state, Position(_partition(domain), len(log)), self.now_ms, Input.FromString(value))
        commands = list(out.commands)
        self._notes += [(note.domain, Input(passed_on=note.told)) for note in out.notes]
        while self._notes:
            target, told = self._notes.popleft()
            commands += self._feed(told, target)
        for command in out.commands:
            if command.HasField("hand_over_leg"):
                commands += self._hand_over(command)
        return commands

    def _hand_over(self, command: cm.Command) -> list[cm.Command]:
        order = command.hand_over_leg
        handed = sw.LegHandedOver(from_domain=command.domain, hop=order.hop, record=order.record)
        self._home[command.leg_id] = order.to_domain
        commands = self._feed(Input(fact=sw.SwitchFact(leg_id=command.leg_id, leg_handed_over=handed)), order.to_domain)
        done = cm.CommandResult(command_id=command.command_id, leg_id=command.leg_id, call_id=command.call_id)
        done.outcome = cm.COMMAND_OUTCOME_DONE
        return commands + self._feed(Input(command_result=done), command.domain)


def play(document: tn.TenantDocument, domains: int) -> Logs:
    """Play the calls, so many at once."""
    logs = Logs(document, domains)
    live: deque[tuple[str, str, str]] = deque()
    for number in range(CALLS):
        live += logs.live(f"c{number}", number)
        if len(live) > AT_ONCE:
            logs.finish(*live.popleft())
    while live:
        logs.finish(*live.popleft())
    return logs


def _partition(domain: str) -> int:
    """Return where a log lies: ids are made of it, so it is the same when the log is decided again."""
    return int(domain.removeprefix("d")) + 1 if domain else 0


def decide_log(domain: str, log: Log, prepared: int) -> tuple[int, float]:
    """Decide a log once more; return how many inputs came once agents were ready, and the CPU seconds of those."""
    state, seconds = TenantState(TENANT, domain), 0.0
    for offset, (now_ms, value) in enumerate(log, 1):
        began = time.thread_time()
        decide(state, Position(_partition(domain), offset), now_ms, Input.FromString(value))
        if offset > prepared:
            seconds += time.thread_time() - began
    return len(log) - prepared, seconds


def _cost(logs: Logs, domain: str) -> tuple[int, float]:
    """Return inputs and the least CPU seconds of some tries."""
    tries = [decide_log(domain, logs.logs[domain], logs.prepared.get(domain, 0)) for _ in range(ROUNDS)]
    return min(tries, key=lambda one: one[1])


def _decide_all(work: Sequence[tuple[str, Log]], ready: object, took: object) -> None:
    """Decide logs in a process of its own; all processes begin together."""
    ready.wait()  # type: ignore[attr-defined]
    began = time.perf_counter()
    for domain, log in work:
        decide_log(domain, log, 0)
    took.put(time.perf_counter() - began)  # type: ignore[attr-defined]


def side_by_side(parts: Sequence[Sequence[tuple[str, Log]]]) -> float:
    """Return the seconds until the last of some processes has decided its logs."""
    context = multiprocessing.get_context("fork")
    ready, took = context.Barrier(len(parts)), context.Queue()
    processes = [context.Process(target=_decide_all, args=(part, ready, took)) for part in parts]
    for process in processes:
        process.start()
    longest = max(float(took.get()) for _ in processes)
    for process in processes:
        process.join()
    return longest


def measure(whole: tn.TenantDocument, to_split: tn.TenantDocument) -> list[Row]:
    """Measure the cost of a call whole and split, and what a second process gives."""
    one, several = play(whole, 0), play(to_split, DOMAINS)
    _, whole_seconds = _cost(one, "")
    inputs, reception_seconds = _cost(several, "")
    of_domains = [_cost(several, f"d{number}") for number in range(DOMAINS)]
    domain_seconds = max(seconds for _, seconds in of_domains)
    logs = [(domain, several.logs[domain]) for domain in ("d0", "d1")]
    gains = [side_by_side([logs]) / side_by_side([[log] for log in logs]) for _ in range(ROUNDS)]
    gain = sorted(gains)[ROUNDS // 2]
    rate = CALLS / max(reception_seconds, domain_seconds)
    return [
        Row("whole tenant, 2,000 agents", "a core", CALLS / whole_seconds, "calls/s"),
        Row(f"split in {DOMAINS}: reception", "a core", CALLS / reception_seconds, "calls/s"),
        Row(f"split in {DOMAINS}: reception", "inputs a call", inputs / CALLS, ""),
        Row(f"split in {DOMAINS}: a domain", "a core", CALLS / DOMAINS / domain_seconds, "calls/s"),
        Row(f"split in {DOMAINS}: all, a core each", "the slowest's", rate, "calls/s"),
        Row("two domains in two processes", "times one process", gain, "x"),
    ]
