"""Who may watch the switch's inside: the ground truth, the counters, the speech. Watching changes nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from local.switch.channel import Leg


class Observer:
    """Hooks with nothing in them; a watcher overrides those that it needs."""

    def leg_created(self, leg: Leg) -> None:
        """Note that a leg exists."""

    def leg_answered(self, leg: Leg) -> None:
        """Note an answer."""

    def legs_bridged(self, a: Leg, b: Leg) -> None:
        """Note that two legs hear each other."""

    def legs_parted(self, a: Leg, b: Leg) -> None:
        """Note that two legs no longer hear each other."""

    def digits_collected(self, leg: Leg, digits: str) -> None:
        """Note digits that an application took from a leg."""

    def recording_stopped(self, leg: Leg, path: str, size: int) -> None:
        """Note that a recording's file is complete."""

    def fallback_taken(self, leg: Leg) -> None:
        """Note that a leg went to the dialplan's fallback because nobody had claimed it."""

    def leg_hung_up(self, leg: Leg, cause: str) -> None:
        """Note a hang-up; the leg's last events are still to come."""

    def leg_gone(self, leg: Leg) -> None:
        """Note that a leg was destroyed."""

    def switch_crashed(self, lost: list[Leg]) -> None:
        """Note that the switch died with these legs on it; nobody will get an event for them."""
