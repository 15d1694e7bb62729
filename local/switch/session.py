"""One event-socket connection: authentication, subscriptions, commands, and the queue of events that wait for it."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING
from uuid import uuid4

from local.switch import protocol
from local.switch.channel import PrivateCommand
from local.switch.encoding import header
from local.switch.pending import Pending
from local.switch.protocol import Command, command_reply
from local.switch.subscription import Subscription

if TYPE_CHECKING:
    from collections.abc import Callable

    from local.switch.core import Switch
    from local.switch.events import Event

# mod_event_socket's own limits: this many events wait for a slow reader, then this many are lost, then it is killed.
EVENT_QUEUE = 100_000
LOST_BEFORE_KILL = 500
_NOT_FOUND = "-ERR command not found"


class Session:
    """The protocol's state of one connection. It has no socket: it is given commands, and output is taken from it.

    `on_output` is called when there is something to take; its argument says whether it is urgent (a reply) or may
    wait for the next delivery (an event).
    """

    def __init__(
        self, switch: Switch, password: str, on_output: Callable[[bool], None], event_queue: int = EVENT_QUEUE
    ) -> None:
        self._switch = switch
        self._password = password
        self._on_output = on_output
        self._limit = event_queue
        self._events: deque[Event] = deque()
        self._replies: deque[bytes] = deque([protocol.AUTH_REQUEST])
        self.subscription = Subscription()
        self.is_authenticated = False
        self.is_closing = False
        self.was_killed = False
        self.is_blocked = False
        self.lost = 0
        self._is_logging = False
        self._commands: dict[str, Callable[[Command], None]] = {
            "api": self._api,
            "bgapi": self._bgapi,
            "event": self._event,
            "nixevent": self._nixevent,
            "noevents": self._noevents,
            "filter": self._filter,
            "myevents": self._myevents,
            "sendmsg": self._sendmsg,
            "sendevent": self._sendevent,
            "exit": self._exit,
            "log": self._log,
            "nolog": self._nolog,
            "linger": lambda _command: self._reply("-ERR not controlling a session"),
            "nolinger": lambda _command: self._reply("-ERR not controlling a session"),
            "divert_events": lambda _command: self._reply("-ERR not controlling a session."),
        }

    # -- events --------------------------------------------------------------------------------------------------

    @property
    def is_json(self) -> bool:
        """Say whether the connection wants its events as json."""
        return self.subscription.is_json

    def wants(self, name: str, subclass: str | None) -> bool:
        """Say whether the connection has subscribed to this class."""
        return not self.is_closing and self.subscription.wants(name, subclass)

    def put(self, event: Event) -> None:
        """Queue an event; beyond the limit it is lost, and after 500 losses the connection is killed."""
        if not self.subscription.passes_filters(event):
            return
        if len(self._events) >= self._limit:
            self.lost += 1
            if self.lost > LOST_BEFORE_KILL:
                self.was_killed = True
                self._on_output(True)  # noqa: FBT003 - urgent
            return
        # Rendered now: the event must say what was, not what is when it is sent.
        if self.subscription.is_json:
            event.json()
        else:
            event.plain()
        self._events.append(event)
        self._on_output(False)  # noqa: FBT003 - not urgent

    def waiting_events(self) -> int:
        """Return how many events wait to be sent."""
        return len(self._events)

    def take_output(self) -> bytes:
        """Return what is to be sent: all queued events come before the next reply (wire truth 8)."""
        if self.is_blocked:
            return b""
        events, replies = self._events, self._replies
        as_json = self.subscription.is_json
        parts = [event.json() if as_json else event.plain() for event in events] if events else []
        events.clear()
        parts += replies
        replies.clear()
        return b"".join(parts)

    # -- commands ------------------------------------------------------------------------------------------------

    def execute(self, command: Command) -> None:
        """Run one command; its reply goes to the output."""
        if command.word == "auth":
            self._auth(command)
            return
        handler = self._commands.get(command.word) if self.is_authenticated else None
        if handler is None:
            self._reply(_NOT_FOUND)
            return
        handler(command)

    def say_goodbye(self, notice: bytes = protocol.DISCONNECT_NOTICE) -> None:
        """Send the notice that ends every connection which the switch closes politely."""
        self._send(notice)
        self.is_closing = True

    def _send(self, frame: bytes) -> None:
        self._replies.append(frame)
        self._on_output(True)  # noqa: FBT003 - urgent

    def _reply(self, text: str, *more: str) -> None:
        self._send(command_reply(text, *more))

    def _auth(self, command: Command) -> None:
        if self.is_authenticated:
            self._reply(_NOT_FOUND)
        elif command.argument == self._password:
            self.is_authenticated = True
            self._reply("+OK accepted")
        else:
            self._reply("-ERR invalid")
            self.say_goodbye()

    def _api(self, command: Command) -> None:
        if not command.argument:
            self._reply(_NOT_FOUND)
            return
        name, _, argument = command.argument.partition(" ")
        result = self._switch.api.run(name, argument.strip())
        if isinstance(result, Pending):
            # A command that takes time stops everything on its connection, events too (wire truth 8).
            self.is_blocked = True
            result.then(self._unblock)
        else:
            self._send(protocol.api_response(result))

    def _unblock(self, result: str) -> None:
        self.is_blocked = False
        self._send(protocol.api_response(result))

    def _bgapi(self, command: Command) -> None:
        if not command.argument:
            self._reply(_NOT_FOUND)
            return
        job = command.headers.get("job-uuid") or str(uuid4())
        self._reply(f"+OK Job-UUID: {job}", f"Job-UUID: {job}")
        name, _, argument = command.argument.partition(" ")
        self._switch.scheduler.after(0, lambda: self._switch.run_job(job, name, argument.strip()))

    def _event(self, command: Command) -> None:
        kind, _, classes = command.argument.partition(" ")
        if not self.subscription.add(classes.split()):
            self._reply("-ERR no keywords supplied")
            return
        self.subscription.is_json = kind.lower() == "json"
        self._switch.bus.subscriptions_changed()
        name = kind.lower() if kind.lower() in {"json", "xml"} else "plain"
        self._reply(f"+OK event listener enabled {name}")

    def _nixevent(self, command: Command) -> None:
        if not self.subscription.remove(command.argument.split()):
            self._reply("-ERR no keywords supplied")
            return
        self._switch.bus.subscriptions_changed()
        self._reply("+OK events nixed")

    def _noevents(self, _command: Command) -> None:
        if not self.subscription.clear():
            self._reply("-ERR not listening for events")
            return
        self._events.clear()
        self._switch.bus.subscriptions_changed()
        self._reply("+OK no longer listening for events")

    def _filter(self, command: Command) -> None:
        words = command.argument.split(" ", 1)
        if not words[0]:
            self._reply(_NOT_FOUND)
        elif words[0].lower() == "delete":
            name, _, value = (words[1] if len(words) > 1 else "").partition(" ")
            self.subscription.delete_filter(name, value)
            self._reply(f"+OK filter deleted. [{name}][{value}]")
        elif len(words) == 1:
            self._reply("-ERR invalid syntax")
        else:
            self.subscription.add_filter(words[0], words[1].strip())
            self._reply(f"+OK filter added. [{words[0]}]=[{words[1].strip()}]")

    def _myevents(self, command: Command) -> None:
        words = command.argument.split()
        if not words:
            self._reply(_NOT_FOUND)
            return
        self.subscription.is_json = "json" in words
        self.subscription.add(["ALL"])
        self.subscription.add_filter("Unique-ID", next((word for word in words if "-" in word), words[-1]))
        self._switch.bus.subscriptions_changed()
        self._reply("+OK Events Enabled")

    def _sendmsg(self, command: Command) -> None:
        leg = self._switch.find(command.argument)
        if leg is None:
            self._reply(f"-ERR invalid session id [{command.argument}]")
            return
        headers = command.headers
        kind = headers.get("call-command", "").lower()
        if kind == "execute":
            loops = headers.get("loops", "")
            leg.queue_command(
                PrivateCommand(
                    headers.get("execute-app-name", ""),
                    headers.get("execute-app-arg") or command.body,
                    headers.get("event-uuid"),
                    lock=headers.get("event-lock", "").lower() == "true",
                    loops=int(loops) if loops.lstrip("-").isdigit() else None,
                    text=header("Command", command.line) + "".join(header(*pair) for pair in command.pairs),
                )
            )
        elif kind == "hangup":
            cause = headers.get("hangup-cause", "NORMAL_CLEARING").upper()
            leg.queue_command(PrivateCommand("", "", hangup_cause=cause))
        # +OK means that the message is queued, whatever is in it (wire truth 9).
        self._reply("+OK")

    def _sendevent(self, command: Command) -> None:
        ticket = str(uuid4())
        name = command.argument.split()[0] if command.argument else "CUSTOM"
        subclass = command.headers.get("event-subclass")
        first = header("Event-Subclass", subclass) if subclass else ""
        others = [pair for pair in command.pairs if pair[0].lower() not in {"content-length", "event-subclass"}]
        lines = header("Command", command.line) + "".join(header(*pair) for pair in others)
        text = first + lines + header("Event-UUID", ticket) + self._switch.bus.head(name, "CUSTOM", None)
        self._switch.fire(name, text, subclass, command.body or None)
        self._reply(f"+OK {ticket}")

    def _exit(self, _command: Command) -> None:
        self._reply("+OK bye")
        self.say_goodbye()

    def _nolog(self, _command: Command) -> None:
        # The misspelling is the switch's own.
        self._reply("+OK no longer logging" if self._is_logging else "-ERR not loging")
        self._is_logging = False

    def _log(self, command: Command) -> None:
        level = command.argument.split()[0] if command.argument else "7"
        names = ("console", "alert", "crit", "err", "warning", "notice", "info", "debug")
        if level.isdigit() and int(level) < len(names):
            self._is_logging = True
            self._reply(f"+OK log level {level} [{level}]")
        elif level.lower() in names:
            self._is_logging = True
            self._reply(f"+OK log level {level} [{names.index(level.lower())}]")
        else:
            self._reply("-ERR invalid log level")
