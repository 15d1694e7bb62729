"""How events of one leg are compared: as lines that say what a reader of the event would rely on."""

from collections.abc import Iterable, Mapping

# Events that are not about what happens to a leg, or that depend on the phone and not on the switch.
NOT_COMPARED = frozenset(
    {"API", "HEARTBEAT", "RE_SCHEDULE", "ADD_SCHEDULE", "DEL_SCHEDULE", "PRESENCE_IN", "RECV_INFO", "BACKGROUND_JOB"}
)
_SHOWN = (
    ("Application", "app"),
    ("Application-Response", "response"),
    ("Hangup-Cause", "cause"),
    ("Playback-Status", "playback"),
    ("DTMF-Digit", "digit"),
    ("Media-Bug-Function", "bug"),
    ("Action", "action"),
)


def line_of(event: Mapping[str, str]) -> str:
    """Return one event as a comparable line: name, states, and what the application or cause was."""
    parts = [
        event["Event-Name"],
        event.get("Channel-State", "-").removeprefix("CS_"),
        event.get("Channel-State-Number", "-"),
        event.get("Channel-Call-State", "-"),
        event.get("Answer-State", "-"),
    ]
    parts += [f"{label}={event[name]}" for name, label in _SHOWN if name in event]
    return " ".join(parts)


def by_leg(events: Iterable[Mapping[str, str]]) -> dict[str, list[Mapping[str, str]]]:
    """Group events by leg, in the order in which the legs first appear."""
    legs: dict[str, list[Mapping[str, str]]] = {}
    for event in events:
        leg = event.get("Unique-ID")
        if (
            leg is not None
            and event["Event-Name"] not in NOT_COMPARED
            and "sofia::" not in event.get("Event-Subclass", "")
        ):
            legs.setdefault(leg, []).append(event)
    return legs
