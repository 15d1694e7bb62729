"""Start, stop and show the stack: `python -m local.stack up|down|status|demo`."""

from gevent import monkey

monkey.patch_all()

import argparse  # noqa: E402 - the patch comes first
import sys  # noqa: E402

from local.broker.kafka import BrokerMissing  # noqa: E402
from local.stack import demo, up  # noqa: E402
from local.stack.layout import Layout  # noqa: E402
from local.stack.part import PartFailed, listens  # noqa: E402
from local.stack.stack import stop_former  # noqa: E402


def say(line: str) -> None:
    """Tell the person in front of the terminal."""
    print(line, flush=True)


def status(layout: Layout) -> int:
    """Say which ports answer."""
    for name, port in layout.ports().items():
        say(f"  {name:<17}127.0.0.1:{port:<6} {'up' if listens(port) else '-'}")
    return 0


def down(layout: Layout) -> int:
    """Stop what runs."""
    if not stop_former(layout, say):
        say("Nothing of the stack runs.")
    return 0


def main() -> int:
    """Do what was asked; returns the exit code."""
    parser = argparse.ArgumentParser(prog="local.stack")
    parser.add_argument("what", choices=("up", "down", "status", "demo"))
    asked = parser.parse_args().what
    layout = Layout.from_environment()
    try:
        if asked == "demo":
            return demo.play(say)
        if asked == "up":
            return up.run(layout, say)
        return down(layout) if asked == "down" else status(layout)
    except (PartFailed, BrokerMissing) as error:
        say(f"\n{error}")
        return 1


if __name__ == "__main__":
    sys.exit(main())
