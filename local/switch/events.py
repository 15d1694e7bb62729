"""Events of the switch: their common head, their bytes in both formats, and who gets them.

An event is rendered once per format, at the moment it happens, however many connections want it; an event that nobody
wants only takes its sequence number. Bytes are shaped like the captures: same names, same order, same quirks.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Protocol

from local.switch.clock import MICROSECONDS, Clock, floor_tick
from local.switch.encoding import decode, header, json_members, json_text

if TYPE_CHECKING:
    from local.switch.variables import Block, Variables

# Where FreeSWITCH 1.10.12 raises each event: file, function, line. A few events have more than one origin.
_ORIGINS: dict[str, tuple[str, str, int]] = {
    "ADD_SCHEDULE": ("switch_scheduler.c", "switch_scheduler_add_task", 273),
    "API": ("switch_loadable_module.c", "switch_api_execute", 2954),
    "BACKGROUND_JOB": ("mod_event_socket.c", "api_exec", 1572),
    "CALL_UPDATE": ("mod_sofia.c", "sofia_receive_message", 2100),
    "CALL_UPDATE flip": ("switch_channel.c", "switch_channel_flip_cid", 3277),
    "CHANNEL_ANSWER": ("switch_channel.c", "switch_channel_perform_mark_answered", 3846),
    "CHANNEL_BRIDGE": ("switch_ivr_bridge.c", "switch_ivr_multi_threaded_bridge", 1689),
    "CHANNEL_CALLSTATE": ("switch_channel.c", "switch_channel_perform_set_callstate", 301),
    "CHANNEL_CREATE": ("switch_core_state_machine.c", "switch_core_session_run", 626),
    "CHANNEL_DATA": ("mod_commands.c", "uuid_dump_function", 6468),
    "CHANNEL_DESTROY": ("switch_core_session.c", "switch_core_session_perform_destroy", 1584),
    "CHANNEL_EXECUTE": ("switch_core_session.c", "switch_core_session_exec", 2944),
    "CHANNEL_EXECUTE bridge": ("switch_ivr_bridge.c", "uuid_bridge_on_soft_execute", 1236),
    "CHANNEL_EXECUTE_COMPLETE": ("switch_core_session.c", "switch_core_session_exec", 2967),
    "CHANNEL_HANGUP": ("switch_channel.c", "switch_channel_perform_hangup", 3445),
    "CHANNEL_HANGUP_COMPLETE": ("switch_core_state_machine.c", "switch_core_session_reporting_state", 943),
    "CHANNEL_HOLD": ("switch_ivr.c", "switch_ivr_hold", 1558),
    "CHANNEL_HOLD phone": ("switch_channel.c", "switch_channel_mark_hold", 875),
    "CHANNEL_ORIGINATE": ("switch_core_state_machine.c", "switch_core_session_run", 632),
    "CHANNEL_OUTGOING": ("switch_core_session.c", "switch_core_session_outgoing_channel", 768),
    "CHANNEL_PARK": ("switch_ivr.c", "switch_ivr_park", 1002),
    "CHANNEL_PROGRESS": ("switch_channel.c", "switch_channel_perform_mark_ring_ready_value", 3505),
    "CHANNEL_PROGRESS_MEDIA": ("switch_channel.c", "switch_channel_perform_mark_pre_answered", 3560),
    "CHANNEL_STATE": ("switch_channel.c", "switch_channel_perform_set_running_state", 2408),
    "CHANNEL_UNBRIDGE": ("switch_ivr_bridge.c", "switch_ivr_multi_threaded_bridge", 1879),
    "CHANNEL_UNHOLD": ("switch_ivr.c", "switch_ivr_unhold", 1638),
    "CHANNEL_UNHOLD phone": ("switch_channel.c", "switch_channel_mark_hold", 875),
    "CHANNEL_UNPARK": ("switch_ivr.c", "switch_ivr_park", 1213),
    "CODEC read": ("switch_core_codec.c", "switch_core_session_set_real_read_codec", 168),
    "CODEC write": ("switch_core_codec.c", "switch_core_session_set_write_codec", 450),
    "COMMAND": ("switch_ivr_async.c", "switch_ivr_broadcast", 5731),
    "CUSTOM": ("mod_event_socket.c", "parse_command", 2257),
    "CUSTOM conference": ("conference_member.c", "conference_member_add", 962),
    "CUSTOM register": ("sofia_reg.c", "sofia_reg_handle_register_token", 2078),
    "CUSTOM reinvite": ("sofia.c", "sofia_handle_sip_i_state", 8489),
    "DEL_SCHEDULE": ("switch_scheduler.c", "task_thread_loop", 149),
    "DTMF": ("switch_channel.c", "switch_channel_dequeue_dtmf", 677),
    "HEARTBEAT": ("switch_core.c", "send_heartbeat", 95),
    "MEDIA_BUG_START": ("switch_core_media_bug.c", "switch_core_media_bug_add", 1014),
    "MEDIA_BUG_STOP": ("switch_core_media_bug.c", "switch_core_media_bug_destroy", 84),
    "PLAYBACK_START": ("switch_ivr_play_say.c", "switch_ivr_play_file", 1646),
    "PLAYBACK_STOP": ("switch_ivr_play_say.c", "switch_ivr_play_file", 2020),
    "PRIVATE_COMMAND": ("switch_ivr.c", "switch_ivr_parse_next_event", 804),
    "RECORD_START": ("switch_ivr_async.c", "record_callback", 1481),
    "RECORD_STOP": ("switch_ivr_async.c", "send_record_stop_event", 1240),
    "RELOADXML": ("switch_xml.c", "switch_xml_open_root", 2393),
    "RE_SCHEDULE": ("switch_scheduler.c", "switch_scheduler_execute", 73),
    "SHUTDOWN": ("switch_core.c", "switch_core_destroy", 3023),
}


@dataclass(frozen=True, slots=True)
class Identity:
    """Who this boot of the switch says it is; a restart is a new Core-UUID (wire truth 24)."""

    core_uuid: str
    hostname: str = "ringmaster-switch"
    switchname: str = "ringmaster-switch"
    ipv4: str = "127.0.0.1"
    ipv6: str = "::1"

    def block(self) -> str:
        """Return the headers that every event of this boot carries."""
        return (
            header("Core-UUID", self.core_uuid)
            + header("FreeSWITCH-Hostname", self.hostname)
            + header("FreeSWITCH-Switchname", self.switchname)
            + header("FreeSWITCH-IPv4", self.ipv4)
            + header("FreeSWITCH-IPv6", self.ipv6)
        )


class Event:
    """One event that happened: its encoded header lines and, rarely, a body."""

    __slots__ = ("_json", "_members", "_plain", "body", "name", "subclass", "text")

    def __init__(
        self, name: str, text: str, subclass: str | None = None, body: str | None = None, members: str | None = None
    ) -> None:
        self.name = name
        self.text = text
        self.subclass = subclass
        self.body = body
        self._members = members
        self._plain: bytes | None = None
        self._json: bytes | None = None

    def header(self, name: str) -> str | None:
        """Return a header's value, decoded; names are compared as the switch compares them, without case."""
        wanted = f"\n{name.lower()}: "
        text = "\n" + self.text
        at = text.lower().find(wanted)
        if at < 0:
            return None
        start = at + len(wanted)
        return decode(text[start : text.index("\n", start)])

    def plain_payload(self) -> str:
        """Return the event as plain text, without the frame around it."""
        if self.body is None:
            return self.text + "\n"
        length = len(self.body.encode("utf-8", "surrogateescape"))
        return f"{self.text}Content-Length: {length}\n\n{self.body}"

    def plain(self) -> bytes:
        """Return the whole text/event-plain frame."""
        if self._plain is None:
            payload = self.plain_payload().encode("utf-8", "surrogateescape")
            self._plain = b"Content-Length: %d\nContent-Type: text/event-plain\n\n%b" % (len(payload), payload)
        return self._plain

    def json_payload(self) -> str:
        """Return the event as a json object; a body becomes `_body` beside its Content-Length."""
        members = json_members(self.text) if self._members is None else self._members
        if self.body is not None:
            length = len(self.body.encode("utf-8", "surrogateescape"))
            members += f',"Content-Length":"{length}","_body":{json_text(self.body)}'
        return "{" + members + "}"

    def json(self) -> bytes:
        """Return the whole text/event-json frame."""
        if self._json is None:
            payload = self.json_payload().encode("utf-8", "surrogateescape")
            self._json = b"Content-Length: %d\nContent-Type: text/event-json\n\n%b" % (len(payload), payload)
        return self._json


class Listener(Protocol):
    """A connection that listens to events."""

    @property
    def is_json(self) -> bool:
        """Say whether the connection wants its events as json."""
        ...

    def wants(self, name: str, subclass: str | None) -> bool:
        """Say whether the connection has subscribed to this class."""
        ...

    def put(self, event: Event) -> None:
        """Queue the event; never blocks."""
        ...


@lru_cache(maxsize=8)
def _date_block(tick_us: int) -> str:
    seconds = tick_us // MICROSECONDS
    local = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(seconds))
    gmt = time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(seconds))
    return header("Event-Date-Local", local) + header("Event-Date-GMT", gmt) + f"Event-Date-Timestamp: {tick_us}\n"


class EventBus:
    """Numbers events and hands them to the connections that want them."""

    def __init__(self, clock: Clock, identity: Identity) -> None:
        self._clock = clock
        self._listeners: list[Listener] = []
        self._wanted: dict[tuple[str, str | None], bool] = {}
        self.is_json_wanted = False
        self._origin_blocks = {
            key: f"Event-Calling-File: {file}\nEvent-Calling-Function: {function}\nEvent-Calling-Line-Number: {line}\n"
            for key, (file, function, line) in _ORIGINS.items()
        }
        self.sequence = 0
        self.restart(identity)

    def restart(self, identity: Identity) -> None:
        """Begin a new boot: new Core-UUID, sequence from one."""
        self.identity = identity
        self._identity_block = identity.block()
        self.sequence = 0

    def attach(self, listener: Listener) -> None:
        """Add a connection."""
        self._listeners.append(listener)
        self.subscriptions_changed()

    def detach(self, listener: Listener) -> None:
        """Forget a connection; harmless when it is not there."""
        if listener in self._listeners:
            self._listeners.remove(listener)
        self.subscriptions_changed()

    def subscriptions_changed(self) -> None:
        """Tell the bus that a connection wants other classes than before."""
        self._wanted.clear()
        self.is_json_wanted = any(listener.is_json for listener in self._listeners)

    def is_wanted(self, name: str, subclass: str | None = None) -> bool:
        """Say whether rendering an event of this class would be read by anybody."""
        key = (name, subclass)
        wanted = self._wanted.get(key)
        if wanted is None:
            wanted = self._wanted[key] = any(listener.wants(name, subclass) for listener in self._listeners)
        return wanted

    def head(self, name: str, origin: str, subclass: str | None) -> str:
        """Return the headers that start every event, with the next sequence number."""
        self.sequence += 1
        first = f"Event-Subclass: {encode_subclass(subclass)}\n" if subclass else ""
        return (
            f"{first}Event-Name: {name}\n{self._identity_block}{_date_block(floor_tick(self._clock.now_us()))}"
            f"{self._origin_blocks[origin]}Event-Sequence: {self.sequence}\n"
        )

    def emit(
        self,
        name: str,
        *blocks: str | Block | Variables,
        origin: str | None = None,
        subclass: str | None = None,
        body: str | None = None,
        prefix: str = "",
    ) -> None:
        """Let an event happen; `blocks` are already encoded lines in their order, `prefix` comes before the head."""
        if not self.is_wanted(name, subclass):
            self.sequence += 1
            return
        parts = [prefix, self.head(name, origin or name, subclass), *blocks]
        text = "".join([part if isinstance(part, str) else part.block() for part in parts])
        members = None
        if self.is_json_wanted:
            # Nine tenths of an event are variables, whose members are kept: 35 µs an event instead of 100 µs.
            members = ",".join([json_members(p) if isinstance(p, str) else p.json_block() for p in parts if p != ""])
        self.deliver(Event(name, text, subclass, body, members))

    def deliver(self, event: Event) -> None:
        """Hand a finished event to every connection that wants it."""
        for listener in self._listeners:
            if listener.wants(event.name, event.subclass):
                listener.put(event)


@lru_cache(maxsize=64)
def encode_subclass(subclass: str) -> str:
    """Encode a CUSTOM event's subclass, which holds colons."""
    return header("", subclass)[2:-1]
