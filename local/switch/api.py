"""The api commands: a table from name to handler, and what runs them.

Replies are texts of the captures, to the byte. A handler returns its text, or a Pending for a command that takes time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from local.switch.conference import conference_command
from local.switch.encoding import header
from local.switch.originate import originate_command
from local.switch.pending import Pending

if TYPE_CHECKING:
    from collections.abc import Callable

    from local.switch.core import Switch

Result = str | Pending


class Api:
    """Runs commands by name."""

    def __init__(self, switch: Switch) -> None:
        # Imported here, because these modules use Result and switch types of this one.
        from local.switch.api_core import CORE_COMMANDS  # noqa: PLC0415 - breaks the circle
        from local.switch.api_legs import LEG_COMMANDS  # noqa: PLC0415 - breaks the circle
        from local.switch.api_show import show_command  # noqa: PLC0415 - breaks the circle

        self._switch = switch
        self._handlers: dict[str, Callable[[Switch, str], Result]] = {
            **CORE_COMMANDS,
            **LEG_COMMANDS,
            "show": show_command,
            "conference": conference_command,
            "originate": originate_command,
        }
        self.executed = 0

    def knows(self, name: str) -> bool:
        """Say whether there is such a command."""
        return name in self._handlers

    def run(self, name: str, argument: str) -> Result:
        """Run a command; an unknown one gives the switch's own error text."""
        handler = self._handlers.get(name)
        if handler is None:
            return f"-ERR {name} Command not found!\n"
        self.executed += 1
        lines = header("API-Command", name)
        if argument:
            lines += header("API-Command-Argument", argument)
        self._switch.bus.emit("API", lines)
        return handler(self._switch, argument)
