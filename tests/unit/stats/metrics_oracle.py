"""What happened, told by the raw list of events and nothing else: the records that metrics_by_formula counts."""

from collections import defaultdict
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from services.shared.contracts.ringmaster.v1 import event_pb2 as ev

Record = dict[str, Any]
FELT = {"felt": "customer_sentiment", "turned": "customer_sentiment_change", "agent_felt": "agent_sentiment"}


class Oracle:
    """Everything that happened, once each, as records with the moment that places them."""

    def __init__(self, events: Iterable[ev.Event], zone: str, from_ms: int, until_ms: int, now_ms: int) -> None:
        self.zone = ZoneInfo(zone)
        self.from_ms, self.until_ms, self.now_ms = from_ms, until_ms, now_ms
        once = {event.event_id: event for event in events}
        stories: dict[str, list[ev.Event]] = defaultdict(list)
        for event in once.values():
            stories[event.subject].append(event)
        self.calls: list[Record] = []
        self.stays: list[Record] = []
        self.talks: list[Record] = []
        self.offers: list[Record] = []
        self.transfers: list[Record] = []
        self.wraps: list[Record] = []
        self.spans: list[Record] = []
        self.callbacks: list[Record] = []
        self.attempts: list[Record] = []
        self.steps: list[Record] = []
        self.choices: list[Record] = []
        self.recordings: list[Record] = []
        self.matches: list[Record] = []
        self.answers: list[Record] = []
        self.words: list[Record] = []
        self.joins: list[Record] = []
        self.happened: list[Record] = []
        for subject, story in stories.items():
            story.sort(key=lambda event: event.sequence)
            if subject.startswith("agent:"):
                self._agent(subject.removeprefix("agent:"), story)
            elif subject.startswith("callback:"):
                self._callback(story)
            elif subject.startswith(("queue:", "switch:", "tenant")):
                self.happened += [{"at": ms(e), "kind": dotted(e), "subject": subject} for e in story]
            else:
                self._call(story)

    def _call(self, story: list[ev.Event]) -> None:
        named = {event.WhichOneof("body"): event for event in story}
        start = named["call_started"]
        end = named["call_ended"].call_ended if "call_ended" in named else None
        answer = named.get("call_answered")
        stays = [event for event in story if event.HasField("queue_left")]
        self.calls.append(
            {
                "at": ms(start),
                "line": start.call_started.line,
                "client": _person(start.call_started.caller.number),
                "is_in": start.call_started.direction != 2,
                "exit": _exit(end, is_served=answer is not None) if end else "",
                "back": end is not None and (end.fell_back or end.exit == ev.CALL_EXIT_FALLBACK),
                "ended": end is not None,
                "answered": answer is not None,
                "cause": end.hangup_cause if end else "",
                "word": end.disposition if end else "",
                "billed": (ms(named["call_ended"]) - ms(answer)) / 1000 if end and answer else 0.0,
                "queue": (end.queue_id if end else "") or (stays[-1].queue_left.queue_id if stays else ""),
                "agent": (end.agent_id if end else "") or (answer.call_answered.agent_id if answer else ""),
            }
        )
        for event in stays:
            left = event.queue_left
            record = {"at": ms(event), "queue": left.queue_id, "agent": left.agent_id, "exit": left.exit}
            record |= {"wait": left.wait_ms / 1000, "in_time": left.within_service_level}
            record |= {"error": abs(left.estimate_error_ms) / 1000, "line": start.call_started.line}
            self.stays.append(record)
        self._talks_of(story, start.call_started.line)
        self._offers_of(story)
        self._flow_of(story)
        self._recorded(story)
        self._rated(story)

    def _talks_of(self, story: list[ev.Event], line: str) -> None:
        talk: Record | None = None
        held_from = 0
        for event in story:
            if event.HasField("call_held"):
                held_from = ms(event)
            if event.HasField("call_resumed") and talk:
                talk["hold"] += event.call_resumed.held_ms / 1000
                held_from = 0
            is_over = event.HasField("call_ended") or event.HasField("call_transferred")
            if is_over and talk:
                talk["hold"] += (ms(event) - held_from) / 1000 if held_from else 0
                held_from = 0
                talk["length"] = (ms(event) - talk["at"]) / 1000
                self.talks.append(talk)
                talk = None
            if event.HasField("call_answered"):
                body = event.call_answered
                talk = {"at": ms(event), "queue": body.queue_id, "agent": body.agent_id, "hold": 0.0, "line": line}
            if event.HasField("call_transferred"):
                moved = event.call_transferred
                self.transfers.append(
                    {"at": ms(event), "agent": moved.from_agent_id, "spoke": moved.attended, "line": line}
                )
                talk = {"at": ms(event), "queue": "", "agent": moved.to_agent_id, "hold": 0.0, "line": line}

    def _offers_of(self, story: list[ev.Event]) -> None:
        made = {e.offer_created.offer_id: e for e in story if e.HasField("offer_created")}
        for event in story:
            name = event.WhichOneof("body") or ""
            if name.startswith("offer_") and name != "offer_created":
                body = getattr(event, name)
                record = {"at": ms(made[body.offer_id]), "how": name.removeprefix("offer_"), "agent": body.agent_id}
                self.offers.append(record | {"queue": body.queue_id, "ring": getattr(body, "ring_ms", 0) / 1000})

    def _flow_of(self, story: list[ev.Event]) -> None:
        """Steps with their time; one that was never left is one in which the call ended."""
        entered = {e.flow_step_entered.step_id: e for e in story if e.HasField("flow_step_entered")}
        left = {e.flow_step_left.step_id: e for e in story if e.HasField("flow_step_left")}
        for step, event in entered.items():
            spent = left[step].flow_step_left.duration_ms / 1000 if step in left else 0.0
            way = left[step].flow_step_left.exit if step in left else ""
            self.steps.append({"at": ms(event), "step": step, "exit": way, "spent": spent, "call": event.call_id})
        for event in story:
            if event.HasField("ivr_choice"):
                chosen = event.ivr_choice
                self.choices.append({"at": ms(event), "choice": chosen.choice, "tries": chosen.tries})
            if event.HasField("queue_joined"):
                self.joins.append({"at": ms(event), "queue": event.queue_joined.queue_id})

    def _recorded(self, story: list[ev.Event]) -> None:
        started = [e for e in story if e.HasField("recording_started")]
        for begin in started:
            its = begin.recording_started.recording_id
            rec: Record = {"at": ms(begin), "agent": begin.recording_started.agent_id, "how": "", "bytes": 0}
            rec |= {"queue": begin.recording_started.queue_id, "sound": 0.0, "quiet": False, "text": "", "words": 0}
            rec |= {"sure": 0.0, "language": "", "felt": None, "turned": None, "agent_felt": None}
            for event in story:
                body = getattr(event, event.WhichOneof("body") or "")
                if getattr(body, "recording_id", "") != its:
                    continue
                if event.HasField("recording_stored"):
                    rec |= {"how": rec["how"] or "kept", "bytes": body.size_bytes, "quiet": body.silent}
                    rec["sound"] = body.duration_ms / 1000
                elif event.HasField("recording_failed") and body.final:
                    rec["how"] = rec["how"] or "lost"
                elif event.HasField("recording_deleted"):
                    rec["how"] = "deleted"
                elif event.HasField("transcript_completed"):
                    rec |= {"text": "made", "words": body.words, "sure": body.confidence, "language": body.language}
                    rec |= {name: getattr(body, said) for name, said in FELT.items() if body.HasField(said)}
                elif event.HasField("transcript_failed"):
                    rec["text"] = rec["text"] or "failed"
                elif event.HasField("analysis_rule_matched"):
                    whose = {"agent": rec["agent"], "queue": rec["queue"]}
                    self.matches.append({"at": ms(event), "rule": body.rule_id, "call": event.call_id, **whose})
            self.recordings.append(rec)
        self.calls[-1]["kept"] = bool(self.recordings) and any(
            r["how"] == "kept" for r in self.recordings[len(self.recordings) - len(started) :]
        )

    def _rated(self, story: list[ev.Event]) -> None:
        self.calls[-1]["rated"] = False
        for event in story:
            if event.HasField("form_answered"):
                for field, answer in event.form_answered.answers.items():
                    score = int(answer) if answer in map(str, range(100_000)) else None
                    self.answers.append({"at": ms(event), "field": field, "score": score})
                    self.calls[-1]["rated"] |= field == "rating" and score is not None

    def _agent(self, agent: str, story: list[ev.Event]) -> None:
        changes = [event for event in story if event.HasField("agent_state_changed")]
        for event, following in zip(changes, [*changes[1:], None], strict=True):
            state = ev.AgentState.Name(event.agent_state_changed.state).removeprefix("AGENT_STATE_").lower()
            end = ms(following) if following else min(self.now_ms, self.until_ms)
            queue = event.agent_state_changed.queue_id
            self.spans.append({"agent": agent, "state": state, "from": ms(event), "until": end, "queue": queue})
        for event in story:
            if event.HasField("agent_status_changed"):
                self.words.append({"at": ms(event), "agent": agent, "reason": event.agent_status_changed.reason})
            if event.HasField("agent_wrapup_ended"):
                body = event.agent_wrapup_ended
                self.wraps.append(
                    {"at": ms(event), "agent": agent, "queue": body.queue_id, "length": body.duration_ms / 1000}
                )

    def _callback(self, story: list[ev.Event]) -> None:
        asked = story[0]
        record = {"at": ms(asked), "queue": asked.callback_requested.queue_id, "how": "open", "took": 0.0}
        for event in story:
            if event.HasField("callback_attempted"):
                tried = event.callback_attempted
                won = any(
                    e.HasField("callback_succeeded") and e.callback_succeeded.attempt == tried.attempt for e in story
                )
                self.attempts.append({"at": ms(event), "queue": tried.queue_id, "won": won})
            if event.HasField("callback_cancelled"):
                record["how"] = "cancelled"
            if event.HasField("callback_succeeded"):
                record |= {"how": "reached", "took": (ms(event) - ms(asked)) / 1000}
            elif event.HasField("callback_expired") or (
                event.HasField("callback_failed") and event.callback_failed.final
            ):
                record["how"] = "lost"
        self.callbacks.append(record)

    def groups(self, records: list[Record], names: list[str]) -> dict[tuple[Any, ...], list[Record]]:
        found: dict[tuple[Any, ...], list[Record]] = defaultdict(list)
        for record in records:
            if self.from_ms <= record["at"] < self.until_ms:
                found[tuple(self._key(record, name) for name in names)].append(record)
        return found

    def cut(self) -> list[Record]:
        """Agents' time in pieces of whole local hours, walked hour by hour."""
        found = []
        for span in self.spans:
            at, end = max(span["from"], self.from_ms), min(span["until"], self.until_ms)
            while at < end:
                local = datetime.fromtimestamp(at / 1000, UTC).astimezone(self.zone)
                into = local.minute * 60_000 + local.second * 1000 + at % 1000
                following = min(end, at - into + 3_600_000)
                found.append({**span, "at": at, "length": (following - at) / 1000})
                at = following
        return found

    def _key(self, record: Record, name: str) -> Any:
        local = datetime.fromtimestamp(record["at"] / 1000, UTC).astimezone(self.zone)
        by_time: dict[str, Callable[[], Any]] = {
            "day": local.date().isoformat,
            "week": (local.date() - timedelta(days=local.weekday())).isoformat,
            "month": lambda: local.strftime("%Y-%m"),
            "hour": lambda: local.replace(minute=0, second=0, microsecond=0).isoformat(timespec="minutes"),
            "hour_of_day": lambda: local.hour,
            "weekday": local.isoweekday,
        }
        return by_time[name]() if name in by_time else record[name]

    def first_calls(self, hours: int, together: tuple[str, ...] = ()) -> list[Record]:
        """FCR of SPEC 8.2: first calls of a client on a queue group, each with whether it was repeated in N hours."""

        def group(call: Record) -> str:
            return "together" if call["queue"] in together else str(call["queue"])

        found = []
        inbound = [call for call in self.calls if call["is_in"] and call["client"] and call["queue"]]
        of_client = defaultdict(list)
        for call in inbound:
            of_client[call["client"], group(call)].append(call)
        for call in inbound:
            same = [other for other in of_client[call["client"], group(call)] if other is not call]
            reach = hours * 3_600_000
            if not any(0 <= call["at"] - other["at"] <= reach for other in same):
                is_repeated = any(0 < other["at"] - call["at"] <= reach for other in same)
                found.append(
                    {**call, "is_resolved": {"resolved": True, "unresolved": False}.get(call["word"], not is_repeated)}
                )
        return found


def dotted(event: ev.Event) -> str:
    return (event.WhichOneof("body") or "").replace("_", ".", 1)


def ms(event: ev.Event) -> int:
    return event.time.ToMilliseconds()


def _exit(end: ev.CallEnded, *, is_served: bool) -> str:
    """Whom an agent served nobody lost, whatever the log calls the end (SPEC 8.2: A is who was answered)."""
    return "ANSWERED" if is_served else ev.CallExit.Name(end.exit).removeprefix("CALL_EXIT_")


def _person(written: str) -> str:
    """Return one spelling of a Ukrainian number: its last nine digits name it, whatever stands before them."""
    return f"+380{written[-9:]}" if written else ""
