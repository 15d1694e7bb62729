"""Peers that the project does not depend on: how each is brought in, or in one sentence why it is not."""

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from bench.esl.measure import HEADERS

ROOT = Path(__file__).parents[2]
RUN = ROOT / ".run"
GENESIS = "genesis==2026.10.18"
INSTALL_SECONDS = 180


@dataclass(frozen=True, slots=True)
class Peer:
    """A reader to start: the command before `<port> <events> <form>`, or the reason why there is none."""

    who: str
    command: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    missing: str = ""
    streams: bool = True
    """Whether it can answer pings."""
    headers: bool = True
    """Whether it reads the headers (the limits do not)."""


def genesis() -> Peer:
    """Install genesis into an environment of the bench's own."""
    python = RUN / "bench-venv" / "bin" / "python"
    try:
        if not python.exists():
            _quietly([sys.executable, "-m", "venv", str(python.parents[1])])
        if subprocess.run([python, "-c", "import genesis"], capture_output=True, check=False).returncode:
            _quietly([str(python), "-m", "pip", "install", "--quiet", GENESIS])
    except (OSError, subprocess.SubprocessError) as error:
        return Peer("genesis", missing=f"{GENESIS} could not be installed: {_last_line(error)}")
    return Peer("genesis", (str(python), "-m", "bench.esl.read_genesis"))


def libesl() -> Peer:
    """Build FreeSWITCH's C client from `LIBESL=…/libs/esl/src`."""
    who = "libesl (C)"
    sources = Path(os.environ.get("LIBESL", ""))
    compiler = shutil.which("cc")
    if "LIBESL" not in os.environ:
        return Peer(who, missing="LIBESL does not name FreeSWITCH's libs/esl/src")
    if compiler is None or not (sources / "include" / "esl.h").exists():
        return Peer(who, missing=f"no C compiler, or no include/esl.h in {sources}")
    program = RUN / "read_libesl"
    parts = [*sources.glob("esl*.c"), *sources.glob("cJSON*.c"), Path(__file__).with_name("read_libesl.c")]
    flags = ["-O2", "-w", "-D_GNU_SOURCE", "-I", str(sources / "include"), "-I", str(sources)]
    try:
        RUN.mkdir(exist_ok=True)
        _quietly([compiler, *flags, *map(str, parts), "-lpthread", "-lm", "-o", str(program)])
    except subprocess.SubprocessError as error:
        return Peer(who, missing=f"libesl does not build: {_last_line(error)}")
    return Peer(who, (str(program),), after=HEADERS, streams=False)


def _quietly(command: list[str]) -> None:
    subprocess.run(command, check=True, capture_output=True, text=True, timeout=INSTALL_SECONDS)


def _last_line(error: BaseException) -> str:
    lines = str(getattr(error, "stderr", "") or error).strip().splitlines()
    return lines[-1] if lines else type(error).__name__
