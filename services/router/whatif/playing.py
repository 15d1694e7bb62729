"""Plays a tenant's day once more under another document: the same callers and agents, the true core, virtual time."""

from collections.abc import Callable, Sequence
from hashlib import blake2b
from typing import TypeVar

from services.router.domain.decide import Outputs
from services.router.domain.turn import Lookup
from services.router.whatif.core import Core
from services.router.whatif.history import History, Visit
from services.router.whatif.moments import Moments
from services.router.whatif.people import Answer, Reaction, Talk
from services.router.whatif.switch import Switch
from services.router.whatif.tally import Tally
from services.router.whatif.telling import SwitchLeg
from services.shared.contracts.ringmaster.v1.command_pb2 import CollectDigits
from services.shared.contracts.ringmaster.v1.input_pb2 import Input
from services.shared.contracts.ringmaster.v1.tenant_pb2 import TenantDocument

Change = Callable[[TenantDocument], TenantDocument]
"""What another document would have said instead."""
DRAIN_MS = 4 * 3_600_000
"""So long after the last input calls may still come to their ends."""
PROMPT_MS = 2_000
"""A prompt that nobody heard in the log lasts so long."""
_T = TypeVar("_T")


class Remembered:
    """People who do what they did; where the log can't say, as somebody like them did, drawn by the call's id."""

    def __init__(self, history: History, agent_of: Callable[[str], str]) -> None:
        self._visits = history.visits
        self._reactions = history.reactions
        self._all_reactions = [one for agent_id in sorted(history.reactions) for one in history.reactions[agent_id]]
        self._talks = [visit.talk for visit in history.visits.values() if visit.talk is not None]
        self._patience = history.patience()
        self._agent_of = agent_of
        self._used: dict[str, int] = {}

    def patience_ms(self, call_id: str) -> int | None:
        """Say how long a caller hears music before hanging up."""
        visit = self._visits.get(call_id)
        if visit is not None and visit.gave_up:
            return visit.waited_ms
        return self._patience.drawn(visit.waited_ms if visit is not None else 0, _draw(f"patience/{call_id}"))

    def answer(self, call_id: str, question: CollectDigits) -> Answer:
        """Say what a caller enters: the answers of the log in their order, then nothing."""
        visit = self._visits.get(call_id)
        number = self._next(f"answer/{call_id}")
        if visit is not None and number < len(visit.answers):
            return visit.answers[number]
        return Answer(question.timeout_ms * max(1, question.tries))

    def pick_up(self, call_id: str, address: str) -> Reaction:
        """Say what becomes of the ringing: one of the agent's own reactions."""
        agent_id = self._agent_of(address)
        known = self._reactions.get(agent_id) or self._all_reactions
        number = self._next(f"pick-up/{call_id}/{agent_id}")
        return _one_of(known, f"pick-up/{call_id}/{agent_id}/{number}") if known else Reaction()

    def talk(self, call_id: str, address: str) -> Talk:  # noqa: ARG002 - talks belong to callers, whoever answers
        """Say how a caller talks; one who never did talks as long as one of the others."""
        visit = self._visits.get(call_id)
        if visit is not None and visit.talk is not None:
            return visit.talk
        return _one_of(self._talks, f"talk/{call_id}") if self._talks else Talk(0)

    def listens_ms(self, call_id: str) -> int:
        """Say how long a prompt lasts: those of the log in their order."""
        visit = self._visits.get(call_id)
        number = self._next(f"prompt/{call_id}")
        return visit.prompts_ms[number] if visit is not None and number < len(visit.prompts_ms) else PROMPT_MS

    def _next(self, key: str) -> int:
        number = self._used[key] = self._used.get(key, -1) + 1
        return number


class _RememberingSwitch(Switch):
    """Answers lookups as the tenant's CRM did."""

    visits: dict[str, Visit]

    def look_up(self, lookup: Lookup) -> None:
        visit = self.visits.get(lookup.call_id)
        if visit is None or not visit.lookups:
            super().look_up(lookup)
            return
        took_ms, found = visit.lookups.pop(0)
        given = Input(tenant_id=lookup.tenant_id)
        given.request.take_lookup.CopyFrom(found)
        given.request.take_lookup.lookup_id = lookup.lookup_id
        self.moments.after(took_ms, self.cores[lookup.tenant_id].feed, given)


class Play:
    """One day under one document. A history can be played any number of times."""

    def __init__(self, tenant_id: str, history: History, change: Change, tally: Tally) -> None:
        begins_ms = min([visit.at_ms for visit in history.visits.values()] + [at for at, _ in history.timeline])
        self.moments = Moments(begins_ms)
        self._tenant_id, self._history, self._tally = tenant_id, history, tally
        self._change = change
        self._people = Remembered(history, self._agent_of)
        self._switch = _RememberingSwitch(self.moments, self._people)
        self._switch.visits = {
            call_id: Visit(call_id, visit.at_ms, visit.line, visit.number, visit.name, lookups=list(visit.lookups))
            for call_id, visit in history.visits.items()
        }
        self.core = Core(self.moments, tenant_id, self._switch, self._watch)
        self._switch.cores[tenant_id] = self.core

    def run(self) -> Tally:
        """Play everything and return what was counted."""
        last_ms = self.moments.now_ms
        for at_ms, given in self._history.timeline:
            self.moments.at(at_ms, self._tell, given)
            last_ms = max(last_ms, at_ms)
        for visit in self._history.visits.values():
            self.moments.at(visit.at_ms, self._call, visit)
            last_ms = max(last_ms, visit.at_ms)
        self.moments.run(last_ms + DRAIN_MS)
        return self._tally

    def _tell(self, logged: Input) -> None:
        given = Input()
        given.CopyFrom(logged)
        if given.HasField("document"):
            given.document.CopyFrom(self._change(given.document))
            del given.document.routing_domains[:]  # in virtual time one core is enough, and no match crosses domains
        self.core.feed(given)

    def _call(self, visit: Visit) -> None:
        leg = self._switch.call(self._tenant_id, visit.call_id, visit.line, visit.number, visit.name)
        if visit.left_flow_ms is not None:
            self.moments.after(visit.left_flow_ms, self._leave_flow, leg)

    def _leave_flow(self, leg: SwitchLeg) -> None:
        if not leg.has_waited and leg.other is None:
            self._switch.hang_up(leg)

    def _watch(self, now_ms: int, _given: Input, out: Outputs) -> None:
        self._tally.see(now_ms, out.events)
        for event in out.events:
            if event.WhichOneof("body") == "agent_wrapup_started":
                self._wrap_up(event.agent_wrapup_started.agent_id, event.event_id)

    def _wrap_up(self, agent_id: str, event_id: str) -> None:
        """Let an agent end a wrap-up as early as in one of the log's."""
        known = self._history.wrap_ups_ms.get(agent_id)
        lasts_ms = _one_of(known, f"wrap-up/{event_id}") if known else None
        if lasts_ms is not None:
            self.moments.after(lasts_ms, self._end_wrap_up, agent_id, self.moments.now_ms)

    def _end_wrap_up(self, agent_id: str, began_ms: int) -> None:
        agent = self.core.state.agents.get(agent_id)
        if agent is not None and agent.wrap_up_from_ms == began_ms:
            given = Input(tenant_id=self._tenant_id)
            given.request.request_id = f"whatif-{self.core.offset}"
            given.request.end_wrap_up.agent_id = agent_id
            self.core.feed(given)

    def _agent_of(self, address: str) -> str:
        configuration = self.core.state.configuration
        return configuration.agent_of_address.get(address, "") if configuration else ""


def _draw(key: str) -> float:
    """Return a number in [0, 1) that depends on nothing but the key: every document meets the same people."""
    return int.from_bytes(blake2b(key.encode(), digest_size=7).digest()) / (1 << 56)


def _one_of(choices: Sequence[_T], key: str) -> _T:
    return choices[int(_draw(key) * len(choices))]
