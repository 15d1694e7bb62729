"""What can go wrong on the event socket, sorted by what the caller may do next.

Callers of the client catch `NotSent` (retry when connected again), `OutcomeUnknown` (look before retrying) and
`UnsafeValue` (never retry: the value may not go on the wire). The client's own loop catches `EslError`, reports it as a
`Disconnected` item and reconnects; nothing else of this tree reaches a service.
"""

from greenswitch.esl import NotConnectedError


class EslError(Exception):
    """Base of everything this package raises on purpose."""


class UnsafeValue(EslError, ValueError):
    """A value can't be written into a command without changing its meaning. Retrying can't help."""


class NotSent(EslError, NotConnectedError):  # type: ignore[misc]  # greenswitch is untyped
    """The command never reached the wire. It may be sent again at any time."""


class OutcomeUnknown(EslError):
    """The command (or a part of it) was written, its reply did not come. Reconcile before sending it again."""


class ReplyTimeout(OutcomeUnknown):
    """The deadline of one reply passed; the connection is still up and later replies keep their order."""


class ConnectionEnded(EslError):
    """The connection is gone; the message says why. Base of all reasons a `Disconnected` item can carry."""


class ConnectFailed(ConnectionEnded):
    """No session was established: refused, unreachable, or a deadline of the hand-shake passed."""


class AccessDenied(ConnectFailed):
    """FreeSWITCH turned our address away (`text/rude-rejection`): its event-socket ACL does not list us."""


class WrongPassword(ConnectFailed):
    """FreeSWITCH refused the event-socket password. Retrying helps only after somebody changes a setting."""


class ConnectionLost(ConnectionEnded):
    """The peer closed or broke the connection."""


class SwitchShutDown(ConnectionEnded):
    """FreeSWITCH said good-bye with a disconnect notice."""


class ConnectionSilent(ConnectionEnded):
    """Nothing arrived for the silence limit and a probe went unanswered: half-open, or a frozen switch."""


class Overloaded(ConnectionEnded):
    """The queue of unread events passed its limit, so we closed the socket ourselves to keep FreeSWITCH alive."""


class ProtocolError(ConnectionEnded):
    """The bytes are not the event-socket protocol, or pass a bound of ours. The socket must be closed."""


class Stopped(ConnectionEnded):
    """We closed the connection because we were told to."""
