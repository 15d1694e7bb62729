"""What was missed: the difference between what was told of the legs and what FreeSWITCH lists now (SPEC 10.3).

FreeSWITCH's lists lag (wire truth 19): a leg is missing from them at its birth and still there after its end, so that
`uuid_exists` decides what lives. What ends after that question is in the events, which are subscribed by then.
"""

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from services.listener.domain.ends import tell_side
from services.listener.domain.headers import FALLBACK_EXTENSION
from services.listener.domain.legs import Asked, Leg
from services.listener.domain.normaliser import Normaliser
from services.shared.contracts.ringmaster.v1.input_pb2 import Input

CAUSE_MISSED = "NORMAL_UNSPECIFIED"
"""The cause of a hang-up that nobody saw."""
CAUSE_RESTARTED = "SYSTEM_SHUTDOWN"
"""The cause of every leg that a restart took along."""

_ASKING = {"playback", "flush_dtmf", "play_and_get_digits", "record"}
"""What works on prompts and questions, or worked on one: the list names an application until another one begins."""
_ALL = frozenset(Asked)
_LOCKED = frozenset({Asked.DIGITS, Asked.ANSWER})
"""What runs locked: nothing is executed behind it before it ends."""
_ANSWERED = frozenset({"ACTIVE", "HELD", "UNHELD", "RING_WAIT"})
"""Call states that only an answered channel has (switch_channel.c)."""
_MICROSECONDS = 1_000_000


@dataclass(frozen=True, slots=True)
class ListedLeg:
    """One row of `show channels as json`."""

    leg_id: str
    direction: str
    destination: str
    caller_number: str
    caller_name: str
    address: str
    created_us: int
    is_parked: bool
    is_answered: bool
    is_held: bool
    has_fallen_back: bool
    application: str


@dataclass(frozen=True, slots=True)
class OwnVariables:
    """What our dialplan or our originate set on a leg; "" for what is not set."""

    line: str = ""
    tenant_id: str = ""
    call_id: str = ""
    command_id: str = ""
    place: str = ""
    """Routing domain and hop."""


@dataclass(frozen=True, slots=True)
class Registered:
    """One row of `show registrations as json`."""

    address: str
    expires_us: int


@dataclass(frozen=True, slots=True)
class Picture:
    """What FreeSWITCH says lives now. `gone` are legs, told or listed, that `uuid_exists` denies."""

    legs: tuple[ListedLeg, ...]
    bridges: tuple[tuple[str, str], ...]
    registered: tuple[Registered, ...] | None
    gone: frozenset[str]
    variables: Mapping[str, OwnVariables]
    played: frozenset[str] = frozenset()
    """Legs on which the last prompt has ended."""


def read_channels(text: str) -> tuple[ListedLeg, ...]:
    """Read `show channels as json`. Raises ValueError for another answer."""
    return tuple(
        ListedLeg(
            leg_id=row["uuid"],
            direction=row["direction"],
            destination=row.get("initial_dest") or row.get("dest", ""),
            caller_number=row.get("initial_cid_num") or row.get("cid_num", ""),
            caller_name=row.get("initial_cid_name") or row.get("cid_name", ""),
            address=row.get("ip_addr", ""),
            created_us=int(row.get("created_epoch") or 0) * _MICROSECONDS,
            is_parked=row.get("application") == "park" or row.get("state") == "CS_PARK",
            is_answered=row.get("callstate") in _ANSWERED,
            is_held=row.get("callstate") == "HELD",
            has_fallen_back=row.get("dest") == FALLBACK_EXTENSION,
            application=row.get("application", ""),
        )
        for row in _rows(text)
    )


def read_calls(text: str) -> tuple[tuple[str, str], ...]:
    """Read the bridged pairs of `show calls as json`. Raises ValueError for another answer."""
    return tuple((row["uuid"], row["b_uuid"]) for row in _rows(text) if row.get("b_uuid"))


def read_registrations(text: str) -> tuple[Registered, ...]:
    """Read `show registrations as json`. Raises ValueError for another answer."""
    return tuple(
        Registered(f"{row['reg_user']}@{row['realm']}", int(row.get("expires") or 0) * _MICROSECONDS)
        for row in _rows(text)
    )


def _rows(text: str) -> list[dict[str, Any]]:
    document = json.loads(text)
    if not isinstance(document, dict):
        raise ValueError("not a table")  # noqa: TRY004 - the caller's one question is whether it can be read
    rows = document.get("rows", [])
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise ValueError("rows are not a list of objects")
    return rows


class Reconciler:
    """Derives the facts that were missed and makes the table true."""

    def __init__(self, normaliser: Normaliser) -> None:
        self.normaliser = normaliser
        self.facts = normaliser.facts
        self.legs = normaliser.legs

    def unknown(self, listed: Iterable[ListedLeg]) -> list[str]:
        """Return listed legs that were never told: ask whether they exist, and for their own variables."""
        return [each.leg_id for each in listed if self.legs.find(each.leg_id) is None]

    def restarted(self, core_uuid: str, tenants: Iterable[str], now_us: int) -> list[Input]:
        """Tell that another FreeSWITCH process answers: all former legs are gone (wire truth 24)."""
        former, self.legs.core_uuid = self.legs.core_uuid, core_uuid
        if not former or former == core_uuid:
            return []
        told = []
        for tenant_id in tenants:
            restarted = self.facts.of_switch(tenant_id, now_us)
            restarted.fact.switch_restarted.former_core_uuid = former
            told.append(restarted)
        return told + [self._lost(leg, now_us, CAUSE_RESTARTED) for leg in list(self.legs.live.values())]

    def playing(self, listed: Iterable[ListedLeg]) -> list[str]:
        """Return listed legs whose prompt may have ended unseen: ask for their RESPONSE_VARIABLE."""
        found = ((each.leg_id, self.legs.live.get(each.leg_id)) for each in listed if each.application == "playback")
        return [leg_id for leg_id, leg in found if leg is not None and Asked.PLAYBACK in leg.asked.values()]

    def unsure(self) -> list[tuple[str, str]]:
        """Return leg and command of each question that was perhaps never written, or has ended unseen."""
        legs = self.legs.live.values()
        return [(leg.leg_id, command) for leg in legs for command, asked in leg.asked.items() if asked in _LOCKED]

    def difference(self, picture: Picture, now_us: int) -> list[Input]:
        """Tell everything in which the picture differs from what was told: hang-ups first, they free people."""
        lost = [self.legs.live[leg_id] for leg_id in sorted(picture.gone) if leg_id in self.legs.live]
        told = [self._lost(leg, now_us, CAUSE_MISSED) for leg in lost]
        for each in picture.legs:
            if each.leg_id not in picture.gone:
                told += self._leg(each, picture, now_us)
        told += self._bridges(picture, now_us)
        told += self._holds(picture, now_us)
        if picture.registered is not None:
            told += self._phones(picture.registered, now_us)
        return told

    def newcomers(self, picture: Picture, now_us: int) -> list[Input]:
        """Tell only listed legs that were never told: the second look, for those that the list lacked at their birth.

        Other differences are left alone: events have gone on while the picture was taken, and they are newer.
        """
        told: list[Input] = []
        for each in picture.legs:
            has_ended = each.leg_id in picture.gone or each.leg_id in self.legs.strangers_ended
            if not has_ended and self.legs.find(each.leg_id) is None:
                told += self._leg(each, picture, now_us)
        return told

    def _lost(self, leg: Leg, now_us: int, cause: str) -> Input:
        told = self.facts.of_leg(leg, 0, now_us)
        hung_up = told.fact.leg_hung_up
        hung_up.cause = cause
        hung_up.created_us, hung_up.answered_us, hung_up.ended_us = leg.created_us, leg.answered_us, now_us
        hung_up.reconciled = True
        tell_side(hung_up, leg)
        self.legs.end(leg)
        return told

    def _leg(self, listed: ListedLeg, picture: Picture, now_us: int) -> list[Input]:
        told: list[Input] = []
        leg = self.legs.live.get(listed.leg_id)
        if leg is None:
            if self.legs.find(listed.leg_id) is not None:
                return []  # ended, the list lags
            leg = self._meet(listed, picture.variables.get(listed.leg_id, OwnVariables()), told)
        if leg is None:
            return []
        if listed.has_fallen_back and leg.is_inbound and not leg.has_fallen_back:
            leg.has_fallen_back = True
            told.append(self.facts.of_leg(leg, 0, now_us))
            told[-1].fact.leg_fell_back.line = leg.line
        if listed.is_answered and not leg.answered_us:
            leg.answered_us = now_us
            told.append(self.facts.of_leg(leg, 0, now_us))
            told[-1].fact.leg_answered.SetInParent()
        if listed.is_parked and not leg.is_parked:
            leg.is_parked = leg.is_restated = True
            told.append(self.facts.of_leg(leg, 0, now_us))
            told[-1].fact.leg_parked.line = leg.line
        if listed.application not in _ASKING:
            told += self._ended_asks(leg, now_us, _ALL)
        elif leg.leg_id in picture.played:
            told += self._ended_asks(leg, now_us, {Asked.PLAYBACK})
        self.legs.touch(leg)
        return told

    def _meet(self, listed: ListedLeg, own: OwnVariables, told: list[Input]) -> Leg | None:
        """Take in a leg that was never told, if it is a tenant's."""
        values = [
            *(listed.leg_id, "0", str(listed.created_us), listed.destination, listed.direction),
            *(own.line, own.tenant_id, own.call_id, own.command_id),
            *(listed.caller_number, listed.caller_name, "", listed.address),
            own.place,
        ]
        leg = self.normaliser.births.identify(values)
        if leg is not None:
            told.append(self.normaliser.births.born(leg, values, reconciled=True))
        return leg

    def _ended_asks(self, leg: Leg, now_us: int, kinds: Collection[Asked]) -> list[Input]:
        """Tell the ends of prompts and questions that no application works on any more."""
        over = {command_id: asked for command_id, asked in leg.asked.items() if asked in kinds}
        for command_id in over:
            del leg.asked[command_id]
        told = {command_id: asked for command_id, asked in over.items() if asked is not Asked.MUSIC}
        return [self.facts.of_missed_end(leg, command_id, asked, now_us) for command_id, asked in told.items()]

    def _bridges(self, picture: Picture, now_us: int) -> list[Input]:
        """Tell every parting before every meeting: a leg may have changed its partner in the gap."""
        other_of = dict(picture.bridges) | {b: a for a, b in picture.bridges}
        legs = list(self.legs.live.values())
        told: list[Input] = []
        for leg in legs:
            if leg.other_leg_id and leg.other_leg_id != other_of.get(leg.leg_id, ""):
                told.append(self.facts.of_leg(leg, 0, now_us))
                told[-1].fact.leg_unbridged.other_leg_id = leg.other_leg_id
                self._set_pair(leg.leg_id, leg.other_leg_id, joined=False)
        for leg in legs:
            now_with = other_of.get(leg.leg_id, "")
            if now_with and leg.other_leg_id != now_with:
                told.append(self.facts.of_leg(leg, 0, now_us))
                told[-1].fact.leg_bridged.other_leg_id = now_with
                self._set_pair(leg.leg_id, now_with, joined=True)
        return told

    def _holds(self, picture: Picture, now_us: int) -> list[Input]:
        """Tell who is on hold now and who no longer is: behind the bridges, for only a talk can be held."""
        told: list[Input] = []
        for each in picture.legs:
            leg = self.legs.live.get(each.leg_id)
            if leg is None or leg.is_held == each.is_held:
                continue
            leg.is_held = each.is_held
            self.legs.touch(leg)
            told.append(self.facts.of_leg(leg, 0, now_us))
            (told[-1].fact.leg_held if each.is_held else told[-1].fact.leg_resumed).SetInParent()
        return told

    def _set_pair(self, one_id: str, other_id: str, *, joined: bool) -> None:
        for leg, other in ((self.legs.live.get(one_id), other_id), (self.legs.live.get(other_id), one_id)):
            if leg is not None and (joined or leg.other_leg_id == other):
                leg.other_leg_id = other if joined else ""
                leg.is_parked = leg.is_parked and not joined
                leg.is_restated = leg.is_restated and not joined
                self.legs.touch(leg)

    def _phones(self, registered: Iterable[Registered], now_us: int) -> list[Input]:
        told: list[Input] = []
        present = {each.address for each in registered}
        for address in [address for address in self.legs.registered if address not in present]:
            told += self.normaliser.phones.unregistered(address, now_us, expired=True)
        for each in registered:
            seconds = max(0, each.expires_us - now_us) // _MICROSECONDS
            told += self.normaliser.phones.registered(each.address, seconds, "", now_us)
        return told
