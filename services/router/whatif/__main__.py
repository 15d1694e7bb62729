from gevent import monkey

monkey.patch_all()

# ruff: noqa: E402 - the sockets must be gevent's before anything imports them
import sys

from services.router.whatif.cli import run

if __name__ == "__main__":
    sys.exit(run(sys.argv[1:]))
