"""A smaller broker for machines without Java: noida-db, one program of the wheel of the same name."""

import os
from importlib.util import find_spec
from pathlib import Path

from local.broker.kafka import BrokerMissing

WEAKER = (
    "noida-db stands in for it and is weaker: it never evicts a consumer that was killed, loses acknowledged records "
    "when it is killed itself, and answers polls at once instead of waiting, which costs processor time; do not judge "
    "reliability or speed by this run."
)


def prepare(folder: Path, port: int) -> list[str]:
    """Return the command that starts it on a loopback port. Raises BrokerMissing where its wheel is not installed."""
    spec = find_spec("noida_db")
    program = Path(spec.origin).with_name("noida-db") if spec and spec.origin else None
    if program is None or not program.is_file():
        raise BrokerMissing("noida-db is missing: install it (pip install noida-db)")
    if not os.access(program, os.X_OK):
        program.chmod(0o755)
    folder.mkdir(parents=True, exist_ok=True)
    options = {"data-dir": folder / "data", "host": "127.0.0.1", "only": "kafka", "kafka-port": port}
    # The program itself, not the wheel's script: the script's child would outlive it.
    return [str(program), "start", *(word for name, value in options.items() for word in (f"--{name}", str(value)))]
