"""The play: phones register, then callers ring until the scenario's minutes are over or somebody drains them."""

import time
from pathlib import Path
from typing import Any

import yaml
from gevent.event import Event as Signal

from local.phones import diary, people, sipp, telephone_events, voices
from local.phones.translator import Translator
from local.switch.scenario import Scenario
from local.voices.clips import find_speech

REGISTER_SECONDS = 40.0
WATCH_SECONDS = 1.0
SHORTEST_LIFE_SECONDS = 3.0
BEGUN = "begun"
"""The file that says that the play has begun; whoever sets the stage takes it away."""


class Stage:
    """Owns SIPp's processes and answers what they have seen. `run` is its one greenlet."""

    def __init__(
        self, folder: Path, tenants: Path, place: sipp.Place, scenario: Scenario, secret: str, most_calls: int
    ) -> None:
        self._folder = folder
        self._tenants = tenants
        self._place = place
        self._scenario = scenario
        self._secret = secret
        self._callers = sipp.callers(folder, place, people.calls_per_hour(scenario), most_calls)
        self._agents = sipp.agents(folder, place)
        self._registrations: sipp.Sipp | None = None
        switch, phones = (place.switch_host, place.phone_port), (place.local_host, place.agents_port)
        self._translator = Translator(place.local_host, place.office_port, switch, phones)
        self._registered_at = 0.0
        self._began: float | None = None
        self._begin = Signal()
        if (folder / BEGUN).exists():
            self._begin.set()
        self._stopped = Signal()
        self._drains = False

    def begin(self) -> None:
        """Let the phones register and the callers ring; a process that is started again goes on by itself."""
        (self._folder / BEGUN).touch()
        self._begin.set()

    def drain(self) -> None:
        """Let nobody ring any more."""
        self._drains = True

    def stop(self) -> None:
        """End everything; `run` returns."""
        self._stopped.set()
        self._begin.set()

    def run(self) -> None:
        """Play until stopped."""
        self._begin.wait()
        if not self._stopped.is_set():
            self._prepare()
        while not self._stopped.wait(WATCH_SECONDS):
            self._watch()
        for one in (self._callers, self._agents, self._registrations):
            if one is not None:
                one.stop()
        self._translator.stop()

    def status(self) -> dict[str, Any]:
        """Return how far the play is, with the simulated switch's names."""
        seen = self.truth()
        calls = seen["calls"]
        live = sum(call["hungup"] is None for call in calls)
        return {
            "phase": self._phase(live),
            "calls": {"arrived": len(calls), "live": live, "talked": sum(bool(call["talks"]) for call in calls)},
            "offers": len(seen["offers"]),
        }

    def _phase(self, live_calls: int) -> str:
        if self._began is None:
            return "waiting"
        return "playing" if live_calls or self._callers.is_running or not self._drains else "drained"

    def truth(self) -> dict[str, Any]:
        """Return what the phones have seen."""
        calls = diary.read_calls(self._callers.lines())
        return diary.truth(calls.values(), diary.read_ringings(self._agents.lines()).values())

    def _prepare(self) -> None:
        voices.write_voices(self._folder, find_speech())
        telephone_events.write_events(self._folder)
        by_events = sipp.may_send_events()
        rows = people.caller_rows(self._scenario, self._scenario.seed or 1, by_events=by_events)
        text = "\n".join(rows) + "\n"
        # A name may hold a byte that is no UTF-8: it goes out as that byte.
        (self._folder / "callers.csv").write_bytes(text.encode("utf-8", "surrogateescape"))
        tenants = [yaml.safe_load(path.read_text(encoding="utf-8")) for path in sorted(self._tenants.glob("*.yaml"))]
        phones = people.phone_rows(tenants, self._secret)
        (self._folder / "phones.csv").write_text("\n".join(phones) + "\n", encoding="utf-8")
        self._registrations = sipp.registrations(self._folder, self._place, self._translator.inside, len(phones) - 1)
        self._translator.start()
        self._agents.start()

    def _watch(self) -> None:
        """Keep the phones registered; begin with the callers after the first round; begin again what has ended."""
        now = time.monotonic()
        rounds = self._registrations
        if rounds is not None and not rounds.is_running:
            if self._began is None and rounds.logs:
                self._began = now
                self._callers.start()
            if now - self._registered_at > REGISTER_SECONDS or not rounds.logs:
                self._registered_at = now
                rounds.start()
        self._keep_up(self._agents)
        if self._began is None:
            return
        minutes = self._scenario.minutes
        if self._drains or (minutes is not None and now - self._began > minutes * 60):
            self._drains = True
            self._callers.finish()
        else:
            self._keep_up(self._callers)

    def _keep_up(self, one: sipp.Sipp) -> None:
        """Start again what has ended. Raises RuntimeError when it can't even begin: SIPp's own words say why."""
        if one.is_running:
            return
        if one.lasted_seconds() < SHORTEST_LIFE_SECONDS:
            raise RuntimeError(f"SIPp's {one.name} end at once: {one.last_words()}")
        one.start()
