"""Conference rooms: who is in, muted, on hold or talking, with the conference::maintenance events."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from uuid import uuid4

from local.switch.apps import application, run_private_commands
from local.switch.clock import MICROSECONDS
from local.switch.encoding import header, json_text

if TYPE_CHECKING:
    from local.switch.channel import Leg
    from local.switch.core import Switch
    from local.switch.scheduler import Steps

SUBCLASS = "conference::maintenance"


@dataclass(slots=True)
class Member:
    """One leg in a room."""

    number: int
    leg: Leg
    joined_us: int
    speaks: bool = True
    hears: bool = True
    is_held: bool = False
    was_kicked: bool = False
    is_mandatory: bool = False

    def flags(self, *, has_floor: bool) -> str:
        """Return the flags as `conference list` writes them."""
        words = [word for word, on in (("hear", self.hears), ("speak", self.speaks), ("hold", self.is_held)) if on]
        return "|".join([*words, *(["floor"] if has_floor else [])])


@dataclass(slots=True)
class Conference:
    """One room; the last member who leaves destroys it."""

    switch: Switch
    name: str
    profile: str = "default"
    unique_id: str = field(default_factory=lambda: str(uuid4()))
    members: dict[int, Member] = field(default_factory=dict)
    floor: int | None = None
    _last_number: int = 0
    _mandatory: int = 0

    def lines(self) -> str:
        """Return the headers that every event of the room has."""
        return (
            header("Conference-Name", self.name)
            + header("Conference-Domain", self.switch.globals["domain"])
            + f"Conference-Size: {len(self.members)}\nConference-Ghosts: 0\n"
            + header("Conference-Profile-Name", self.profile)
            + header("Conference-Unique-ID", self.unique_id)
        )

    def announce(self, action: str) -> None:
        """Raise an event of the room itself."""
        lines = self.lines() + f"Action: {action}\n"
        self.switch.bus.emit("CUSTOM", lines, origin="CUSTOM conference", subclass=SUBCLASS)

    def announce_member(self, member: Member, action: str) -> None:
        """Raise an event of one member."""
        lead = self.lines() + f"Floor: {_truth(member.number == self.floor)}\n"
        tail = (
            f"Video: false\nHear: {_truth(member.hears)}\nSee: true\nSpeak: {_truth(member.speaks)}\nTalking: false\n"
            f"Mute-Detect: false\nHold: {_truth(member.is_held)}\nMember-ID: {member.number}\nMember-Type: member\n"
            f"Member-Ghost: false\nEnergy-Level: 100\nCurrent-Energy: 0\nAction: {action}\n"
        )
        member.leg.emit("CUSTOM", lead, tail, full=False, origin="CUSTOM conference", subclass=SUBCLASS)

    def join(self, leg: Leg, *, is_mandatory: bool = False) -> Member:
        """Add a leg."""
        self._last_number += 1
        self._mandatory += is_mandatory
        member = Member(self._last_number, leg, leg.now_us(), is_mandatory=is_mandatory)
        self.members[member.number] = member
        self.announce_member(member, "add-member")
        if self.floor is None:
            self.floor = member.number
            self.announce_member(member, "floor-change")
        return member

    def leave(self, member: Member) -> None:
        """Remove a leg; an empty room is destroyed."""
        self.members.pop(member.number, None)
        if self.floor == member.number:
            self.floor = next(iter(self.members), None)
        self.announce_member(member, "del-member")
        self._mandatory -= member.is_mandatory
        if not self.members:
            self.announce("conference-destroy")
            self._forget()
        elif member.is_mandatory and not self._mandatory:
            # Its thread compares whole seconds: `now - left > endconference_grace_time`, which is 0.
            left = self.switch.scheduler.clock.now_us() // MICROSECONDS
            self.switch.scheduler.at((left + 1) * MICROSECONDS, self._end)

    def _end(self) -> None:
        """Let everybody out, as `conference_thread_run` does: hung up, or on with what follows in their dialplan."""
        if self._mandatory:
            return
        self._forget()
        for member in self.members.values():
            member.was_kicked = True
            if member.leg.variables.is_false("hangup_after_conference"):
                member.leg.wake()
            else:
                member.leg.hangup("NORMAL_CLEARING")

    def _forget(self) -> None:
        if self.switch.conferences.get(self.name) is self:
            del self.switch.conferences[self.name]

    def listing(self) -> str:
        """Return what `conference list` prints for the room."""
        head = (
            f"+OK Conference {self.name} ({len(self.members)} member{'s' if len(self.members) != 1 else ''} rate: 8000"
            " flags: running|answered|enforce_min|dynamic|exit_sound|enter_sound|json_status)\n"
        )
        return head + "".join(
            f"{member.number};{member.leg.name};{member.leg.uuid};{member.leg.profile.caller_id_name};"
            f"{member.leg.profile.caller_id_number};{member.flags(has_floor=number == self.floor)};0;0;100\n"
            for number, member in sorted(self.members.items(), reverse=True)
        )

    def as_json(self) -> dict[str, object]:
        """Return what `conference json_list` says of the room."""
        now_us = self.switch.scheduler.clock.now_us()
        members = [
            {
                "type": "caller",
                "id": member.number,
                "flags": {
                    "can_hear": member.hears,
                    "can_see": True,
                    "can_speak": member.speaks,
                    "hold": member.is_held,
                    "talking": False,
                    "has_floor": member.number == self.floor,
                    "is_moderator": False,
                },
                "uuid": member.leg.uuid,
                "caller_id_name": member.leg.profile.caller_id_name,
                "caller_id_number": member.leg.profile.caller_id_number,
                "join_time": (now_us - member.joined_us) // 1_000_000,
                "last_talking": 0,
                "energy": 100,
            }
            for _, member in sorted(self.members.items(), reverse=True)
        ]
        return {
            "conference_name": self.name,
            "member_count": len(members),
            "ghost_count": 0,
            "rate": 8000,
            "conference_uuid": self.unique_id,
            "running": True,
            "members": members,
        }


def _truth(value: bool) -> str:  # noqa: FBT001 - a value to be printed, not a switch
    return "true" if value else "false"


@application("conference")
def conference(leg: Leg, data: str) -> Steps:
    """Join a room (`name@profile+pin+flags{a|b}`) and stay until kicked, transferred or hung up."""
    data, _, flags = data.partition("+flags{")
    name, _, profile = data.partition("@")
    switch = leg.switch
    leg.answer()
    room = switch.conferences.get(name)
    if room is None:
        room = switch.conferences[name] = Conference(switch, name, profile.partition("+")[0] or "default")
        room.announce("conference-create")
    member = room.join(leg, is_mandatory="mandatory_member_endconf" in flags.rstrip("}").split("|"))
    state = leg.state
    while leg.state == state and not member.was_kicked:
        yield from run_private_commands(leg)
        leg.digits.clear()
        if leg.state == state and not member.was_kicked:
            yield None
    room.leave(member)


def conference_command(switch: Switch, argument: str) -> str:
    """Run the `conference` api command: list, json_list, and a few commands on members."""
    words = argument.split()
    if not words or words[0] == "list":
        return "".join(room.listing() for room in switch.conferences.values()) or "+OK No active conferences.\n"
    if words[0] == "json_list":
        return json_text([room.as_json() for room in switch.conferences.values()])
    room = switch.conferences.get(words[0])
    if room is None:
        return f"-ERR Conference {words[0]} not found\n"
    return _of_room(room, words[1:] or ["list"])


def _of_room(room: Conference, words: list[str]) -> str:
    match words:
        case ["list"]:
            return room.listing()
        case ["json_list"]:
            return json_text([room.as_json()])
        case ["get", "count"]:
            return str(len(room.members))
    return _command_members(room, words[0], words[1] if len(words) > 1 else "")


def _command_members(room: Conference, action: str, who: str) -> str:
    chosen = list(room.members.values()) if who in {"all", "non_moderator"} else []
    if who.isdigit() and int(who) in room.members:
        chosen = [room.members[int(who)]]
    if action not in {"mute", "unmute", "deaf", "undeaf", "hold", "unhold", "kick", "hup"}:
        return f"-ERR Conference command '{action}' not found.\n"
    if not chosen:
        return "-ERR Non-Existant ID\n"
    return "".join(_command_member(room, action, member) for member in chosen)


def _command_member(room: Conference, action: str, member: Member) -> str:
    if action in {"kick", "hup"}:
        room.announce_member(member, "kick-member")
        member.was_kicked = True
        member.leg.wake()
        return f"+OK kicked {member.number}\n"
    attribute, value = {
        "mute": ("speaks", False),
        "unmute": ("speaks", True),
        "deaf": ("hears", False),
        "undeaf": ("hears", True),
        "hold": ("is_held", True),
        "unhold": ("is_held", False),
    }[action]
    setattr(member, attribute, value)
    room.announce_member(member, f"{action}-member")
    return f"+OK {action} {member.number}\n"
