"""Which events a connection wants: classes, CUSTOM subclasses and filters."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from local.switch.events import Event

# The classes of FreeSWITCH 1.10; another word is no keyword.
_EVENT_NAMES = """
    CUSTOM CLONE CHANNEL_CREATE CHANNEL_DESTROY CHANNEL_STATE CHANNEL_CALLSTATE CHANNEL_ANSWER CHANNEL_HANGUP
    CHANNEL_HANGUP_COMPLETE CHANNEL_EXECUTE CHANNEL_EXECUTE_COMPLETE CHANNEL_HOLD CHANNEL_UNHOLD CHANNEL_BRIDGE
    CHANNEL_UNBRIDGE CHANNEL_PROGRESS CHANNEL_PROGRESS_MEDIA CHANNEL_OUTGOING CHANNEL_PARK CHANNEL_UNPARK
    CHANNEL_APPLICATION CHANNEL_ORIGINATE CHANNEL_UUID API LOG INBOUND_CHAN OUTBOUND_CHAN STARTUP SHUTDOWN PUBLISH
    UNPUBLISH TALK NOTALK SESSION_CRASH MODULE_LOAD MODULE_UNLOAD DTMF MESSAGE PRESENCE_IN NOTIFY_IN PRESENCE_OUT
    PRESENCE_PROBE MESSAGE_WAITING MESSAGE_QUERY ROSTER CODEC BACKGROUND_JOB DETECTED_SPEECH DETECTED_TONE
    PRIVATE_COMMAND HEARTBEAT TRAP ADD_SCHEDULE DEL_SCHEDULE EXE_SCHEDULE RE_SCHEDULE RELOADXML NOTIFY PHONE_FEATURE
    PHONE_FEATURE_SUBSCRIBE SEND_MESSAGE RECV_MESSAGE REQUEST_PARAMS CHANNEL_DATA GENERAL COMMAND SESSION_HEARTBEAT
    CLIENT_DISCONNECTED SERVER_DISCONNECTED SEND_INFO RECV_INFO RECV_RTCP_MESSAGE SEND_RTCP_MESSAGE CALL_SECURE NAT
    RECORD_START RECORD_STOP PLAYBACK_START PLAYBACK_STOP CALL_UPDATE FAILURE SOCKET_DATA MEDIA_BUG_START
    MEDIA_BUG_STOP CONFERENCE_DATA_QUERY CONFERENCE_DATA CALL_SETUP_REQ CALL_SETUP_RESULT CALL_DETAIL DEVICE_STATE
    TEXT SHUTDOWN_REQUESTED
"""
EVENT_NAMES = frozenset(_EVENT_NAMES.split())


class Subscription:
    """The classes of one connection; words after CUSTOM are subclasses (wire truth 7)."""

    def __init__(self) -> None:
        self.is_json = False
        self._all = False
        self._names: set[str] = set()
        self._subclasses: set[str] = set()
        self._filters: list[tuple[str, str]] = []

    def wants(self, name: str, subclass: str | None) -> bool:
        """Say whether a class is subscribed to; CUSTOM counts by subclass."""
        if self._all:
            return True
        if name == "CUSTOM":
            return subclass in self._subclasses if subclass else "CUSTOM" in self._names
        return name in self._names

    def add(self, words: list[str]) -> bool:
        """Subscribe; False when no word was a keyword."""
        known = False
        custom = False
        for word in words:
            if custom:
                self._subclasses.add(word)
            elif word.upper() == "ALL":
                self._all = known = True
            elif word.upper() in EVENT_NAMES:
                known = True
                self._names.add(word.upper())
                custom = word.upper() == "CUSTOM"
        return known

    def remove(self, words: list[str]) -> bool:
        """Unsubscribe; False when no word was a keyword."""
        known = False
        custom = False
        for word in words:
            if custom:
                self._subclasses.discard(word)
            elif word.upper() == "ALL":
                known = True
                self.clear()
            elif word.upper() in EVENT_NAMES:
                known = True
                if self._all:
                    self._all = False
                    self._names |= EVENT_NAMES
                self._names.discard(word.upper())
                custom = word.upper() == "CUSTOM"
        return known

    def clear(self) -> bool:
        """Unsubscribe from everything; False when there was nothing."""
        had = self._all or bool(self._names)
        self._all = False
        self._names.clear()
        self._subclasses.clear()
        return had

    def add_filter(self, name: str, value: str) -> None:
        """Let only events through of which some filter's header has the filter's value."""
        self._filters.append((name, value))

    def delete_filter(self, name: str, value: str) -> None:
        """Take filters away: all, those of a header, or one."""
        if name.lower() == "all":
            self._filters.clear()
            return
        self._filters = [
            (header, wanted)
            for header, wanted in self._filters
            if header.lower() != name.lower() or (value and wanted != value)
        ]

    def passes_filters(self, event: Event) -> bool:
        """Say whether the filters let an event through; a value between slashes is a regular expression."""
        if not self._filters:
            return True
        for name, wanted in self._filters:
            value = event.header(name)
            if value is None:
                continue
            if wanted.startswith("/") and wanted.endswith("/") and len(wanted) > 1:
                if re.search(wanted[1:-1], value):
                    return True
            elif value.lower() == wanted.lower():
                return True
        return False
