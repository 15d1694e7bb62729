"""A real FreeSWITCH 1.10 as the switch under test: FREESWITCH_HOST, _PORT, _PASSWORD and FREESWITCH_SIP (host:port).

Its configuration is tests/switch/conf, whose first lines say how to start it: the platform's own dialplan, the
extensions of scenario.yaml, a profile `internal` without authentication, and mod_local_stream's `moh`.
"""

import os
from pathlib import Path

from tests.switch.oracle import EventSocket
from tests.switch.sip_phone import SipPhone

AGENT_PORT = 5076


class RealSwitch:
    """The switch, reached by its event socket and by SIP phones of our own."""

    is_real = True

    def __init__(self, folder: Path) -> None:
        self.host = os.environ["FREESWITCH_HOST"]
        self.port = int(os.environ.get("FREESWITCH_PORT", "8021"))
        self.password = os.environ.get("FREESWITCH_PASSWORD", "ClueCon")
        self.recordings = folder
        sip_host, _, sip_port = os.environ.get("FREESWITCH_SIP", f"{self.host}:5060").partition(":")
        self._callers = SipPhone((sip_host, int(sip_port)))
        self._agents = SipPhone((sip_host, int(sip_port)), AGENT_PORT)
        self._events = EventSocket(self.host, self.port, self.password)
        self._events.command("event plain CHANNEL_CREATE")
        self._commands = EventSocket(self.host, self.port, self.password)
        self._commands.api("global_setvar hold_music=local_stream://moh")

    def call(self, number: str, name: str = "Caller", caller: str = "+4930555") -> str:
        """Let a phone call a number; returns the leg's uuid."""
        call_id = self._callers.call(number, name, caller.lstrip("+"))
        created = self._events.wait_for(lambda event: event.get("variable_sip_call_id") == call_id, "the call's leg")
        return created.first["Unique-ID"]

    def dial(self, behaviour: str) -> str:
        """Return a dial string to a phone that behaves so."""
        return f"sofia/internal/{behaviour}@127.0.0.1:{AGENT_PORT}"

    def hang_up(self, leg: str) -> None:
        """Let a leg's phone hang up."""
        call_id = self._commands.api(f"uuid_getvar {leg} sip_call_id")
        for phone in (self._callers, self._agents):
            phone.hang_up(call_id)

    def press(self, leg: str, digit: str) -> None:
        """Let a leg's phone send a digit."""
        self._commands.api(f"uuid_recv_dtmf {leg} {digit}@2000")

    def hold(self, leg: str, *, on: bool) -> None:
        """Let a leg's phone hold the call, or go on."""
        call_id = self._commands.api(f"uuid_getvar {leg} sip_call_id")
        for phone in (self._callers, self._agents):
            phone.hold(call_id, on=on)

    def say(self, frames: dict[str, bytes]) -> None:
        """Let phones say 20 ms of PCMU again and again, by who was called; "" is who calls."""
        for phone in (self._callers, self._agents):
            phone.frames = frames

    def stop(self) -> None:
        """Hang everything up."""
        self._callers.close()
        self._agents.close()
        self._events.close()
        self._commands.close()
