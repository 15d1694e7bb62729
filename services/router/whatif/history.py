"""What a tenant's log tells of its people: who called when, pressed what, waited and talked how long.

The log is decided once more by the true core, under its own positions, so that each fact finds its order. A log that
does not begin where the tenant's state began can't be read whole: `unread` counts the legs that nobody ordered. Of a
tenant that is split by routing domains each log is decided by itself (docs/adr/0033), and all tell of the same people.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from heapq import merge
from operator import attrgetter

from services.router.domain.decide import Outputs, decide
from services.router.domain.state import TenantState
from services.router.domain.turn import Position
from services.router.whatif.log_file import Logged
from services.router.whatif.patience import Patience
from services.router.whatif.people import Answer, Reaction, Talk
from services.router.whatif.tally import Tally
from services.shared.contracts.ringmaster.v1 import event_pb2 as ev
from services.shared.contracts.ringmaster.v1 import request_pb2 as rq
from services.shared.contracts.ringmaster.v1 import switch_pb2 as sw
from services.shared.contracts.ringmaster.v1.event_pb2 import Event
from services.shared.contracts.ringmaster.v1.input_pb2 import Input

_ASKED = ("collect_digits", "play_prompt", "record_answer", "recognise_answer")
"""What a caller's answer, or silence, is the end of."""
_PHONES = ("phone_registered", "phone_unregistered")
_GAVE_UP = (ev.QUEUE_EXIT_ABANDONED, ev.QUEUE_EXIT_SHORT_ABANDONED)


@dataclass
class Visit:
    """One caller, as the log tells. Moments and times in milliseconds."""

    call_id: str
    at_ms: int
    line: str
    number: str
    name: str
    answers: list[Answer] = field(default_factory=list)
    prompts_ms: list[int] = field(default_factory=list)
    lookups: list[tuple[int, rq.TakeLookup]] = field(default_factory=list)
    waits_from_ms: int = 0
    waited_ms: int = 0
    gave_up: bool = False
    talk: Talk | None = None
    left_flow_ms: int | None = None
    """How long after the start the caller hung up who never came to a queue."""


@dataclass
class History:
    """Everything that a what-if knows."""

    visits: dict[str, Visit] = field(default_factory=dict)
    reactions: dict[str, list[Reaction]] = field(default_factory=lambda: defaultdict(list))
    """Agent → what became of the offers made to the agent."""
    wrap_ups_ms: dict[str, list[int | None]] = field(default_factory=lambda: defaultdict(list))
    """Agent → how long wrap-ups lasted that were ended early; None = the queue's whole time was used."""
    timeline: list[tuple[int, Input]] = field(default_factory=list)
    """Documents, statuses that people chose, and phones, at their moments."""
    unread: int = 0

    def patience(self) -> Patience:
        """Return the patience of all who waited."""
        waits = [visit for visit in self.visits.values() if visit.waits_from_ms]
        return Patience(
            [visit.waited_ms for visit in waits if visit.gave_up],
            [visit.waited_ms for visit in waits if not visit.gave_up],
        )


def by_time(inputs: Iterable[Logged]) -> Iterator[Logged]:
    """Return the logs of a tenant as one: by time, and each in its own order whatever the clocks said."""
    logs: dict[str, list[Logged]] = defaultdict(list)
    for one in inputs:
        logs[one.given.domain].append(one)
    return merge(*(logs[domain] for domain in sorted(logs)), key=attrgetter("time_ms"))


class Reader:
    """Reads a log into a history, and counts what it tells."""

    def __init__(self, tenant_id: str, tally: Tally) -> None:
        self.history = History()
        self._tenant_id = tenant_id
        self._states: dict[str, TenantState] = {}
        """Routing domain → what its log decided; empty = the tenant's own log."""
        self._tally = tally
        self._ordered: dict[str, int] = {}
        self._offers: dict[str, tuple[int, int]] = {}
        """Offer → when it was made, and how long until the phone rang."""
        self._wrapping: dict[str, int] = {}

    def read(self, inputs: Iterable[Logged]) -> History:
        """Read everything. Raises RouterError where a log can't be decided."""
        for one in by_time(inputs):
            now_ms, given = one.time_ms, one.given
            state = self._state_of(given.domain)
            self._note(now_ms, state, given.passed_on.input if given.passed_on.HasField("input") else given)
            out = decide(state, Position(one.partition, one.offset), now_ms, given)
            self._follow(now_ms, out)
            self._tally.see(now_ms, out.events)
        return self.history

    def _state_of(self, domain: str) -> TenantState:
        if domain not in self._states:
            self._states[domain] = TenantState(self._tenant_id, domain)
        return self._states[domain]

    # -- inputs

    def _note(self, now_ms: int, state: TenantState, given: Input) -> None:
        """Note what an input tells, in the log that it is for: a domain's log repeats what the reception's holds."""
        fact, kind = given.fact, given.fact.WhichOneof("fact")
        status = given.request.HasField("set_agent_status")
        if given.HasField("document") or status or kind in _PHONES:
            if not state.domain:
                self.history.timeline.append((now_ms, given))
        elif kind == "leg_created" and fact.leg_created.direction == sw.DIRECTION_INBOUND:
            created = fact.leg_created
            self.history.visits.setdefault(
                fact.leg_id, Visit(fact.leg_id, now_ms, created.line, created.caller_number, created.caller_name)
            )
        elif kind == "leg_created" and fact.call_id and fact.leg_id not in state.legs:
            self.history.unread += 1
        about = fact.leg_id or given.request.take_lookup.call_id or given.clip_recognised.call_id
        visit = self.history.visits.get(about)
        if visit is not None and about not in state.away:
            self._note_caller(now_ms, visit, state, given)

    def _note_caller(self, now_ms: int, visit: Visit, state: TenantState, given: Input) -> None:
        fact, kind = given.fact, given.fact.WhichOneof("fact")
        if kind == "digits_collected":
            asked_ms = self._ordered.pop(fact.digits_collected.command_id, now_ms)
            visit.answers.append(Answer(now_ms - asked_ms, fact.digits_collected.digits))
        elif given.HasField("clip_recognised"):
            heard = given.clip_recognised
            asked_ms = self._ordered.pop(heard.clip_id, now_ms)
            visit.answers.append(Answer(now_ms - asked_ms, str(heard.phrase) if heard.HasField("phrase") else ""))
        elif kind == "answer_recorded":
            visit.prompts_ms.append(now_ms - self._ordered.pop(fact.answer_recorded.command_id, now_ms))
        elif kind == "playback_finished":
            visit.prompts_ms.append(now_ms - self._ordered.pop(fact.playback_finished.command_id, now_ms))
        elif given.request.HasField("take_lookup"):
            found = given.request.take_lookup
            visit.lookups.append((now_ms - self._ordered.pop(found.lookup_id, now_ms), found))
        elif kind == "leg_hung_up" and not visit.waits_from_ms and visit.call_id in state.calls:
            visit.left_flow_ms = now_ms - visit.at_ms

    # -- outputs

    def _follow(self, now_ms: int, out: Outputs) -> None:
        for command in out.commands:
            if command.WhichOneof("action") in _ASKED:
                self._ordered[command.command_id] = now_ms
        for lookup in out.lookups:
            self._ordered[lookup.lookup_id] = now_ms
        for event in out.events:
            follow = _FOLLOW.get(event.WhichOneof("body") or "")
            if follow is not None:
                follow(self, now_ms, event)

    def _joined(self, now_ms: int, event: Event) -> None:
        visit = self.history.visits.get(event.call_id)
        if visit is not None and not visit.waits_from_ms:
            visit.waits_from_ms = now_ms

    def _left(self, now_ms: int, event: Event) -> None:
        visit = self.history.visits.get(event.call_id)
        if visit is not None and visit.waits_from_ms and visit.talk is None:
            visit.waited_ms = now_ms - visit.waits_from_ms
            visit.gave_up = event.queue_left.exit in _GAVE_UP

    def _ended(self, _now_ms: int, event: Event) -> None:
        visit, ended = self.history.visits.get(event.call_id), event.call_ended
        if visit is not None and ended.talk_ms:
            visit.talk = Talk(ended.talk_ms, agent_hangs_up=ended.hangup_party != sw.HANGUP_PARTY_FAR_END)

    def _offered(self, now_ms: int, event: Event) -> None:
        self._offers[event.offer_created.offer_id] = now_ms, 0

    def _rings(self, now_ms: int, event: Event) -> None:
        offer_id = event.offer_ringing.offer_id
        made_ms = self._offers[offer_id][0]
        self._offers[offer_id] = made_ms, now_ms - made_ms

    def _offer_over(self, now_ms: int, event: Event) -> None:
        kind = event.WhichOneof("body") or ""
        body = getattr(event, kind)
        made_ms, rang_after_ms = self._offers.pop(body.offer_id)
        if kind in _CAUSES:
            cause = getattr(body, "cause", "") or _CAUSES[kind]
            then_ms = now_ms - made_ms - rang_after_ms
            self.history.reactions[body.agent_id].append(Reaction(rang_after_ms, then_ms, cause))

    def _wraps_up(self, _now_ms: int, event: Event) -> None:
        self._wrapping[event.agent_wrapup_started.agent_id] = event.agent_wrapup_started.seconds * 1000

    def _wrapped_up(self, _now_ms: int, event: Event) -> None:
        wrapped = event.agent_wrapup_ended
        whole_ms = self._wrapping.pop(wrapped.agent_id, 0)
        lasted = wrapped.duration_ms if wrapped.duration_ms < whole_ms else None
        self.history.wrap_ups_ms[wrapped.agent_id].append(lasted)


_CAUSES = {
    "offer_accepted": "",
    "offer_rejected": "CALL_REJECTED",
    "offer_missed": "NO_ANSWER",
    "offer_failed": "DESTINATION_OUT_OF_ORDER",
}
"""Offers that ended by what the agent or the phone did → the cause where none is told."""
_FOLLOW: dict[str, Callable[[Reader, int, Event], None]] = {
    "queue_joined": Reader._joined,  # noqa: SLF001 - the class's own table
    "queue_left": Reader._left,  # noqa: SLF001 - the same
    "call_ended": Reader._ended,  # noqa: SLF001 - the same
    "offer_created": Reader._offered,  # noqa: SLF001 - the same
    "offer_ringing": Reader._rings,  # noqa: SLF001 - the same
    "agent_wrapup_started": Reader._wraps_up,  # noqa: SLF001 - the same
    "agent_wrapup_ended": Reader._wrapped_up,  # noqa: SLF001 - the same
    **dict.fromkeys(
        (*_CAUSES, "offer_cancelled", "offer_lost_race"),
        Reader._offer_over,  # noqa: SLF001 - the same
    ),
}
