"""`ringmaster`, or `python -m services.cli`: the platform's command line."""

from gevent import monkey

monkey.patch_all()

# ruff: noqa: E402 - the sockets must be gevent's before anything imports them
import sys

from services.cli.table import run


def main() -> int:
    """Run one command; return its exit code."""
    try:
        return run(sys.argv[1:])
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        return 0  # whoever read has seen enough


if __name__ == "__main__":
    sys.exit(main())
