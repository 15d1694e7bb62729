"""The process that forks passes: reads one JSON object a line, answers each with one. See nursery.py."""

from gevent import monkey

monkey.patch_all()

# ruff: noqa: E402 - the sockets must be gevent's before anything imports them
import json
import os
import sys
import traceback
from typing import Any

from services.recorder.adapters.s3 import ObjectStore
from tests.integration.recorder import one_pass, transcribe_pass

PASSES = {"one_pass": one_pass.main, "transcribe_pass": transcribe_pass.main}


def fork(kind: str, given: dict[str, Any], output: str) -> int:
    """Do a pass in a process of its own, with its words in a file."""
    child = os.fork()
    if child:
        return child
    code = 1
    try:
        written = os.open(output, os.O_WRONLY | os.O_CREAT, 0o600)
        os.dup2(written, 1)
        os.close(0)
        sys.stdout = os.fdopen(1, "w", encoding="utf-8")
        PASSES[kind](given)
        sys.stdout.flush()
        code = 0
    except BaseException:  # noqa: BLE001 - the test hears of it by the code
        traceback.print_exc()
    os._exit(code)


def main() -> None:
    """Fork what is asked for until nobody can ask any more."""
    ObjectStore("http://127.0.0.1:1", "none", "none", "none", "none")  # boto3 reads its models once, for all
    for line in sys.stdin:
        asked = json.loads(line)
        if "wait" in asked:
            answer = {"code": os.waitstatus_to_exitcode(os.waitpid(asked["wait"], 0)[1])}
        else:
            answer = {"pid": fork(asked["kind"], asked["given"], asked["output"])}
        os.write(1, json.dumps(answer).encode() + b"\n")


if __name__ == "__main__":
    main()
