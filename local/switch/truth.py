"""Ground truth: what really happened to every call, seen from inside the switch, to balance the platform against."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from local.switch.clock import MICROSECONDS
from local.switch.observer import Observer

if TYPE_CHECKING:
    from local.switch.channel import Leg


CALL_VARIABLE = "ringmaster_call"
"""Set on the legs that the platform makes: on a customer's it is the leg's own id."""


@dataclass(slots=True)
class TalkTruth:
    """One conversation of a caller. `agent` is the agent's address; `party` is the other leg's called number."""

    agent: str
    party: str
    leg: str
    started: float
    ended: float | None = None
    said: list[dict[str, Any]] = field(default_factory=list)


@dataclass(slots=True)
class CallTruth:
    """One call from outside. Times are simulated epoch seconds."""

    uuid: str
    line: str
    number: str
    name: str
    arrived: float
    answered: float | None = None
    hungup: float | None = None
    cause: str = ""
    hung_up_by: str = ""
    digits: list[str] = field(default_factory=list)
    talks: list[TalkTruth] = field(default_factory=list)
    recordings: list[dict[str, Any]] = field(default_factory=list)
    took_fallback: bool = False
    outcome: str = "in_progress"


@dataclass(slots=True)
class DialTruth:
    """One call to a customer whom the platform called by itself, not for a caller."""

    uuid: str
    number: str
    dialled: float
    answered: float | None = None
    ended: float | None = None
    talked_with: list[str] = field(default_factory=list)
    recordings: list[dict[str, Any]] = field(default_factory=list)
    hung_up_by: str = ""


@dataclass(slots=True)
class OfferTruth:
    """One call to an agent's phone."""

    agent: str
    leg: str
    rang: float
    answered: float | None = None
    ended: float | None = None
    cause: str = ""


class Truth(Observer):
    """Writes down every call and every ringing of an agent's phone."""

    def __init__(self) -> None:
        self.calls: dict[str, CallTruth] = {}
        self.offers: dict[str, OfferTruth] = {}
        self.dials: dict[str, DialTruth] = {}
        self._offers_done: list[OfferTruth] = []
        self.outcomes: dict[str, int] = {}

    def leg_created(self, leg: Leg) -> None:
        """Open the book of a call or an offer."""
        now = _now(leg)
        if leg.direction == "inbound":
            profile = leg.profile
            self.calls[leg.uuid] = CallTruth(
                leg.uuid, profile.destination_number, profile.caller_id_number, profile.caller_id_name, now
            )
        elif leg.presence_id:
            self.offers[leg.uuid] = OfferTruth(leg.presence_id, leg.uuid, now)
        elif leg.variables.get(CALL_VARIABLE) == leg.uuid:
            self.dials[leg.uuid] = DialTruth(leg.uuid, leg.profile.destination_number, now)

    def leg_answered(self, leg: Leg) -> None:
        """Note the instant."""
        book = self.calls.get(leg.uuid) or self.offers.get(leg.uuid) or self.dials.get(leg.uuid)
        if book is not None:
            book.answered = _now(leg)

    def legs_bridged(self, a: Leg, b: Leg) -> None:
        """Note who talks with whom."""
        for leg, other in ((a, b), (b, a)):
            call = self.calls.get(leg.uuid)
            dial = self.dials.get(leg.uuid)
            if dial is not None:
                dial.talked_with.append(other.presence_id)
            if call is not None:
                called = other.profile.orig_caller_id_number if other.direction == "inbound" else other.presence_id
                party = other.variables.get("sip_req_uri") or called
                call.talks.append(TalkTruth(other.presence_id, party, other.uuid, _now(leg)))

    def legs_parted(self, a: Leg, b: Leg) -> None:
        """Close the conversation."""
        for leg in (a, b):
            call = self.calls.get(leg.uuid)
            if call is not None and call.talks and call.talks[-1].ended is None:
                talk = call.talks[-1]
                talk.ended = _now(leg)
                talk.said = _said(a, leg)

    def digits_collected(self, leg: Leg, digits: str) -> None:
        """Note what was pressed."""
        call = self.calls.get(leg.uuid)
        if call is not None:
            call.digits.append(digits)

    def recording_stopped(self, leg: Leg, path: str, size: int) -> None:
        """Note a complete file, under the call that the leg belongs to."""
        call = self.calls.get(leg.uuid) or self.calls.get(leg.call_uuid) or self.dials.get(leg.uuid)
        if call is not None:
            call.recordings.append({"path": path, "size": size})

    def fallback_taken(self, leg: Leg) -> None:
        """Note that nobody claimed the call."""
        call = self.calls.get(leg.uuid)
        if call is not None:
            call.took_fallback = True

    def leg_hung_up(self, leg: Leg, cause: str) -> None:
        """Close the book."""
        now = _now(leg)
        offer = self.offers.pop(leg.uuid, None)
        if offer is not None:
            offer.ended, offer.cause = now, cause
            self._offers_done.append(offer)
        dial = self.dials.get(leg.uuid)
        if dial is not None:
            dial.ended = now
        call = self.calls.get(leg.uuid)
        if call is None:
            return
        call.hungup, call.cause = now, cause
        disposition = leg.variables.get("sip_hangup_disposition") or ""
        call.hung_up_by = "caller" if disposition.startswith("recv") else "switch"
        self._settle(call)

    def switch_crashed(self, lost: list[Leg]) -> None:
        """Mark the calls that the crash ended."""
        for leg in lost:
            for path, recording in leg.recordings.items():
                self.recording_stopped(leg, path, recording.size_on_disk)
            call = self.calls.get(leg.uuid)
            if call is not None and call.outcome == "in_progress":
                call.hungup, call.cause, call.hung_up_by = _now(leg), "CRASH", "crash"
                self._settle(call, "lost")
            dial = self.dials.get(leg.uuid)
            if dial is not None and dial.ended is None:
                dial.ended, dial.hung_up_by = _now(leg), "crash"
            offer = self.offers.pop(leg.uuid, None)
            if offer is not None:
                offer.ended, offer.cause = _now(leg), "CRASH"
                self._offers_done.append(offer)

    def _settle(self, call: CallTruth, outcome: str | None = None) -> None:
        call.outcome = outcome or _outcome(call)
        self.outcomes[call.outcome] = self.outcomes.get(call.outcome, 0) + 1

    def live_calls(self) -> int:
        """Return how many calls are still in progress."""
        return len(self.calls) - sum(self.outcomes.values())

    def all_calls(self) -> list[dict[str, Any]]:
        """Return every call as plain data, oldest first."""
        return [asdict(call) for call in self.calls.values()]

    def all_dials(self) -> list[dict[str, Any]]:
        """Return every call to a customer as plain data, oldest first."""
        return [asdict(dial) for dial in self.dials.values()]

    def all_offers(self) -> list[dict[str, Any]]:
        """Return every ringing of an agent's phone as plain data."""
        return [asdict(offer) for offer in (*self._offers_done, *self.offers.values())]


def _said(a: Leg, caller: Leg) -> list[dict[str, Any]]:
    """Return what was said in a talk that was recorded; the caller is `caller` whichever leg was A."""
    bridge = a.bridge
    if bridge is None or bridge.talk is None:
        return []
    mine = 0 if bridge.a is caller else 1
    said = bridge.talk.said_until(a.switch.scheduler.clock.now_us())
    return [{**turn, "speaker": "caller" if turn["speaker"] == mine else "agent"} for turn in said]


def _now(leg: Leg) -> float:
    return leg.switch.scheduler.clock.now_us() / MICROSECONDS


def _outcome(call: CallTruth) -> str:
    """Name what became of a finished call."""
    if any(talk.agent for talk in call.talks):
        return "answered"
    if call.talks:
        return "forwarded"
    if call.took_fallback:
        return "fallback"
    if call.hung_up_by == "caller":
        return "abandoned"
    return "rejected" if call.answered is None else "released"
