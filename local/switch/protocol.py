"""The event socket's wire, without a socket: commands out of bytes, replies into bytes."""

from dataclasses import dataclass, field

AUTH_REQUEST = b"Content-Type: auth/request\n\n"
_GOODBYE = b"Disconnected, goodbye.\nSee you at ClueCon! http://www.cluecon.com/\n"
DISCONNECT_NOTICE = b"Content-Type: text/disconnect-notice\nContent-Length: %d\n\n%b" % (len(_GOODBYE), _GOODBYE)
_SHUT_DOWN = b"The system is being shut down.\n"
SHUTDOWN_NOTICE = b"Content-Type: text/disconnect-notice\nContent-Length: %d\n\n%b" % (len(_SHUT_DOWN), _SHUT_DOWN)
_GO_AWAY = b"Access Denied, go away.\n"
RUDE_REJECTION = b"Content-Type: text/rude-rejection\nContent-Length: %d\n\n%b" % (len(_GO_AWAY), _GO_AWAY)
# More than this without an empty line is not a command; the switch would go on growing its buffer.
LONGEST_COMMAND = 1_048_576


@dataclass(slots=True)
class Command:
    """One command: its first line, its headers (names in lower case) and its body."""

    line: str
    headers: dict[str, str] = field(default_factory=dict)
    body: str = ""
    # The same headers with their names as they came: some events repeat them.
    pairs: list[tuple[str, str]] = field(default_factory=list)

    @property
    def word(self) -> str:
        """Return the command's name."""
        return self.line.partition(" ")[0].lower()

    @property
    def argument(self) -> str:
        """Return what follows the name, blanks around it removed."""
        return self.line.partition(" ")[2].strip()


class CommandReader:
    """Cuts a byte stream into commands; bytes may come in any portions."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[Command]:
        """Add bytes and return the commands that are complete now."""
        self._buffer += data
        commands = []
        while (command := self._take()) is not None:
            commands.append(command)
        if len(self._buffer) > LONGEST_COMMAND:
            self._buffer.clear()
        return commands

    def _take(self) -> Command | None:
        buffer = self._buffer
        while buffer.startswith((b"\n", b"\r")):
            # An empty line between two commands means nothing.
            del buffer[:1]
        end, skip = _head_end(buffer)
        if end < 0:
            return None
        lines = buffer[:end].decode("utf-8", "surrogateescape").replace("\r", "").split("\n")
        split = [line.partition(":") for line in lines[1:]]
        pairs = [(name.strip(), value.strip()) for name, colon, value in split if colon]
        headers = {name.lower(): value for name, value in pairs}
        length = headers.get("content-length", "")
        body_bytes = int(length) if length.isdigit() else 0
        if len(buffer) < end + skip + body_bytes:
            return None
        body = buffer[end + skip : end + skip + body_bytes].decode("utf-8", "surrogateescape")
        del buffer[: end + skip + body_bytes]
        return Command(lines[0].strip(), headers, body, pairs)


def _head_end(buffer: bytearray) -> tuple[int, int]:
    """Return where the command's lines end and how long the empty line is."""
    plain, carriage = buffer.find(b"\n\n"), buffer.find(b"\n\r\n")
    if carriage >= 0 and (plain < 0 or carriage < plain):
        return carriage, 3
    return plain, 2


def command_reply(text: str, *more: str) -> bytes:
    """Return a command/reply frame; `more` are further header lines."""
    lines = ["Content-Type: command/reply", f"Reply-Text: {text}", *more]
    return ("\n".join(lines) + "\n\n").encode("utf-8", "surrogateescape")


def api_response(text: str) -> bytes:
    """Return an api/response frame."""
    body = text.encode("utf-8", "surrogateescape")
    return b"Content-Type: api/response\nContent-Length: %d\n\n%b" % (len(body), body)
