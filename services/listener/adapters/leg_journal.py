"""Keeps the table of legs over restarts: each change is a line, the last line of a name counts.

A line says that something was told, so it is written only once the telling is safe, in Kafka or on disk. After a kill
the table is a little older than the truth, and the reconciliation tells the difference (again).
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import orjson
import structlog

from services.listener.adapters.append_log import AppendLog
from services.listener.domain.legs import Asked, Leg, LegTable

log = structlog.get_logger()
_SPARE_LINES = 5_000
_SEEN_STEP_US = 1_000_000
_SWITCH = "switch"
_MORE = "more"
"""What is asked of a leg beside what its last line says."""


class LegJournal:
    """Writes what changed in a table, and fills a table with what was written. `_pending` is in the order of tokens."""

    def __init__(self, path: Path) -> None:
        self._log = AppendLog(path)
        self._is_failing = False
        self._seen_us = 0
        self._pending: dict[str, tuple[int, bytes]] = {}

    def load(self, legs: LegTable) -> int:
        """Fill the table; return the moment (µs) of the last event that the former life saw, 0 when unknown."""
        newest: dict[str, dict[str, Any]] = {}
        for line in self._log.take_lines():
            try:
                _read(newest, orjson.loads(line))
            except (ValueError, KeyError, TypeError, AttributeError):
                log.warning("leg_journal_line_skipped", bytes=len(line))
        for name, entry in newest.items():
            if entry:
                _restore(legs, name, entry)
            elif " " not in name:
                legs.ended_before.add(name)
        self._seen_us = int(newest.get(_SWITCH, {}).get("seen", 0))
        legs.changed.clear()
        return self._seen_us

    def note(self, legs: LegTable, seen_us: int, token: int) -> None:
        """Take up what changed; it may be written when everything up to this token of the publisher is safe."""
        if legs.changed:
            for name in legs.changed:
                self._pending.pop(name, None)
                self._pending[name] = token, _line(legs, name)
            legs.changed.clear()
        elif seen_us - self._seen_us < _SEEN_STEP_US:
            return
        self._pending.pop(_SWITCH, None)
        self._pending[_SWITCH] = token, _dumps({"n": _SWITCH, "core": legs.core_uuid, "seen": seen_us})
        self._seen_us = seen_us

    def write(self, legs: LegTable, settled: int) -> None:
        """Write what is safe. A full disk is said once; what is not written stays noted."""
        ready = []
        for name, (token, _) in self._pending.items():
            if token > settled:
                break
            ready.append(name)
        self._write(ready)
        is_known = not self._pending and not legs.changed
        if is_known and self._log.count > _SPARE_LINES + 4 * (len(legs.live) + len(legs.registered)):
            self._guarded(lambda: self._log.rewrite(_everything(legs, self._seen_us)))

    def write_now(self, legs: LegTable, name: str, token: int) -> None:
        """Write what is about to be asked of a leg, or of `call <id>`: it must be known before the asking.

        Of a leg nothing else is written: its other changes are told, but perhaps not safe before `token` is.
        """
        leg = legs.live.get(name)
        line = _line(legs, name) if leg is None else _dumps({"n": name, _MORE: _asked(leg)})
        self._guarded(lambda: self._log.append([line]))
        legs.changed.pop(name, None)
        self._pending.pop(name, None)
        self._pending[name] = token, _line(legs, name)  # one that was noted before does not know of the asking

    def _write(self, names: list[str]) -> None:
        if names and self._guarded(lambda: self._log.append([self._pending[name][1] for name in names])):
            for name in names:
                del self._pending[name]

    def _guarded(self, work: Callable[[], None]) -> bool:
        try:
            work()
        except OSError as error:
            if not self._is_failing:
                log.warning("leg_journal_not_written", reason=str(error), advice="free disk space; calls go on")
            self._is_failing = True
        else:
            self._is_failing = False
        return not self._is_failing

    def close(self) -> None:
        """Close the file."""
        self._log.close()


def _everything(legs: LegTable, seen_us: int) -> Iterator[bytes]:
    yield _dumps({"n": _SWITCH, "core": legs.core_uuid, "seen": seen_us})
    names = [*legs.live, *("call " + call for call in legs.masked), *("phone " + each for each in legs.registered)]
    for name in names:
        yield _line(legs, name)


def _read(newest: dict[str, dict[str, Any]], entry: dict[str, Any]) -> None:
    name = entry.pop("n")
    if _MORE not in entry:
        newest[name] = entry
    elif newest.get(name):
        newest[name].setdefault("asked", {}).update(entry[_MORE])


def _line(legs: LegTable, name: str) -> bytes:
    kind, blank, rest = name.partition(" ")
    if not blank:
        leg = legs.live.get(name)
        return _dumps({"n": name} if leg is None else {"n": name, **_leg_entry(leg)})
    if kind == "call":
        masked = legs.masked.get(rest)
        return _dumps({"n": name, "masked": sorted(masked)} if masked else {"n": name})
    tenant_id = legs.registered.get(rest)
    return _dumps({"n": name, "tenant": tenant_id} if tenant_id else {"n": name})


def _leg_entry(leg: Leg) -> dict[str, Any]:
    entry = {
        "tenant": leg.tenant_id,
        "call": leg.call_id,
        "line": leg.line,
        "in": leg.is_inbound,
        "command": leg.command_id,
        "created": leg.created_us,
        "answered": leg.answered_us,
        "parked": leg.is_parked,
        "held": leg.is_held,
        "fallen": leg.has_fallen_back,
        "other": leg.other_leg_id,
        "domain": leg.domain,
        "hop": leg.hop,
        "asked": _asked(leg),
    }
    return {name: value for name, value in entry.items() if value}


def _asked(leg: Leg) -> dict[str, str]:
    return {command_id: asked.value for command_id, asked in leg.asked.items()}


def _restore(legs: LegTable, name: str, entry: dict[str, Any]) -> None:
    kind, blank, rest = name.partition(" ")
    if name == _SWITCH:
        legs.core_uuid = entry.get("core", "")
    elif kind == "call" and blank:
        legs.masked[rest] = set(entry.get("masked", ()))
    elif kind == "phone" and blank:
        legs.registered[rest] = entry.get("tenant", "")
    else:
        legs.add(_leg(name, entry))


def _leg(leg_id: str, entry: dict[str, Any]) -> Leg:
    return Leg(
        leg_id,
        entry.get("tenant", ""),
        call_id=entry.get("call", ""),
        line=entry.get("line", ""),
        is_inbound=entry.get("in", False),
        command_id=entry.get("command", ""),
        created_us=entry.get("created", 0),
        answered_us=entry.get("answered", 0),
        is_parked=entry.get("parked", False),
        is_held=entry.get("held", False),
        has_fallen_back=entry.get("fallen", False),
        other_leg_id=entry.get("other", ""),
        domain=entry.get("domain", ""),
        hop=entry.get("hop", 0),
        asked={command_id: Asked(asked) for command_id, asked in entry.get("asked", {}).items()},
    )


def _dumps(entry: dict[str, Any]) -> bytes:
    return orjson.dumps(entry, option=orjson.OPT_NON_STR_KEYS)
