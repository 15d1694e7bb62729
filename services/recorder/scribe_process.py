"""`python -m services.recorder.scribe_process ENGINE`: writes down what it is handed on standard input, order by order.

A process of its own, without gevent: recognition and decoding are native code that blocks for seconds. It can be
killed when it takes too long or too much memory, a hostile file that crashes it takes nobody along, and it ends with
its parent, however that one ends.
"""

import json
import os
import resource
import sys
from pathlib import Path
from typing import Any

from services.recorder.adapters.engines.choice import choose
from services.recorder.adapters.engines.port import Engine, EngineAway, EngineRefused
from services.recorder.adapters.sound import BadSound
from services.recorder.scribe import Tell, from_json, write_down

LATER = 10
"""Whoever talks or waits for an answer goes first."""


def main() -> int:
    """Serve orders until standard input ends, as it does when the parent is gone."""
    os.nice(LATER)
    tell = _steps_alone()
    given = json.loads(sys.argv[1])
    _bound(given["memory_bytes"])
    try:
        key = os.environ.get("RINGMASTER_TRANSCRIBE_API_KEY", "")
        engine = choose(given["engine"], Path(given["cache"]), given["threads"], key, given["device"])
    except EngineRefused as error:
        tell({"told": "refused", "reason": str(error)})
        return 2
    tell({"told": "ready", "engine": engine.name})
    for line in sys.stdin:
        tell(_serve(json.loads(line), engine, tell))
    return 0


def _serve(order: dict[str, Any], engine: Engine, tell: Tell) -> dict[str, Any]:
    try:
        write_down(from_json(order), engine, tell)
    except EngineAway as error:
        return {"told": "failed", "reason": str(error), "final": False}
    except (BadSound, EngineRefused) as error:
        return {"told": "failed", "reason": str(error), "final": True}
    except MemoryError:
        return {"told": "failed", "reason": "there is not enough memory for it", "final": False}
    return {"told": "end"}


def _steps_alone() -> Tell:
    """Keep standard output for steps: whatever a library prints goes where the log goes."""
    steps = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)

    def tell(step: dict[str, Any]) -> None:
        steps.write(json.dumps(step, ensure_ascii=False) + "\n")
        steps.flush()

    return tell


def _bound(memory_bytes: int) -> None:
    """Refuse to grow above so much: the kernel would else pick somebody to kill (Linux counts private memory here)."""
    if memory_bytes:
        resource.setrlimit(resource.RLIMIT_DATA, (memory_bytes, memory_bytes))


if __name__ == "__main__":
    sys.exit(main())
