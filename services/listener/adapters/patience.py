"""How long the switch lets a call wait until the platform claims it: longer while we are about to be back (ADR 58)."""

import time

import gevent
import structlog

from services.listener.adapters.switch_port import SwitchPort
from services.listener.domain.legs import LegTable
from services.shared.esl import commands as esl
from services.shared.esl.errors import NotSent, OutcomeUnknown

TIMES_LONGER = 3
CLAIM_SECONDS = 0.5
"""So long after it we go on working at least: for who came in the last moment, and is not known yet."""
FALLBACK_VARIABLE, USUAL_VARIABLE = "fallback_seconds", "usual_fallback_seconds"
"""Global variables of the switch (freeswitch/conf/vars.xml): what its dialplan counts with, and what was set up."""
_GROUP = "ringmaster_patience"
_ANSWER_SECONDS = 0.5
_LOOK_SECONDS = 0.05

log = structlog.get_logger()


class Patience:
    """Of one switch, which keeps it: it is right again by itself if nobody comes back."""

    def __init__(self, switch: SwitchPort, legs: LegTable) -> None:
        self._switch = switch
        self._legs = legs
        self._usual = 0

    def restore(self) -> None:
        """Let callers wait for the usual time again: we are here. A switch that knows none keeps what it has."""
        try:
            found = self._answer(esl.api("global_getvar", USUAL_VARIABLE)).strip()
            self._usual = int(found) if found.isascii() and found.isdigit() else 0
            if self._usual:
                self._switch.submit(_set(self._usual))  # nobody waits for what these two answer
                self._switch.submit(esl.api("sched_del", _GROUP))
        except (NotSent, OutcomeUnknown) as error:
            log.warning("patience_not_restored", reason=str(error), advice="the switch does it by itself in a moment")

    def lengthen(self) -> None:
        """Let callers wait longer from now on, for as long as that: a restart takes seconds on a busy machine.

        Returns once those who came before are claimed, or their time is up: their router may be away for a moment too.
        It does nothing where the switch is not there.
        """
        if not self._usual:
            return
        longer = TIMES_LONGER * self._usual
        try:
            # The way back comes first: whoever is killed between the two leaves the switch as it was set up.
            back = f"global_setvar {FALLBACK_VARIABLE}={self._usual}"
            self._answer(esl.api("sched_api", f"+{longer}", _GROUP, text=back))
            self._answer(_set(longer))
        except (NotSent, OutcomeUnknown) as error:
            log.warning("patience_not_lengthened", reason=str(error))
            return
        until = time.monotonic() + self._usual
        gevent.sleep(CLAIM_SECONDS)
        came_before = self._legs.unclaimed()
        while came_before & self._legs.unclaimed() and time.monotonic() < until:
            gevent.sleep(_LOOK_SECONDS)

    def _answer(self, command: esl.Command) -> str:
        return self._switch.submit(command).get(_ANSWER_SECONDS).text


def _set(seconds: int) -> esl.Command:
    return esl.api("global_setvar", text=f"{FALLBACK_VARIABLE}={seconds}")
