"""Keeps the ledger of executed commands over restarts.

A full disk does not stop calls: the ledger then lives in memory until the disk has room, and only a listener that is
killed in that time could do a command again; a leg that still lives is protected by its origination_uuid even then.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import structlog

from services.listener.adapters.append_log import AppendLog
from services.listener.domain.execution import CommandLedger, Ended, Known, Verdict
from services.shared.contracts.ringmaster.v1.command_pb2 import Command

log = structlog.get_logger()
_SPARE_LINES = 20_000
COMPACT_EVERY = 5_000


class LedgerLog:
    """Writes each change of a ledger as a line before anything is built on it."""

    def __init__(self, path: Path) -> None:
        self._log = AppendLog(path)
        self._is_failing = False
        self._written = 0
        self.ledger = CommandLedger()
        for line in self._log.take_lines():
            try:
                _restore(self.ledger, orjson.loads(line))
            except (ValueError, KeyError, TypeError, AttributeError):
                log.warning("ledger_line_skipped", bytes=len(line))

    def judge(self, command: Command, now_ms: int) -> tuple[Verdict, Ended | None]:
        """Judge a command; a new highest generation is written first."""
        verdict, ended = self.ledger.judge(command, now_ms)
        if verdict is not Verdict.REFUSE and self.ledger.fence(command):
            self._append(orjson.dumps({"p": command.fence_partition, "g": command.fence_generation}))
        return verdict, ended

    def begin(self, command: Command, now_ms: int) -> None:
        """Write that a command will be sent."""
        self._append(_command_line(command.command_id, self.ledger.begin(command, now_ms)))

    def end(self, command: Command, ended: Ended, now_ms: int) -> None:
        """Write what became of a command, and now and then forget what can't come again."""
        self._append(_command_line(command.command_id, self.ledger.end(command, ended, now_ms)))
        self._written += 1
        if self._written % COMPACT_EVERY == 0:
            self._compact(now_ms)

    def _compact(self, now_ms: int) -> None:
        self.ledger.forget(now_ms)
        if self._log.count < _SPARE_LINES + 3 * len(self.ledger.known):
            return
        try:
            self._log.rewrite(_everything(self.ledger))
        except OSError as error:
            self._failed(error)

    def close(self) -> None:
        """Close the file."""
        self._log.close()

    def _append(self, line: bytes) -> None:
        try:
            self._log.append([line])
            self._is_failing = False
        except OSError as error:
            self._failed(error)

    def _failed(self, error: OSError) -> None:
        if not self._is_failing:
            log.warning("ledger_not_written", reason=str(error), advice="free disk space; commands are still executed")
        self._is_failing = True


def _everything(ledger: CommandLedger) -> Iterator[bytes]:
    for partition, generation in ledger.generations.items():
        yield orjson.dumps({"p": partition, "g": generation})
    for command_id, known in ledger.known.items():
        yield _command_line(command_id, known)


def _command_line(command_id: str, known: Known) -> bytes:
    entry: dict[str, Any] = {"c": command_id, "k": known.forget_after_ms}
    if known.ended is not None:
        entry |= {"o": known.ended.outcome, "w": known.ended.cause}
    return orjson.dumps(entry)


def _restore(ledger: CommandLedger, entry: dict[str, Any]) -> None:
    if "g" in entry:
        ledger.generations[entry["p"]] = entry["g"]
        return
    ended = Ended(entry["o"], entry["w"]) if "o" in entry else None
    ledger.known[entry["c"]] = Known(entry["k"], ended)
