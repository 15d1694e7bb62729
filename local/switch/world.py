"""Everything of one simulated switch put together: the switch, its phones, its callers, its truth and its faults."""

from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING, Any

import gevent

from local.switch import holding
from local.switch.call_records import CallRecords
from local.switch.callers import Traffic
from local.switch.clock import MICROSECONDS, SimulatedClock
from local.switch.core import Switch
from local.switch.dialplan import Dialplan
from local.switch.encoding import header
from local.switch.faults import Faults
from local.switch.phones import PhoneBook
from local.switch.scenario import CallerKind, Scenario, ScenarioError, read_scenario
from local.switch.server import Engine, EventSocketServer, exit_like_kill
from local.switch.sounds import SoundLibrary
from local.switch.speech import Voices
from local.switch.truth import Truth
from local.voices.clips import find_speech

if TYPE_CHECKING:
    from collections.abc import Mapping

    from local.switch.channel import Leg
    from local.switch.clock import Clock
    from local.switch.settings import Settings

_FIRST_AGENT_PORT = 40_000
# Phones register one after the other in the first seconds of a boot.
_SECONDS_BETWEEN_REGISTRATIONS = 0.002


class World:
    """One simulated switch with its people."""

    def __init__(
        self,
        settings: Settings,
        voices: Voices | None = None,
        *,
        clock: Clock | None = None,
        scenario: Scenario | None = None,
    ) -> None:
        self.settings = settings
        if scenario is None:
            scenario = read_scenario(settings.scenario) if settings.scenario is not None else Scenario()
        self.scenario = scenario
        dice = random.Random(settings.seed if self.scenario.seed is None else self.scenario.seed)
        self.voices = voices or Voices(find_speech())
        self.switch = Switch(
            clock or SimulatedClock(settings.epoch, settings.speed, settings.wall0),
            dialplan=_dialplan(self.scenario),
            sounds=SoundLibrary(declared=dict(self.scenario.prompts)),
            voices=self.voices,
            hostname=settings.hostname,
            recordings=settings.recordings,
            call_records=CallRecords(settings.call_records) if settings.call_records else None,
        )
        domain = self.scenario.domain or settings.domain
        self.switch.globals["domain"] = domain
        self.switch.on_shutdown = self._shut_down
        self.phone_book = PhoneBook(self.switch, random.Random(dice.random()), self.scenario.outside)
        self.switch.directory = self.phone_book
        self._registered: dict[str, tuple[str, str, int]] = {}
        self._add_agents(domain)
        self.truth = Truth()
        self.switch.observers.append(self.truth)
        self.traffic = Traffic(self.switch, self.scenario, random.Random(dice.random()))
        self.engine = Engine(self.switch)
        self.server = EventSocketServer(
            self.switch,
            self.engine,
            settings.password,
            speed=settings.speed,
            event_queue=settings.event_queue,
            delivery_seconds=settings.delivery_ms / 1000,
            freezes=settings.on_slow_reader == "freeze",
        )
        self.server.rejects_rudely = settings.rude
        self.faults = Faults(self.switch, self.server, self.engine, self._register_all)

    def _add_agents(self, domain: str) -> None:
        for number, agent in enumerate(self.scenario.agents):
            where = agent.domain or domain
            port = _FIRST_AGENT_PORT + number % 20_000
            self.phone_book.add_agent(agent.name, where, agent.behaviour, port)
            if agent.is_registered:
                self._registered[f"{agent.name}@{where}"] = (agent.name, where, port)

    def start(self) -> None:
        """Let phones register and callers arrive."""
        self._register_all()
        if not self.settings.waits:
            self.traffic.start()

    def _register_all(self) -> None:
        for place, (user, realm, port) in enumerate(self._registered.values()):
            self._register_later(place * _SECONDS_BETWEEN_REGISTRATIONS, user, realm, port)

    def _register_later(self, seconds: float, user: str, realm: str, port: int) -> None:
        self.switch.scheduler.after(seconds, lambda: self.switch.registrations.add(user, realm, port))

    def _shut_down(self, how: str) -> None:
        if self.settings.on_shutdown == "exit":
            exit_like_kill()
        # Not from within the connection that asked: the restart ends it.
        gevent.spawn(self.faults.play, {"fault": "restart", "how": how})

    def shut_down_politely(self, patience_seconds: float = 3.0) -> None:
        """End as on SIGTERM: SHUTDOWN, every leg hung up with SYSTEM_SHUTDOWN, recordings complete, a notice."""
        switch = self.switch
        switch.bus.emit("SHUTDOWN", header("Event-Info", "System Shutting Down"))
        for leg in list(switch.legs.values()):
            leg.hangup("SYSTEM_SHUTDOWN")
        deadline = time.monotonic() + patience_seconds
        while switch.legs and time.monotonic() < deadline:
            gevent.sleep(0.01)
        self.server.drop_all(politely=True)
        while self.server.connections() and time.monotonic() < deadline:
            gevent.sleep(0.01)

    # -- what the control API asks -------------------------------------------------------------------------------

    def place_call(
        self,
        line: str,
        kind: CallerKind | None,
        *,
        number: str = "",
        name: str = "",
        headers: Mapping[str, str] | None = None,
        uuid: str | None = None,
    ) -> str:
        """Let somebody call a line now; returns the leg's uuid."""
        return self.traffic.place(line, kind, number=number, name=name, headers=headers, uuid=uuid).uuid

    def change_agent(self, agent: str, changes: dict[str, Any], registered: bool | None) -> bool:  # noqa: FBT001 - a field of the request
        """Change a phone's behaviour and whether it is registered; False when there is no such agent."""
        address = agent if "@" in agent else f"{agent}@{self.switch.globals['domain']}"
        if not self.phone_book.behave(address, **changes):
            return False
        does = changes.get("does")
        if does == "unregistered" or registered is False:
            user, _, realm = address.partition("@")
            self.switch.registrations.remove(user, realm)
            self.phone_book.behave(address, does="unregistered")
        elif registered or (does is not None and address in self._registered):
            user, _, realm = address.partition("@")
            port = self._registered[address][2] if address in self._registered else _FIRST_AGENT_PORT
            self.switch.registrations.add(user, realm, port)
            if self.phone_book.does(address) == "unregistered":
                self.phone_book.behave(address, does="answer")
        return True

    def move_phone(self, uuid: str, body: dict[str, Any]) -> None:
        """Let a leg's phone act by hand: hang_up (with a cause of its own), press a digit, hold or resume."""
        leg = self.switch.find(uuid)
        if leg is None:
            raise ScenarioError(f"there is no leg {uuid}")
        does = body.get("does")
        if does == "hang_up":
            leg.hangup_by_phone(body.get("cause"))
        elif does == "press":
            leg.receive_digit(str(body.get("digit", ""))[:1])
        elif does in {"hold", "resume"}:
            (holding.hold if does == "hold" else holding.resume)(leg, by_phone=True)
        else:
            raise ScenarioError("a phone can hang_up, press, hold or resume")

    def stop_arrivals(self) -> None:
        """Let no further caller arrive."""
        self.traffic.stop()

    def phase(self) -> str:
        """Return running, draining (nobody calls any more) or drained (and nobody is on the line)."""
        if self.traffic.has_arrivals() or not self.traffic.is_started:
            return "running"
        return "draining" if self.switch.legs else "drained"

    def status(self) -> dict[str, Any]:
        """Return the counters."""
        switch = self.switch
        return {
            "phase": self.phase(),
            "now": switch.scheduler.clock.now_us() / MICROSECONDS,
            "speed": self.settings.speed,
            "core_uuid": switch.bus.identity.core_uuid,
            "event_socket": list(self.server.address),
            "speech": self.voices.source,
            "legs": len(switch.legs),
            "bridges": sum(1 for leg in switch.legs.values() if leg.bridge is not None and leg.bridge.a is leg),
            "calls": {"placed": self.traffic.placed, "in_progress": self.truth.live_calls(), **self.truth.outcomes},
            "recordings": sum(len(call.recordings) for call in self.truth.calls.values()),
            "registered": len(switch.registrations),
            "scheduled": len(switch.tasks),
            "events": switch.bus.sequence,
            "commands": switch.api.executed,
            "connections": [
                {
                    "authenticated": connection.session.is_authenticated,
                    "waiting_events": connection.session.waiting_events(),
                    "lost_events": connection.session.lost,
                }
                for connection in self.server.connections()
            ],
            "faults": self.faults.played,
        }

    def truth_document(self) -> dict[str, Any]:
        """Return every call and every ringing of an agent's phone."""
        return {"calls": self.truth.all_calls(), "offers": self.truth.all_offers(), "dials": self.truth.all_dials()}

    def legs(self) -> list[dict[str, Any]]:
        """Return every leg that lives, what it hears (a partner, a room, somebody whom it listens to), and what runs.

        An application stays named until the next one begins; `response` is what it, or the last question, came to.
        """
        rooms = {
            member.leg.uuid: room.name for room in self.switch.conferences.values() for member in room.members.values()
        }
        return [_heard_by(leg, rooms.get(leg.uuid, "")) for leg in self.switch.legs.values()]

    def agents(self) -> list[dict[str, Any]]:
        """Return the agents' phones."""
        return [
            {"agent": address, "registered": self.switch.registrations.find(*address.split("@")) is not None, **state}
            for address, state in self.phone_book.states()
        ]


def _heard_by(leg: Leg, room: str) -> dict[str, Any]:
    variables, partner = leg.variables, leg.bridge.other(leg) if leg.bridge is not None else None
    listens = variables.get("current_application") == "eavesdrop"
    return {
        "uuid": leg.uuid,
        "phone": leg.presence_id,
        "partner": partner.uuid if partner is not None else "",
        "room": room,
        "is_held": leg.held,
        "listens_to": variables.get("current_application_data") if listens else "",
        "heard_by_customer": listens and variables.get("eavesdrop_whisper_aleg") == "true",
        "heard_by_agent": listens and variables.get("eavesdrop_whisper_bleg") == "true",
        "application": variables.get("current_application") or "",
        "response": variables.get("current_application_response") or variables.get("read_result") or "",
    }


def _dialplan(scenario: Scenario) -> Dialplan:
    numbers = {line.number for line in scenario.lines}
    return Dialplan(
        lines=numbers,
        extensions={number: list(apps) for number, apps in scenario.extensions.items()},
        fallback_seconds=scenario.fallback_seconds,
        fallback_number=scenario.fallback_number,
    )
