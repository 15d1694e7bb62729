"""Tells the other services what became of transcripts: events on ringmaster.calls."""

import hashlib
from collections.abc import Callable
from typing import Any

from services.recorder.adapters.announcer import ACKNOWLEDGE_SECONDS, NotAnnounced, Producing
from services.recorder.domain.transcript.transcript import Subject
from services.shared.bus.errors import BusError
from services.shared.bus.events import publish_event
from services.shared.bus.ports import Sender
from services.shared.contracts.ringmaster.v1.event_pb2 import (
    AnalysisRuleMatched,
    Event,
    TalkScore,
    TranscriptCompleted,
    TranscriptFailed,
)

SOURCE = "recorder"
Document = dict[str, Any]


class TranscriptEvents:
    """Publishes and waits for the broker. Ids are derived from the recording: what is told again is the same event."""

    def __init__(self, connect: Callable[[], Producing]) -> None:
        self._connect = connect
        self._producer: Producing | None = None

    def completed(self, document: Document) -> None:
        """Say that a transcript is there, and which rules matched in it. Raises NotAnnounced."""
        self._publish([completed_event(document), *matched_events(document)])

    def failed(self, subject: Subject, reason: str, at_us: int) -> None:
        """Say that a recording can't be written down. Raises NotAnnounced."""
        event = _event("transcript.failed", subject.tenant_id, subject.call_id, subject.recording_id, at_us)
        event.transcript_failed.CopyFrom(TranscriptFailed(recording_id=subject.recording_id, reason=reason))
        self._publish([event])

    def _publish(self, events: list[Event]) -> None:
        try:
            producer = self._connected()
            for receipt in [publish_event(producer, event, SOURCE) for event in events]:
                receipt.wait(ACKNOWLEDGE_SECONDS)
        except BusError as error:
            raise NotAnnounced(str(error)) from error

    def _connected(self) -> Sender:
        if self._producer is None:
            producer = self._connect()
            if self._producer is None:
                self._producer = producer
            else:
                producer.close()  # another worker was quicker
        return self._producer


def completed_event(document: Document) -> Event:
    """Return transcript.completed of a transcript's document."""
    event = _event_of("transcript.completed", document)
    scores = document["analysis"].get("scores", ())
    event.transcript_completed.CopyFrom(
        TranscriptCompleted(
            recording_id=document["recording_id"],
            language=document["language"],
            engine=document["engine"],
            words=document["words"],
            confidence=document["confidence"],
            redactions=document["redactions"],
            scores=[TalkScore(card_id=score["card_id"], percent=score["percent"]) for score in scores],
            queue_id=document["queue_id"],
            agent_id=document["agent_id"],
            gist=document["analysis"].get("gist", ""),
            **_felt(document["analysis"].get("sentiment")),
        )
    )
    return event


def _felt(sentiment: Document | None) -> Document:
    """Return the fields that tell how a talk sounded; what there is no score of is not told."""
    if sentiment is None:
        return {}
    customer, agent = sentiment["customer"] or {}, sentiment["agent"] or {}
    scores = {
        "customer_sentiment": customer.get("score"),
        "customer_sentiment_at_end": customer.get("thirds", [None])[-1],
        "customer_sentiment_change": customer.get("change"),
        "agent_sentiment": agent.get("score"),
    }
    return {"sentiment_method": sentiment["method"], **{name: x for name, x in scores.items() if x is not None}}


def matched_events(document: Document) -> list[Event]:
    """Return analysis.rule_matched for each match in a transcript's document."""
    events = []
    for match in document["analysis"].get("matches", ()):
        place = f"{match['rule_id']}\n{match['speaker']}\n{match['at_ms']}"
        event = _event_of("analysis.rule_matched", document, place)
        event.analysis_rule_matched.CopyFrom(
            AnalysisRuleMatched(
                recording_id=document["recording_id"],
                rule_id=match["rule_id"],
                at_ms=match["at_ms"],
                speaker=match["speaker"],
                kind=match["kind"],
                phrase=match["phrase"],
                queue_id=document["queue_id"],
                agent_id=document["agent_id"],
                sentiment=match.get("sentiment"),
            )
        )
        events.append(event)
    return events


def _event_of(kind: str, document: Document, place: str = "") -> Event:
    ids = (document["tenant_id"], document["call_id"], document["recording_id"])
    return _event(kind, *ids, document["made_us"], place)


def _event(kind: str, tenant_id: str, call_id: str, recording_id: str, at_us: int, place: str = "") -> Event:
    text = f"{kind}\n{tenant_id}\n{call_id}\n{recording_id}\n{place}"
    event = Event(
        event_id=hashlib.sha256(text.encode()).hexdigest()[:32],
        tenant_id=tenant_id,
        call_id=call_id,
        subject=call_id,
    )
    event.time.FromMicroseconds(at_us)
    return event
