"""The event-socket protocol without I/O: bytes in, frames out."""

from collections.abc import Iterator, Sequence
from enum import Enum


class Kind(Enum):
    """What a frame is, by its Content-Type."""

    AUTH_REQUEST = "auth/request"
    COMMAND_REPLY = "command/reply"
    API_RESPONSE = "api/response"
    EVENT_PLAIN = "text/event-plain"
    EVENT_JSON = "text/event-json"
    DISCONNECT_NOTICE = "text/disconnect-notice"
    RUDE_REJECTION = "text/rude-rejection"
    LOG = "log/data"
    UNKNOWN = ""


class Frame:
    """One frame that is not an event."""

    kind: Kind

    def header(self, name: str, default: str = "") -> str:
        """Return a header of the frame."""
        raise NotImplementedError

    @property
    def text(self) -> str:
        """The Reply-Text of a command/reply, the body of anything else."""
        raise NotImplementedError


class Event:
    """One event. Headers are looked up in the received bytes on demand, values decoded one by one.

    The same for plain and json: `get` gives the text of a header (an array as `ARRAY::a|:b`, as FreeSWITCH writes it),
    the first one where a header repeats.
    """

    kind: Kind

    @property
    def name(self) -> str:
        """Event-Name, or "" when there is none."""
        raise NotImplementedError

    @property
    def subclass(self) -> str:
        """Event-Subclass, or ""."""
        raise NotImplementedError

    def get(self, header: str, default: str = "") -> str:
        """Return the value of a header, percent-decoded after the lines were split; names are case-sensitive."""
        raise NotImplementedError

    def select(self, headers: Sequence[str]) -> list[str]:
        """Return several headers at once, "" for an absent one: the fast way on a hot path."""
        raise NotImplementedError

    @property
    def body(self) -> str:
        """The text after the headers (BACKGROUND_JOB, log, message), or ""."""
        raise NotImplementedError

    def items(self) -> Iterator[tuple[str, str]]:
        """Every header in order, repeated ones too."""
        raise NotImplementedError


class Decoder:
    """Feed it what the socket gave, take what is complete."""

    def feed(self, data: bytes) -> list[Frame | Event]:
        """Return the frames that `data` completes. Raises ProtocolError; the decoder is unusable after that."""
        raise NotImplementedError
