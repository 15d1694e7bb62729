"""Start, stop and show the stack: `python -m local.stack up|down|status|demo|chaos|drill`."""

from gevent import monkey

monkey.patch_all()

import signal  # noqa: E402 - the patch comes first

# What follows takes a moment to import. Nothing runs yet, so Ctrl-C just ends it, without a word.
signal.signal(signal.SIGINT, signal.SIG_DFL)

import argparse  # noqa: E402
import sys  # noqa: E402
from contextlib import suppress  # noqa: E402

import gevent  # noqa: E402

from local.broker.kafka import BrokerMissing  # noqa: E402
from local.stack import demo, drill, up  # noqa: E402
from local.stack.layout import Layout  # noqa: E402
from local.stack.part import PartFailed, listens  # noqa: E402
from local.stack.stack import stop_former  # noqa: E402

# What a shell reports of a program that Ctrl-C has ended.
EXIT_INTERRUPTED = 130


def say(line: str) -> None:
    """Tell the person in front of the terminal; one who has closed it keeps nothing from being stopped."""
    with suppress(OSError):
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


_PLAYS = {"demo": demo.play, "chaos": demo.chaos, "drill": drill.play}


def main() -> int:
    """Do what was asked; returns the exit code."""
    # `make down`, a closed terminal and Ctrl-C shall end in the same orderly way.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)
    # gevent hands it on to this greenlet, but would first write it out as an error.
    hub = gevent.get_hub()
    hub.NOT_ERROR = (*hub.NOT_ERROR, KeyboardInterrupt)
    parser = argparse.ArgumentParser(prog="local.stack")
    parser.add_argument("what", choices=("up", "down", "status", "demo", "chaos", "drill"))
    asked = parser.parse_args().what
    try:
        layout = Layout.from_environment()
        if asked in _PLAYS:
            return _PLAYS[asked](say)
        if asked == "up":
            return up.run(layout, say)
        return down(layout) if asked == "down" else status(layout)
    except (PartFailed, BrokerMissing) as error:
        say(f"\n{error}")
        return 1
    except KeyboardInterrupt:
        say("Stopped.")
        return EXIT_INTERRUPTED


if __name__ == "__main__":
    sys.exit(main())
