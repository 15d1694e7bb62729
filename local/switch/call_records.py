"""One line for each call that ends, as mod_cdr_csv writes it by the template of freeswitch/conf.

The line is written before CHANNEL_HANGUP_COMPLETE. Legs that a bridge made have none.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from local.switch.channel import Leg

FILE = "cdr-csv/Master.csv"
TEMPLATE = (
    "ringmaster1,${uuid},${ringmaster_line},${start_uepoch},${answer_uepoch},${end_uepoch},${hangup_cause},"
    "${last_bridge_to},${ringmaster_fell_back},${ringmaster_caller}"
)


class CallRecords:
    """The open file; `rotate` begins a new one and names the old one by the date."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / FILE
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._file = self._path.open("ab", buffering=0)

    def write(self, leg: Leg) -> None:
        """Add a leg's line."""
        line = leg.switch.expand(leg, TEMPLATE)
        self._file.write(f"{line}\n".encode("utf-8", "surrogateescape"))

    def rotate(self, date: str) -> None:
        """Put the file aside and begin a new one."""
        self._file.close()
        self._path.rename(self._path.with_name(f"{self._path.name}.{date}"))
        self._file = self._path.open("ab", buffering=0)
