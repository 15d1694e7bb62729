"""A small event-socket client on plain sockets, independent of the platform's own: the oracle of this suite."""

import json
import socket
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from urllib.parse import unquote
from uuid import uuid4

# How long a real or simulated switch may take to do what a test asks.
PATIENCE_SECONDS = 60.0


class SwitchTimeoutError(AssertionError):
    """The switch did not do in time what the test waited for."""


@dataclass
class Frame:
    """One frame: its headers and its body."""

    headers: dict[str, str]
    body: bytes

    @property
    def kind(self) -> str:
        return self.headers.get("Content-Type", "")


@dataclass
class Event:
    """One event: every header with all its values, in order."""

    pairs: list[tuple[str, str]]
    body: str = ""
    raw_size: int = 0
    first: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, value in self.pairs:
            self.first.setdefault(name, value)

    @property
    def name(self) -> str:
        return self.first.get("Event-Name", "")

    def get(self, name: str) -> str | None:
        return self.first.get(name)


def parse_plain(body: bytes) -> Event:
    """Read a plain event: split lines first, decode each value after (a value may hold an encoded line break)."""
    head, _, rest = body.decode("utf-8", "surrogateescape").partition("\n\n")
    pairs = []
    for line in head.split("\n"):
        name, colon, value = line.partition(": ")
        if colon:
            pairs.append((name, unquote(value, errors="surrogateescape")))
    return Event(pairs, rest, len(body))


def parse_json(body: bytes) -> Event:
    """Read a json event, keeping repeated names."""
    pairs = json.loads(body.decode("utf-8", "replace"), object_pairs_hook=list)
    return Event([(str(name), str(value)) for name, value in pairs], dict(pairs).get("_body", ""), len(body))


class EventSocket:
    """One connection. Frames are read when something is waited for; events pile up in `events`."""

    def __init__(self, host: str, port: int, password: str | None) -> None:
        self._socket = socket.create_connection((host, port), timeout=PATIENCE_SECONDS)
        self._buffer = b""
        self.events: list[Event] = []
        self.is_closed = False
        if password is not None:
            self._authenticate(password)

    def _authenticate(self, password: str) -> None:
        try:
            self.read_frame()
            reply = self.command(f"auth {password}")
        except (OSError, SwitchTimeoutError):
            self.close()
            raise
        assert reply.headers["Reply-Text"] == "+OK accepted"

    def close(self) -> None:
        self._socket.close()

    def send(self, text: str) -> None:
        self._socket.sendall(text.encode("utf-8", "surrogateescape"))

    def read_frame(self, patience: float = PATIENCE_SECONDS) -> Frame:
        """Return the next frame, whatever it is."""
        deadline = time.monotonic() + patience
        while (end := self._buffer.find(b"\n\n")) < 0:
            self._receive(deadline)
        lines = self._buffer[:end].decode("utf-8", "surrogateescape").split("\n")
        headers = dict(line.split(": ", 1) for line in lines if ": " in line)
        length = int(headers.get("Content-Length", "0"))
        while len(self._buffer) < end + 2 + length:
            self._receive(deadline)
        body = self._buffer[end + 2 : end + 2 + length]
        self._buffer = self._buffer[end + 2 + length :]
        return Frame(headers, body)

    def _receive(self, deadline: float) -> None:
        left = deadline - time.monotonic()
        if left <= 0:
            raise SwitchTimeoutError("nothing came from the switch in time")
        self._socket.settimeout(left)
        try:
            data = self._socket.recv(1_048_576)
        except TimeoutError as error:
            raise SwitchTimeoutError("nothing came from the switch in time") from error
        if not data:
            self.is_closed = True
            raise ConnectionError("the switch closed the connection")
        self._buffer += data

    def _keep(self, frame: Frame) -> bool:
        """Keep an event; False when the frame is none."""
        if frame.kind == "text/event-plain":
            self.events.append(parse_plain(frame.body))
        elif frame.kind == "text/event-json":
            self.events.append(parse_json(frame.body))
        else:
            return False
        return True

    def read_to_the_end(self) -> None:
        """Keep events until the switch closes the connection, which raises ConnectionError."""
        while True:
            self._keep(self.read_frame())

    def command(self, text: str, **headers: str) -> Frame:
        """Send a command and return its reply; events that come before it are kept."""
        lines = "".join(f"\n{name.replace('_', '-')}: {value}" for name, value in headers.items())
        self.send(f"{text}{lines}\n\n")
        return self.reply()

    def reply(self, patience: float = PATIENCE_SECONDS) -> Frame:
        """Return the next frame that is no event."""
        while self._keep(frame := self.read_frame(patience)):
            continue
        return frame

    def api(self, text: str) -> str:
        """Run an api command and return its text."""
        frame = self.command(f"api {text}")
        return (
            frame.body.decode("utf-8", "surrogateescape")
            if frame.kind == "api/response"
            else frame.headers["Reply-Text"]
        )

    def let_pass(self, seconds: int) -> None:
        """Wait until the switch's own clock has moved on by some seconds."""
        until = int(self.api("strepoch")) + seconds
        while int(self.api("strepoch")) < until:
            time.sleep(0.02)

    def bgapi(self, text: str) -> str:
        """Start a background command and return its Job-UUID."""
        job = str(uuid4())
        self.command(f"bgapi {text}\nJob-UUID: {job}")
        return job

    def execute(self, leg: str, app: str, argument: str = "", **headers: str) -> Frame:
        """Execute an application on a leg by sendmsg."""
        lines = {"call-command": "execute", "execute-app-name": app, "execute-app-arg": argument, **headers}
        self.send(f"sendmsg {leg}\n" + "".join(f"{name}: {value}\n" for name, value in lines.items() if value) + "\n")
        return self.reply()

    def wait_for(self, matches: Callable[[Event], bool], what: str, patience: float = PATIENCE_SECONDS) -> Event:
        """Return the first event, kept or coming, that matches."""
        deadline = time.monotonic() + patience
        seen = 0
        while True:
            for event in self.events[seen:]:
                if matches(event):
                    return event
            seen = len(self.events)
            left = deadline - time.monotonic()
            if left <= 0:
                raise SwitchTimeoutError(f"no {what} came; {self._last_words()}")
            try:
                self._keep(self.read_frame(left))
            except SwitchTimeoutError as error:
                raise SwitchTimeoutError(f"no {what} came; {self._last_words()}") from error

    def _last_words(self) -> str:
        """Return the last events in one line, each with the beginning of its leg."""
        told = [f"{event.name} {(event.get('Unique-ID') or '-')[:8]}" for event in self.events[-30:]]
        return f"the last events were {', '.join(told)}"

    def event_of(self, leg: str, name: str, patience: float = PATIENCE_SECONDS, **values: str) -> Event:
        """Wait for an event of a leg by name and header values (underscores stand for dashes)."""
        wanted = {key.replace("_", "-"): value for key, value in values.items()}

        def matches(event: Event) -> bool:
            return (
                event.name == name
                and event.get("Unique-ID") == leg
                and all(event.get(key) == value for key, value in wanted.items())
            )

        return self.wait_for(matches, f"{name} of {leg} with {wanted}", patience)

    def times(self, leg: str, name: str, count: int) -> None:
        """Wait until an event of a leg has come so many times."""

        def has_come(_event: Event) -> bool:
            return sum(1 for event in self.of_leg(leg) if event["Event-Name"] == name) >= count

        if not has_come(Event([])):
            self.wait_for(has_come, f"{name} of {leg}, {count} times")

    def result_of(self, job: str) -> str:
        """Wait for a background command's result."""
        done = self.wait_for(
            lambda event: event.name == "BACKGROUND_JOB" and event.get("Job-UUID") == job, f"result of job {job}"
        )
        return done.body

    def of_leg(self, leg: str) -> list[Mapping[str, str]]:
        """Return the kept events of one leg."""
        return [event.first for event in self.events if event.get("Unique-ID") == leg]
