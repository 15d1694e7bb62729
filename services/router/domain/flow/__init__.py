"""Call flows: a graph of named steps that a call is led through (SPEC 2)."""

from services.router.domain.flow.engine import advance, after_talk, go_to, start
from services.router.domain.flow.happenings import (
    answer_recorded,
    check_deserted,
    check_unoffered,
    clip_recognised,
    command_refused,
    digit_pressed,
    digits_collected,
    forward_failed,
    lookup_answered,
    outside_answered,
    outside_left,
    parked_again,
    playback_finished,
    queue_exit,
    step_overdue,
)
from services.router.domain.flow.lookup import pending
from services.router.domain.flow.variables import language_of

__all__ = [
    "advance",
    "after_talk",
    "answer_recorded",
    "check_deserted",
    "check_unoffered",
    "clip_recognised",
    "command_refused",
    "digit_pressed",
    "digits_collected",
    "forward_failed",
    "go_to",
    "language_of",
    "lookup_answered",
    "outside_answered",
    "outside_left",
    "parked_again",
    "pending",
    "playback_finished",
    "queue_exit",
    "start",
    "step_overdue",
]
