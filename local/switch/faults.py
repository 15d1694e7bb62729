"""Faults on demand: what goes wrong with a switch, played so that the platform can be watched standing it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import gevent

if TYPE_CHECKING:
    from collections.abc import Callable

    from local.switch.core import Switch
    from local.switch.server import Engine, EventSocketServer

LONGEST_FAULT_SECONDS = 3_600.0


class FaultError(ValueError):
    """The request names no fault, or one that can't be played so."""


class Faults:
    """Plays faults; all durations are real seconds."""

    def __init__(
        self, switch: Switch, server: EventSocketServer, engine: Engine, on_restart: Callable[[], None]
    ) -> None:
        self._switch = switch
        self._server = server
        self._engine = engine
        self._on_restart = on_restart
        self.played: dict[str, int] = {}
        self._faults: dict[str, Callable[[dict[str, Any]], None]] = {
            "restart": lambda request: self.restart(_seconds(request, "down_seconds", 1.0)),
            "drop_connections": lambda _request: self._server.drop_all(),
            "disconnect": lambda _request: self._server.drop_all(politely=True),
            "freeze": lambda request: self._freeze(_seconds(request, "seconds", 1.0)),
            "slow": lambda request: self._slow(_seconds(request, "delivery_seconds", 1.0)),
            "rude": self._rude,
            "swallow": self._swallow,
            "hupall": lambda _request: self._hang_up_all(),
            "heal": lambda _request: self._heal(),
        }

    def play(self, request: dict[str, Any]) -> None:
        """Play one fault: {"fault": name, …}. Raises FaultError when there is no such fault."""
        name = str(request.get("fault", ""))
        fault = self._faults.get(name)
        if fault is None:
            raise FaultError(f"there is no fault {name!r}; there are {', '.join(self._faults)}")
        fault(request)
        self.played[name] = self.played.get(name, 0) + 1

    def restart(self, down_seconds: float) -> None:
        """Die as by kill -9 and come up again after a while as another boot."""
        self._server.stop_listening()
        self._server.drop_all()
        self._switch.crash()
        gevent.spawn_later(down_seconds, self._come_up)

    def _come_up(self) -> None:
        self._on_restart()
        self._server.listen_again()

    def _freeze(self, seconds: float) -> None:
        self._engine.freeze()
        gevent.spawn_later(seconds, self._engine.thaw)

    def _slow(self, delivery_seconds: float) -> None:
        self._server.set_delivery(delivery_seconds)

    def _rude(self, request: dict[str, Any]) -> None:
        self._server.rejects_rudely = bool(request.get("on", True))

    def _swallow(self, request: dict[str, Any]) -> None:
        name = str(request.get("event", ""))
        if name != "RECORD_STOP":
            raise FaultError("only RECORD_STOP can be swallowed")
        self._switch.swallowed.add(name)

    def _hang_up_all(self) -> None:
        for leg in list(self._switch.legs.values()):
            leg.hangup("MANAGER_REQUEST")

    def _heal(self) -> None:
        self._switch.swallowed.clear()
        self._server.rejects_rudely = False
        self._server.set_delivery(None)
        self._engine.thaw()


def _seconds(request: dict[str, Any], name: str, default: float) -> float:
    value = request.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= LONGEST_FAULT_SECONDS:
        raise FaultError(f"{name} must be between 0 and {LONGEST_FAULT_SECONDS:.0f} seconds")
    return float(value)
