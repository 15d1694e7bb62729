"""A generated week of a call centre as public events: what a router tells, with everything that makes counting hard."""

import random
from typing import Any

from google.protobuf.message import Message

from services.shared.contracts.ringmaster.v1 import event_pb2 as ev
from services.shared.contracts.ringmaster.v1 import request_pb2 as rq
from services.shared.contracts.ringmaster.v1 import switch_pb2 as sw
from tests.unit.stats.events import take_back

QUEUES = ("sales", "support", "night")
AGENTS = ("olena", "taras", "iryna", "petro")
LINES = ("+380441000001", "+380441000002")
CAUSES = (
    "NORMAL_CLEARING",
    "USER_BUSY",
    "NO_ANSWER",
    "ORIGINATOR_CANCEL",
    "NETWORK_OUT_OF_ORDER",
    "RECOVERY_ON_TIMER_EXPIRE",
)
SCORES = (-1.0, None, -0.26, -0.25, -0.24, 0.0, None, 0.5)
"""How talks sound: at the bound of a bad one, neither good nor bad, and without any feeling."""
HOUR = 3_600_000


def _as_a_carrier_writes(client: str, call_id: str) -> str:
    """Return the number as one of four networks tells it: logs from before the router told E.164 hold them all."""
    beginnings = ("+380", "380", "00380", "0")
    return client.replace("+380", beginnings[sum(call_id.encode()) % 4], 1)


class Week:
    """Calls and agents from a moment on, for some days. The same seed tells the same story."""

    def __init__(self, from_ms: int, days: int, calls: int, seed: int) -> None:
        self._dice = random.Random(seed)
        self._from_ms = from_ms
        self._until_ms = from_ms + days * 24 * HOUR
        self._sequences: dict[str, int] = {}
        self.events: list[ev.Event] = []
        for number in range(calls):
            self._call(f"c{number}", from_ms + self._dice.randrange(days * 24 * HOUR))
        for agent in AGENTS:
            self._agent(agent)
        for number in range(calls // 10):
            self._callback(f"b{number}")
        for number in range(calls // 50):
            self._norm(number)

    def told_badly(self) -> list[ev.Event]:
        """Return the events as a log after trouble may hold them: some twice, calls out of order, some a day late."""
        dice = self._dice
        events = [event for event in self.events for _ in range(2 if dice.random() < 0.15 else 1)]
        late = [event for event in events if dice.random() < 0.03]
        # Kafka keeps the order within a call only as long as nothing is told again; the numbers must not need it.
        shaken = sorted(events, key=lambda event: event.time.ToMilliseconds() + dice.randrange(6 * HOUR))
        return shaken + late

    def _tell(self, time_ms: int, subject: str, call_id: str = "", **body: Message) -> ev.Event:
        ((name, message),) = body.items()
        sequence = self._sequences[subject] = self._sequences.get(subject, 0) + 1
        event = ev.Event(
            event_id=f"{subject}/{sequence}", tenant_id="acme", call_id=call_id, subject=subject, sequence=sequence
        )
        event.time.FromMilliseconds(time_ms)
        getattr(event, name).CopyFrom(message)
        self.events.append(event)
        return event

    def _tell_beside(self, time_ms: int, call_id: str, **body: Message) -> None:
        """Tell as the recorder does: it does not know the call's sequence."""
        told = self._tell(time_ms, call_id, call_id, **body)
        self._sequences[call_id] -= 1
        told.sequence, told.event_id = 0, f"beside/{len(self.events)}"

    def _call(self, call_id: str, at: int) -> None:
        dice = self._dice
        started, line = at, dice.choice(LINES)
        client = f"+38050{dice.randrange(400):07}" if dice.random() < 0.97 else ""
        is_outbound = dice.random() < 0.1
        party = ev.Party(number=_as_a_carrier_writes(client, call_id))
        direction = sw.DIRECTION_OUTBOUND if is_outbound else sw.DIRECTION_INBOUND
        body = ev.CallStarted(
            line=line, caller=party, flow_id="main", node=dice.choice(("fs-1", "fs-2")), direction=direction
        )
        self._tell(at, call_id, call_id, call_started=body)
        over: dict[str, Any] = {"line": line, "caller": party, "direction": direction}
        at = self._step(call_id, at, hangs_up=dice.random() < 0.05)
        if dice.random() < 0.12:
            is_back = sum(call_id.encode()) % 5 == 0
            self._end(call_id, at, started, ev.CALL_EXIT_FALLBACK if is_back else ev.CALL_EXIT_FLOW_ABANDONED, over)
            return
        queue = dice.choice(QUEUES)
        exits = [self._wait(call_id, at, queue, over)]
        while exits[-1][0] == ev.QUEUE_EXIT_OVERFLOW:
            queue = dice.choice(QUEUES)
            exits.append(self._wait(call_id, exits[-1][1], queue, over))
        queue_exit, at = exits[-1]
        over["queue_id"] = queue
        if queue_exit == ev.QUEUE_EXIT_ANSWERED:
            self._talk(call_id, at, started, queue, over)
        else:
            self._end(call_id, at, started, _CALL_EXITS[queue_exit], over)

    def _step(self, call_id: str, at: int, *, hangs_up: bool) -> int:
        names: dict[str, Any] = {"flow_id": "main", "step_id": "menu", "step_type": "menu"}
        spent = self._dice.randrange(20_000)
        self._tell(at, call_id, call_id, flow_step_entered=ev.FlowStepEntered(**names))
        if hangs_up:
            return at + spent
        choice = self._dice.choice(("1", "2", "timeout"))
        body = ev.IvrChoice(flow_id="main", step_id="menu", choice=choice, tries=self._dice.randrange(1, 4))
        self._tell(at + spent, call_id, call_id, ivr_choice=body)
        left = ev.FlowStepLeft(exit=choice, next_step_id="queue", duration_ms=spent, **names)
        self._tell(at + spent, call_id, call_id, flow_step_left=left)
        return at + spent

    def _wait(self, call_id: str, at: int, queue: str, over: dict[str, Any]) -> tuple[int, int]:
        dice = self._dice
        self._tell(at, call_id, call_id, queue_joined=ev.QueueJoined(queue_id=queue, estimated_wait_ms=15_000))
        wait = int(dice.expovariate(1 / 25_000))
        queue_exit = dice.choices(_EXITS, (68, 14, 4, 3, 2, 4, 3, 2))[0]
        agent = dice.choice(AGENTS) if queue_exit == ev.QUEUE_EXIT_ANSWERED else ""
        self._offers(call_id, at, wait, queue, agent)
        left = ev.QueueLeft(
            queue_id=queue,
            exit=ev.QueueExit.ValueType(queue_exit),
            wait_ms=wait,
            agent_id=agent,
            within_service_level=wait <= (30_000 if queue == "support" else 20_000),
            estimated_wait_ms=15_000,
            estimate_error_ms=wait - 15_000 if agent else 0,
        )
        self._tell(at + wait, call_id, call_id, queue_left=left)
        over |= {"wait_ms": wait, "agent_id": agent}
        return queue_exit, at + wait

    def _offers(self, call_id: str, at: int, wait: int, queue: str, winner: str) -> None:
        dice = self._dice
        for number in range(dice.randrange(3)):
            self._offer(
                call_id,
                f"{call_id}/{at}/{number}",
                at,
                at + wait // 2,
                queue,
                dice.choice(AGENTS),
                dice.choice((0, 1, 2, 3, 5)),
            )
        if winner:
            self._offer(call_id, f"{call_id}/{at}/won", at, at + wait, queue, winner, 4)

    def _offer(self, call_id: str, offer_id: str, at: int, end: int, queue: str, agent: str, how: int) -> None:
        whose: dict[str, Any] = {"offer_id": offer_id, "queue_id": queue, "agent_id": agent}
        self._tell(at, call_id, call_id, offer_created=ev.OfferCreated(strategy="longest_idle", **whose))
        bodies: list[dict[str, Message]] = [
            {"offer_missed": ev.OfferMissed(ring_ms=end - at, **whose)},
            {"offer_rejected": ev.OfferRejected(cause="CALL_REJECTED", **whose)},
            {"offer_cancelled": ev.OfferCancelled(reason="moved", **whose)},
            {"offer_failed": ev.OfferFailed(cause="USER_NOT_REGISTERED", **whose)},
            {"offer_accepted": ev.OfferAccepted(ring_ms=end - at, **whose)},
            {"offer_lost_race": ev.OfferLostRace(winner_agent_id="olena", **whose)},
        ]
        self._tell(end, call_id, call_id, **bodies[how])

    def _talk(self, call_id: str, at: int, started: int, queue: str, over: dict[str, Any]) -> None:
        dice = self._dice
        agent, answered, held, talked = over["agent_id"], at, 0, 0
        body = ev.CallAnswered(queue_id=queue, agent_id=agent, wait_ms=over["wait_ms"])
        self._tell(at, call_id, call_id, call_answered=body)
        recording = f"{call_id}-r" if dice.random() < 0.5 else ""
        if recording:
            begun = ev.RecordingStarted(recording_id=recording, agent_id=agent, queue_id=queue)
            self._tell(at, call_id, call_id, recording_started=begun)
        for _ in range(1 + (dice.random() < 0.15)):
            talk = int(dice.lognormvariate(11.5, 0.7))
            if dice.random() < 0.2:
                hold = talk // 3
                self._tell(at + hold, call_id, call_id, call_held=ev.CallHeld(agent_id=agent))
                # Whoever transfers or hangs up while the customer holds ends the hold without a word of its own.
                if dice.random() < 0.7:
                    resumed = ev.CallResumed(agent_id=agent, held_ms=hold)
                    self._tell(at + 2 * hold, call_id, call_id, call_resumed=resumed)
                    held += hold
                else:
                    held += talk - hold
            at, talked = at + talk, talked + talk
            if dice.random() < 0.3:
                break
            other = dice.choice([each for each in AGENTS if each != agent])
            moved = ev.CallTransferred(from_agent_id=agent, to_agent_id=other, attended=dice.random() < 0.5)
            self._tell(at, call_id, call_id, call_transferred=moved)
            agent = other
        else:
            talk = int(dice.lognormvariate(11, 0.5))
            at, talked = at + talk, talked + talk
        over |= {"agent_id": agent, "talk_ms": talked, "hold_ms": held}
        self._end(call_id, at, started, ev.CALL_EXIT_ANSWERED, over, answered)
        if recording:
            self._recorded(call_id, recording, at, talked)
        if dice.random() < 0.2:
            answers = {"rating": str(dice.randrange(1, 6)), "why": dice.choice(("", "12", "nobody listens", "٣"))}
            form = ev.FormAnswered(form_id="survey", agent_id=agent, answers=answers)
            self._tell(at + 30_000, call_id, call_id, form_answered=form)

    def _recorded(self, call_id: str, recording: str, at: int, talked: int) -> None:
        """Tell what became of a recording: kept, kept after a failed try, lost for good, deleted; then its text."""
        dice = self._dice
        its: dict[str, Any] = {"recording_id": recording}
        if dice.random() < 0.2:
            failed = ev.RecordingFailed(reason="away", final=dice.random() < 0.4, **its)
            self._tell_beside(at + 1_000, call_id, recording_failed=failed)
            if failed.final:
                return
        silent = dice.random() < 0.05
        stored = ev.RecordingStored(duration_ms=talked, size_bytes=dice.randrange(10**6), silent=silent, **its)
        self._tell_beside(at + 5_000, call_id, recording_stored=stored)
        if dice.random() < 0.1:
            untold = ev.TranscriptFailed(reason="no model", **its)
            self._tell_beside(at + 60_000, call_id, transcript_failed=untold)
        if dice.random() < 0.7:
            text = ev.TranscriptCompleted(language="uk", engine="small", words=dice.randrange(500), **its)
            text.confidence = dice.random()
            for place, side in enumerate(("customer_sentiment", "customer_sentiment_change", "agent_sentiment")):
                score = SCORES[(text.words + 3 * place) % len(SCORES)]
                if score is not None:
                    setattr(text, side, score)
            self._tell_beside(at + 90_000, call_id, transcript_completed=text)
            for _ in range(dice.randrange(3)):
                match = ev.AnalysisRuleMatched(rule_id=dice.choice(("swearing", "greeting")), speaker="agent", **its)
                self._tell_beside(at + 91_000, call_id, analysis_rule_matched=match)
        if dice.random() < 0.1:
            gone = ev.RecordingDeleted(reason="erasure", **its)
            self._tell_beside(at + 3 * HOUR, call_id, recording_deleted=gone)

    def _norm(self, number: int) -> None:
        at, whose = self._from_ms + self._dice.randrange(self._until_ms - self._from_ms), {"kpi_id": f"k{number % 3}"}
        subject = f"queue:{QUEUES[number % 3]}"
        violated = ev.KpiViolated(subject=subject, value=0.5, norm=0.8, **whose)
        self._tell(at, subject, kpi_violated=violated)
        if self._dice.random() < 0.6:
            recovered = ev.KpiRecovered(subject=subject, value=0.9, norm=0.8, **whose)
            self._tell(at + self._dice.randrange(HOUR), subject, kpi_recovered=recovered)

    def _end(self, call_id: str, at: int, started: int, how: int, over: dict[str, Any], answered: int = 0) -> None:
        dice = self._dice
        body = ev.CallEnded(exit=ev.CallExit.ValueType(how), hangup_cause=dice.choice(CAUSES), **over)
        body.disposition = dice.choice(("", "", "sold", "resolved", "unresolved"))
        body.started_at.FromMilliseconds(started)
        if answered:
            body.answered_at.FromMilliseconds(answered)
            if sum(call_id.encode()) % 29 == 0:  # the switch took the caller back after the talk
                take_back(body, is_older=sum(call_id.encode()) % 2 == 1)
        if dice.random() < 0.99:  # some calls never end: a node was lost
            self._tell(at, call_id, call_id, call_ended=body)

    def _agent(self, agent: str) -> None:
        """Walk through states: shifts of ten hours, across midnight; the last state goes on."""
        dice, at = self._dice, self._from_ms - 5 * HOUR + self._dice.randrange(10 * HOUR)
        state, since = ev.AGENT_STATE_OFFLINE, 0
        while at < self._until_ms + 5 * HOUR:
            following = dice.choice([each for each in _STATES if each != state])
            body = ev.AgentStateChanged(
                agent_id=agent, state=following, former_state=state, former_ms=at - since if since else 0
            )
            if following in _SERVING:
                body.queue_id = QUEUES[at % 3]
            self._tell(at, f"agent:{agent}", agent_state_changed=body)
            if state == ev.AGENT_STATE_WRAP_UP:
                ended = ev.AgentWrapupEnded(agent_id=agent, queue_id=dice.choice(QUEUES), duration_ms=at - since)
                self._tell(at, f"agent:{agent}", agent_wrapup_ended=ended)
            if following == ev.AGENT_STATE_AWAY:
                changed = ev.AgentStatusChanged(
                    agent_id=agent, status=rq.AGENT_STATUS_AWAY, reason=dice.choice(("lunch", "coffee"))
                )
                self._tell(at, f"agent:{agent}", agent_status_changed=changed)
            state, since = following, at
            at += int(dice.expovariate(1 / (8 * HOUR if following == ev.AGENT_STATE_OFFLINE else HOUR / 3)))

    def _callback(self, callback_id: str) -> None:
        dice, subject = self._dice, f"callback:{callback_id}"
        at = self._from_ms + dice.randrange(self._until_ms - self._from_ms)
        whose: dict[str, Any] = {"callback_id": callback_id, "number": "+380501112233", "queue_id": dice.choice(QUEUES)}
        self._tell(at, subject, callback_requested=ev.CallbackRequested(reason="abandoned", **whose))
        for attempt in range(1, 1 + dice.randrange(4)):
            at += dice.randrange(HOUR)
            tried = ev.CallbackAttempted(attempt=attempt, agent_id="olena", **whose)
            self._tell(at, subject, f"{callback_id}-{attempt}", callback_attempted=tried)
            if dice.random() < 0.5:
                done = ev.CallbackSucceeded(attempt=attempt, agent_id="olena", **whose)
                self._tell(at + 20_000, subject, f"{callback_id}-{attempt}", callback_succeeded=done)
                return
            failed = ev.CallbackFailed(attempt=attempt, cause="NO_ANSWER", final=attempt == 3, **whose)
            self._tell(at + 20_000, subject, f"{callback_id}-{attempt}", callback_failed=failed)
            if attempt == 3:
                return
        if dice.random() < 0.5:
            self._tell(at + HOUR, subject, callback_expired=ev.CallbackExpired(**whose))
        elif dice.random() < 0.3:
            gone = ev.CallbackCancelled(reason="got through", **whose)
            self._tell(at + HOUR, subject, callback_cancelled=gone)


_EXITS = (
    ev.QUEUE_EXIT_ANSWERED,
    ev.QUEUE_EXIT_ABANDONED,
    ev.QUEUE_EXIT_SHORT_ABANDONED,
    ev.QUEUE_EXIT_TIMEOUT,
    ev.QUEUE_EXIT_NO_AGENT,
    ev.QUEUE_EXIT_OVERFLOW,
    ev.QUEUE_EXIT_CALLBACK,
    ev.QUEUE_EXIT_EXIT_KEY,
)
_CALL_EXITS: dict[int, int] = {
    ev.QUEUE_EXIT_ABANDONED: ev.CALL_EXIT_ABANDONED,
    ev.QUEUE_EXIT_SHORT_ABANDONED: ev.CALL_EXIT_SHORT_ABANDONED,
    ev.QUEUE_EXIT_TIMEOUT: ev.CALL_EXIT_TIMEOUT,
    ev.QUEUE_EXIT_NO_AGENT: ev.CALL_EXIT_NO_AGENT,
    ev.QUEUE_EXIT_CALLBACK: ev.CALL_EXIT_CALLBACK,
    ev.QUEUE_EXIT_EXIT_KEY: ev.CALL_EXIT_FLOW_ENDED,
}
_SERVING = (
    ev.AGENT_STATE_RINGING,
    ev.AGENT_STATE_TALKING,
    ev.AGENT_STATE_HOLDING,
    ev.AGENT_STATE_WRAP_UP,
)
_STATES = (
    ev.AGENT_STATE_OFFLINE,
    ev.AGENT_STATE_IDLE,
    ev.AGENT_STATE_RINGING,
    ev.AGENT_STATE_TALKING,
    ev.AGENT_STATE_HOLDING,
    ev.AGENT_STATE_WRAP_UP,
    ev.AGENT_STATE_AWAY,
    ev.AGENT_STATE_UNREACHABLE,
    ev.AGENT_STATE_RESERVED,
)
