"""The switch itself: its legs, its clock, its events, and the services that commands and applications share."""

from __future__ import annotations

from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

from local.switch import answering, conference, eavesdrop, machine, originate, playback
from local.switch.api import Api
from local.switch.channel import Leg
from local.switch.clock import MICROSECONDS
from local.switch.dialplan import Dialplan
from local.switch.encoding import header
from local.switch.events import Event, EventBus, Identity
from local.switch.expansion import expand
from local.switch.legvars import set_inbound_variables
from local.switch.profile import CallerProfile
from local.switch.registrations import Registrations
from local.switch.scheduler import Scheduler, Strand
from local.switch.sounds import SoundLibrary
from local.switch.states import State
from local.switch.tasks import Tasks

if TYPE_CHECKING:
    from collections.abc import Callable

    from local.switch.call_records import CallRecords
    from local.switch.channel import FarEnd
    from local.switch.clock import Clock
    from local.switch.observer import Observer
    from local.switch.originate import Directory
    from local.switch.scheduler import Steps
    from local.switch.speech import Voices

# Importing these registers their applications.
APPLICATION_MODULES = (playback, answering, originate, conference, eavesdrop)

HEARTBEAT_SECONDS = 20
# How long `show channels` lags behind the live table (wire truth 19).
TABLE_LAG_US = 100_000
VERSION = "1.10.12-release"


class Switch:
    """One simulated FreeSWITCH. Nothing in it blocks; all of it runs on one scheduler."""

    def __init__(
        self,
        clock: Clock,
        *,
        dialplan: Dialplan | None = None,
        sounds: SoundLibrary | None = None,
        directory: Directory | None = None,
        voices: Voices | None = None,
        hostname: str = "ringmaster-switch",
        recordings: Path | None = None,
        call_records: CallRecords | None = None,
    ) -> None:
        self.scheduler: Scheduler = Scheduler(clock)
        self._hostname = hostname
        self.bus: EventBus = EventBus(clock, self._new_identity())
        self.dialplan = dialplan or Dialplan()
        self.sounds = sounds or SoundLibrary()
        self.directory = directory
        self.voices = voices
        self.swallowed: set[str] = set()
        self._recordings = recordings
        self.call_records = call_records
        self.registrations = Registrations(self)
        self.tasks = Tasks(self)
        self.api = Api(self)
        self.legs: dict[str, Leg] = {}
        self.conferences: dict[str, conference.Conference] = {}
        self.globals: dict[str, str] = {"hostname": hostname, "domain": "127.0.0.1", "hold_music": "local_stream://moh"}
        self.globals |= self.dialplan.globals()
        self.observers: list[Observer] = []
        self.on_shutdown: Callable[[str], None] | None = None
        self.max_sessions = 20_000
        self.sessions_since_startup = 0
        self.peak_sessions = 0
        self._gone: deque[Leg] = deque()
        self._session_ids = 0
        self._created_second: tuple[int, int] = (0, 0)
        self.peak_sessions_per_second = 0
        self.started_us = clock.now_us()
        self._beat()

    def _new_identity(self) -> Identity:
        return Identity(str(uuid4()), self._hostname, self._hostname)

    # -- legs ----------------------------------------------------------------------------------------------------

    def find(self, uuid: str) -> Leg | None:
        """Return the leg with this uuid while it is up: one that is hung up can't be found, though it still lives."""
        leg = self.legs.get(uuid)
        return leg if leg is not None and leg.is_up else None

    def call_in(
        self,
        number: str,
        caller_number: str,
        caller_name: str = "",
        *,
        uuid: str | None = None,
        port: int = 5070,
        sip_headers: dict[str, str] | None = None,
        context: str = "public",
        far_end: FarEnd | None = None,
    ) -> Leg:
        """Let a phone call a number of this switch: the leg's first events happen at once."""
        uuid = uuid or str(uuid4())
        user = caller_number.lstrip("+") or "anonymous"
        name = f"sofia/external/{user}@127.0.0.1:{port}"
        profile = CallerProfile(
            uuid,
            name,
            "inbound",
            number,
            caller_id_name=caller_name or caller_number,
            caller_id_number=caller_number,
            username=caller_number,
            dialplan="XML",
            context=context,
            network_addr="127.0.0.1",
            ani=caller_number,
            orig_caller_id_name=caller_name or caller_number,
            orig_caller_id_number=caller_number,
        )
        leg = self.add_leg(name, profile)
        if far_end is not None:
            leg.far_end = far_end
        set_inbound_variables(leg, port, sip_headers or {})
        self.start(leg, machine.run_inbound(leg))
        return leg

    def add_leg(self, name: str, profile: CallerProfile) -> Leg:
        """Create a leg from its profile and put it into the live table; it does nothing yet."""
        leg = Leg(self, profile.unique_id, name, profile.direction, profile)
        self._session_ids += 1
        leg.session_id = self._session_ids
        profile.times.created = profile.times.profile_created = leg.now_us()
        self.legs[leg.uuid] = leg
        self.sessions_since_startup += 1
        self.peak_sessions = max(self.peak_sessions, len(self.legs))
        second = profile.times.created // MICROSECONDS
        count = self._created_second[1] + 1 if self._created_second[0] == second else 1
        self._created_second = (second, count)
        self.peak_sessions_per_second = max(self.peak_sessions_per_second, count)
        return leg

    def start(self, leg: Leg, steps: Steps) -> None:
        """Start a leg's thread."""
        for observer in self.observers:
            observer.leg_created(leg)
        leg.strand = Strand(self.scheduler, steps)
        leg.strand.start()

    def forget(self, leg: Leg) -> None:
        """Take a destroyed leg out of the live table; listings still show it for a moment."""
        self.legs.pop(leg.uuid, None)
        leg.destroyed_us = self.scheduler.clock.now_us()
        self._gone.append(leg)
        for observer in self.observers:
            observer.leg_gone(leg)

    def listed_legs(self) -> list[Leg]:
        """Return the legs that `show channels` lists now: its table lags by 100 ms on both ends (truth 19)."""
        horizon = self.scheduler.clock.now_us() - TABLE_LAG_US
        while self._gone and (self._gone[0].destroyed_us or 0) <= horizon:
            self._gone.popleft()
        living = [leg for leg in self.legs.values() if leg.profile.times.created <= horizon]
        return [leg for leg in self._gone if leg.profile.times.created <= horizon] + living

    def sessions_last_second(self) -> int:
        """Return how many legs began in the current second."""
        second = self.scheduler.clock.now_us() // MICROSECONDS
        return self._created_second[1] if self._created_second[0] == second else 0

    # -- what applications need ----------------------------------------------------------------------------------

    def transfer_source(self, leg: Leg, what: str) -> str:
        """Return one entry of a transfer history."""
        return f"{leg.now_us() // MICROSECONDS}:{uuid4()}:{what}"

    def expand(self, leg: Leg, text: str) -> str:
        """Return an application's argument with the leg's variables and api commands put in."""
        if "$" not in text and "\\" not in text:
            return text

        def look_up(name: str) -> str:
            return leg.variables.look_up(name) or self.globals.get(name, "")

        def run(command: str, argument: str) -> str:
            result = self.api.run(command, argument)
            return result if isinstance(result, str) else ""

        return expand(text, look_up, run)

    def send_digits(self, leg: Leg, data: str) -> None:
        """Send digits to a leg's phone; a simulated phone doesn't listen to them."""
        leg.variables.set("last_sent_dtmf", data.split("@", maxsplit=1)[0])

    def data_event(self, leg: Leg) -> Event:
        """Return what uuid_dump prints: CHANNEL_DATA, which nobody can subscribe to."""
        blocks = leg.basic_block() + leg.profile_block().block() + leg.variables.block()
        return Event("CHANNEL_DATA", self.bus.head("CHANNEL_DATA", "CHANNEL_DATA", None) + blocks)

    def recording_path(self, path: str) -> Path:
        """Return where a recording goes: an absolute path as it is, another one below the recordings folder."""
        return Path(path) if path.startswith("/") or self._recordings is None else self._recordings / path

    def swallows(self, name: str) -> bool:
        """Say whether a fault makes events of this name disappear."""
        return name in self.swallowed

    # -- watching ------------------------------------------------------------------------------------------------

    def note_answer(self, leg: Leg) -> None:
        """Tell the watchers."""
        leg.wake()
        for observer in self.observers:
            observer.leg_answered(leg)

    def note_bridge(self, a: Leg, b: Leg) -> None:
        """Tell the phones and the watchers."""
        a.far_end.on_bridged(a, b)
        b.far_end.on_bridged(b, a)
        for observer in self.observers:
            observer.legs_bridged(a, b)

    def note_unbridge(self, a: Leg, b: Leg) -> None:
        """Tell the watchers."""
        for observer in self.observers:
            observer.legs_parted(a, b)

    def note_digits(self, leg: Leg, digits: str) -> None:
        """Tell the watchers."""
        for observer in self.observers:
            observer.digits_collected(leg, digits)

    def note_fallback(self, leg: Leg) -> None:
        """Tell the watchers."""
        for observer in self.observers:
            observer.fallback_taken(leg)

    def note_recording(self, leg: Leg, path: str, size: int) -> None:
        """Tell the watchers."""
        for observer in self.observers:
            observer.recording_stopped(leg, path, size)

    def note_hangup(self, leg: Leg, cause: str) -> None:
        """Tell the watchers."""
        for observer in self.observers:
            observer.leg_hung_up(leg, cause)

    # -- the core's own life -------------------------------------------------------------------------------------

    def uptime_us(self) -> int:
        """Return how long this boot has lived."""
        return self.scheduler.clock.now_us() - self.started_us

    def uptime_text(self) -> str:
        """Return the uptime as `status` and HEARTBEAT say it."""
        microseconds = self.uptime_us()
        seconds = microseconds // MICROSECONDS
        years, rest = divmod(seconds, 365 * 86_400)
        days, rest = divmod(rest, 86_400)
        hours, rest = divmod(rest, 3_600)
        minutes, seconds = divmod(rest, 60)
        counts = (years, days, hours, minutes, seconds, microseconds // 1000 % 1000, microseconds % 1000)
        units = ("year", "day", "hour", "minute", "second", "millisecond", "microsecond")
        return ", ".join(
            f"{count} {unit}{'' if count == 1 else 's'}" for count, unit in zip(counts, units, strict=True)
        )

    def _beat(self) -> None:
        self._heartbeat = self.scheduler.after(HEARTBEAT_SECONDS, self._send_heartbeat)

    def _send_heartbeat(self) -> None:
        legs = len(self.legs)
        values: list[tuple[str, object]] = [
            ("Event-Info", "System Ready"),
            ("Up-Time", self.uptime_text()),
            ("FreeSWITCH-Version", f"{VERSION}~64bit"),
            ("Uptime-msec", self.uptime_us() // 1000),
            ("Session-Count", legs),
            ("Max-Sessions", self.max_sessions),
            ("Session-Per-Sec", 2000),
            ("Session-Per-Sec-Last", self.sessions_last_second()),
            ("Session-Per-Sec-Max", self.peak_sessions_per_second),
            ("Session-Per-Sec-FiveMin", self.peak_sessions_per_second),
            ("Session-Since-Startup", self.sessions_since_startup),
            ("Session-Peak-Max", self.peak_sessions),
            ("Session-Peak-FiveMin", self.peak_sessions),
            ("Idle-CPU", "97.866667"),
        ]
        self.bus.emit("HEARTBEAT", "".join(header(name, value) for name, value in values))
        runtime = self.scheduler.clock.now_us() // MICROSECONDS + HEARTBEAT_SECONDS
        self.bus.emit("RE_SCHEDULE", f"Task-ID: 1\nTask-Desc: heartbeat\nTask-Group: core\nTask-Runtime: {runtime}\n")
        self._beat()

    def crash(self) -> list[Leg]:
        """Die as by kill -9 and come up again as another boot: no events, no BYE, new Core-UUID (wire truth 24).

        Returns the legs that were lost. Open recordings keep the header that says zero bytes (truth 25). Whoever
        owns the connections closes them.
        """
        lost = list(self.legs.values())
        for leg in lost:
            for recording in leg.recordings.values():
                recording.abandon()
            if leg.strand is not None:
                leg.strand.end()
            leg.state = State.DESTROY  # its phone goes on, but nothing that it does reaches anybody
        self.legs.clear()
        self._gone.clear()
        self.conferences.clear()
        self.tasks.clear()
        self.registrations.clear()
        self._heartbeat.cancel()
        for observer in self.observers:
            observer.switch_crashed(lost)
        self.globals |= self.dialplan.globals()
        self.bus.restart(self._new_identity())
        self.sessions_since_startup = self.peak_sessions = self.peak_sessions_per_second = 0
        self.started_us = self.scheduler.clock.now_us()
        self._beat()
        return lost

    def run_job(self, job: str, name: str, argument: str) -> None:
        """Run a command in the background; its result is a BACKGROUND_JOB event with a body (wire truth 6)."""
        lines = header("Job-UUID", job) + header("Job-Command", name)
        if argument:
            lines += header("Job-Command-Arg", argument)
        result = self.api.run(name, argument)
        if isinstance(result, str):
            self.bus.emit("BACKGROUND_JOB", lines, body=result)
        else:
            result.then(lambda text: self.bus.emit("BACKGROUND_JOB", lines, body=text))

    def fire(self, name: str, text: str, subclass: str | None = None, body: str | None = None) -> None:
        """Deliver an event that somebody else composed (sendevent)."""
        self.bus.deliver(Event(name, text, subclass, body))
