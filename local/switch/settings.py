"""What the simulated switch is told at its start: options, each also by environment."""

from __future__ import annotations

import argparse
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


@dataclass(frozen=True, slots=True)
class Settings:
    """All settings. Times in simulated seconds unless they say otherwise."""

    host: str
    port: int
    password: str
    http_port: int
    recordings: Path
    call_records: Path | None
    speed: float
    epoch: float | None
    wall0: float | None
    scenario: Path | None
    seed: int
    event_queue: int
    delivery_ms: float
    hostname: str
    domain: str
    on_slow_reader: str
    on_shutdown: str
    rude: bool
    waits: bool


_OPTIONS: tuple[tuple[str, type, object, str], ...] = (
    ("host", str, "127.0.0.1", "address to listen on"),
    ("port", int, 8021, "event-socket port; 0 takes a free one"),
    ("password", str, "ClueCon", "event-socket password"),
    ("http-port", int, 8022, "port of the control API; 0 takes a free one"),
    ("recordings", Path, Path(".run/recordings"), "folder of recordings that are named without a folder"),
    ("call-records", Path, None, "folder below which calls that end are written down, in cdr-csv/Master.csv"),
    ("speed", float, 1.0, "how many times faster than real time"),
    ("epoch", float, None, "Unix second at which simulated time begins; now by default"),
    ("wall0", float, None, "real Unix second that corresponds to the epoch; the start by default"),
    ("scenario", Path, None, "YAML file with lines, agents and callers"),
    ("seed", int, 1, "seed of all dice; the scenario's own seed goes first"),
    ("event-queue", int, 100_000, "events that may wait for a slow reader"),
    ("delivery-ms", float, 20.0, "how long events wait for company before they are sent"),
    ("hostname", str, "ringmaster-switch", "name of the switch in events"),
    ("domain", str, "127.0.0.1", "domain of agents that name none"),
)


def read_settings(arguments: Sequence[str] | None = None, environment: Mapping[str, str] = os.environ) -> Settings:
    """Read options; `SWITCH_<NAME>` in the environment is the default of each."""
    parser = argparse.ArgumentParser(prog="local.switch", description="A simulated FreeSWITCH with callers and agents.")

    def fallback(name: str, default: object) -> object:
        return environment.get("SWITCH_" + name.upper().replace("-", "_"), default)

    for name, kind, default, text in _OPTIONS:
        parser.add_argument(f"--{name}", type=kind, default=fallback(name, default), help=text)
    parser.add_argument(
        "--on-slow-reader",
        choices=("freeze", "close"),
        default=fallback("on-slow-reader", "freeze"),
        help="freeze everything as the real switch does, or only close the slow connection",
    )
    parser.add_argument(
        "--on-shutdown",
        choices=("exit", "restart"),
        default=fallback("on-shutdown", "exit"),
        help="what `fsctl shutdown now` does: end the process, or come up again as another boot",
    )
    parser.add_argument("--rude", action="store_true", help="reject every connection, as an access list does")
    parser.add_argument("--waits", action="store_true", help="let nobody call before POST /begin")
    values = vars(parser.parse_args(arguments))
    return Settings(**values)
