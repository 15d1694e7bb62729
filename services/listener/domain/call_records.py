"""FreeSWITCH's own record of each call that ended, one line each, held against what was told of it.

The events of a call that came and went while nobody listened are lost, and no list names it any more; its line is there
(freeswitch/conf/configuration/cdr_csv.xml). Fields: mark, leg, line, three moments in µs, cause, the last
leg it was bridged with, fallback, caller.
"""

from dataclasses import dataclass

from services.listener.domain.ends import tell_side
from services.listener.domain.headers import number
from services.listener.domain.legs import Leg
from services.listener.domain.normaliser import Normaliser
from services.shared.contracts.ringmaster.v1.input_pb2 import Input

MARK = "ringmaster1"
_FIELDS = 10


@dataclass(frozen=True, slots=True)
class CallRecord:
    """A customer's leg that is over. Moments are µs since 1970 UTC, 0 = never; `caller` is digits, "" if withheld."""

    leg_id: str
    line: str
    created_us: int
    answered_us: int
    ended_us: int
    cause: str
    other_leg_id: str
    has_fallen_back: bool
    caller: str


def read_record(text: bytes) -> CallRecord | None:
    """Read a line; None for a leg that is no customer's, and for a line that is not ours."""
    fields = text.decode("utf-8", "replace").split(",")
    if len(fields) != _FIELDS or fields[0] != MARK or not fields[1] or not fields[2]:
        return None
    _, leg_id, line, created, answered, ended, cause, other, fallen_back, caller = fields
    created_us, answered_us, ended_us = number(created), number(answered), number(ended)
    if not created_us or not ended_us:
        return None
    has_fallen_back = fallen_back == "true"
    return CallRecord(leg_id, line, created_us, answered_us, ended_us, cause, other, has_fallen_back, caller)


class Auditor:
    """Derives what was never told from a call's record."""

    def __init__(self, normaliser: Normaliser) -> None:
        self._normaliser = normaliser
        self._legs = normaliser.legs

    def is_told(self, record: CallRecord) -> bool:
        """Whether the call's end was told already."""
        legs, leg_id = self._legs, record.leg_id
        return leg_id not in legs.live and (legs.find(leg_id) is not None or leg_id in legs.ended_before)

    def missing(self, record: CallRecord) -> list[Input]:
        """Tell the call, or only its end when the beginning was told; nothing when the line is nobody's."""
        leg = self._legs.live.get(record.leg_id)
        told: list[Input] = []
        if leg is None:
            values = [record.leg_id, "0", str(record.created_us), "", "inbound", record.line, "", "", "", record.caller]
            values += ["", "", "", ""]
            leg = self._normaliser.births.identify(values)
            if leg is None:
                return []
            told.append(self._normaliser.births.born(leg, values, reconciled=True))
        if record.other_leg_id and leg.other_leg_id != record.other_leg_id:
            told.append(self._normaliser.facts.of_leg(leg, 0, record.ended_us))
            told[-1].fact.leg_bridged.other_leg_id = record.other_leg_id
        if record.has_fallen_back and not leg.has_fallen_back:
            leg.has_fallen_back = True
            told.append(self._normaliser.facts.of_leg(leg, 0, record.ended_us))
            told[-1].fact.leg_fell_back.line = leg.line
        told.append(self._ended(leg, record))
        return told

    def _ended(self, leg: Leg, record: CallRecord) -> Input:
        told = self._normaliser.facts.of_leg(leg, 0, record.ended_us)
        hung_up = told.fact.leg_hung_up
        hung_up.cause = record.cause
        hung_up.created_us, hung_up.answered_us = record.created_us, record.answered_us
        hung_up.ended_us = record.ended_us
        hung_up.reconciled = True
        tell_side(hung_up, leg)
        hung_up.caller_number = record.caller
        self._legs.end(leg)
        return told
